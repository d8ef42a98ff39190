// Batch normalisation as ops: training, its gradient, inference. Mean and variance are outputs of the first
// and inputs of the second, so that the gradient's own gradient flows back through them; the three are closed
// under vjp with pointwise ops and sums. Depends on op.hpp, sample.hpp, functions/norm.hpp. Invariant: n is
// the number of values of one channel, r = 1 / sqrt(variance + eps).
#pragma once

#include <thalweg/ops/functions/norm.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

/// Inputs x, weight, bias (these two may be absent); outputs y, mean, variance.
struct BatchNorm {
  static constexpr Row row{.name = "batch_norm", .formula = "y = weight (x - mean) r + bias"};
  using Attrs = BatchNormOptions;
  static constexpr int n_in = 3;
  static constexpr int n_out = 3;
  static constexpr NeedMask statistics = need_input(0) | need_output(1) | need_output(2);
  static constexpr NeedMask needs[] = {statistics | need_input(1), statistics | need_input(1), 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, x, mean, variance, weight (may be absent); outputs dx, dweight, dbias. dx is the gradient
/// through the statistics too.
struct BatchNormBackward {
  static constexpr Row row{.name = "batch_norm_backward",
                           .formula =
                               "dx = weight r (g - sum(g) / n - (x - mean) r^2 sum(g (x - mean)) / n), "
                               "dweight = r sum(g (x - mean)), dbias = sum(g)",
                           .note = "of statistics that were given, dx = weight r g"};
  struct Attrs {
    double eps = BatchNormOptions().eps;
    bool given = false;  ///< mean and variance do not depend on x
  };
  static constexpr int n_in = 5;
  static constexpr int n_out = 3;
  static constexpr NeedMask all =
      need_input(0) | need_input(1) | need_input(2) | need_input(3) | need_input(4);
  static constexpr NeedMask needs[] = {all, all, all, all};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, mean, variance, weight, bias (these two may be absent).
struct BatchNormInference {
  static constexpr Row row{.name = "batch_norm_inference", .formula = "y = weight (x - mean) r + bias"};
  using Attrs = BatchNormOptions;
  static constexpr int n_in = 5;
  static constexpr NeedMask all = need_input(0) | need_input(1) | need_input(2) | need_input(3);
  static constexpr NeedMask needs[] = {need_input(2) | need_input(3), need_input(2) | need_input(3), all,
                                       need_input(0) | need_input(1) | need_input(2)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using NormOps = List<BatchNorm, BatchNormBackward, BatchNormInference>;

}  // namespace thalweg::ops
