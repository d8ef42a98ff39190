// io/checksum and files saved with one: every truncation and every changed byte is noticed.
#include <algorithm>
#include <set>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/io/checksum.hpp>
#include <thalweg/io/safetensors.hpp>

#include "files.hpp"

using namespace thalweg;
using namespace thalweg::test;

namespace {

std::uint64_t sum_of(std::span<const std::uint8_t> bytes) {
  io::Checksum sum;
  sum.update(bytes);
  return sum.value();
}

Bytes pattern(std::size_t n) {
  Bytes b(n);
  for (std::size_t i = 0; i < n; ++i) b[i] = static_cast<std::uint8_t>(i * 37 + i / 256);
  return b;
}

io::NamedTensors some() {
  return {{"w", from({1.5f, -0.0f, 3e-40f, 4.0f}, {2, 2})},
          {"steps", scalar(std::int64_t{7}, DType::i64)},
          {"none", zeros({0, 4})},
          {"m", from({1e300, -2.5, 0.5}, {3})}};
}

}  // namespace

TEST_CASE("checksum: the cuts of the stream do not matter, its bytes and length do") {
  const Bytes bytes = pattern(1000);
  const std::uint64_t whole = sum_of(bytes);
  for (std::size_t cut : {1u, 7u, 8u, 63u, 64u, 65u, 500u}) {
    io::Checksum sum;
    for (std::size_t at = 0; at < bytes.size(); at += cut) {
      sum.update({});
      sum.update(std::span(bytes).subspan(at, std::min(cut, bytes.size() - at)));
    }
    CHECK(sum.value() == whole);
  }
  std::set<std::uint64_t> seen{whole};
  Bytes zeros_only;
  for (std::size_t n = 0; n < 300; ++n, zeros_only.push_back(0))
    CHECK(seen.insert(sum_of(zeros_only)).second);
}

TEST_CASE("checksum: every changed bit changes it, and the value is the format's for good") {
  for (std::size_t n : {1u, 8u, 64u, 77u, 200u}) {
    Bytes bytes = pattern(n);
    std::set<std::uint64_t> seen{sum_of(bytes)};
    for (std::size_t i = 0; i < n; ++i)
      for (int bit = 0; bit < 8; ++bit) {
        bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ (1 << bit));
        CHECK(seen.insert(sum_of(bytes)).second);
        bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ (1 << bit));
      }
  }
  CHECK(sum_of({}) == 0x806151a05b9492b0u);  // computed by a separate program
  CHECK(sum_of(pattern(100)) == 0x17a71dd94011c0beu);
}

TEST_CASE(
    "safetensors: a checked file is a plain one to other readers, and comes back without the checksum") {
  TempDir dir;
  io::save_checked(dir / "f", some(), {{"note", "a \"quoted\" one"}, {"zebra", ""}});
  const io::TensorFile got = io::load_checked(dir / "f");
  CHECK(got.metadata == io::Metadata{{"note", "a \"quoted\" one"}, {"zebra", ""}});
  CHECK(got.tensors.size() == some().size());
  CHECK(io::load_file(dir / "f").metadata == got.metadata);
  CHECK(got.at("m").data<double>()[1] == -2.5);

  io::save(dir / "plain", some());
  CHECK(io::load_file(dir / "plain").tensors.size() == some().size());
  CHECK(contains(thrown<FormatError>([&] { io::load_checked(dir / "plain"); }).what, "no checksum"));
  CHECK(contains(thrown<ValueError>([&] {
                   io::save(dir / "plain", some(), {{"thalweg.checksum", "1"}});
                 }).what,
                 "reserved"));
  // Names that look like the key are not taken for it.
  const std::string like = "a,\"thalweg.checksum";
  io::save_checked(dir / "f", {{"thalweg.checksum", ones({2})}, {like, ones({1})}},
                   {{like, std::string(16, '0')}});
  CHECK(io::load_checked(dir / "f").metadata.at(like) == std::string(16, '0'));
}

TEST_CASE("safetensors: every truncation and every changed byte of a checked file is refused") {
  TempDir dir;
  io::save_checked(dir / "f", some(), {{"note", "text"}});
  const Bytes good = slurp(dir / "f");
  const auto refused = [&](const Bytes& bytes) {
    put(dir / "bad", bytes);
    CHECK_THROWS_AS(io::load_checked(dir / "bad"), FormatError);
  };
  for (std::size_t n = 0; n < good.size(); ++n)
    refused({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)});
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int flip : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF}) {
      CAPTURE(i);
      CAPTURE(flip);
      Bytes bad = good;
      bad[i] = static_cast<std::uint8_t>(bad[i] ^ flip);
      refused(bad);
    }
  put(dir / "bad", good);
  CHECK_NOTHROW(io::load_checked(dir / "bad"));
}
