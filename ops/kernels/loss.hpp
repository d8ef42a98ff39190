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

/// loss of a row = -(1 - s) w[t] lp[t] - s / C sum w lp, lp = log softmax of the row (or, with `logged`, the row
/// itself); ignored rows 0. `weight` holds w, one number a class in x's dtype; without memory it is 1 each. dst is 0-d
/// for mean (divided by the sum of w[t] over rows not ignored; none: NaN) and sum, target's shape for none; contiguous.
/// False, with dst unwritten, when a class is neither in range nor ignored.
bool class_loss(const ConstView& x, const ConstView& target, const ConstView& weight, const View& dst,
                const ClassLoss& loss, bool logged);

/// dst (x's shape, contiguous) = k (m softmax(x) - (1 - s) w[t] onehot(t) - s / C w) in each row, m = (1 - s) w[t] +
/// s / C sum w, k = g, or g divided as the mean was; with `logged` dst = -k w[t] onehot(t) and x is not read. Ignored
/// rows are exactly 0.
void class_loss_backward(const ConstView& g, const ConstView& x, const ConstView& target, const ConstView& weight,
                         const View& dst, const ClassLoss& loss, bool logged);

/// loss of a row = -sum q lp, q = (1 - s) target + s / C; classes of q = 0 are left out, whatever lp is.
void soft_loss(const ConstView& x, const ConstView& target, const View& dst, const ClassLoss& loss);

/// dst (contiguous) = k (softmax(x) sum(q) - q).
void soft_loss_backward(const ConstView& g, const ConstView& x, const ConstView& target, const View& dst,
                        const ClassLoss& loss);

}  // namespace thalweg::kernels
