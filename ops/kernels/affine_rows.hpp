// Affine resampling of one image in lanes, one table per instruction set. Depends on affine.hpp; internal to
// affine.cpp. Invariant: a place is a whole number of pixels and a fraction, so that its error does not grow
// with the image.
#pragma once

#include <cstdint>

#include <thalweg/ops/kernels/affine.hpp>

namespace thalweg::kernels {

/// Columns of the result that share one place computed in f64.
inline constexpr std::int64_t affine_block = 16;

/// How one axis of the source is walked from the first column of a block to its others.
struct AffineAxis {
  alignas(64) float fraction[affine_block];      ///< of column l less that of column 0: what is above `whole`
  alignas(64) std::int32_t whole[affine_block];  ///< rounded down
  alignas(64) std::int32_t folded[affine_block];  ///< whole modulo the period
  std::int32_t size = 1;                          ///< of the source along the axis
  std::int32_t period = 1;                        ///< after which the fill repeats; 1 where it does not
  double step[3] = {0, 0, 0};                     ///< the map's: along i, along j, at (0, 0)
};

struct AffinePlanes {
  const float* x = nullptr;
  float* y = nullptr;
  std::int64_t count = 0, height = 0, width = 0;
};

struct AffineRows {
  /// All planes of one image; `axes` are rows and columns. Indexed by Fill.
  void (*image[4])(const AffinePlanes& planes, const AffineAxis (&axes)[2], float constant) = {};
};

/// The table of the instruction set in use.
const AffineRows& affine_rows() noexcept;

}  // namespace thalweg::kernels
