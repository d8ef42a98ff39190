// data/image_transforms: crops, cutout and normalisation against what they say, pixel by pixel.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include <doctest/doctest.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/autograd/tensor/generator.hpp>
#include <thalweg/data/image_transforms.hpp>
#include <thalweg/ops/kernels/par.hpp>

using namespace thalweg;
using data::Fill;

namespace {

using Indices = std::vector<std::int64_t>;

Indices counting(std::int64_t n, std::int64_t first = 0) {
  Indices v;
  for (std::int64_t i = 0; i < n; ++i) v.push_back(first + i);
  return v;
}

/// Each pixel of [n, channels, height, width] tells its own place.
Tensor places(const Dims& shape) {
  Tensor t = zeros(shape);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data<float>()[i] = static_cast<float>(i + 1);
  return t;
}

Tensor random_images(const Dims& shape, double low = 0, double high = 1) {
  Generator g(4);
  Tensor t = rand(shape, g);
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    float& v = t.mutable_data<float>()[i];
    v = static_cast<float>(low + (high - low) * double{v});
  }
  return t;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.data<float>(), b.data<float>(), static_cast<std::size_t>(a.numel()) * 4) == 0;
}

float at(const Tensor& t, std::int64_t n, std::int64_t c, std::int64_t i, std::int64_t j) {
  return t.data<float>()[((n * t.size(1) + c) * t.size(2) + i) * t.size(3) + j];
}

/// Walks a step at a time, so that it shares nothing with the arithmetic under test.
std::int64_t walked(std::int64_t k, std::int64_t size, Fill fill) {
  if (fill == Fill::constant) return k < 0 || k >= size ? -1 : k;
  if (fill == Fill::nearest) return std::clamp<std::int64_t>(k, 0, size - 1);
  while (k < 0 || k >= size) {
    if (fill == Fill::wrap)
      k += k < 0 ? size : -size;
    else
      k = k < 0 ? -1 - k : 2 * size - 1 - k;
  }
  return k;
}

float padded(const Tensor& x, std::int64_t n, std::int64_t c, std::int64_t i, std::int64_t j, Fill fill) {
  const std::int64_t row = walked(i, x.size(2), fill), column = walked(j, x.size(3), fill);
  return row < 0 || column < 0 ? -7.0f : at(x, n, c, row, column);
}

/// Whether image n of y is the part of x that begins there.
bool is_crop(const Tensor& x, const Tensor& y, std::int64_t n, std::int64_t top, std::int64_t left,
             Fill fill) {
  for (std::int64_t c = 0; c < y.size(1); ++c)
    for (std::int64_t i = 0; i < y.size(2); ++i)
      for (std::int64_t j = 0; j < y.size(3); ++j)
        if (at(y, n, c, i, j) != padded(x, n, c, top + i, left + j, fill)) return false;
  return true;
}

struct Threads {
  int saved = par::num_threads();
  explicit Threads(int n) { par::set_num_threads(n); }
  ~Threads() { par::set_num_threads(saved); }
};

}  // namespace

TEST_CASE("random_crop: each image is one part of the padded one, for each fill, and every part comes") {
  const Tensor x = places({60, 2, 3, 5});
  for (Fill fill : {Fill::nearest, Fill::constant, Fill::reflect, Fill::wrap})
    for (std::int64_t padding : {0, 1, 7}) {
      const data::RandomCrop crop(
          {.height = 2, .width = 4, .padding = padding, .fill = fill, .constant = -7, .seed = 3});
      const Tensor y = crop(x, counting(60), 1);
      REQUIRE(y.shape() == Dims{60, 2, 2, 4});
      std::set<std::pair<std::int64_t, std::int64_t>> seen;
      for (std::int64_t n = 0; n < 60; ++n) {
        bool found = false;
        for (std::int64_t top = -padding; top <= 3 + padding - 2; ++top)
          for (std::int64_t left = -padding; left <= 5 + padding - 4; ++left)
            if (is_crop(x, y, n, top, left, fill)) found = true, seen.insert({top, left});
        CHECK(found);
      }
      const auto parts = static_cast<std::size_t>((2 * padding + 2) * (2 * padding + 2));
      CHECK(seen.size() >= std::min<std::size_t>(parts, 20));
    }
  const data::RandomCrop usual({.padding = 4});
  CHECK(usual(x, counting(60), 0).shape() == x.shape());
  CHECK(same_bits(data::RandomCrop({})(x, counting(60), 0), x));
}

