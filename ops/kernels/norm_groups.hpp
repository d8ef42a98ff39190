// Normalisation of pieces of an array by their own mean and variance: layer and group normalisation. Depends
// on base. Invariant: a piece is summed by one thread in a fixed order, in the array's type over at most 32
// terms a lane and in double beyond; which way is taken, and which rows are summed together, follows from the
// sizes alone.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// x[row][group][channel][at]: a piece is what one row and group have, channels * run elements. Weight and
/// bias have groups * channels numbers. Layer normalisation has one group and runs of 1.
struct GroupGeometry {
  std::int64_t rows = 0, groups = 1, channels = 0, run = 1;
  std::int64_t piece() const noexcept { return channels * run; }
};

// Arrays are f32 or f64, all of one dtype; sources of any strides, results contiguous; mean and variance have
// rows * groups numbers. weight and bias may have null data: 1 and 0. A piece has 1 element or more.

/// mean and variance (divisor n) of each piece, equal elements having variance exactly 0, and
/// y = (x - mean) weight / sqrt(variance + eps) + bias, written while the piece is in the cache.
void group_norm(const ConstView& x, const ConstView& weight, const ConstView& bias, double eps, const View& y,
                const View& mean, const View& variance, const GroupGeometry& g);
/// With d = x - mean, r = 1 / sqrt(variance + eps), h = g weight, sums of h over pieces, n elements each:
/// dx = r (h - sum h / n - d r^2 sum(h d) / n), dweight = sum r g d, dbias = sum g, these two over rows and
/// runs.
void group_norm_backward(const ConstView& grad, const ConstView& x, const ConstView& mean,
                         const ConstView& variance, const ConstView& weight, double eps, const View& dx,
                         const View& dweight, const View& dbias, const GroupGeometry& g);

}  // namespace thalweg::kernels
