// Depends on losses.hpp.
#include <thalweg/nn/losses.hpp>

namespace thalweg::nn {

Tensor CrossEntropyLoss::operator()(Arg x, Arg target, Reduction r) const {
  const CrossEntropyOptions o{
      .reduction = r, .label_smoothing = label_smoothing, .ignore_index = ignore_index};
  return weight.defined() ? cross_entropy(x, target, weight, o) : cross_entropy(x, target, o);
}

Tensor NllLoss::operator()(Arg x, Arg target, Reduction r) const {
  const NllOptions o{.reduction = r, .ignore_index = ignore_index};
  return weight.defined() ? nll_loss(x, target, weight, o) : nll_loss(x, target, o);
}

}  // namespace thalweg::nn
