// Saving and loading of named tensors; see safetensors.hpp. Depends on base, tensor, kernels, io.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/io/checksum.hpp>
#include <thalweg/io/file.hpp>
#include <thalweg/io/json.hpp>
#include <thalweg/io/safetensors.hpp>
#include <thalweg/io/safetensors_header.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg::io {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian and written as it is in memory");

constexpr const char* op = "safetensors";
const std::string checksum_key = "thalweg.checksum";
const std::string no_checksum(16, '0');  // stands in the checksum's place while it is computed

std::size_t bytes_of(const Tensor& t) { return static_cast<std::size_t>(t.numel()) * itemsize(t.dtype()); }

/// The reference implementation's order, widest elements first (which aligns each tensor), then by name: the
/// same tensors give the same file there and here.
int save_rank(DType d) noexcept {
  constexpr int ranks[dtype_count] = {2, 1, 0, 3, 4, 5};  // I64 F64 F32 I32 U8 BOOL
  return ranks[static_cast<int>(d)];
}

void check_text(const std::string& text, const char* what, Loc loc) {
  if (valid_utf8_prefix(text) != text.size())
    throw_error<ValueError>(
        {.op = op, .arg = what, .given = printable(text), .what = "text that is not UTF-8", .loc = loc});
}

void check_savable(const NamedTensors& tensors, const Metadata& metadata, Loc loc) {
  if (metadata.count(checksum_key))
    throw_error<ValueError>({.op = op,
                             .arg = "metadata key",
                             .given = checksum_key,
                             .what = "reserved for save_checked()",
                             .loc = loc});
  for (const auto& [key, value] : metadata) {
    check_text(key, "metadata key", loc);
    check_text(value, "metadata value", loc);
  }
  for (const auto& [name, tensor] : tensors) {
    check_text(name, "name", loc);
    if (name == "__metadata__")
      throw_error<ValueError>(
          {.op = op, .arg = "name", .given = name, .what = "reserved by the format", .loc = loc});
    if (!tensor.defined())
      throw_error<ValueError>(
          {.op = op, .arg = printable(name), .given = "undefined", .what = "cannot save", .loc = loc});
  }
}

std::vector<const NamedTensors::value_type*> in_save_order(const NamedTensors& tensors, Loc loc) {
  std::vector<const NamedTensors::value_type*> order;
  for (const auto& t : tensors) order.push_back(&t);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->first == order[i - 1]->first)
      throw_error<ValueError>({.op = op,
                               .arg = "name",
                               .given = printable(order[i]->first),
                               .what = "name given twice",
                               .loc = loc});
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return save_rank(a->second.dtype()) < save_rank(b->second.dtype());
  });
  return order;
}

/// `t` itself, or its elements row by row.
Tensor dense(const Tensor& t) {
  if (t.is_contiguous()) return t;
  Tensor copy = empty(t.shape(), t.dtype());
  kernels::copy(t.view(), copy.mutable_view());
  return copy;
}

/// Where a file's bytes come from.
class Origin {
 public:
  virtual ~Origin() = default;
  virtual std::uint64_t size() const = 0;
  virtual void read(std::uint64_t offset, std::span<std::uint8_t> dst) const = 0;
};

class FileOrigin final : public Origin {
 public:
  explicit FileOrigin(const FileReader& file) : file_(file) {}
  std::uint64_t size() const override { return file_.size(); }
  void read(std::uint64_t offset, std::span<std::uint8_t> dst) const override {
    file_.read_exact(offset, dst);
  }

 private:
  const FileReader& file_;
};

