// Parsing, checking and writing of safetensors headers; see safetensors_header.hpp. Depends on base, io/json.
#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/file.hpp>
#include <thalweg/io/json.hpp>
#include <thalweg/io/safetensors_header.hpp>

namespace thalweg::io {
namespace {

constexpr const char* op = "safetensors";
constexpr std::string_view metadata_key = "__metadata__";
constexpr std::string_view supported = "F32, F64, I64, I32, U8 or BOOL";

/// Element types of the format that have no DType here.
constexpr std::array<std::string_view, 16> foreign_dtypes{
    "F16",     "BF16",    "I8",      "I16",     "U16",     "U32", "U64",         "C64",
    "F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4",  "F8_E4M3FNUZ", "F8_E5M2FNUZ"};

/// An entry while its file is checked; `at` is where its name stands.
struct Parsed {
  TensorEntry entry;
  std::uint64_t at = 0;
};

DType parse_dtype(JsonReader& in, std::string_view tensor) {
  const Field field(tensor, "dtype");
  const std::uint64_t at = in.next();
  const std::string text = in.string(field);
  for (int i = 0; i < dtype_count; ++i)
    if (text == safetensors_name(static_cast<DType>(i))) return static_cast<DType>(i);
  const bool foreign = std::find(foreign_dtypes.begin(), foreign_dtypes.end(), text) != foreign_dtypes.end();
  in.fail(at, field, foreign ? "element type not supported" : "unknown element type", printable(text),
          std::string(supported));
}

Dims parse_shape(JsonReader& in, std::string_view tensor) {
  const Field field(tensor, "shape");
  Dims shape;
  in.expect('[', field);
  if (in.accept(']')) return shape;
  do {
    if (shape.size() == max_dims)
      in.fail(in.next(), field, "too many dimensions", {}, fmt::format("at most {}", max_dims));
    shape.push_back(in.natural(field));
  } while (in.accept(','));
  in.expect(']', field);
  return shape;
}

void parse_offsets(JsonReader& in, TensorEntry& entry) {
  const Field field(entry.name, "data_offsets");
  in.expect('[', field);
  entry.begin = static_cast<std::uint64_t>(in.natural(field));
  in.expect(',', field);
  entry.end = static_cast<std::uint64_t>(in.natural(field));
  in.expect(']', field);
}

/// {"dtype": ..., "shape": ..., "data_offsets": ...}: each once, in any order, and nothing else.
void parse_entry(JsonReader& in, TensorEntry& entry) {
  constexpr std::array<std::string_view, 3> fields{"dtype", "shape", "data_offsets"};
  std::array<bool, 3> seen{};
  in.expect('{', entry.name);
  if (!in.accept('}')) {
    do {
      const std::uint64_t at = in.next();
      const std::string key = in.string(entry.name);
      const auto which =
          static_cast<std::size_t>(std::find(fields.begin(), fields.end(), key) - fields.begin());
      if (which == fields.size())
        in.fail(at, Field(entry.name, key), "unknown field", {}, "dtype, shape or data_offsets");
      if (seen[which]) in.fail(at, Field(entry.name, key), "given twice");
      seen[which] = true;
      in.expect(':', Field(entry.name, key));
      if (which == 0)
        entry.dtype = parse_dtype(in, entry.name);
      else if (which == 1)
        entry.shape = parse_shape(in, entry.name);
      else
        parse_offsets(in, entry);
    } while (in.accept(','));
    in.expect('}', entry.name);
  }
  for (std::size_t i = 0; i < fields.size(); ++i)
    if (!seen[i]) in.fail(in.offset(), Field(entry.name, fields[i]), "missing");
}

void parse_metadata(JsonReader& in, std::map<std::string, std::string>& metadata) {
  in.expect('{', metadata_key);
  if (in.accept('}')) return;
  do {
    const std::uint64_t at = in.next();
    std::string key = in.string(metadata_key);
    const Field field(metadata_key, key);
    in.expect(':', field);
    std::string value = in.string(field);
    if (!metadata.emplace(key, std::move(value)).second) in.fail(at, field, "given twice");
  } while (in.accept(','));
  in.expect('}', metadata_key);
}

void check_names(const JsonReader& in, const std::vector<Parsed>& parsed) {
  std::vector<std::size_t> order(parsed.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto name = [&](std::size_t i) -> const std::string& { return parsed[i].entry.name; };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const int c = name(a).compare(name(b));
    return c != 0 ? c < 0 : a < b;
  });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (name(order[i]) == name(order[i - 1])) in.fail(parsed[order[i]].at, name(order[i]), "given twice");
}

/// Shape and offsets of one tensor against each other and against the file.
void check_size(const JsonReader& in, const Parsed& p, std::uint64_t payload) {
  const TensorEntry& e = p.entry;
  const Field field(e.name, "data_offsets");
  const std::string given = fmt::format("[{},{}]", e.begin, e.end);
  if (e.begin > e.end) in.fail(p.at, field, "begin after end", given);
  if (e.end > payload)
    in.fail(p.at, field, "beyond the end of the file", given, fmt::format("at most {}", payload));
  std::int64_t bytes = 0;
  try {
    bytes = checked_numel(e.shape, static_cast<std::int64_t>(itemsize(e.dtype)));
  } catch (const ShapeError&) {
    in.fail(p.at, Field(e.name, "shape"), "size overflows", to_string(e.shape), "fewer than 2^63 bytes");
  }
  bytes *= static_cast<std::int64_t>(itemsize(e.dtype));
  if (e.end - e.begin != static_cast<std::uint64_t>(bytes))
    in.fail(p.at, field, "not the size of the shape", fmt::format("{} bytes", e.end - e.begin),
            fmt::format("{} for {}{}", bytes, name(e.dtype), to_string(e.shape)));
}

/// The tensors, sorted by offset, follow each other without hole or overlap and fill the file.
void check_layout(const JsonReader& in, const std::vector<Parsed>& sorted, std::uint64_t payload) {
  std::uint64_t at = 0;
  for (const Parsed& p : sorted) {
    const TensorEntry& e = p.entry;
    if (e.begin != at)
      in.fail(p.at, Field(e.name, "data_offsets"),
              e.begin < at ? "overlaps the tensor before it" : "leaves a hole before it",
              fmt::format("[{},{}]", e.begin, e.end), fmt::format("begin {}", at));
    at = e.end;
  }
  if (at != payload)
    in.fail(in.offset(), "data_offsets", "bytes that no tensor describes",
            fmt::format("{} bytes of data", payload), fmt::format("{}", at));
}

}  // namespace

