// Axes and lines of the report's charts, and its PNG files read back.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <zlib.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/train/png.hpp>
#include <thalweg/train/svg_axis.hpp>
#include <thalweg/train/svg_chart.hpp>

#include "train/markup.hpp"

namespace {

using namespace thalweg;
using namespace thalweg::train;
using svg::Scale;

std::string ticks(double low, double high, Scale scale) {
  const svg::Axis a = svg::axis(low, high, scale);
  std::string all;
  for (const double t : a.ticks) all += a.label(t) + " ";
  return all;
}

std::string epochs(std::int64_t first, std::int64_t last) {
  std::string all;
  for (const std::int64_t t : svg::epoch_ticks(first, last)) all += std::to_string(t) + " ";
  return all;
}

struct Decoded {
  std::uint32_t width = 0, height = 0;
  int depth = 0, color = 0;
  std::vector<std::uint8_t> pixels{};  // [channels, height, width]
};

std::uint32_t u32(const std::vector<std::uint8_t>& b, std::size_t at) {
  return std::uint32_t{b[at]} << 24 | std::uint32_t{b[at + 1]} << 16 | std::uint32_t{b[at + 2]} << 8 |
         b[at + 3];
}

/// The value that filter type 4 predicts, in the standard's own words.
int predicted(int a, int b, int c) {
  const int p = a + b - c, pa = std::abs(p - a), pb = std::abs(p - b), pc = std::abs(p - c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

Decoded decode(const std::vector<std::uint8_t>& file) {
  Decoded d;
  const std::vector<std::uint8_t> signature{0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A};
  REQUIRE(std::equal(signature.begin(), signature.end(), file.begin()));
  std::vector<std::uint8_t> packed;
  std::string order;
  std::size_t at = 8;
  while (at < file.size()) {
    const std::size_t length = u32(file, at);
    const std::string type(file.begin() + static_cast<std::ptrdiff_t>(at) + 4,
                           file.begin() + static_cast<std::ptrdiff_t>(at) + 8);
    REQUIRE(at + 12 + length <= file.size());
    REQUIRE(u32(file, at + 8 + length) == crc32(0, file.data() + at + 4, static_cast<uInt>(length + 4)));
    if (type == "IHDR") {
      REQUIRE(length == 13);
      d.width = u32(file, at + 8), d.height = u32(file, at + 12), d.depth = file[at + 16],
      d.color = file[at + 17];
      CHECK(file[at + 18] + file[at + 19] + file[at + 20] == 0);
    }
    if (type == "IDAT")
      packed.insert(packed.end(), file.begin() + static_cast<std::ptrdiff_t>(at) + 8,
                    file.begin() + static_cast<std::ptrdiff_t>(at + 8 + length));
    order += type + " ";
    at += 12 + length;
  }
  CHECK(order == "IHDR IDAT IEND ");
  const std::size_t n = d.color == 2 ? 3 : 1, stride = d.width * n;
  std::vector<std::uint8_t> rows(d.height * (stride + 1));
  uLongf size = rows.size();
  REQUIRE(uncompress(rows.data(), &size, packed.data(), packed.size()) == Z_OK);
  REQUIRE(size == rows.size());
  d.pixels.resize(n * d.height * d.width);
  const auto pixel = [&](std::size_t y, std::size_t x, std::size_t c) -> std::uint8_t& {
    return d.pixels[(c * d.height + y) * d.width + x];
  };
  for (std::size_t y = 0; y < d.height; ++y) {
    REQUIRE(rows[y * (stride + 1)] == 4);
    for (std::size_t i = 0; i < stride; ++i) {
      const std::size_t x = i / n, c = i % n;
      const int a = x > 0 ? pixel(y, x - 1, c) : 0, b = y > 0 ? pixel(y - 1, x, c) : 0;
      const int corner = x > 0 && y > 0 ? pixel(y - 1, x - 1, c) : 0;
      pixel(y, x, c) = static_cast<std::uint8_t>(rows[y * (stride + 1) + 1 + i] + predicted(a, b, corner));
    }
  }
  return d;
}

}  // namespace

TEST_CASE("a PNG file decodes to the pixels it was made of") {
  std::mt19937 random(7);
  for (const auto& [channels, height, width] : std::vector<std::array<std::int64_t, 3>>{
           {1, 1, 1}, {3, 1, 1}, {3, 32, 32}, {1, 28, 28}, {3, 5, 17}, {1, 90, 3}}) {
    std::vector<std::uint8_t> pixels;
    for (std::int64_t i = 0; i < channels * height * width; ++i)
      pixels.push_back(static_cast<std::uint8_t>(i % 3 == 0 ? random() : static_cast<unsigned>(i)));
    const std::vector<std::uint8_t> file = encode_png(channels, height, width, pixels);
    const Decoded d = decode(file);
    CHECK(d.width == width);
    CHECK(d.height == height);
    CHECK(d.depth == 8);
    CHECK(d.color == (channels == 3 ? 2 : 0));
    CHECK(d.pixels == pixels);
    CHECK(file == encode_png(channels, height, width, pixels));
  }
  const std::vector<std::uint8_t> three(3);
  CHECK_THROWS_AS(encode_png(2, 1, 1, three), ValueError);
  CHECK_THROWS_AS(encode_png(3, 1, 2, three), ValueError);
  CHECK_THROWS_AS(encode_png(1, 0, 3, {}), ValueError);
  CHECK_THROWS_AS(encode_png(1, 1 << 20, 1 << 20, three), ValueError);
}

TEST_CASE("base64 is that of RFC 4648") {
  const auto of = [](std::string_view s) {
    return base64({reinterpret_cast<const std::uint8_t*>(s.data()), s.size()});
  };
  CHECK(of("") == "");
  CHECK(of("f") == "Zg==");
  CHECK(of("fo") == "Zm8=");
  CHECK(of("foo") == "Zm9v");
  CHECK(of("foobar") == "Zm9vYmFy");
  CHECK(of("\xFB\xEF\xFF") == "++//");
}

TEST_CASE("ticks are round numbers around the values") {
  CHECK(ticks(0.21, 1.71, Scale::automatic) == "0 0.5 1.0 1.5 2.0 ");
  CHECK(ticks(40.2, 92.1, Scale::linear) == "40 60 80 100 ");
  CHECK(ticks(95, 98, Scale::from_zero) == "0 50 100 ");
  CHECK(ticks(-3, 5, Scale::linear) == "\u22124 \u22122 0 2 4 6 ");
  CHECK(ticks(1e-5, 1e-3, Scale::logarithmic) == "1e-5 1e-4 0.001 ");
  CHECK(ticks(0.02, 0.05, Scale::logarithmic) == "0.01 0.02 0.05 0.1 ");
  CHECK(ticks(0.001, 0.001, Scale::logarithmic) == "1e-4 0.001 0.01 ");
  CHECK(ticks(0.01, 35, Scale::automatic) == "0.01 0.1 1 10 100 ");  // spans more than linear can show
  CHECK(ticks(0, 0.1, Scale::logarithmic) == ticks(0, 0.1, Scale::linear));
  CHECK(ticks(20000, 20100, Scale::from_zero) == "0 10,000 20,000 30,000 ");
  CHECK(epochs(1, 20) == "1 5 10 15 20 ");
  CHECK(epochs(1, 8) == "1 2 3 4 5 6 7 8 ");
  CHECK(epochs(1, 14) == "2 4 6 8 10 12 14 ");
  CHECK(epochs(1, 1) == "1 ");
  CHECK(epochs(11, 18) == "11 12 13 14 15 16 17 18 ");
  CHECK(epochs(1, 5000) == "1 1000 2000 3000 4000 5000 ");
}

TEST_CASE("an axis is sound for any finite values") {
  const double values[] = {-1e308,
                           -1e300,
                           -5,
                           -1e-3,
                           -1e-300,
                           0,
                           5e-324,
                           1e-310,
                           1e-9,
                           1e-3,
                           0.1,
                           0.3,
                           1,
                           1 + 1e-15,
                           7,
                           1e3,
                           12345,
                           1e9,
                           1e17,
                           1e17 + 16,
                           1e300,
                           1e308,
                           std::numeric_limits<double>::max()};
  for (const double low : values)
    for (const double high : values)
      for (const Scale scale : {Scale::automatic, Scale::linear, Scale::from_zero, Scale::logarithmic}) {
        if (low > high) continue;
        CAPTURE(low);
        CAPTURE(high);
        const svg::Axis a = svg::axis(low, high, scale);
        REQUIRE(std::isfinite(a.low));
        REQUIRE(std::isfinite(a.high));
        REQUIRE(a.low < a.high);
        REQUIRE(a.ticks.size() >= 2);
        REQUIRE(a.ticks.size() <= 12);
        for (const double v : {low, high}) {
          REQUIRE(a.at(v) >= -1e-6);
          REQUIRE(a.at(v) <= 1 + 1e-6);
        }
      }
}

TEST_CASE("lines keep their extremes, break at gaps and differ without colour") {
  svg::Chart c{
      .title = "Loss", .lines = {{"validation", {}, false}, {"training", {}, true}}, .epochs = 10'000};
  for (int i = 0; i < 10'000; ++i) {
    c.lines[0].values.push_back(i == 4321 ? 9.0 : 1.0);
    c.lines[1].values.push_back(i == 5000 ? std::numeric_limits<double>::quiet_NaN() : 0.5);
  }
  const markup::Page page("<!DOCTYPE html><html>" + svg::draw(c) + "</html>");
  REQUIRE(page.error() == "");
  const auto lines = page.of("path", "line");
  REQUIRE(lines.size() == 2);  // the training line's gap is shorter than what one point stands for
  CHECK(lines[0]->has_class("dash"));
  CHECK_FALSE(lines[1]->has_class("dash"));
  const std::string d = lines[1]->attribute("d");
  CHECK(std::count(d.begin(), d.end(), 'L') < 1300);
  CHECK(d.find("432.14 20.00") != std::string::npos);  // 9 on an axis to 10, 200 pixels high
  CHECK(page.of("rect", "hit").size() <= 300);

  c.epochs = 4, c.steps = true;
  c.lines = {{"rate", {0.1, 0.1, 0.01, 0.01}}};
  const markup::Page steps("<!DOCTYPE html><html>" + svg::draw(c) + "</html>");
  CHECK(steps.of("path", "line")[0]->attribute("d").starts_with("M0.00 "));
  CHECK(steps.of("rect", "hit")[2]->text == "epoch 3 \u00B7 rate 0.01");
}
