// data/image_augmenter: against SciPy's pictures for each fill, what is drawn, equal bits everywhere, edges.
#include <cmath>
#include <cstring>
#include <limits>

#include <doctest/doctest.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/autograd/tensor/generator.hpp>
#include <thalweg/data/dataset.hpp>
#include <thalweg/data/image_augmenter.hpp>
#include <thalweg/data/loader.hpp>
#include <thalweg/io/safetensors.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>

using namespace thalweg;
using data::Augmentation;
using data::Fill;
using data::ImageAugmenter;

namespace {

constexpr std::pair<Fill, const char*> fills[] = {{Fill::nearest, "nearest"},
                                                  {Fill::constant, "constant"},
                                                  {Fill::reflect, "reflect"},
                                                  {Fill::wrap, "wrap"}};

/// The settings of the CIFAR-10 run.
data::AugmenterOptions usual() {
  return {.rotation = 15,
          .width_shift = 0.1,
          .height_shift = 0.1,
          .shear = 0.1,
          .zoom = {0.9, 1.2},
          .horizontal_flip = true,
          .seed = 7};
}

std::vector<std::int64_t> counting(std::int64_t n) {
  std::vector<std::int64_t> v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<std::int64_t>(i);
  return v;
}

Tensor random_images(const Dims& shape, std::uint64_t seed = 1) {
  Generator g(seed);
  return rand(shape, g);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.data<float>(), b.data<float>(), static_cast<std::size_t>(a.numel()) * 4) == 0;
}

double farthest(const Tensor& a, const Tensor& b) {
  REQUIRE(a.numel() == b.numel());
  double most = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double away = std::abs(double{a.data<float>()[i]} - double{b.data<float>()[i]});
    most = std::isnan(away) ? away : std::max(most, away);
  }
  return most;
}

Augmentation from_case(const Tensor& t) {
  const double* v = t.data<double>();
  Augmentation a;
  a.rotation = v[0], a.shift_x = v[1], a.shift_y = v[2], a.shear = v[3], a.zoom_x = v[4], a.zoom_y = v[5];
  a.horizontal_flip = v[6] != 0, a.vertical_flip = v[7] != 0;
  return a;
}

Tensor one(const Tensor& image, const Augmentation& a, Fill fill, double constant = 0.25) {
  Dims shape{1};
  for (std::int64_t d : image.shape()) shape.push_back(d);
  const Tensor batch = wrap<float>(const_cast<float*>(image.data<float>()), shape, contiguous_strides(shape),
                                   [image](void*) {});
  return data::augment(batch, {&a, 1}, fill, constant);
}

struct Threads {
  int saved = par::num_threads();
  explicit Threads(int n) { par::set_num_threads(n); }
  ~Threads() { par::set_num_threads(saved); }
};

}  // namespace

TEST_CASE("augmenter: SciPy's pictures for each fill, on every target") {
  const auto goldens = io::load_file(std::string(THALWEG_TEST_DATA) + "/affine_goldens.safetensors");
  int cases = 0;
  for (const auto& [name, value] : goldens.tensors) {
    if (!name.ends_with(".case")) continue;
    const std::string base = name.substr(0, name.size() - 5);
    ++cases;
    for (const auto& [fill, fill_name] : fills)
      for (const simd::Target target : simd::supported_targets()) {
        const simd::TargetScope scope(target);
        CAPTURE(base);
        CAPTURE(fill_name);
        CHECK(farthest(one(goldens.at(base + ".image"), from_case(value), fill),
                       goldens.at(base + "." + fill_name)) < 2e-6);
      }
  }
  CHECK(cases == 13);
}

TEST_CASE(
    "augmenter: the same bits on every target, at every thread count, in every batch and through a loader") {
  const Tensor images = random_images({70, 3, 32, 32});
  const std::vector<std::int64_t> all = counting(70);
  for (const auto& [fill, fill_name] : fills) {
    CAPTURE(fill_name);
    auto options = usual();
    options.fill = fill, options.channel_shift = 0.1, options.brightness = {0.8, 1.2};
    const ImageAugmenter augmenter(options);
    const Tensor wanted = augmenter(images, all, 3);
    CHECK_FALSE(same_bits(wanted, augmenter(images, all, 4)));
    for (const simd::Target target : simd::supported_targets())
      for (int threads : {1, 2, 3}) {
        const simd::TargetScope scope(target);
        const Threads bound(threads);
        CHECK(same_bits(augmenter(images, all, 3), wanted));
      }
    const data::DataLoader loader(
        data::Subset(data::TensorDataset(images, arange(70)), std::vector<std::int64_t>{60, 5, 31}),
        {.batch_size = 2, .shuffle = true, .transform = std::make_shared<ImageAugmenter>(augmenter)});
    for (const data::Batch& b : loader.epoch(3))
      for (std::int64_t r = 0; r < b.x.size(0); ++r)
        CHECK(std::memcmp(b.x.data<float>() + r * 3072,
                          wanted.data<float>() + b.y.data<std::int64_t>()[r] * 3072, 3072 * 4) == 0);
  }
}

