// ImageAugmenter: random rotations, shifts, shears, zooms and flips of images, with the meaning that Keras'
// ImageDataGenerator gives its settings. Depends on base, tensor, data/transform, kernels/affine.
// Invariant: what happens to an image is a function of (settings, seed, epoch, the example's number) alone.
#pragma once

#include <cstdint>
#include <span>

#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/data/transform.hpp>
#include <thalweg/ops/kernels/affine.hpp>

namespace thalweg::data {

using kernels::Fill;

/// Numbers from low to high.
struct Interval {
  double low = 1;
  double high = 1;
};

/// Each is drawn uniformly, and for every image anew. What is left as it is does nothing.
struct AugmenterOptions {
  double rotation = 0;           ///< degrees, of +-rotation
  double width_shift = 0;        ///< of +-width_shift: below 1 of the image's width, else pixels
  double height_shift = 0;       ///< the same of its height
  double shear = 0;              ///< degrees, of +-shear
  Interval zoom{};               ///< drawn for width and height independently; below 1 enlarges
  bool horizontal_flip = false;  ///< left and right exchanged, half of the time
  bool vertical_flip = false;    ///< top and bottom
  double channel_shift = 0;      ///< of +-channel_shift, added to all channels; cut to the image's own range
  Interval brightness{};      ///< factor of every pixel; neither rounded nor cut, which Keras does to bytes
  Fill fill = Fill::nearest;  ///< what lies outside the image
  double constant = 0;        ///< for Fill::constant
  std::uint64_t seed = 0;
};

/// What was drawn for one image.
struct Augmentation {
  double rotation = 0, shear = 0;   ///< degrees
  double shift_x = 0, shift_y = 0;  ///< pixels to the right and down that the place looked at moves
  double zoom_x = 1, zoom_y = 1;
  bool horizontal_flip = false, vertical_flip = false;
  double channel_shift = 0, brightness = 1;
};

/// Where pixel (i, j) of an image of height x width looks: with x = j - (width - 1) / 2 and
/// y = i - (height - 1) / 2, both negated first where that axis is flipped, at M (x, y, 1) from the same
/// centre, M = rotation . shift . shear . zoom:
///   [cos r, -sin r, 0; sin r, cos r, 0; 0, 0, 1] [1, 0, shift_x; 0, 1, shift_y; 0, 0, 1]
///   [1, -sin s, 0; 0, cos s, 0; 0, 0, 1] [zoom_x, 0, 0; 0, zoom_y, 0; 0, 0, 1].
/// Keras 3 composes the same for square images, but moves rows by the shift drawn for the width and columns
/// by that for the height; for other images it also takes half the height for the centre's column and half
/// the width for its row.
kernels::AffineMap affine_map(const Augmentation& a, std::int64_t height, std::int64_t width) noexcept;

/// images[n] after augmentations[n]: one bilinear resampling along affine_map, the channel shift, the
/// brightness. images: f32 [n, channels, height, width] or [n, height, width]; u8 is first taken to [0, 1].
/// The result is f32 of the same shape; an image that is only flipped keeps its bits. Throws ShapeError,
/// DTypeError, ValueError (images undefined, their number another than that of augmentations).
Tensor augment(const Tensor& images, std::span<const Augmentation> augmentations, Fill fill = Fill::nearest,
               double constant = 0, Loc loc = Loc::here());

class ImageAugmenter final : public Transform {
 public:
  /// Throws ValueError for what is not finite, negative, a zoom outside (0, 1000], a shift above 10^6, an
  /// interval whose low is above its high.
  explicit ImageAugmenter(AugmenterOptions options, Loc loc = Loc::here());

  const AugmenterOptions& options() const noexcept { return options_; }
  /// What is drawn for example `index` in an epoch, its image being of height x width.
  Augmentation draw(std::int64_t index, std::uint64_t epoch, std::int64_t height, std::int64_t width) const;
  /// augment() with what is drawn for these examples. Throws as it does.
  Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                    std::uint64_t epoch) const override;

 private:
  AugmenterOptions options_;
};

}  // namespace thalweg::data
