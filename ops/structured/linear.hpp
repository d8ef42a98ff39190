// Fused linear layers as ops: y = act(x w' + b) in one node, and the gradients of the activations in terms of their
// outputs. Depends on op.hpp, sample.hpp, kernels/gemm.hpp.
// Invariant: values and gradients have the bits of matmul, add and the activation done one by one.
#pragma once

#include <thalweg/ops/kernels/gemm.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

/// relu's gradient from its output, as ops/pointwise says it.
struct ReluGradient {
  static constexpr Row row{.name = "relu_gradient", .formula = "y = g where b > 0 or b is NaN, else 0", .kinks = {},
                           .conditions = 2, .smooth = false, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V g, V b) { return select(b <= 0, 0, g); }
  template <class V> static V ga_b(V g, V b) { return select(b <= 0, 0, g); }
  static double ref(double g, double b) { return b <= 0 ? 0 : g; }
};

struct SigmoidGradient {
  static constexpr Row row{.name = "sigmoid_gradient", .formula = "y = g (b (1 - b))", .domain = {{-2, 2}, {0.05, 0.95}},
                           .ulp_f32 = 2, .ulp_f64 = 2};
  template <class V> static V f(V g, V b) { return g * (b * (1 - b)); }
  template <class V> static V da_b(V b) { return b * (1 - b); }
  template <class V> static V db_ab(V g, V b) { return g * (1 - 2 * b); }
  static double ref(double g, double b) { return g * (b * (1 - b)); }
};

struct TanhGradient {
  static constexpr Row row{.name = "tanh_gradient", .formula = "y = g (1 - b b)", .domain = {{-2, 2}, {-0.95, 0.95}},
                           .ulp_f32 = 8, .ulp_f64 = 8, .note = "1 - b b loses what b b rounds when b is near 1"};
  template <class V> static V f(V g, V b) { return g * (1 - b * b); }
  template <class V> static V da_b(V b) { return 1 - b * b; }
  template <class V> static V db_ab(V g, V b) { return -2 * b * g; }
  static double ref(double g, double b) { return g * (1 - b * b); }
};

/// Inputs x [.., in], w [out, in], b [out] or absent. One struct for each activation, since what must be saved differs.
template <kernels::Activation Act>
struct LinearWith {
  static constexpr bool plain = Act == kernels::Activation::none;
  static constexpr Row row{.name = plain ? "linear"
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

using LinearOps = List<Linear, LinearRelu, LinearSigmoid, LinearTanh, ReluGradient, SigmoidGradient, TanhGradient>;

}  // namespace thalweg::ops
