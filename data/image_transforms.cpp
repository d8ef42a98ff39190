// See image_transforms.hpp. Depends on base, tensor, data/image_batch, par.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/data/image_batch.hpp>
#include <thalweg/data/image_transforms.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::data {
namespace {

constexpr std::uint64_t crop_kind = std::uint64_t{0x6372} << 48;
constexpr std::uint64_t cutout_kind = std::uint64_t{0x6375} << 48;
constexpr std::int64_t chunk_pixels = 1 << 16;  // work that is worth a task
constexpr std::int64_t most_squares = 16;       // as many as an example has draws for

void require(bool good, const char* op, const char* arg, std::string given, const char* wanted, Loc loc) {
  if (!good)
    throw_error<ValueError>({.op = op,
                             .arg = arg,
                             .given = std::move(given),
                             .wanted = wanted,
                             .what = "setting out of range",
                             .loc = loc});
}

/// f(n) for each image, in parallel.
template <class F>
void each_image(std::int64_t count, std::int64_t size, F f) {
  par::chunks(count, std::max<std::int64_t>(1, chunk_pixels / std::max<std::int64_t>(1, size)),
              [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t n = begin; n < end; ++n) f(n);
              });
}

/// The pixel of 0 .. size-1 that stands at k, or -1 for the constant.
std::int64_t filled(std::int64_t k, std::int64_t size, Fill fill) noexcept {
  if (k >= 0 && k < size) return k;
  const auto modulo = [&](std::int64_t period) { return (k % period + period) % period; };
  switch (fill) {
    case Fill::nearest:
      return k < 0 ? 0 : size - 1;
    case Fill::constant:
      return -1;
    case Fill::reflect:
      return std::min(modulo(2 * size), 2 * size - 1 - modulo(2 * size));
    default:
      return modulo(size);
  }
}

/// The source rows, or columns, of a crop that begins at `first`.
std::vector<std::int64_t> sources(std::int64_t first, std::int64_t count, std::int64_t size, Fill fill) {
  std::vector<std::int64_t> from(static_cast<std::size_t>(count));
  for (std::int64_t k = 0; k < count; ++k) from[static_cast<std::size_t>(k)] = filled(first + k, size, fill);
  return from;
}

struct Crop {
  std::int64_t height, width;
  Fill fill;
  float constant;
};

void crop_image(const float* x, float* y, const detail::ImageBatch& in, const Crop& crop, std::int64_t top,
                std::int64_t left) {
  const std::vector<std::int64_t> rows = sources(top, crop.height, in.height, crop.fill);
  const std::vector<std::int64_t> columns = sources(left, crop.width, in.width, crop.fill);
  // What lies inside is copied in one piece.
  const std::int64_t begin = std::clamp<std::int64_t>(-left, 0, crop.width);
  const std::int64_t end = std::clamp<std::int64_t>(in.width - left, begin, crop.width);
  for (std::int64_t c = 0; c < in.channels; ++c, x += in.plane())
    for (std::int64_t row : rows) {
      const float* from = x + row * in.width;
      const auto pixel = [&](std::int64_t j) {
        const std::int64_t column = columns[static_cast<std::size_t>(j)];
        return column < 0 ? crop.constant : from[column];
      };
      if (row < 0) {
        std::fill_n(y, crop.width, crop.constant);
      } else {
        for (std::int64_t j = 0; j < begin; ++j) y[j] = pixel(j);
        std::copy(from + left + begin, from + left + end, y + begin);
        for (std::int64_t j = end; j < crop.width; ++j) y[j] = pixel(j);
      }
      y += crop.width;
    }
}

/// A sum in an order that is the same everywhere and leaves the processor several additions at a time.
template <class F>
double sum(const float* p, std::int64_t n, F f) noexcept {
  constexpr std::int64_t lanes = 8;
  double part[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (std::int64_t l = 0; l < lanes; ++l) part[l] += f(static_cast<double>(p[i + l]));
  for (; i < n; ++i) part[0] += f(static_cast<double>(p[i]));
  double total = 0;
  for (double v : part) total += v;
  return total;
}

}  // namespace

RandomCrop::RandomCrop(CropOptions options, Loc loc) : options_(options) {
  const auto check = [&](const char* arg, std::int64_t v) {
    require(v >= 0 && v <= INT32_MAX, "random_crop", arg, std::to_string(v), "0 to 2^31 - 1", loc);
  };
  check("height", options.height);
  check("width", options.width);
  check("padding", options.padding);
}

Tensor RandomCrop::operator()(const Tensor& x, std::span<const std::int64_t> indices,
                              std::uint64_t epoch) const {
  const detail::ImageBatch in("random_crop", x, indices.size(), {});
  const CropOptions& o = options_;
  const Crop crop{o.height == 0 ? in.height : o.height, o.width == 0 ? in.width : o.width, o.fill,
                  static_cast<float>(o.constant)};
  const std::int64_t free_rows = in.height + 2 * o.padding - crop.height;
  const std::int64_t free_columns = in.width + 2 * o.padding - crop.width;
  if (free_rows < 0 || free_columns < 0 || ((in.height == 0 || in.width == 0) && o.padding > 0))
    throw_error<ShapeError>({.op = "random_crop",
                             .arg = "x",
                             .given = x.describe(),
                             .wanted = fmt::format("at least {} x {} with {} pixels put around", crop.height,
                                                   crop.width, o.padding),
                             .what = "images are smaller than the crop"});
  Tensor out = empty(in.shape(crop.height, crop.width), DType::f32);
  const auto* from = in.pixels.data<float>();
  auto* to = out.mutable_data<float>();
  const std::int64_t size = in.channels * crop.height * crop.width;
  if (in.image() == 0 || size == 0) return out;
  each_image(in.count, size, [&](std::int64_t n) {
    const detail::Draws draws(o.seed, crop_kind, epoch, indices[static_cast<std::size_t>(n)]);
    crop_image(from + n * in.image(), to + n * size, in, crop, draws.below(0, free_rows + 1) - o.padding,
               draws.below(1, free_columns + 1) - o.padding);
  });
  return out;
}