TEST_CASE("cutout: squares around any pixel, over all channels, and nothing else changes") {
  const Tensor x = places({80, 2, 6, 9});
  for (std::int64_t size : {0, 1, 3, 4, 40}) {
    const Tensor y = data::Cutout({.size = size, .constant = -1, .seed = 5})(x, counting(80), 0);
    std::set<std::pair<std::int64_t, std::int64_t>> centres;
    for (std::int64_t n = 0; n < 80; ++n) {
      bool found = false;
      for (std::int64_t a = 0; a < 6; ++a)
        for (std::int64_t b = 0; b < 9; ++b) {
          bool all = true;
          for (std::int64_t k = 0; k < 2 * 54; ++k) {
            const std::int64_t i = k % 54 / 9 - (a - size / 2), j = k % 9 - (b - size / 2);
            const bool inside = i >= 0 && i < size && j >= 0 && j < size;
            const float wanted = inside ? -1.0f : x.data<float>()[n * 108 + k];
            all &= y.data<float>()[n * 108 + k] == wanted;
          }
          if (all) found = true, centres.insert({a, b});
        }
      CHECK(found);
    }
    if (size == 1) CHECK(centres.size() > 30);
  }
  CHECK(same_bits(data::Cutout({.count = 0})(x, counting(80), 0), x));
  CHECK(x.data<float>()[0] == 1);  // the input is left alone
  const Tensor many = data::Cutout({.size = 1, .count = 16, .constant = 0})(x, counting(80), 0);
  std::int64_t most = 0;
  for (std::int64_t n = 0; n < 80; ++n)
    most = std::max<std::int64_t>(
        most, std::count(many.data<float>() + n * 108, many.data<float>() + n * 108 + 54, 0.0f));
  CHECK(most >= 14);
  CHECK(most <= 16);
}

TEST_CASE("normalize: subtracts and divides channel by channel") {
  const Tensor x = random_images({3, 2, 4, 5});
  const data::Normalize normalize({0.25, -1}, {0.5, 3});
  const Tensor y = normalize(x, counting(3), 0);
  for (std::int64_t n = 0; n < 3; ++n)
    for (std::int64_t i = 0; i < 4; ++i)
      for (std::int64_t j = 0; j < 5; ++j) {
        CHECK(at(y, n, 0, i, j) == (at(x, n, 0, i, j) - 0.25f) / 0.5f);
        CHECK(at(y, n, 1, i, j) == (at(x, n, 1, i, j) + 1.0f) / 3.0f);
      }
  CHECK_THROWS_WITH_AS(normalize(zeros({3, 3, 2, 2}), counting(3), 0), doctest::Contains("2 channels"),
                       ShapeError);
  CHECK(data::Normalize({0.5}, {0.5})(ones({2, 2, 2}), counting(2), 0).data<float>()[0] == 1);
}

TEST_CASE(
    "standardize_images: mean 0 and deviation 1 of each image; one value gives 0; NaN stays in its image") {
  Tensor x = random_images({5, 3, 7, 5}, 100, 101);
  std::fill_n(x.mutable_data<float>() + 105, 105, 0.7f);
  x.mutable_data<float>()[4 * 105 + 3] = std::numeric_limits<float>::quiet_NaN();
  const Tensor y = data::StandardizeImages()(x, counting(5), 0);
  for (std::int64_t n : {0, 2, 3}) {
    double mean = 0, square = 0;
    for (std::int64_t i = 0; i < 105; ++i) mean += double{y.data<float>()[n * 105 + i]} / 105;
    for (std::int64_t i = 0; i < 105; ++i)
      square += std::pow(double{y.data<float>()[n * 105 + i]} - mean, 2) / 105;
    CHECK(std::abs(mean) < 1e-4);
    CHECK(square == doctest::Approx(1).epsilon(1e-5));
  }
  for (std::int64_t i = 0; i < 105; ++i) CHECK(std::abs(y.data<float>()[105 + i]) < 1e-5f);
  for (std::int64_t i = 0; i < 105; ++i) CHECK(std::isnan(y.data<float>()[4 * 105 + i]));
  // Below 1 / sqrt(4) the deviation is raised to it.
  const Tensor faint =
      data::StandardizeImages()(from({0.0f, 0.0f, 0.25f, 0.25f}, {1, 1, 2, 2}), counting(1), 0);
  CHECK(faint.data<float>()[0] == -0.25f);
  CHECK(faint.data<float>()[3] == 0.25f);
}

