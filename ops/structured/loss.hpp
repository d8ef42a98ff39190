// Losses as ops: cross-entropy (indices, probabilities), nll, and the elementwise terms of the others.
// Depends on op.hpp, sample.hpp, functions/loss.hpp; kernels in ops/kernels/loss.hpp.
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
  static void check(const Ins& in, const Attrs& t);
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
  static void check(const Ins& in, const Attrs& t);
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

// ---- elementwise terms: a is the prediction, b the target ----

struct SquaredDifference {
  static constexpr Row row{
      .name = "squared_difference", .formula = "y = (a - b)^2", .ulp_f32 = 3, .ulp_f64 = 3};
  template <class V>
  static V f(V a, V b) {
    const V d = a - b;
    return d * d;
  }
  template <class V>
  static V da_ab(V a, V b) {
    return 2 * (a - b);
  }
  template <class V>
  static V db_ab(V a, V b) {
    return 2 * (b - a);
  }
  static double ref(double a, double b) { return (a - b) * (a - b); }
};

struct AbsoluteDifference {
  static constexpr Row row{.name = "absolute_difference",
                           .formula = "y = |a - b|",
                           .kink_at_equal = true,
                           .at_kink = AtKink::zero,
                           .smooth = false,
                           .subgradient = "0 where a = b"};
  template <class V>
  static V f(V a, V b) {
    return abs(a - b);
  }
  template <class V>
  static V da_ab(V a, V b) {
    return sign(a - b);
  }
  template <class V>
  static V db_ab(V a, V b) {
    return sign(b - a);
  }
  static double ref(double a, double b) { return std::fabs(a - b); }
};

struct KlTerm {
  static constexpr Row row{.name = "kl_term",
                           .formula = "y = b (log b - a), 0 where b = 0",
                           .domain = {{-4, -0.1}, {0.05, 1}},
                           .ulp_f32 = 8,
                           .ulp_f64 = 8,
                           .error_floor = 0.5,
                           .subgradient = "0 to the target where it is 0",
                           .note = "log b - a cancels where the two agree; b = 0 gives 0 for a NaN too"};
  template <class V>
  static V f(V a, V b) {
    return select(b == 0, 0, b * (log(select(b == 0, 1, b)) - a));
  }
  template <class V>
  static V da_b(V b) {
    return -b;
  }
  template <class V>
  static V db_ab(V a, V b) {
    return select(b == 0, 0, log(select(b == 0, 1, b)) + 1 - a);
  }
  static double ref(double a, double b) { return b == 0 ? 0 : b * (std::log(b) - a); }
};

struct BceTerm {
  static constexpr Row row{.name = "bce_with_logits",
                           .formula = "y = max(a, 0) - a b + log1p(exp(-|a|))",
                           .domain = {{-6, 6}, {0, 1}},
                           .ulp_f32 = 8,
                           .ulp_f64 = 8,
                           .error_floor = 0.5,
                           .note = "the terms cancel where prediction and target agree"};
  template <class V>
  static V f(V a, V b) {
    return maximum(a, 0) - a * b + log1p(exp(-abs(a)));
  }
  template <class V>
  static V da_ab(V a, V b) {
    return sigmoid(a) - b;
  }
  template <class V>
  static V db_a(V a) {
    return -a;
  }
  static double ref(double a, double b) {
    return std::fmax(a, 0) - a * b + std::log1p(std::exp(-std::fabs(a)));
  }
};

using LossOps = List<CrossEntropy, CrossEntropyBackward, SoftCrossEntropy, SoftCrossEntropyBackward, NllLoss,
                     NllLossBackward, SquaredDifference, AbsoluteDifference, KlTerm, BceTerm>;

}  // namespace thalweg::ops
