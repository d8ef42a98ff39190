// What every image transform begins with: f32 pixels in rows, checked, and random numbers by example.
// Internal to data/. Depends on base, tensor, data/dataset. Invariant: a draw is a function of (seed, kind of
// transform, epoch, example, position) alone.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/dataset.hpp>

namespace thalweg::data::detail {

/// A contiguous f32 batch of images; without a channel dimension they have one channel.
struct ImageBatch {
  Tensor pixels;
  std::int64_t count = 0, channels = 1, height = 0, width = 0;

  /// Throws ValueError (x undefined, not `wanted` images), ShapeError (not 3 or 4 dimensions), DTypeError.
  ImageBatch(const char* op, const Tensor& x, std::size_t wanted, Loc loc) {
    const auto refuse = [&]<class E>(E*, std::string given, std::string want, const char* what) {
      throw_error<E>({.op = op,
                      .arg = "x",
                      .given = std::move(given),
                      .wanted = std::move(want),
                      .what = what,
                      .loc = loc});
    };
    if (!x.defined()) refuse(static_cast<ValueError*>(nullptr), "undefined", "images", "no images");
    if (x.dim() != 3 && x.dim() != 4)
      refuse(static_cast<ShapeError*>(nullptr), x.describe(), "[n,channels,height,width] or [n,height,width]",
             "not a batch of images");
    if (x.dtype() != DType::f32 && x.dtype() != DType::u8)
      refuse(static_cast<DTypeError*>(nullptr), x.describe(), "f32, or u8 for pixels of 0 to 255",
             "pixels of another dtype");
    if (x.size(0) != static_cast<std::int64_t>(wanted))
      refuse(static_cast<ShapeError*>(nullptr), x.describe(), std::to_string(wanted) + " images",
             "as many images are needed as examples are named");
    pixels = x.dtype() == DType::u8 ? to_unit(x, loc)
             : x.is_contiguous()    ? x.detach()
                                    : x.detach().contiguous();
    count = x.size(0), channels = x.dim() == 4 ? x.size(1) : 1;
    height = x.size(-2), width = x.size(-1);
  }

  std::int64_t plane() const noexcept { return height * width; }
  std::int64_t image() const noexcept { return channels * plane(); }
  /// The shape of such images, of another size.
  Dims shape(std::int64_t new_height, std::int64_t new_width) const {
    Dims s = pixels.shape();
    s[s.size() - 2] = new_height, s[s.size() - 1] = new_width;
    return s;
  }
};

/// The random numbers of one example in one epoch, by position.
class Draws {
 public:
  /// `kind` keeps transforms of the same seed apart; its low 48 bits are zero.
  Draws(std::uint64_t seed, std::uint64_t kind, std::uint64_t epoch, std::int64_t index) noexcept
      : seed_(seed), stream_(kind ^ epoch), first_(static_cast<std::uint64_t>(index) * blocks) {}

  /// Number `position` (below 32) of the example, uniform in [0, 1).
  double unit(unsigned position) const noexcept {
    const PhiloxBlock b = philox(seed_, stream_, first_ + position / 2);
    return position % 2 == 0 ? philox_uniform_f64(b[1], b[0]) : philox_uniform_f64(b[3], b[2]);
  }
  double between(unsigned position, double low, double high) const noexcept {
    return low + (high - low) * unit(position);
  }
  /// Uniform in [0, n), for n below 2^53.
  std::int64_t below(unsigned position, std::int64_t n) const noexcept {
    return static_cast<std::int64_t>(std::floor(unit(position) * static_cast<double>(n)));
  }

 private:
  static constexpr std::uint64_t blocks = 16;
  std::uint64_t seed_, stream_, first_;
};

}  // namespace thalweg::data::detail