class MemoryOrigin final : public Origin {
 public:
  explicit MemoryOrigin(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  void read(std::uint64_t offset, std::span<std::uint8_t> dst) const override {
    if (!dst.empty()) std::memcpy(dst.data(), bytes_.data() + offset, dst.size());
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

/// A bool of any other value than 0 and 1 would be undefined behaviour wherever it is read.
void check_bools(std::span<const std::uint8_t> bytes, std::uint64_t offset, const TensorEntry& e,
                 const std::string& file) {
  const auto bad = std::find_if(bytes.begin(), bytes.end(), [](std::uint8_t v) { return v > 1; });
  if (bad != bytes.end())
    throw_error<FormatError>(
        {.op = op,
         .arg = file,
         .given = fmt::format("{:02x} there", *bad),
         .wanted = "00 or 01",
         .what = fmt::format("offset {}: {}: not a BOOL",
                             offset + static_cast<std::uint64_t>(bad - bytes.begin()), printable(e.name))});
}

/// Where the header's text holds the value of the checksum, or npos. A quote inside a JSON string has a
/// backslash before it, so no name can look like the key.
std::size_t checksum_place(std::string_view json) {
  const std::string key = json_quoted(checksum_key) + ":\"";
  for (std::size_t at = json.find(key); at != std::string_view::npos; at = json.find(key, at + 1))
    if (at != 0 && json[at - 1] != '\\') return at + key.size();
  return std::string_view::npos;
}

/// What a file is written from: the bytes before the data, and tensors whose bytes follow one another.
struct Image {
  std::string start;
  std::vector<Tensor> data;

  void write_to(auto& sink) const {
    const auto part = [&](const void* p, std::size_t n) { sink({static_cast<const std::uint8_t*>(p), n}); };
    part(start.data(), start.size());
    for (const Tensor& t : data) part(t.view().data, bytes_of(t));
  }
};

/// Of the whole file, with zeros in the checksum's place.
std::string checksum_of(const Image& image) {
  Checksum sum;
  const auto sink = [&](std::span<const std::uint8_t> bytes) { sum.update(bytes); };
  image.write_to(sink);
  return fmt::format("{:016x}", sum.value());
}

Image image_of(const NamedTensors& tensors, const Metadata& metadata, Loc loc) {
  const auto order = in_save_order(tensors, loc);
  SafetensorsHeader header{.entries = {}, .metadata = metadata};
  Image image;
  std::uint64_t end = 0;
  for (const auto* t : order) {
    const std::uint64_t begin = std::exchange(end, end + bytes_of(t->second));
    header.entries.push_back({.name = t->first,
                              .dtype = t->second.dtype(),
                              .shape = t->second.shape(),
                              .begin = begin,
                              .end = end});
    image.data.push_back(dense(t->second));
  }
  const std::string json = header_text(header);
  if (json.size() > safetensors_max_header)
    throw_error<ValueError>({.op = op,
                             .given = fmt::format("{} bytes of header", json.size()),
                             .wanted = fmt::format("at most {}", safetensors_max_header),
                             .what = "too many names",
                             .loc = loc});
  for (std::size_t i = 0; i < safetensors_prefix; ++i)
    image.start += static_cast<char>(static_cast<std::uint8_t>(json.size() >> (8 * i)));
  image.start += json;
  return image;
}

void write_image(const std::string& path, const Image& image) {
  AtomicFile file(path, op);
  const auto sink = [&](std::span<const std::uint8_t> bytes) { file.write(bytes); };
  image.write_to(sink);
  file.commit();
}

/// Compares the file's checksum, if it has one, with its contents, and takes it out of the metadata.
void check_sum(std::string start, TensorFile& contents, bool required, const std::string& file) {
  const auto stated = contents.metadata.extract(checksum_key);
  if (stated.empty()) {
    if (required)
      throw_error<FormatError>({.op = op,
                                .arg = file,
                                .given = "none",
                                .wanted = fmt::format("metadata \"{}\"", checksum_key),
                                .what = "offset 8: no checksum"});
    return;
  }
  const std::size_t place = checksum_place(start);
  if (place != std::string::npos && start.compare(place, no_checksum.size(), stated.mapped()) == 0)
    start.replace(place, no_checksum.size(), no_checksum);
  Image image{.start = std::move(start), .data = {}};
  for (const auto& [name, tensor] : contents.tensors) image.data.push_back(tensor);
  const std::string found = checksum_of(image);
  if (found != stated.mapped())
    throw_error<FormatError>({.op = op,
                              .arg = file,
                              .given = found,
                              .wanted = printable(stated.mapped()),
                              .what = "offset 8: the checksum differs: the file is damaged or was changed"});
}

TensorFile load_from(const Origin& in, const std::string& file, bool checked) {
  std::uint8_t prefix[safetensors_prefix] = {};
  const auto given = static_cast<std::size_t>(std::min(in.size(), safetensors_prefix));
  in.read(0, {prefix, given});
  const std::uint64_t length = header_length(prefix, given, in.size(), file);
  const std::uint64_t data = safetensors_prefix + length;
  std::string start(static_cast<std::size_t>(data), '\0');
  in.read(0, {reinterpret_cast<std::uint8_t*>(start.data()), start.size()});

  const std::string_view json = std::string_view(start).substr(safetensors_prefix);
  SafetensorsHeader header = parse_header(json, in.size() - data, file);
  TensorFile out{.tensors = {}, .metadata = std::move(header.metadata)};
  out.tensors.reserve(header.entries.size());
  for (TensorEntry& e : header.entries) {
    Tensor t = empty(e.shape, e.dtype);
    const std::span<std::uint8_t> dst(static_cast<std::uint8_t*>(t.mutable_view().data), bytes_of(t));
    in.read(data + e.begin, dst);
    if (e.dtype == DType::boolean) check_bools(dst, data + e.begin, e, file);
    out.tensors.emplace_back(std::move(e.name), std::move(t));
  }
  check_sum(std::move(start), out, checked, file);
  return out;
}

}  // namespace

const Tensor* TensorFile::find(std::string_view name) const noexcept {
  const auto it =
      std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.first == name; });
  return it == tensors.end() ? nullptr : &it->second;
}

const Tensor& TensorFile::at(std::string_view name, Loc loc) const {
  const Tensor* t = find(name);
  if (t == nullptr)
    throw_error<IndexError>(
        {.op = op, .arg = "name", .given = printable(name), .what = "no tensor of that name", .loc = loc});
  return *t;
}

void save(const std::string& path, const NamedTensors& tensors, const Metadata& metadata, Loc loc) {
  check_savable(tensors, metadata, loc);
  write_image(path, image_of(tensors, metadata, loc));
}

void save_checked(const std::string& path, const NamedTensors& tensors, const Metadata& metadata, Loc loc) {
  check_savable(tensors, metadata, loc);
  Metadata with_sum = metadata;
  with_sum[checksum_key] = no_checksum;
  Image image = image_of(tensors, with_sum, loc);
  image.start.replace(checksum_place(image.start), no_checksum.size(), checksum_of(image));
  write_image(path, image);
}

TensorFile load_file(const std::string& path) {
  const FileReader file(path, op);
  return load_from(FileOrigin(file), file.name(), false);
}

TensorFile load_file(std::span<const std::uint8_t> bytes, const std::string& name) {
  return load_from(MemoryOrigin(bytes), printable(name), false);
}

TensorFile load_checked(const std::string& path) {
  const FileReader file(path, op);
  return load_from(FileOrigin(file), file.name(), true);
}

NamedTensors load(const std::string& path) { return load_file(path).tensors; }

}  // namespace thalweg::io
