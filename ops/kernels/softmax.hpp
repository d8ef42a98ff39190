// Softmax, log-softmax and log-sum-exp along one dimension, and the first-order backward of the first two.
// Depends on base, par and simd (exp, log). Invariant: one slice is one fixed order of additions whatever its
// layout, but for columns of small dense matrices, which have another.
#pragma once

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// All of these: f32 or f64, any strides, equal shapes and dtypes (but logsumexp's dst), dim in [0, rank),
/// extent of dim >= 0. Throw MemoryError only, before anything is written. dst may be src (or g) exactly,
/// not overlap otherwise.

/// y = exp(x - m) / sum exp(x - m), m = max x along dim. A slice of all -inf gives NaN; a NaN fills its
/// slice.
void softmax(const ConstView& src, const View& dst, int dim);

/// y = (x - m) - log(sum exp(x - m)).
void log_softmax(const ConstView& src, const View& dst, int dim);

/// y = m + log(sum exp(x - m)), m = 0 when the maximum is not finite. dst has dim removed or of extent 1.
/// Over nothing: -inf.
void logsumexp(const ConstView& src, const View& dst, int dim);

/// dst = y (g - sum(g y)) along dim, y the output of softmax.
void softmax_backward(const ConstView& g, const ConstView& y, const View& dst, int dim);

/// dst = g - exp(y) sum(g) along dim, y the output of log_softmax.
void log_softmax_backward(const ConstView& g, const ConstView& y, const View& dst, int dim);

}  // namespace thalweg::kernels
