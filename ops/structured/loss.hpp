// Losses over classes as ops: cross-entropy (indices, probabilities) and nll. The terms of other losses:
// pointwise/terms.inl. Depends on op.hpp, sample.hpp, functions/loss.hpp; kernels in ops/kernels/loss.hpp.
// Invariant: the class dim is 1, or 0 of a vector; heavy backwards are ops of their own, closed under vjp.
#pragma once

#include <thalweg/ops/functions/loss.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

/// Inputs x, target (class indices).
struct CrossEntropy {
  static constexpr Row row{.name = "cross_entropy",
                           .formula = "loss = -(1 - s) l[target] - s / C sum l, l = log softmax(x)",
                           .conditions = 2,
                           .note = "mean over rows that are not ignored; with none of them NaN, gradient 0"};
  using Attrs = CrossEntropyOptions;
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(0) | need_input(1), 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, x, target.
struct CrossEntropyBackward {
  static constexpr Row row{
      .name = "cross_entropy_backward",
      .formula = "dx = g (softmax(x) - (1 - s) onehot(target) - s / C), / rows for the mean",
      .conditions = 4};
  using Attrs = CrossEntropyOptions;
  static constexpr int n_in = 3;
  static constexpr NeedMask needs[] = {need_input(1) | need_input(2),
                                       need_input(0) | need_input(1) | need_input(2), 0};
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

/// Inputs x (log-probabilities), target (class indices).
struct NllLoss {
  static constexpr Row row{.name = "nll_loss", .formula = "loss = -x[target]", .conditions = 2};
  using Attrs = NllOptions;
  static constexpr int n_in = 2;
  static constexpr bool linear = true;
  static constexpr NeedMask needs[] = {need_input(1), 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, target; the adjoint of nll_loss.
struct NllLossBackward {
  struct Attrs {
    NllOptions options{};
    std::int64_t classes = 0;
  };
  static constexpr Row row{
      .name = "nll_loss_backward", .formula = "dx = -g onehot(target), / rows for the mean", .conditions = 2};
  static constexpr int n_in = 2;
  static constexpr bool linear = true;
  static constexpr NeedMask needs[] = {need_input(1), 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void check(const Ins& in, const Attrs& t);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, target (class indices or probabilities), weight (one number per class).
struct WeightedCrossEntropy {
  static constexpr Row row{.name = "cross_entropy_weighted",
                           .formula =
                               "loss = -sum q weight log softmax(x), q = (1 - s) target + s / C; for the "
                               "mean over class indices / sum weight[target], else / rows",
                           .conditions = 4,
                           .note = "the weight has no gradient"};
  using Attrs = CrossEntropyOptions;
  static constexpr int n_in = 3;
  static Tensor compose(const Tensor* in, int n, const Attrs& t, Loc loc);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x (log-probabilities), target (class indices), weight.
struct WeightedNllLoss {
  static constexpr Row row{.name = "nll_loss_weighted",
                           .formula = "loss = -weight[target] x[target], / sum weight[target] for the mean",
                           .conditions = 6,
                           .note = "the weight has no gradient"};
  using Attrs = NllOptions;
  static constexpr int n_in = 3;
  static constexpr bool linear = true;
  static Tensor compose(const Tensor* in, int n, const Attrs& t, Loc loc);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using LossOps = List<CrossEntropy, CrossEntropyBackward, SoftCrossEntropy, SoftCrossEntropyBackward, NllLoss,
                     NllLossBackward, WeightedCrossEntropy, WeightedNllLoss>;

}  // namespace thalweg::ops
