// Losses as values that hold their options: `nn::CrossEntropyLoss{.label_smoothing = 0.1}(x, target)`. Each
// can be called with a prediction and a target, or with a reduction besides, which is then used instead of
// its own. Depends on ops. Invariant: each is one public function of ops/functions/loss.hpp, where formulas
// and errors stand.
#pragma once

#include <thalweg/ops/functions.hpp>

namespace thalweg::nn {

/// (x - target)^2.
struct MseLoss {
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const { return mse_loss(x, target, {.reduction = r}); }
};

/// |x - target|.
struct L1Loss {
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const { return l1_loss(x, target, {.reduction = r}); }
};

/// Quadratic up to delta, then linear with slope delta.
struct HuberLoss {
  double delta = 1;
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const {
    return huber_loss(x, target, {.reduction = r, .delta = delta});
  }
};

/// Quadratic up to beta, then linear with slope 1.
struct SmoothL1Loss {
  double beta = 1;
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const {
    return smooth_l1_loss(x, target, {.reduction = r, .beta = beta});
  }
};

/// Cross-entropy of logits: with class indices as target (i64, i32, u8), or with class probabilities
/// (floating).
struct CrossEntropyLoss {
  Tensor weight{};  ///< [C], a number for each class; or undefined
  double label_smoothing = 0;
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const;
};

/// Cross-entropy of what is already a distribution over classes, as behind Softmax, limited as Keras does.
struct ProbabilityCrossEntropyLoss {
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg p, Arg target) const { return (*this)(p, target, reduction); }
  Tensor operator()(Arg p, Arg target, Reduction r) const {
    return cross_entropy_of_probabilities(p, target, {.reduction = r, .ignore_index = ignore_index});
  }
};

/// -x[target] of log-probabilities x.
struct NllLoss {
  Tensor weight{};  ///< [C], a number for each class; or undefined
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const;
};

/// Binary cross-entropy of probabilities.
struct BceLoss {
  double clip = 0;  ///< Keras: 1e-7
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg p, Arg target) const { return (*this)(p, target, reduction); }
  Tensor operator()(Arg p, Arg target, Reduction r) const {
    return bce_loss(p, target, {.reduction = r, .clip = clip});
  }
};

/// Binary cross-entropy of logits.
struct BceWithLogitsLoss {
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const {
    return bce_with_logits(x, target, {.reduction = r});
  }
};

/// Kullback-Leibler divergence of log-probabilities from a target distribution.
struct KlDivLoss {
  bool per_row = false;  ///< a loss for each row, not for each element; the mean is PyTorch's "batchmean"
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const {
    return kl_div(x, target, {.reduction = r, .per_row = per_row});
  }
};

/// The divergence of probabilities, per row, limited as Keras does.
struct KlDivergenceLoss {
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg p, Arg target) const { return (*this)(p, target, reduction); }
  Tensor operator()(Arg p, Arg target, Reduction r) const {
    return kl_divergence(p, target, {.reduction = r});
  }
};

/// max(0, 1 - target x), targets -1 or 1 (or 0 and 1).
struct HingeLoss {
  Reduction reduction = Reduction::mean;
  Tensor operator()(Arg x, Arg target) const { return (*this)(x, target, reduction); }
  Tensor operator()(Arg x, Arg target, Reduction r) const { return hinge_loss(x, target, {.reduction = r}); }
};

}  // namespace thalweg::nn
