// See image_augmenter.hpp. Depends on base, tensor, kernels/affine, par.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <fmt/format.h>

#include <thalweg/data/image_augmenter.hpp>
#include <thalweg/data/image_batch.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::data {
namespace {

constexpr const char* op = "image_augmenter";
constexpr std::uint64_t kind = std::uint64_t{0x6175} << 48;
constexpr double most_zoom = 1000, most_shift = 1e6;
constexpr std::int64_t chunk_pixels = 1 << 16;

/// The draws of an image; a setting that is switched on does not move the others.
enum Position : unsigned {
  rotation,
  height_shift,
  width_shift,
  shear,
  zoom_x,
  zoom_y,
  horizontal_flip,
  vertical_flip,
  channel_shift,
  brightness
};

[[noreturn, gnu::cold]] void refuse(const char* arg, std::string given, const char* wanted, Loc loc) {
  throw_error<ValueError>({.op = op,
                           .arg = arg,
                           .given = std::move(given),
                           .wanted = wanted,
                           .what = "setting out of range",
                           .loc = loc});
}

void require(bool good, const char* arg, double given, const char* wanted, Loc loc) {
  if (!good) refuse(arg, fmt::format("{}", given), wanted, loc);
}

bool amount(double v) { return v >= 0 && v <= std::numeric_limits<double>::max(); }

void check(const AugmenterOptions& o, Loc loc) {
  const char* const finite = "finite, 0 or more";
  require(amount(o.rotation), "rotation", o.rotation, finite, loc);
  require(amount(o.shear), "shear", o.shear, finite, loc);
  require(amount(o.channel_shift), "channel_shift", o.channel_shift, finite, loc);
  require(amount(o.width_shift) && o.width_shift <= most_shift, "width_shift", o.width_shift, "0 to 1e6",
          loc);
  require(amount(o.height_shift) && o.height_shift <= most_shift, "height_shift", o.height_shift, "0 to 1e6",
          loc);
  const auto interval = [&](const Interval& v, const char* arg, bool good, const char* wanted) {
    if (!good || !(v.low <= v.high)) refuse(arg, fmt::format("[{}, {}]", v.low, v.high), wanted, loc);
  };
  interval(o.zoom, "zoom", o.zoom.low > 0 && o.zoom.high <= most_zoom, "0 < low <= high <= 1000");
  interval(o.brightness, "brightness", amount(o.brightness.low) && amount(o.brightness.high),
           "0 <= low <= high, finite");
}

/// An affine map of the plane: x, y and 1 to x and y.
using Map = std::array<std::array<double, 3>, 2>;

/// The map that applies b first.
Map after(const Map& a, const Map& b) noexcept {
  Map c{};
  for (std::size_t r = 0; r < 2; ++r)
    for (std::size_t k = 0; k < 3; ++k)
      c[r][k] = a[r][0] * b[0][k] + a[r][1] * b[1][k] + (k == 2 ? a[r][2] : 0.0);
  return c;
}

/// Keras leaves out what does nothing, and so do products that are to stay exact.
Map about_centre(const Augmentation& a) noexcept {
  constexpr double degree = std::numbers::pi / 180;
  Map m{{{1, 0, 0}, {0, 1, 0}}};
  if (a.rotation != 0) {
    const double c = std::cos(a.rotation * degree), s = std::sin(a.rotation * degree);
    m = {{{c, -s, 0}, {s, c, 0}}};
  }
  m = after(m, {{{1, 0, a.shift_x}, {0, 1, a.shift_y}}});
  if (a.shear != 0) m = after(m, {{{1, -std::sin(a.shear * degree), 0}, {0, std::cos(a.shear * degree), 0}}});
  return after(m, {{{a.zoom_x, 0, 0}, {0, a.zoom_y, 0}}});
}

/// A shift for all pixels, cut to the range that the image has, and a factor.
void adjust(float* p, std::int64_t n, const Augmentation& a) noexcept {
  if (a.channel_shift != 0) {
    float low = std::numeric_limits<float>::infinity(), high = -low;  // of the pixels that are no NaN
    for (std::int64_t i = 0; i < n; ++i) {
      low = p[i] < low ? p[i] : low;
      high = p[i] > high ? p[i] : high;
    }
    const auto shift = static_cast<float>(a.channel_shift);
    for (std::int64_t i = 0; i < n; ++i) {
      const float moved = p[i] + shift, raised = moved < low ? low : moved;
      p[i] = raised > high ? high : raised;
    }
  }
  if (a.brightness != 1) {
    const auto factor = static_cast<float>(a.brightness);
    for (std::int64_t i = 0; i < n; ++i) p[i] *= factor;
  }
}

bool adjusts(const Augmentation& a) noexcept { return a.channel_shift != 0 || a.brightness != 1; }

}  // namespace

