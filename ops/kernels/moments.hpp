// Variance, p-norms and first-order linear recurrences over any dimensions of any layout.
// Depends on base and par. Invariant: blocks and segments follow from shape and axes alone, everything is
// accumulated in f64, and equal elements have variance exactly 0.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// dst = sum (x - mean)^2 / divisor over `axes` (each in [0, rank), none twice), by two passes in each block
/// and Chan's formula between blocks. f32 or f64 to the same; dst has the reduced dims removed or of extent
/// 1, and is contiguous.
void variance(const ConstView& src, const View& dst, const Dims& axes, double divisor);
/// The square root of that, rounded once.
void standard_deviation(const ConstView& src, const View& dst, const Dims& axes, double divisor);

/// dst = (sum |x|^p)^(1/p), or max |x| for p = inf; scaled by a power of two, so it neither overflows nor
/// underflows early. NaN propagates. Over nothing 0. p >= 1.
void power_norm(const ConstView& src, const View& dst, const Dims& axes, double p);

/// y_i = b_i + c_i y_(i-1) along dim (y_(i+1) with `reverse`), starting from nothing; c_i = a_i, or with
/// `lagged` the a beside the y it multiplies. Equal shapes and dtypes, f32 or f64; y contiguous.
void recurrence(const ConstView& a, const ConstView& b, const View& y, int dim, bool reverse, bool lagged);

}  // namespace thalweg::kernels