Cutout::Cutout(CutoutOptions options, Loc loc) : options_(options) {
  require(options.size >= 0 && options.size <= INT32_MAX, "cutout", "size", std::to_string(options.size),
          "0 to 2^31 - 1", loc);
  require(options.count >= 0 && options.count <= most_squares, "cutout", "count",
          std::to_string(options.count), "0 to 16", loc);
}

Tensor Cutout::operator()(const Tensor& x, std::span<const std::int64_t> indices, std::uint64_t epoch) const {
  const detail::ImageBatch in("cutout", x, indices.size(), {});
  Tensor out = x.dtype() == DType::u8 ? in.pixels : in.pixels.clone();
  if (in.image() == 0) return out;
  const CutoutOptions& o = options_;
  auto* pixels = out.mutable_data<float>();
  each_image(in.count, in.image(), [&](std::int64_t n) {
    const detail::Draws draws(o.seed, cutout_kind, epoch, indices[static_cast<std::size_t>(n)]);
    for (std::int64_t s = 0; s < o.count; ++s) {
      const auto position = static_cast<unsigned>(2 * s);
      const std::int64_t top = draws.below(position, in.height) - o.size / 2;
      const std::int64_t left = draws.below(position + 1, in.width) - o.size / 2;
      const std::int64_t begin = std::max<std::int64_t>(left, 0), end = std::min(left + o.size, in.width);
      if (end <= begin) continue;
      for (std::int64_t c = 0; c < in.channels; ++c)
        for (std::int64_t i = std::max<std::int64_t>(top, 0); i < std::min(top + o.size, in.height); ++i)
          std::fill_n(pixels + n * in.image() + c * in.plane() + i * in.width + begin, end - begin,
                      static_cast<float>(o.constant));
    }
  });
  return out;
}

Normalize::Normalize(std::vector<double> mean, std::vector<double> std, Loc loc)
    : mean_(std::move(mean)), std_(std::move(std)) {
  const char* const op = "normalize";
  require(!mean_.empty() && mean_.size() == std_.size(), op, "std",
          fmt::format("{} values and {} of mean", std_.size(), mean_.size()), "one of each for every channel",
          loc);
  for (double m : mean_) require(std::isfinite(m), op, "mean", fmt::format("{}", m), "finite numbers", loc);
  for (double s : std_)
    require(std::isfinite(s) && s > 0, op, "std", fmt::format("{}", s), "finite numbers above 0", loc);
}

Tensor Normalize::operator()(const Tensor& x, std::span<const std::int64_t> indices, std::uint64_t) const {
  const detail::ImageBatch in("normalize", x, indices.size(), {});
  if (in.channels != static_cast<std::int64_t>(mean_.size()))
    throw_error<ShapeError>({.op = "normalize",
                             .arg = "x",
                             .given = x.describe(),
                             .wanted = fmt::format("{} channels", mean_.size()),
                             .what = "mean and std are for another number of channels"});
  Tensor out = empty(in.pixels.shape(), DType::f32);
  const auto* from = in.pixels.data<float>();
  auto* to = out.mutable_data<float>();
  each_image(in.count * in.channels, in.plane(), [&](std::int64_t p) {
    const auto c = static_cast<std::size_t>(p % in.channels);
    const auto mean = static_cast<float>(mean_[c]), std = static_cast<float>(std_[c]);
    const float* src = from + p * in.plane();
    float* dst = to + p * in.plane();
    for (std::int64_t i = 0; i < in.plane(); ++i) dst[i] = (src[i] - mean) / std;
  });
  return out;
}

Tensor StandardizeImages::operator()(const Tensor& x, std::span<const std::int64_t> indices,
                                     std::uint64_t) const {
  const detail::ImageBatch in("standardize_images", x, indices.size(), {});
  Tensor out = empty(in.pixels.shape(), DType::f32);
  const std::int64_t size = in.image();
  if (size == 0) return out;
  const auto* from = in.pixels.data<float>();
  auto* to = out.mutable_data<float>();
  const auto n = static_cast<double>(size);
  each_image(in.count, size, [&](std::int64_t k) {
    const float* src = from + k * size;
    float* dst = to + k * size;
    const double mean = sum(src, size, [](double v) { return v; }) / n;
    const double variance = sum(src, size, [&](double v) { return (v - mean) * (v - mean); }) / n;
    const double deviation = std::sqrt(variance), least = 1 / std::sqrt(n);
    const double by = deviation < least ? least : deviation;  // NaN stays
    const auto m = static_cast<float>(mean), s = static_cast<float>(by);
    for (std::int64_t i = 0; i < size; ++i) dst[i] = (src[i] - m) / s;
  });
  return out;
}

}  // namespace thalweg::data