kernels::AffineMap affine_map(const Augmentation& a, std::int64_t height, std::int64_t width) noexcept {
  const Map m = about_centre(a);
  const double cx = static_cast<double>(width - 1) / 2, cy = static_cast<double>(height - 1) / 2;
  const double turn_x = a.horizontal_flip ? -1 : 1, turn_y = a.vertical_flip ? -1 : 1;
  kernels::AffineMap out;
  const auto fill = [&](double(&to)[3], const std::array<double, 3>& from, double centre) {
    to[0] = from[1] * turn_y, to[1] = from[0] * turn_x;
    to[2] = from[2] + centre - to[0] * cy - to[1] * cx;
  };
  fill(out.row, m[1], cy);
  fill(out.column, m[0], cx);
  return out;
}

Tensor augment(const Tensor& images, std::span<const Augmentation> augmentations, Fill fill, double constant,
               Loc loc) {
  const detail::ImageBatch in("augment", images, augmentations.size(), loc);
  if (in.plane() > kernels::affine_max_plane)
    throw_error<ShapeError>({.op = "augment",
                             .arg = "images",
                             .given = images.describe(),
                             .wanted = "at most 2^30 pixels in a plane",
                             .what = "images are too large",
                             .loc = loc});
  std::vector<kernels::AffineMap> maps;
  maps.reserve(augmentations.size());
  for (const Augmentation& a : augmentations) maps.push_back(affine_map(a, in.height, in.width));
  Tensor out = empty(in.pixels.shape(), DType::f32);
  const Dims shape{in.count, in.channels, in.height, in.width};
  const auto* from = in.pixels.data<float>();
  auto* to = out.mutable_data<float>();
  kernels::affine_images({from, DType::f32, shape, contiguous_strides(shape)},
                         {to, DType::f32, shape, contiguous_strides(shape)}, maps, fill,
                         static_cast<float>(constant));
  if (std::none_of(augmentations.begin(), augmentations.end(), adjusts)) return out;
  const std::int64_t size = in.image();
  par::chunks(in.count, std::max<std::int64_t>(1, chunk_pixels / std::max<std::int64_t>(1, size)),
              [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t n = begin; n < end; ++n)
                  adjust(to + n * size, size, augmentations[static_cast<std::size_t>(n)]);
              });
  return out;
}

ImageAugmenter::ImageAugmenter(AugmenterOptions options, Loc loc) : options_(options) {
  check(options_, loc);
}

Augmentation ImageAugmenter::draw(std::int64_t index, std::uint64_t epoch, std::int64_t height,
                                  std::int64_t width) const {
  const AugmenterOptions& o = options_;
  const detail::Draws draws(o.seed, kind, epoch, index);
  const auto around_zero = [&](Position p, double most) {
    return most == 0 ? 0.0 : draws.between(p, -most, most);
  };
  const auto within = [&](Position p, const Interval& v) {
    return v.low == v.high ? v.low : draws.between(p, v.low, v.high);
  };
  const auto pixels = [](double shift, std::int64_t size) {
    return shift < 1 ? shift * static_cast<double>(size) : shift;
  };
  Augmentation a;
  a.rotation = around_zero(rotation, o.rotation);
  a.shift_y = around_zero(height_shift, pixels(o.height_shift, height));
  a.shift_x = around_zero(width_shift, pixels(o.width_shift, width));
  a.shear = around_zero(shear, o.shear);
  a.zoom_x = within(zoom_x, o.zoom);
  a.zoom_y = within(zoom_y, o.zoom);
  a.horizontal_flip = o.horizontal_flip && draws.unit(horizontal_flip) < 0.5;
  a.vertical_flip = o.vertical_flip && draws.unit(vertical_flip) < 0.5;
  a.channel_shift = around_zero(channel_shift, o.channel_shift);
  a.brightness = within(brightness, o.brightness);
  return a;
}

Tensor ImageAugmenter::operator()(const Tensor& x, std::span<const std::int64_t> indices,
                                  std::uint64_t epoch) const {
  const std::int64_t height = x.defined() && x.dim() >= 2 ? x.size(-2) : 0;
  const std::int64_t width = x.defined() && x.dim() >= 2 ? x.size(-1) : 0;
  std::vector<Augmentation> drawn;
  drawn.reserve(indices.size());
  for (std::int64_t i : indices) drawn.push_back(draw(i, epoch, height, width));
  return augment(x, drawn, options_.fill, options_.constant, Loc{});
}

}  // namespace thalweg::data
