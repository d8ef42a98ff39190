// Depends on conv.hpp, linear.hpp (names of activations), fmt.
#include <thalweg/nn/conv.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/nn/linear.hpp>

namespace thalweg::nn {

std::string to_string(Pair p) {
  return p.vertical == p.horizontal ? fmt::format("{}", p.vertical)
                                    : fmt::format("{}x{}", p.vertical, p.horizontal);
}

namespace {

void check_least(const char* arg, std::int64_t given, std::int64_t least, Loc loc) {
  if (given < least)
    throw_error<ValueError>({.op = "Conv2d",
                             .arg = arg,
                             .given = fmt::format("{}", given),
                             .wanted = fmt::format("{} or more", least),
                             .what = "option outside its domain",
                             .loc = loc});
}

void check_options(const Conv2dOptions& o, Loc loc) {
  check_least("in", o.in, 1, loc);
  check_least("out", o.out, 1, loc);
  check_least("groups", o.groups, 1, loc);
  for (int d = 0; d < 2; ++d) {
    check_least("kernel", o.kernel[d], 1, loc);
    check_least("stride", o.stride[d], 1, loc);
    check_least("dilation", o.dilation[d], 1, loc);
    check_least("padding", o.padding.size[d], 0, loc);
  }
  if (o.in % o.groups != 0 || o.out % o.groups != 0)
    throw_error<ValueError>({.op = "Conv2d",
                             .arg = "groups",
                             .given = fmt::format("{}", o.groups),
                             .wanted = fmt::format("a divisor of in {} and out {}", o.in, o.out),
                             .what = "channels do not fall into groups",
                             .loc = loc});
  if (!is_floating(o.dtype))
    throw_error<DTypeError>({.op = "Conv2d",
                             .arg = "dtype",
                             .given = name(o.dtype),
                             .wanted = "f32 or f64",
                             .what = "parameters are floating",
                             .loc = loc});
}

/// Zeros that "same" wants along one dimension: in all.
std::int64_t same_total(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t dilation) {
  const std::int64_t out = (size + stride - 1) / stride;
  return std::max<std::int64_t>(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - size);
}

}  // namespace

Conv2d::Conv2d(const Conv2dOptions& o, Loc loc)
    : stride(o.stride), padding(o.padding), dilation(o.dilation), groups(o.groups), activation(o.activation) {
  check_options(o, loc);
  Generator& g = o.generator ? *o.generator : default_generator();
  weight = empty({o.out, o.in / o.groups, o.kernel.vertical, o.kernel.horizontal}, o.dtype);
  if (o.init == Init::keras)
    init::glorot_uniform(weight, g, {}, loc);
  else
    init::kaiming_uniform(weight, g, {.a = std::sqrt(5.0)}, loc);
  weight.set_requires_grad(true, loc);
  if (!o.bias) return;
  bias = zeros({o.out}, o.dtype);
  const double bound = 1 / std::sqrt(static_cast<double>(init::fans(weight, loc).in));
  if (o.init == Init::pytorch) init::uniform(bias, g, -bound, bound, loc);
  bias.set_requires_grad(true, loc);
}

Tensor Conv2d::operator()(Arg x) const {
  const Call call(*this, x);
  const bool fused = activation == Activation::none || activation == Activation::relu;
  thalweg::Conv2dOptions o{.stride = stride.dims(),
                           .padding = padding.size.dims(),
                           .dilation = dilation.dims(),
                           .groups = groups,
                           .activation = fused ? activation : Activation::none};
  Tensor image = x.t;
  if (padding.keeps_size && image.defined() && image.dim() == 4) {
    Dims before = Dims::filled(4, 0), after = before;
    for (int d = 0; d < 2; ++d) {
      const std::int64_t total =
          same_total(image.shape()[2 + d], weight.shape()[2 + d], stride[d], dilation[d]);
      o.padding[d] = before[2 + d] = total / 2;
      after[2 + d] = total - total / 2;
    }
    if (!(before == after)) {
      image = pad(x, before, after);
      o.padding = {0, 0};
    }
  }
  const Tensor y = conv2d({image, x.loc}, weight, bias, o);
  if (fused) return call.done(y);
  return call.done(activation == Activation::sigmoid ? sigmoid(y) : tanh(y));
}

std::string Conv2d::describe() const {
  const Dims& s = weight.shape();
  std::string text = fmt::format("Conv2d({} -> {}, {}x{}", s[1] * groups, s[0], s[2], s[3]);
  if (!(stride == Pair(1))) text += fmt::format(", stride {}", to_string(stride));
  if (padding.keeps_size)
    text += ", same";
  else if (!(padding.size == Pair(0)))
    text += fmt::format(", padding {}", to_string(padding.size));
  if (!(dilation == Pair(1))) text += fmt::format(", dilation {}", to_string(dilation));
  if (groups != 1) text += fmt::format(", groups {}", groups);
  return text + activation_suffix(activation) + (bias.defined() ? ")" : ", no bias)");
}

}  // namespace thalweg::nn