TEST_CASE("augmenter: draws fill their ranges and depend on seed, epoch and example alone") {
  const ImageAugmenter a({.rotation = 15,
                          .width_shift = 0.25,
                          .height_shift = 3,
                          .shear = 2,
                          .zoom = {0.9, 1.2},
                          .horizontal_flip = true,
                          .vertical_flip = true,
                          .channel_shift = 0.5,
                          .brightness = {0.5, 2},
                          .seed = 9});
  const int n = 4000;
  double low[8], high[8], sum[8];
  std::fill_n(low, 8, 1e9), std::fill_n(high, 8, -1e9), std::fill_n(sum, 8, 0.0);
  int flips[2] = {0, 0};
  for (int i = 0; i < n; ++i) {
    const Augmentation d = a.draw(i, 2, 20, 40);
    const double v[8] = {d.rotation, d.shift_x, d.shift_y,       d.shear,
                         d.zoom_x,   d.zoom_y,  d.channel_shift, d.brightness};
    for (int k = 0; k < 8; ++k)
      low[k] = std::min(low[k], v[k]), high[k] = std::max(high[k], v[k]), sum[k] += v[k];
    flips[0] += d.horizontal_flip, flips[1] += d.vertical_flip;
  }
  const double ends[8][2] = {{-15, 15},  {-10, 10},  {-3, 3},     {-2, 2},
                             {0.9, 1.2}, {0.9, 1.2}, {-0.5, 0.5}, {0.5, 2}};
  for (int k = 0; k < 8; ++k) {
    CAPTURE(k);
    const double size = ends[k][1] - ends[k][0];
    CHECK(low[k] >= ends[k][0]);
    CHECK(high[k] <= ends[k][1]);
    CHECK(low[k] < ends[k][0] + size / 200);
    CHECK(high[k] > ends[k][1] - size / 200);
    CHECK(std::abs(sum[k] / n - (ends[k][0] + ends[k][1]) / 2) < size / 50);
  }
  for (int f : flips) CHECK(std::abs(f - n / 2) < 150);
  CHECK(a.draw(5, 2, 20, 40).zoom_x != a.draw(5, 2, 20, 40).zoom_y);

  // A setting that is switched off moves nothing else, and no number is used twice.
  const ImageAugmenter only({.shear = 2, .seed = 9}), other({.shear = 2, .seed = 10});
  const double shear = a.draw(5, 2, 20, 40).shear;
  CHECK(only.draw(5, 2, 20, 40).shear == shear);
  CHECK(only.draw(5, 2, 20, 40).rotation == 0);
  CHECK(only.draw(6, 2, 20, 40).shear != shear);
  CHECK(only.draw(5, 3, 20, 40).shear != shear);
  CHECK(other.draw(5, 2, 20, 40).shear != shear);
  // The same on every machine and in every version: a run can be repeated.
  CHECK(shear == -0.60598074338163643);
}

TEST_CASE("augmenter: flips alone and nothing at all move pixels without touching them") {
  Tensor x = random_images({1, 2, 5, 7});
  x.mutable_data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  x.mutable_data<float>()[11] = std::numeric_limits<float>::infinity();
  const auto at = [](const Tensor& t, std::int64_t c, std::int64_t i, std::int64_t j) {
    return std::bit_cast<std::uint32_t>(t.data<float>()[(c * 5 + i) * 7 + j]);
  };
  for (bool horizontal : {false, true})
    for (bool vertical : {false, true})
      for (const auto& [fill, name] : fills) {
        Augmentation a;
        a.horizontal_flip = horizontal, a.vertical_flip = vertical;
        const Tensor y = data::augment(x, {&a, 1}, fill);
        int differ = 0;
        for (std::int64_t c = 0; c < 2; ++c)
          for (std::int64_t i = 0; i < 5; ++i)
            for (std::int64_t j = 0; j < 7; ++j)
              differ += at(y, c, i, j) != at(x, c, vertical ? 4 - i : i, horizontal ? 6 - j : j);
        CHECK(differ == 0);
      }
}

TEST_CASE(
    "augmenter: channel shift is cut to the image's range, brightness is a factor; NaN stays where it is") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = from({0.1f, 0.5f, 0.9f, nan, 1.0f, 2.0f, 3.0f, 4.0f}, {2, 1, 2, 2});
  Augmentation a[2];
  a[0].channel_shift = 0.3, a[1].channel_shift = -0.5, a[1].brightness = 2;
  const Tensor y = data::augment(x, a);
  const float* v = y.data<float>();
  CHECK(v[0] == 0.1f + 0.3f);
  CHECK(v[1] == 0.5f + 0.3f);
  CHECK(v[2] == 0.9f);
  CHECK(std::isnan(v[3]));
  CHECK(v[4] == 2);
  CHECK(v[5] == 3);
  CHECK(v[7] == 7);
}