TEST_CASE("image transforms: by example, seed and epoch alone, with equal bits at every thread count") {
  const Tensor x = random_images({64, 3, 32, 32});
  const auto check = [&](auto make, bool random) {
    const auto transform = make(std::uint64_t{1});
    const Tensor wanted = transform(x, counting(64), 2);
    for (int threads : {1, 2, 3}) {
      const Threads scope(threads);
      CHECK(same_bits(transform(x, counting(64), 2), wanted));
    }
    CHECK(same_bits(transform(x, counting(64), 3), wanted) != random);
    CHECK(same_bits(transform(x, counting(64, 1), 2), wanted) != random);
    CHECK(same_bits(make(std::uint64_t{2})(x, counting(64), 2), wanted) != random);
    Tensor two = empty({2, 3, 32, 32}, DType::f32);
    std::memcpy(two.mutable_data<float>(), x.data<float>() + 40 * 3072, 3072 * 4);
    std::memcpy(two.mutable_data<float>() + 3072, x.data<float>() + 7 * 3072, 3072 * 4);
    const Tensor part = transform(two, Indices{40, 7}, 2);
    const std::int64_t size = part.numel() / 2;
    CHECK(std::memcmp(part.data<float>() + size, wanted.data<float>() + 7 * size,
                      static_cast<std::size_t>(size) * 4) == 0);
    CHECK(std::memcmp(part.data<float>(), wanted.data<float>() + 40 * size,
                      static_cast<std::size_t>(size) * 4) == 0);
    const Tensor none = transform(zeros({0, 3, 32, 32}), {}, 0);
    CHECK(none.size(0) == 0);
    Tensor bytes = full({1, 3, 32, 32}, 51, DType::u8);
    const Tensor unit = transform(bytes, Indices{3}, 0);
    CHECK(same_bits(unit, transform(full({1, 3, 32, 32}, 0.2), Indices{3}, 0)));
    CHECK_THROWS_AS(transform(x, counting(63), 0), ShapeError);
    CHECK_THROWS_AS(transform(Tensor(), counting(1), 0), ValueError);
    CHECK_THROWS_AS(transform(zeros({4}), counting(4), 0), ShapeError);
    CHECK_THROWS_AS(transform(zeros({1, 3, 2, 2}, DType::i64), counting(1), 0), DTypeError);
  };
  check(
      [](std::uint64_t s) {
        return data::RandomCrop({.height = 28, .padding = 4, .fill = Fill::reflect, .seed = s});
      },
      true);
  check([](std::uint64_t s) { return data::Cutout({.size = 8, .seed = s}); }, true);
  check([](std::uint64_t) { return data::Normalize({0.4, 0.5, 0.6}, {0.1, 0.2, 0.3}); }, false);
  check([](std::uint64_t) { return data::StandardizeImages(); }, false);
}

TEST_CASE("image transforms: settings that make no sense are refused") {
  CHECK_THROWS_WITH_AS(data::RandomCrop({.height = -1}), doctest::Contains("height"), ValueError);
  CHECK_THROWS_WITH_AS(data::RandomCrop({.width = -1}), doctest::Contains("width"), ValueError);
  CHECK_THROWS_WITH_AS(data::RandomCrop({.padding = -1}), doctest::Contains("padding"), ValueError);
  CHECK_THROWS_WITH_AS(data::Cutout({.size = -1}), doctest::Contains("size"), ValueError);
  CHECK_THROWS_WITH_AS(data::Cutout({.count = 17}), doctest::Contains("count"), ValueError);
  CHECK_THROWS_AS(data::Normalize({}, {}), ValueError);
  CHECK_THROWS_AS(data::Normalize({0, 0}, {1}), ValueError);
  CHECK_THROWS_AS(data::Normalize({std::nan("")}, {1}), ValueError);
  for (double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    CHECK_THROWS_AS(data::Normalize({0}, {bad}), ValueError);
  const data::RandomCrop large({.height = 9, .padding = 2});
  CHECK_THROWS_WITH_AS(large(zeros({1, 1, 4, 4}), counting(1), 0), doctest::Contains("9 x 4"), ShapeError);
  CHECK(large(zeros({1, 1, 5, 4}), counting(1), 0).shape() == Dims{1, 1, 9, 4});
  CHECK_THROWS_AS(data::RandomCrop({.padding = 1})(zeros({1, 1, 0, 4}), counting(1), 0), ShapeError);
}
