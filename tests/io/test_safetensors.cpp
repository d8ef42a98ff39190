// io/safetensors: the format's bytes, round trips, and a refusal for every rule that a file can break.
#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/io/safetensors.hpp>
#include <thalweg/io/safetensors_header.hpp>

#include "files.hpp"

using namespace thalweg;
using namespace thalweg::test;

namespace {

/// A file: length, header, then `data` zero bytes. The length can be made to lie.
Bytes file_of(const std::string& json, std::size_t data, std::int64_t length = -1) {
  Bytes b(8);
  const auto n = length < 0 ? json.size() : static_cast<std::uint64_t>(length);
  for (int i = 0; i < 8; ++i) b[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(n >> (8 * i));
  b.insert(b.end(), json.begin(), json.end());
  b.resize(b.size() + data);
  return b;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape, offsets);
}

ErrorFields refused(const Bytes& bytes) {
  const auto e = thrown<FormatError>([&] { io::load_file(bytes, "the/file"); });
  CHECK(e.op == "safetensors");
  CHECK(e.arg == "the/file");
  CHECK(contains(e.what, "the/file"));
  CHECK(contains(e.what, "offset"));
  return e;
}

/// The text of the error for a header in front of `data` bytes.
std::string refusal(const std::string& json, std::size_t data) { return refused(file_of(json, data)).what; }

bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.numel() == 0 || std::memcmp(a.view().data, b.view().data,
                                        static_cast<std::size_t>(a.numel()) * itemsize(a.dtype())) == 0);
}

io::NamedTensors all_kinds() {
  io::NamedTensors t;
  t.emplace_back("w", from({1.5f, -0.0f, 3e-40f, 4.0f, 5.0f, 6.0f}, {2, 3}));
  t.emplace_back("z.f64", from({1e300, -2.5}, {2, 1}));
  t.emplace_back("a.i64", from({std::int64_t{INT64_MIN}, std::int64_t{7}}, {2}));
  t.emplace_back("i32", from({std::int32_t{-1}, std::int32_t{65536}, std::int32_t{3}}, {3}));
  t.emplace_back("bytes", from({std::uint8_t{0}, std::uint8_t{255}, std::uint8_t{9}}, {3, 1, 1}));
  const bool flags[] = {true, false, true};
  t.emplace_back("flags", from(std::span<const bool>(flags), {3}));
  t.emplace_back("scalar", scalar(2.5));
  t.emplace_back("none", zeros({0, 4}));
  t.emplace_back("empty name follows", zeros({1}));
  t.emplace_back("", ones({2}));
  return t;
}

}  // namespace

TEST_CASE("safetensors: the bytes are those that other implementations write") {
  TempDir dir;
  const auto text = [&](const io::NamedTensors& t, const io::Metadata& m = {}) {
    io::save(dir / "f", t, m);
    const Bytes b = slurp(dir / "f");
    return std::string(b.begin(), b.end());
  };
  using namespace std::string_literals;
  CHECK(text({}) == "\x08\0\0\0\0\0\0\0{}      "s);
  CHECK(text({}, {{"framework", "pt"}}) ==
        "\x28\0\0\0\0\0\0\0{\"__metadata__\":{\"framework\":\"pt\"}}     "s);
  CHECK(text({{"attn.0", zeros({1, 2, 3})}}) ==
        "\x40\0\0\0\0\0\0\0{\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}"s +
            std::string(24, '\0'));
  CHECK(text({{"attn0", from({1.0f}, {1})}}).substr(8) ==
        "{\"attn0\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}      \0\0\x80\x3f"s);
}

TEST_CASE("safetensors: widest first, then by name, whatever the order given") {
  TempDir dir;
  io::NamedTensors t = all_kinds();
  io::save(dir / "a", t, {{"b", "2"}, {"a", "1"}});
  std::reverse(t.begin(), t.end());
  io::save(dir / "b", t, {{"a", "1"}, {"b", "2"}});
  CHECK(slurp(dir / "a") == slurp(dir / "b"));
  std::string names;
  for (const auto& [name, tensor] : io::load(dir / "a")) names += name + "|";
  CHECK(names == "a.i64|z.f64||empty name follows|none|scalar|w|i32|bytes|flags|");
  CHECK(slurp(dir / "a")[0] % 8 == 0);
}