const char* safetensors_name(DType dtype) noexcept {
  constexpr const char* names[dtype_count] = {"F32", "F64", "I64", "I32", "U8", "BOOL"};
  return names[static_cast<int>(dtype)];
}

std::uint64_t header_length(const std::uint8_t* prefix, std::size_t given, std::uint64_t file_bytes,
                            const std::string& file) {
  const auto fail = [&](const char* what, std::string is, std::string wanted) {
    throw_error<FormatError>({.op = op,
                              .arg = file,
                              .given = std::move(is),
                              .wanted = std::move(wanted),
                              .what = fmt::format("offset 0: header length: {}", what)});
  };
  if (given < safetensors_prefix)
    fail(given == 0 ? "the file is empty" : "cut off", fmt::format("{} bytes long", given), "at least 8");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | prefix[i];
  if (length > safetensors_max_header)
    fail("too large", fmt::format("{} there", length), fmt::format("at most {}", safetensors_max_header));
  if (length > file_bytes - safetensors_prefix)
    fail("beyond the end of the file", fmt::format("{} there", length),
         fmt::format("at most {}", file_bytes - safetensors_prefix));
  if (length < 2) fail("too small", fmt::format("{} there", length), "at least 2, for {}");
  return length;
}

SafetensorsHeader parse_header(std::string_view json, std::uint64_t payload, const std::string& file) {
  JsonReader in(json, op, file, safetensors_prefix);
  const std::size_t valid = valid_utf8_prefix(json);
  if (valid != json.size()) in.fail(safetensors_prefix + valid, "header", "not UTF-8");
  if (!json.starts_with('{')) in.fail(safetensors_prefix, "header", "does not begin with '{'");

  SafetensorsHeader header;
  std::vector<Parsed> parsed;
  bool metadata_seen = false;
  in.expect('{', "header");
  if (!in.accept('}')) {
    do {
      Parsed p{.entry = {}, .at = in.next()};
      p.entry.name = in.string("header");
      in.expect(':', p.entry.name);
      if (p.entry.name == metadata_key) {
        if (std::exchange(metadata_seen, true)) in.fail(p.at, metadata_key, "given twice");
        parse_metadata(in, header.metadata);
        continue;
      }
      parse_entry(in, p.entry);
      check_size(in, p, payload);
      parsed.push_back(std::move(p));
    } while (in.accept(','));
    in.expect('}', "header");
  }
  const std::size_t padding = in.rest().find_first_not_of(' ');
  if (padding != std::string_view::npos)
    in.fail(in.offset() + padding, "header", "text after its end", {}, "spaces");

  check_names(in, parsed);
  std::stable_sort(parsed.begin(), parsed.end(), [](const Parsed& a, const Parsed& b) {
    return std::pair(a.entry.begin, a.entry.end) < std::pair(b.entry.begin, b.entry.end);
  });
  check_layout(in, parsed, payload);
  header.entries.reserve(parsed.size());
  for (Parsed& p : parsed) header.entries.push_back(std::move(p.entry));
  return header;
}

std::string header_text(const SafetensorsHeader& header) {
  std::string out = "{";
  const auto separate = [&] {
    if (out.size() > 1) out += ',';
  };
  if (!header.metadata.empty()) {
    out += json_quoted(metadata_key) + ":{";
    bool first = true;
    for (const auto& [key, value] : header.metadata) {
      if (!std::exchange(first, false)) out += ',';
      out += json_quoted(key) + ":" + json_quoted(value);
    }
    out += '}';
  }
  for (const TensorEntry& e : header.entries) {
    separate();
    out += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}", json_quoted(e.name),
                       safetensors_name(e.dtype), to_string(e.shape), e.begin, e.end);
  }
  out += '}';
  out.append((8 - out.size() % 8) % 8, ' ');
  return out;
}

}  // namespace thalweg::io
