// Depends on linear.hpp, fmt.
#include <thalweg/nn/linear.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::nn {
namespace {

void check_options(const LinearOptions& o, Loc loc) {
  if (o.in < 1 || o.out < 1)
    throw_error<ValueError>({.op = "Linear",
                             .arg = o.in < 1 ? "in" : "out",
                             .given = std::to_string(o.in < 1 ? o.in : o.out),
                             .wanted = "1 or more",
                             .what = "a layer needs inputs and outputs",
                             .loc = loc});
  if (!is_floating(o.dtype))
    throw_error<DTypeError>({.op = "Linear",
                             .arg = "dtype",
                             .given = name(o.dtype),
                             .wanted = "f32 or f64",
                             .what = "parameters are floating",
                             .loc = loc});
}

}  // namespace

const char* activation_suffix(Activation a) noexcept {
  switch (a) {
    case Activation::none:
      return "";
    case Activation::relu:
      return ", relu";
    case Activation::sigmoid:
      return ", sigmoid";
    case Activation::tanh:
      return ", tanh";
  }
  return "";
}

Linear::Linear(const LinearOptions& o, Loc loc) : activation(o.activation) {
  check_options(o, loc);
  Generator& g = o.generator ? *o.generator : default_generator();
  weight = empty({o.out, o.in}, o.dtype);
  if (o.init == Init::keras)
    init::glorot_uniform(weight, g, {}, loc);
  else
    init::kaiming_uniform(weight, g, {.a = std::sqrt(5.0)}, loc);
  weight.set_requires_grad(true, loc);
  if (!o.bias) return;
  bias = zeros({o.out}, o.dtype);
  const double bound = 1 / std::sqrt(static_cast<double>(o.in));
  if (o.init == Init::pytorch) init::uniform(bias, g, -bound, bound, loc);
  bias.set_requires_grad(true, loc);
}

Tensor Linear::operator()(Arg x) const {
  const Call call(*this, x);
  return call.done(linear(x, weight, bias, activation));
}

std::string Linear::describe() const {
  return fmt::format("Linear({} -> {}{}{})", weight.shape()[1], weight.shape()[0],
                     activation_suffix(activation), bias.defined() ? "" : ", no bias");
}

}  // namespace thalweg::nn