TEST_CASE("safetensors: every dtype, scalars and zero-size tensors come back bit for bit") {
  TempDir dir;
  const io::NamedTensors want = all_kinds();
  const io::Metadata metadata{{"format", "pt"}, {"", ""}, {"note", "line\n\"quoted\" \\ \x01 \xC3\xA9"}};
  io::save(dir / "f", want, metadata);
  const Bytes bytes = slurp(dir / "f");
  for (const io::TensorFile& got : {io::load_file(dir / "f"), io::load_file(bytes, "m")}) {
    CHECK(got.metadata == metadata);
    REQUIRE(got.tensors.size() == want.size());
    for (const auto& named : want) {
      CAPTURE(named.first);
      CHECK(same(got.at(named.first), named.second));
    }
    CHECK(got.find("nothing") == nullptr);
    CHECK_THROWS_AS(got.at("nothing"), IndexError);
  }
}

TEST_CASE("safetensors: strided tensors are saved row by row; a large one goes in several writes") {
  TempDir dir;
  const Tensor base = from({0.f, 1.f, 2.f, 3.f, 4.f, 5.f}, {2, 3});
  const Tensor transposed = alias(base, 0, {3, 2}, {1, 3});
  const Tensor large = arange(0, 100000, 1, DType::f64);
  io::save(dir / "f", {{"t", transposed}, {"large", large}});
  const auto got = io::load_file(dir / "f");
  CHECK(same(got.at("t"), from({0.f, 3.f, 1.f, 4.f, 2.f, 5.f}, {3, 2})));
  CHECK(same(got.at("large"), large));
}

TEST_CASE("safetensors: any text can be a name") {
  TempDir dir;
  const std::string strange = std::string("a\0b", 3) + "\n\t\x1b[31m\"\\/\x7f\xC3\xBC\xF0\x9F\x98\x80";
  io::save(dir / "f", {{strange, ones({2})}});
  CHECK(io::load(dir / "f").at(0).first == strange);
  // Escapes of every kind, and a pair of surrogates.
  const auto read = io::load_file(
      file_of("{" + entry(R"(\u0041\ud83d\ude00\"\\\/\b\f\n\r\t)", "U8", "[1]", "[0,1]") + "}", 1), "m");
  CHECK(read.tensors.at(0).first == "A\xF0\x9F\x98\x80\"\\/\b\f\n\r\t");
}

TEST_CASE("safetensors: control characters of a name never reach the message") {
  const std::string bad = refusal("{" + entry(R"(\u001b[31mred\n)", "F99", "[1]", "[0,4]") + "}", 4);
  CHECK(contains(bad, "\\x1b[31mred\\x0a.dtype"));
  CHECK(std::none_of(bad.begin(), bad.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
}

TEST_CASE("safetensors: what cannot be saved is refused before the file is touched") {
  TempDir dir;
  put(dir / "f", bytes_of("old"));
  const Tensor t = ones({2});
  CHECK(contains(thrown<ValueError>([&] {
                   io::save(dir / "f", {{"a", t}, {"b", t}, {"a", t}});
                 }).what,
                 "twice"));
  CHECK(contains(thrown<ValueError>([&] { io::save(dir / "f", {{"a", Tensor()}}); }).what, "undefined"));
  CHECK(contains(thrown<ValueError>([&] { io::save(dir / "f", {{"__metadata__", t}}); }).what, "reserved"));
  CHECK(contains(thrown<ValueError>([&] { io::save(dir / "f", {{"\xFF", t}}); }).what, "UTF-8"));
  CHECK(contains(thrown<ValueError>([&] { io::save(dir / "f", {}, {{"k", "\xC3"}}); }).what, "UTF-8"));
  CHECK(contains(thrown<ValueError>([&] {
                   io::save(dir / "f", {{"a", Tensor()}});
                 }).what,
                 "test_safetensors.cpp"));
  CHECK(slurp(dir / "f") == bytes_of("old"));
  CHECK(dir.entries() == 1);
}

TEST_CASE("safetensors: saving onto the file that was just read works") {
  TempDir dir;
  io::save(dir / "f", {{"a", from({1.f, 2.f}, {2})}});
  for (int i = 0; i < 3; ++i) io::save(dir / "f", io::load(dir / "f"));
  CHECK(same(io::load_file(dir / "f").at("a"), from({1.f, 2.f}, {2})));
  CHECK(dir.entries() == 1);
}

TEST_CASE("safetensors: header lengths of 0, too much, beyond the file and 2^63") {
  CHECK(contains(refused({}).what, "empty"));
  for (std::size_t n = 1; n < 8; ++n) CHECK(contains(refused(Bytes(n, 1)).what, "cut off"));
  CHECK(contains(refused(file_of("{}", 0, 0)).what, "too small"));
  CHECK(contains(refused(file_of("{}", 0, 1)).what, "too small"));
  CHECK(contains(refused(file_of("{}", 0, 3)).what, "beyond the end"));
  CHECK(contains(refused(file_of("{}", 0, 100'000'001)).what, "too large"));
  CHECK(contains(refused(file_of("{}", 0, INT64_MAX)).what, "too large"));
  Bytes all_ones = file_of("{}", 0);
  std::fill_n(all_ones.begin(), 8, std::uint8_t{0xFF});
  CHECK(contains(refused(all_ones).what, "too large"));
  Bytes two_63 = file_of("{}", 0, 0);
  two_63[7] = 0x80;
  CHECK(contains(refused(two_63).what, "too large"));
}

TEST_CASE("safetensors: every short length of a file is an error") {
  TempDir dir;
  io::save(dir / "f", all_kinds());
  const Bytes good = slurp(dir / "f");
  for (std::size_t n = 0; n < good.size(); ++n) {
    CAPTURE(n);
    refused(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)));
  }
  Bytes longer = good;
  longer.push_back(0);
  CHECK(contains(refused(longer).what, "no tensor describes"));
}

