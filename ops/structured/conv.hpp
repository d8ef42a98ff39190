// Two-dimensional convolution as ops: forward, plain and with relu, and its two gradients. Depends on op.hpp,
// sample.hpp; kernels in ops/kernels/conv.hpp. Invariant: the list is closed under vjp, since each gradient
// of these bilinear ops is another of them.
#pragma once

#include <thalweg/ops/kernels/conv.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

inline constexpr const char* conv_note =
    "taps on padding are no terms of the sum; by Winograd (set_winograd) f32 is off by up to 16 eps of the "
    "largest "
    "sum of |terms|";

/// Dims of one or two entries. `size` is the input's height and width (conv2d_input_gradient) or the kernel's
/// (conv2d_weight_gradient), which the other operands do not tell.
struct ConvAttrs {
  Dims stride{1, 1}, padding{0, 0}, dilation{1, 1};
  std::int64_t groups = 1;
  Dims size{};
};

/// Inputs x [batch, in, height, width], w [out, in / groups, kernel height, kernel width], b [out] or absent.
template <kernels::Activation Act>
struct Conv2dWith {
  static constexpr bool plain = Act == kernels::Activation::none;
  static constexpr Row row{.name = plain ? "conv2d" : "conv2d_relu",
                           .formula = plain ? "y = x * w + b (cross-correlation)" : "y = relu(x * w + b)",
                           .smooth = plain,
                           .subgradient = plain ? "" : "0 at 0",
                           .note = conv_note};
  using Attrs = ConvAttrs;
  static constexpr int n_in = 3;
  static constexpr NeedMask result = plain ? 0 : need_output();
  static constexpr NeedMask needs[] = {need_input(1) | result, need_input(0) | result, result};
  static const Path paths[4];
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using Conv2d = Conv2dWith<kernels::Activation::none>;
using Conv2dRelu = Conv2dWith<kernels::Activation::relu>;

/// Inputs g [batch, out, ..], w; the result is shaped like x.
struct Conv2dInputGradient {
  static constexpr Row row{.name = "conv2d_input_gradient",
                           .formula = "dx = the gradient of sum(g (x * w)) with respect to x",
                           .note = conv_note};
  using Attrs = ConvAttrs;
  static constexpr int n_in = 2;
  static constexpr bool multilinear = true;
  static constexpr NeedMask needs[] = {need_input(1), need_input(0)};
  static const Path paths[4];
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g [batch, out, ..], x; the result is shaped like w.
struct Conv2dWeightGradient {
  static constexpr Row row{.name = "conv2d_weight_gradient",
                           .formula = "dw = the gradient of sum(g (x * w)) with respect to w",
                           .note = conv_note};
  using Attrs = ConvAttrs;
  static constexpr int n_in = 2;
  static constexpr bool multilinear = true;
  static constexpr NeedMask needs[] = {need_input(1), need_input(0)};
  static const Path paths[3];
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using ConvOps = List<Conv2d, Conv2dRelu, Conv2dInputGradient, Conv2dWeightGradient>;

}  // namespace thalweg::ops
