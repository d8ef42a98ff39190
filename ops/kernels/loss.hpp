// Losses over classes: cross-entropy of logits with class indices or probabilities, the pick of
// log-probabilities, and their first-order backwards. Depends on base, par, copy and softmax. Invariant: rows
// are summed in f64 in fixed blocks, so a mean does not depend on the number of threads.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

enum class LossReduction : std::uint8_t { mean, sum, none };

/// What is common to these kernels. `dim` is the class dimension of the logits.
struct ClassLoss {
  int dim = 1;
  LossReduction reduction = LossReduction::mean;
  double smoothing = 0;
  std::int64_t ignore = -100;
};

/// Row-major position of the first class that is neither in [0, classes) nor `ignore`, or -1; `value` gets
/// that class. Reads i64 or i32 of any strides.
std::int64_t first_bad_class(const ConstView& target, std::int64_t classes, std::int64_t ignore,
                             std::int64_t& value);

/// loss of a row = -(1 - s) lp[t] - s / C sum lp, lp = log softmax of the row (or, with `logged`, the row
/// itself); ignored rows 0. dst is 0-d for mean (over rows not ignored; none: NaN) and sum, target's shape
/// for none; contiguous. False, with dst unwritten, when a class is neither in range nor ignored.
bool class_loss(const ConstView& x, const ConstView& target, const View& dst, const ClassLoss& loss,
                bool logged);

/// dst (x's shape, contiguous) = k (softmax(x) - (1 - s) onehot(t) - s / C) in each row, k = g, or g / rows
/// for mean; with `logged` dst = -k onehot(t) and x is not read. Ignored rows are exactly 0.
void class_loss_backward(const ConstView& g, const ConstView& x, const ConstView& target, const View& dst,
                         const ClassLoss& loss, bool logged);

/// loss of a row = -sum q lp, q = (1 - s) target + s / C; classes of q = 0 are left out, whatever lp is.
void soft_loss(const ConstView& x, const ConstView& target, const View& dst, const ClassLoss& loss);

/// dst (contiguous) = k (softmax(x) sum(q) - q).
void soft_loss_backward(const ConstView& g, const ConstView& x, const ConstView& target, const View& dst,
                        const ClassLoss& loss);

}  // namespace thalweg::kernels
