// Depends on loss.hpp, ops.
#include <thalweg/train/loss.hpp>

#include <string>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::train {

Loss Loss::with_penalty(std::function<Tensor()> penalty) const {
  Loss both = *this;
  if (!penalty_)
    both.penalty_ = std::move(penalty);
  else
    both.penalty_ = [a = penalty_, b = std::move(penalty)] { return a() + b(); };
  return both;
}

Tensor Loss::finished(Tensor mean, Loc loc) const {
  if (!mean.defined() || mean.numel() != 1)
    throw_error<ShapeError>({.op = "loss",
                             .given = mean.describe(),
                             .wanted = "one number, the mean over the batch",
                             .what = "not a loss to minimise",
                             .loc = loc});
  if (!penalty_) return mean;
  const Tensor penalty = penalty_();
  if (!penalty.defined() || penalty.numel() != 1)
    throw_error<ShapeError>({.op = "loss",
                             .arg = "penalty",
                             .given = penalty.describe(),
                             .wanted = "one number",
                             .what = "not a penalty to add",
                             .loc = loc});
  return add({mean, loc}, {penalty, loc});
}

Tensor Loss::operator()(Arg prediction, Arg target) const {
  return finished(f_(prediction, target, Reduction::mean), prediction.loc);
}

Tensor Loss::weighted(Arg prediction, Arg target, const Tensor& weights) const {
  if (!reducing_)
    throw_error<ValueError>({.op = "loss",
                             .given = "a function of prediction and target alone",
                             .wanted = "one that takes a Reduction as well",
                             .what = "weights need the loss of each example",
                             .loc = prediction.loc});
  const Tensor each = f_(prediction, target, Reduction::none);
  // [n] beside [n, a, b] becomes [n, 1, 1]
  Dims shape = weights.shape();
  while (shape.size() < each.dim()) shape.push_back(1);
  const bool fits = each.dim() == shape.size() && each.dim() > 0 && each.size(0) == weights.size(0);
  if (!fits)
    throw_error<ShapeError>({.op = "loss",
                             .arg = "weights",
                             .given = weights.describe(),
                             .wanted = "a row for each of " + each.describe(),
                             .what = "weights and losses differ in length",
                             .loc = prediction.loc});
  const Loc loc = prediction.loc;
  return finished(mean(mul({each, loc}, {weights.to(each.dtype()).reshape(shape), loc})), loc);
}

}  // namespace thalweg::train
