// Fused linear layers as ops: y = act(x w' + b) in one node. Depends on op.hpp, sample.hpp, kernels/gemm.hpp.
// Invariant: values and gradients have the bits of matmul, add and the activation done one by one.
#pragma once

#include <thalweg/ops/kernels/gemm.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

/// Inputs x [.., in], w [out, in], b [out] or absent. One struct for each activation, since what must be
/// saved differs.
template <kernels::Activation Act>
struct LinearWith {
  static constexpr bool plain = Act == kernels::Activation::none;
  static constexpr Row row{.name = plain                                 ? "linear"
                                   : Act == kernels::Activation::relu    ? "linear_relu"
                                   : Act == kernels::Activation::sigmoid ? "linear_sigmoid"
                                                                         : "linear_tanh",
                           .formula = plain ? "y = x w' + b" : "y = act(x w' + b)",
                           .smooth = Act != kernels::Activation::relu,
                           .subgradient = Act == kernels::Activation::relu ? "0 at 0" : ""};
  static constexpr int n_in = 3;
  static constexpr NeedMask result = plain ? 0 : need_output();
  static constexpr NeedMask needs[] = {need_input(1) | result, need_input(0) | result, result};
  static void infer(const Ins& in, const NoAttrs&, Outs& out);
  static void run(const Ins& in, const View* out, const NoAttrs&);
  static void vjp(Vjp& v, const NoAttrs&);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const NoAttrs&);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using Linear = LinearWith<kernels::Activation::none>;
using LinearRelu = LinearWith<kernels::Activation::relu>;
using LinearSigmoid = LinearWith<kernels::Activation::sigmoid>;
using LinearTanh = LinearWith<kernels::Activation::tanh>;

using LinearOps = List<Linear, LinearRelu, LinearSigmoid, LinearTanh>;

}  // namespace thalweg::ops
