// Softmax, log-softmax and log-sum-exp as ops, with the first-order backward of the first two as ops of their
// own. Depends on op.hpp, sample.hpp; kernels in ops/kernels/softmax.hpp. Invariant: the backward ops are
// closed under vjp, so any order of derivative is made of these five and pointwise ops.
#pragma once

#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

struct SoftmaxAttrs {
  std::int64_t dim = -1;
};

struct Softmax {
  static constexpr Row row{.name = "softmax",
                           .formula = "y = exp(x - m) / sum exp(x - m), m = max x along dim",
                           .note = "a slice of all -inf gives NaN"};
  using Attrs = SoftmaxAttrs;
  static constexpr NeedMask needs[] = {need_output()};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct SoftmaxBackward {
  static constexpr Row row{.name = "softmax_backward", .formula = "dx = y (g - sum(g y)) along dim"};
  using Attrs = SoftmaxAttrs;
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(1), need_input(0) | need_input(1)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct LogSoftmax {
  static constexpr Row row{.name = "log_softmax",
                           .formula = "y = (x - m) - log sum exp(x - m), m = max x along dim"};
  using Attrs = SoftmaxAttrs;
  static constexpr NeedMask needs[] = {need_output()};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct LogSoftmaxBackward {
  static constexpr Row row{.name = "log_softmax_backward", .formula = "dx = g - exp(y) sum(g) along dim"};
  using Attrs = SoftmaxAttrs;
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(1), need_input(0) | need_input(1)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct LogSumExp {
  static constexpr Row row{
      .name = "logsumexp",
      .formula = "y = m + log sum exp(x - m), m = max x along dim, 0 where that is not finite",
      .subgradient = "0 where every x is -inf"};
  struct Attrs {
    std::int64_t dim = -1;
    bool keepdim = false;
  };
  static constexpr NeedMask needs[] = {need_input(0) | need_output()};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using SoftmaxOps = List<Softmax, SoftmaxBackward, LogSoftmax, LogSoftmaxBackward, LogSumExp>;

}  // namespace thalweg::ops
