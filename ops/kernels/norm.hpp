// Batch normalisation over [rows, channels, run] arrays: statistics, gradient, application. Depends on base.
// Invariant: a channel is summed by one thread in a fixed order, in the array's type over at most 32 terms a
// lane and in double beyond; the way through the array follows from its sizes.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// x[row][channel][at]: the sizes of an array seen by its channels.
struct ChannelGeometry {
  std::int64_t rows = 0, channels = 0, run = 0;
};

// Arrays are f32 or f64, all of one dtype; sources of any strides, results contiguous; per-channel vectors
// have `channels` elements. weight and bias may have null data: 1 and 0.

/// mean and variance (divisor n) of each channel, equal elements having variance exactly 0, and
/// y = (x - mean) weight / sqrt(variance + eps) + bias, written while the channel is in the cache. n >= 1.
void batch_norm(const ConstView& x, const ConstView& weight, const ConstView& bias, double eps, const View& y,
                const View& mean, const View& variance, const ChannelGeometry& g);
/// The same y from a mean and a variance that are given.
void channel_normalise(const ConstView& x, const ConstView& mean, const ConstView& variance,
                       const ConstView& weight, const ConstView& bias, double eps, const View& y,
                       const ChannelGeometry& g);
/// With d = x - mean, r = 1 / sqrt(variance + eps): dbias = sum g, dweight = r sum g d,
/// dx = weight r (g - dbias / n - d r^2 sum(g d) / n), or weight r g of statistics that were `given`.
void batch_norm_backward(const ConstView& grad, const ConstView& x, const ConstView& mean,
                         const ConstView& variance, const ConstView& weight, double eps, bool given, const View& dx,
                         const View& dweight, const View& dbias, const ChannelGeometry& g);

}  // namespace thalweg::kernels
