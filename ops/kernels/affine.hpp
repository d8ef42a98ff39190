// Images resampled along affine maps, bilinear, with a rule for what lies outside. Depends on base views.
// Invariant: an image's pixels depend on its own pixels and map alone; no instruction set, thread count or
// place in the batch changes a bit.
#pragma once

#include <cstdint>
#include <span>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// What a pixel outside the image is. The modes of these names in SciPy's ndimage, for a row a b c d:
enum class Fill : std::uint8_t {
  nearest,   ///< a a a | a b c d | d d d
  constant,  ///< the constant as soon as the place looked at is beyond the centre of a border pixel
  reflect,   ///< c b a | a b c d | d c b
  wrap,      ///< b c d | a b c d | b c d: SciPy's period is one less than the length, d counting as a
};

/// The place in the source that pixel (i, j) of the result looks at:
/// row[0] * i + row[1] * j + row[2], and the same for its column.
struct AffineMap {
  double row[3] = {1, 0, 0};
  double column[3] = {0, 1, 0};
};

/// Pixels that one plane may have, and how far from the source, and apart, the places looked at may be.
inline constexpr std::int64_t affine_max_plane = std::int64_t{1} << 30;
inline constexpr double affine_max_place = 1 << 29;

/// y[n] = x[n] seen through maps[n], each channel alike: f32 [n, channels, height, width], both contiguous
/// and apart. Places are held to 2^-22 of a pixel, and beyond affine_max_place are taken to be there. Maps
/// that only turn rows or columns round copy the pixels.
void affine_images(const ConstView& x, const View& y, std::span<const AffineMap> maps, Fill fill,
                   float constant) noexcept;

}  // namespace thalweg::kernels