TEST_CASE("augmenter: bytes become pixels in [0, 1]; images without channels; strided and empty batches") {
  const ImageAugmenter augmenter(usual());
  Tensor bytes = empty({6, 3, 9, 9}, DType::u8);
  for (std::int64_t i = 0; i < bytes.numel(); ++i)
    bytes.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 31 % 256);
  CHECK(same_bits(augmenter(bytes, counting(6), 0), augmenter(data::to_unit(bytes), counting(6), 0)));
  const Tensor x = random_images({6, 1, 9, 11});
  const Tensor plain =
      wrap<float>(const_cast<float*>(x.data<float>()), {6, 9, 11}, {99, 11, 1}, [x](void*) {});
  const Tensor y = augmenter(x, counting(6), 0), z = augmenter(plain, counting(6), 0);
  CHECK(z.shape() == Dims{6, 9, 11});
  CHECK(std::memcmp(y.data<float>(), z.data<float>(), 6 * 99 * 4) == 0);
  const Tensor turned =
      wrap<float>(const_cast<float*>(x.data<float>()), {6, 11, 9}, {99, 1, 11}, [x](void*) {});
  CHECK(same_bits(augmenter(turned, counting(6), 0), augmenter(turned.contiguous(), counting(6), 0)));
  for (const Dims& shape : {Dims{0, 3, 4, 4}, Dims{2, 0, 4, 4}, Dims{2, 3, 0, 4}, Dims{2, 3, 4, 0}})
    CHECK(augmenter(zeros(shape), counting(shape[0]), 0).shape() == shape);
}

TEST_CASE("augmenter: every fill stays inside the image, however far it looks") {
  for (const auto& [fill, name] : fills)
    for (std::int64_t h : {1, 2, 3, 17})
      for (std::int64_t w : {1, 2, 16, 33}) {
        const ImageAugmenter wild({.rotation = 400,
                                   .width_shift = 1e6,
                                   .height_shift = 1e6,
                                   .shear = 1e5,
                                   .zoom = {1e-6, 1000},
                                   .fill = fill,
                                   .constant = 0.5});
        const Tensor y = wild(random_images({5, 2, h, w}), counting(5), 1);
        for (float v : y.span<float>())
          if (!(v >= 0 && v < 1)) FAIL_CHECK(v);
      }
}

TEST_CASE("augmenter: a picture of one value stays it, and NaN and Inf reach only what looks at them") {
  const ImageAugmenter augmenter(usual());
  const Tensor flat = augmenter(full({9, 1, 20, 20}, 0.3), counting(9), 0);
  for (float v : flat.span<float>()) CHECK(v == 0.3f);
  Tensor x = zeros({9, 1, 20, 20});
  for (std::int64_t n = 0; n < 9; ++n)
    x.mutable_data<float>()[n * 400 + 210] = std::numeric_limits<float>::infinity();
  const Tensor y = augmenter(x, counting(9), 0);
  for (std::int64_t n = 0; n < 9; ++n) {
    int touched = 0;
    for (std::int64_t i = 0; i < 400; ++i) touched += !(y.data<float>()[n * 400 + i] == 0);
    CHECK(touched >= 1);
    CHECK(touched <= 9);
  }
}

TEST_CASE("augmenter: settings and batches that make no sense are refused") {
  const auto refused = [](data::AugmenterOptions o, const char* arg) {
    CHECK_THROWS_WITH_AS(ImageAugmenter{o}, doctest::Contains(arg), ValueError);
  };
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (double bad : {-1.0, nan, inf}) {
    refused({.rotation = bad}, "rotation");
    refused({.width_shift = bad}, "width_shift");
    refused({.height_shift = bad}, "height_shift");
    refused({.shear = bad}, "shear");
    refused({.zoom = {bad, 1}}, "zoom");
    refused({.zoom = {0.5, bad}}, "zoom");
    refused({.channel_shift = bad}, "channel_shift");
    refused({.brightness = {bad, 1}}, "brightness");
  }
  refused({.width_shift = 1e7}, "width_shift");
  refused({.zoom = {0, 1}}, "zoom");
  refused({.zoom = {1.2, 0.9}}, "zoom");
  refused({.zoom = {1, 2000}}, "zoom");
  refused({.brightness = {2, 1}}, "brightness");

  const ImageAugmenter a(usual());
  CHECK_THROWS_AS(a(Tensor(), counting(1), 0), ValueError);
  CHECK_THROWS_AS(a(zeros({4, 4}), counting(4), 0), ShapeError);
  CHECK_THROWS_AS(a(zeros({2, 1, 1, 4, 4}), counting(2), 0), ShapeError);
  CHECK_THROWS_AS(a(zeros({2, 1, 4, 4}), counting(3), 0), ShapeError);
  CHECK_THROWS_WITH_AS(a(zeros({2, 1, 4, 4}, DType::f64), counting(2), 0), doctest::Contains("f64[2,1,4,4]"),
                       DTypeError);
}