TEST_CASE("safetensors: a header that is not one JSON object in UTF-8 is refused") {
  CHECK(contains(refusal(" {}", 0), "does not begin with '{'"));
  CHECK(contains(refusal("[]", 0), "does not begin with '{'"));
  CHECK(contains(refusal("{\"\xFF\":1}", 0), "offset 10: header: not UTF-8"));
  CHECK(contains(refusal("{\"\xED\xA0\x80\":1}", 0), "not UTF-8"));
  CHECK(contains(refusal("{} x", 0), "text after its end"));
  CHECK(contains(refusal("{}\n", 0), "text after its end"));
  CHECK(contains(refusal("{}{}", 0), "text after its end"));
  CHECK(contains(refusal(std::string("{}\0", 3), 0), "text after its end"));
  for (const char* bad : {"{\"a\"",
                          "{\"a\":",
                          "{\"a",
                          "{,}",
                          "{\"a\":{}",
                          "{\"a\":{},}",
                          "{a:1}",
                          "{'a':{}}",
                          "{\"a\" {}}",
                          "{\"a\":null}",
                          "{\"a\":1}",
                          "{\"a\":[]}",
                          "{\"a\":\"b\"}",
                          "{\"a\":true}",
                          "{//\n}",
                          "{\"a\\q\":{}}",
                          "{\"\\u12\":{}}",
                          "{\"\\ud800\":{}}",
                          "{\"\\udc00\":{}}",
                          "{\"\\ud800\\u0041\":{}}",
                          "{\"\\ud800x\":{}}",
                          "{\"a\tb\":{}}"})
    CHECK_FALSE(refusal(bad, 0).empty());
  // In an otherwise good file, so that the string alone is at fault.
  const auto with_name = [](const char* name) { return "{" + entry(name, "U8", "[1]", "[0,1]") + "}"; };
  for (const char* name :
       {"\\ud800", "\\udbff", "\\udc00", "\\udfff", "\\ud800\\u0041", "\\ud800\\ue000", "\\ud800x"})
    CHECK(contains(refusal(with_name(name), 1), "surrogate"));
  for (const char* name : {"a\tb", "\x1f", "\n"})
    CHECK(contains(refusal(with_name(name), 1), "control character"));
  for (const char* name : {"\\q", "\\'", "\\U0041", "\\u12"})
    CHECK_FALSE(refusal(with_name(name), 1).empty());
  for (const char* name :
       {"\\ud7ff", "\\ue000", "\\ud800\\udc00", "\\udbff\\udfff", "\\u0000", "\x7f", "\\uABCD\\uabcd"})
    CHECK(io::load_file(file_of(with_name(name), 1), "m").tensors.size() == 1);
}

