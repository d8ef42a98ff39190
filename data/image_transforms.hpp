// Transforms of image batches beside the augmenter: random crops, cutout, normalisation.
// Depends on base, tensor, data/transform, data/image_augmenter. Invariant: random ones depend on (settings,
// seed, epoch, the example's number) alone; results are new f32 tensors.
#pragma once

#include <cstdint>
#include <vector>

#include <thalweg/data/image_augmenter.hpp>
#include <thalweg/data/transform.hpp>

namespace thalweg::data {

// Each takes f32 images [n, channels, height, width] or [n, height, width]; u8 ones are first taken to [0,
// 1]. Each throws ShapeError, DTypeError and ValueError for other inputs. A random left-right flip alone is
// ImageAugmenter({.horizontal_flip = true}).

struct CropOptions {
  std::int64_t height = 0, width = 0;  ///< of the result; 0: of the image
  std::int64_t padding = 0;            ///< pixels put around the image first
  Fill fill = Fill::constant;          ///< what they are; whole pixels: wrap has the image's period
  double constant = 0;
  std::uint64_t seed = 0;
};

/// A part of each image, padded before, at a place that is drawn uniformly. The crop of "Deeply-supervised
/// nets" (Lee et al. 2015) and of ResNets on CIFAR is RandomCrop({.padding = 4}).
class RandomCrop final : public Transform {
 public:
  /// Throws ValueError for a negative size or padding.
  explicit RandomCrop(CropOptions options, Loc loc = Loc::here());
  /// [n, channels, options.height, options.width]. Throws ShapeError also when that is more than there is.
  Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                    std::uint64_t epoch) const override;

 private:
  CropOptions options_;
};

struct CutoutOptions {
  std::int64_t size = 16;  ///< side of the square
  std::int64_t count = 1;  ///< squares in each image
  double constant = 0;     ///< put in their place
  std::uint64_t seed = 0;
};

/// Squares of one value over all channels, their centres uniform over the pixels, so that a square may lie
/// partly outside (DeVries and Taylor 2017).
class Cutout final : public Transform {
 public:
  /// Throws ValueError unless size >= 0 and 0 <= count <= 16.
  explicit Cutout(CutoutOptions options, Loc loc = Loc::here());
  Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                    std::uint64_t epoch) const override;

 private:
  CutoutOptions options_;
};

/// (x - mean[c]) / std[c] in each channel c.
class Normalize final : public Transform {
 public:
  /// Throws ValueError: of different or no length, not finite, a std not above 0.
  Normalize(std::vector<double> mean, std::vector<double> std, Loc loc = Loc::here());
  /// Throws ShapeError also when there are not as many channels.
  Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                    std::uint64_t epoch) const override;

 private:
  std::vector<double> mean_, std_;
};

/// (x - m) / max(s, 1 / sqrt(k)) with the mean m and the (biased) deviation s of an image's k values, all
/// channels together; the bound keeps images of one value at 0. As TensorFlow's per_image_standardization.
class StandardizeImages final : public Transform {
 public:
  Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                    std::uint64_t epoch) const override;
};

}  // namespace thalweg::data
