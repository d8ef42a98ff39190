// Losses over classes as ops: cross-entropy (indices, probabilities) and nll. The terms of other losses:
// pointwise/terms.inl. Depends on op.hpp, sample.hpp, functions/loss.hpp; kernels in ops/kernels/loss.hpp.
// Invariant: the class dim is 1, or 0 of a vector; heavy backwards are ops of their own, closed under vjp.
#pragma once

#include <thalweg/ops/functions/loss.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

/// Inputs x, target (class indices), weight (of classes, may be absent).
struct CrossEntropy {
  static constexpr Row row{.name = "cross_entropy",
                           .formula = "loss = -(1 - s) w[target] l[target] - s / C sum w l, l = log softmax(x), / sum "
                                      "w[target] for the mean",
                           .conditions = 6,
                           .note = "w is 1 unless given and has no gradient; ignored rows count for nothing, the mean "
                                   "of none is NaN with gradient 0"};
  using Attrs = CrossEntropyOptions;
  static constexpr int n_in = 3;
  static constexpr NeedMask needs[] = {need_input(0) | need_input(1) | need_input(2), 0, 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, x, target, weight (may be absent).
struct CrossEntropyBackward {
  static constexpr Row row{
      .name = "cross_entropy_backward",
      .formula = "dx = g (softmax(x) sum(q) - q), q = ((1 - s) onehot(target) + s / C) w, / sum w[target] for the mean",
      .conditions = 12};
  using Attrs = CrossEntropyOptions;
  static constexpr int n_in = 4;
  static constexpr NeedMask given = need_input(1) | need_input(2) | need_input(3);
  static constexpr NeedMask needs[] = {given, need_input(0) | given, 0, 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void check(const Ins& in, const Attrs& t);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, target (class probabilities).
struct SoftCrossEntropy {
  static constexpr Row row{.name = "cross_entropy_soft",
                           .formula = "loss = -sum q log softmax(x), q = (1 - s) target + s / C",
                           .note = "classes of q = 0 are left out"};
  using Attrs = CrossEntropyOptions;
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(0) | need_input(1), need_input(0)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, x, target.
struct SoftCrossEntropyBackward {
  static constexpr Row row{.name = "cross_entropy_soft_backward",
                           .formula = "dx = g (softmax(x) sum q - q), / rows for the mean"};
  using Attrs = CrossEntropyOptions;
  static constexpr int n_in = 3;
  static constexpr NeedMask needs[] = {need_input(1) | need_input(2),
                                       need_input(0) | need_input(1) | need_input(2),
                                       need_input(0) | need_input(1)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x (log-probabilities), target (class indices), weight (of classes, may be absent).
struct NllLoss {
  static constexpr Row row{.name = "nll_loss",
                           .formula = "loss = -w[target] x[target], / sum w[target] for the mean",
                           .conditions = 6,
                           .note = "w is 1 unless given and has no gradient"};
  using Attrs = NllOptions;
  static constexpr int n_in = 3;
  static constexpr bool linear = true;
  static constexpr NeedMask needs[] = {need_input(1) | need_input(2), 0, 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, target, weight (may be absent); the adjoint of nll_loss.
struct NllLossBackward {
  struct Attrs {
    NllOptions options{};
    std::int64_t classes = 0;
  };
  static constexpr Row row{
      .name = "nll_loss_backward",
      .formula = "dx = -g w[target] onehot(target), / sum w[target] for the mean",
      .conditions = 6};
  static constexpr int n_in = 3;
  static constexpr bool linear = true;
  static constexpr NeedMask needs[] = {need_input(1) | need_input(2), 0, 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void check(const Ins& in, const Attrs& t);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, target (class probabilities), weight (one number per class).
struct WeightedSoftCrossEntropy {
  static constexpr Row row{.name = "cross_entropy_soft_weighted",
                           .formula = "loss = -sum q w log softmax(x), q = (1 - s) target + s / C",
                           .conditions = 4,
                           .note = "w has no gradient; the mean is over rows"};
  using Attrs = CrossEntropyOptions;
  static constexpr int n_in = 3;
  static Tensor compose(const Tensor* in, int n, const Attrs& t, Loc loc);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using LossOps = List<CrossEntropy, CrossEntropyBackward, SoftCrossEntropy, SoftCrossEntropyBackward,
                     WeightedSoftCrossEntropy, NllLoss, NllLossBackward>;

}  // namespace thalweg::ops