TEST_CASE("safetensors: JSON of any depth is refused without recursion") {
  std::string deep = "{\"a\":";
  for (int i = 0; i < 1'000'000; ++i) deep += "{\"a\":";
  CHECK(contains(refusal(deep, 0), "unknown field"));
  CHECK_FALSE(refusal("{\"a\":" + std::string(1'000'000, '['), 0).empty());
  CHECK_FALSE(refusal("{\"a\":{\"shape\":" + std::string(1'000'000, '['), 0).empty());
}

TEST_CASE("safetensors: keys given twice are refused at every level") {
  const std::string a = entry("a", "U8", "[1]", "[0,1]"), a2 = entry("\\u0061", "U8", "[1]", "[1,2]");
  CHECK(contains(refusal("{" + a + "," + a + "}", 1), "a: given twice"));
  CHECK(contains(refusal("{" + a + "," + a2 + "}", 2), "a: given twice"));
  CHECK(contains(refusal(R"({"__metadata__":{},"__metadata__":{}})", 0), "__metadata__: given twice"));
  CHECK(contains(refusal(R"({"__metadata__":{"k":"1","k":"1"}})", 0), "__metadata__.k: given twice"));
  CHECK(contains(refusal(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
                 "a.dtype: given twice"));
}

TEST_CASE("safetensors: fields missing, unknown or of another kind") {
  CHECK(contains(refusal(R"({"a":{}})", 0), "a.dtype: missing"));
  CHECK(contains(refusal(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), "a.shape: missing"));
  CHECK(contains(refusal(R"({"a":{"dtype":"U8","shape":[1]}})", 1), "a.data_offsets: missing"));
  CHECK(contains(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"scale":1}})", 1),
                 "a.scale: unknown field"));
  CHECK(contains(refusal(R"({"__metadata__":{"a":1}})", 0), "__metadata__.a"));
  CHECK(contains(refusal(R"({"__metadata__":[]})", 0), "__metadata__"));
  for (const char* shape :
       {"1", "[1.0]", "[1e0]", "[-1]", "[+1]", "[01]", "[\"1\"]", "[1,]", "[,1]", "[1 1]", "[null]", "[[1]]",
        "[0x1]", "[9223372036854775808]", "[99999999999999999999]", "{}", "[NaN]"})
    CHECK(contains(refusal("{" + entry("a", "U8", shape, "[0,1]") + "}", 1), "a.shape"));
  for (const char* offsets : {"[0]", "[0,1,2]", "[]", "0", "[0,1.0]", "[-0,1]", "[0,18446744073709551616]"})
    CHECK(contains(refusal("{" + entry("a", "U8", "[1]", offsets) + "}", 1), "a.data_offsets"));
  CHECK(contains(refusal("{" + entry("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1),
                 "too many dimensions"));
  CHECK(io::load_file(file_of("{" + entry("a", "U8", "[1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1), "m")
            .tensors.size() == 1);
}

TEST_CASE("safetensors: element types, known elsewhere or not at all") {
  for (const char* known : {"F16", "BF16", "I8", "I16", "U16", "U32", "U64", "F8_E4M3", "F8_E5M2"}) {
    const auto e = refused(file_of("{" + entry("a", known, "[1]", "[0,2]") + "}", 2));
    CHECK(contains(e.what, "a.dtype: element type not supported"));
    CHECK(e.given == known);
    CHECK(contains(e.wanted, "F32"));
  }
  for (const char* unknown : {"f32", "F33", "", "FLOAT"})
    CHECK(contains(refusal("{" + entry("a", unknown, "[1]", "[0,4]") + "}", 4), "unknown element type"));
}

TEST_CASE("safetensors: offsets swapped, overlapping, with holes, beyond the end, not covering it") {
  const auto two = [](const char* a, const char* b, std::size_t data) {
    return refusal("{" + entry("a", "U8", "[4]", a) + "," + entry("b", "U8", "[4]", b) + "}", data);
  };
  CHECK(contains(refusal("{" + entry("a", "U8", "[4]", "[4,0]") + "}", 4), "begin after end"));
  CHECK(contains(two("[0,4]", "[2,6]", 6), "b.data_offsets: overlaps"));
  CHECK(contains(two("[0,4]", "[0,4]", 4), "overlaps"));
  CHECK(contains(two("[0,4]", "[5,9]", 9), "b.data_offsets: leaves a hole"));
  CHECK(contains(two("[1,5]", "[5,9]", 9), "a.data_offsets: leaves a hole"));
  CHECK(contains(two("[0,4]", "[4,8]", 7), "beyond the end"));
  CHECK(contains(two("[0,4]", "[4,8]", 9), "no tensor describes"));
  CHECK(contains(refusal("{}", 1), "no tensor describes"));
  CHECK(contains(refusal("{" + entry("a", "F32", "[2]", "[0,4]") + "}", 4), "not the size of the shape"));
  CHECK(contains(refusal("{" + entry("a", "U8", "[]", "[0,0]") + "}", 0), "not the size of the shape"));
  // In any order in the header, and with empty tensors anywhere in between.
  const auto good = io::load_file(
      file_of("{" + entry("b", "U8", "[4]", "[4,8]") + "," + entry("n", "F64", "[0]", "[4,4]") + "," +
                  entry("a", "U8", "[4]", "[0,4]") + "," + entry("m", "U8", "[3,0]", "[8,8]") + "}",
              8),
      "m");
  std::string names;
  for (const auto& [name, tensor] : good.tensors) names += name;
  CHECK(names == "anbm");
}

TEST_CASE("safetensors: shape times size must not overflow") {
  CHECK(contains(refusal("{" + entry("a", "F32", "[4611686018427387904,4]", "[0,0]") + "}", 0),
                 "a.shape: size overflows"));
  CHECK(contains(refusal("{" + entry("a", "F64", "[2305843009213693952]", "[0,0]") + "}", 0),
                 "size overflows"));
  CHECK(
      contains(refusal("{" + entry("a", "U8", "[9223372036854775807,9223372036854775807]", "[0,1]") + "}", 1),
               "size overflows"));
  CHECK(contains(
      refusal("{" + entry("a", "U8", "[0,9223372036854775807,9223372036854775807]", "[0,0]") + "}", 0),
      "size overflows"));
}

TEST_CASE("safetensors: a BOOL is 0 or 1") {
  Bytes bytes = file_of("{" + entry("a", "BOOL", "[3]", "[0,3]") + "}", 3);
  bytes[bytes.size() - 3] = 1;
  CHECK(io::load_file(bytes, "m").at("a").data<bool>()[0]);
  bytes.back() = 2;
  const auto e = refused(bytes);
  CHECK(contains(e.what, fmt::format("offset {}: a: not a BOOL", bytes.size() - 1)));
}

TEST_CASE("safetensors: missing file, directory, and failing calls while loading") {
  TempDir dir;
  CHECK(contains(thrown<IoError>([&] { io::load(dir / "none"); }).what, "safetensors: cannot open"));
  CHECK(contains(thrown<IoError>([&] { io::load(dir.path()); }).what, "directory"));
  io::save(dir / "f", all_kinds());
  const std::size_t before = open_descriptors();
  int failures = 0;
  for (int n = 0;; ++n) {
    FaultyFiles faults({.fail_at = n, .error = EIO});
    std::size_t loaded = 0;
    try {
      loaded = io::load(dir / "f").size();
    } catch (const IoError&) {
      CHECK(open_descriptors() == before);
      ++failures;
      continue;
    }
    CHECK(loaded == all_kinds().size());
    break;
  }
  CHECK(failures >= 12);
}

TEST_CASE("safetensors: every failing call while saving leaves the old file or the new one") {
  TempDir dir;
  const io::NamedTensors next{{"a", full({30000}, 2)}};
  int failures = 0;
  for (int n = 0;; ++n) {
    io::save(dir / "f", {{"a", ones({3})}});
    bool failed = false;
    {
      FaultyFiles faults({.fail_at = n, .error = ENOSPC, .most_written = 50000, .count_clean_up = true});
      try {
        io::save(dir / "f", next);
      } catch (const IoError&) {
        failed = true;
      }
    }
    CHECK(dir.entries() == 1);
    const Tensor now = io::load_file(dir / "f").at("a");
    CHECK((same(now, next[0].second) || (failed && same(now, ones({3})))));
    if (!failed && FaultyFiles::failed().empty()) break;
    failures += failed ? 1 : 0;
  }
  CHECK(failures >= 10);
}
