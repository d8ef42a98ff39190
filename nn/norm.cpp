// Depends on norm.hpp, fmt.
#include <thalweg/nn/norm.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::nn {
namespace {

[[noreturn]] void fail(const char* layer, const char* arg, std::string given, std::string wanted, Loc loc) {
  throw_error<ValueError>({.op = layer,
                           .arg = arg,
                           .given = std::move(given),
                           .wanted = std::move(wanted),
                           .what = "option outside its domain",
                           .loc = loc});
}

void check_eps_and_dtype(const char* layer, double eps, DType dtype, Loc loc) {
  if (!(eps >= 0 && std::isfinite(eps)))
    fail(layer, "eps", fmt::format("{}", eps), "a finite number, 0 or more", loc);
  if (!is_floating(dtype))
    throw_error<DTypeError>({.op = layer,
                             .arg = "dtype",
                             .given = name(dtype),
                             .wanted = "f32 or f64",
                             .what = "parameters are floating",
                             .loc = loc});
}

void check_options(const char* layer, const BatchNormOptions& o, Loc loc) {
  if (o.features < 1) fail(layer, "features", fmt::format("{}", o.features), "1 or more", loc);
  if (!(o.momentum >= 0 && o.momentum <= 1))
    fail(layer, "momentum", fmt::format("{}", o.momentum), "0 to 1", loc);
  check_eps_and_dtype(layer, o.eps, o.dtype, loc);
}

/// A parameter of ones or zeros.
Tensor parameter(const Dims& shape, double value, DType dtype, Loc loc) {
  Tensor t = full(shape, value, dtype);
  t.set_requires_grad(true, loc);
  return t;
}

}  // namespace

BatchNorm::BatchNorm(const char* layer, const BatchNormOptions& o, Loc loc)
    : eps(o.eps), momentum(o.momentum) {
  check_options(layer, o, loc);
  running_mean = zeros({o.features}, o.dtype);
  running_var = ones({o.features}, o.dtype);
  if (!o.affine) return;
  weight = parameter({o.features}, 1, o.dtype, loc);
  bias = parameter({o.features}, 0, o.dtype, loc);
}

Tensor BatchNorm::apply(const char* layer, Arg x, int least_rank, int most_rank) {
  const std::int64_t features = running_mean.numel();
  if (x.t.defined() && (x.t.dim() < least_rank || x.t.dim() > most_rank || x.t.shape()[1] != features))
    throw_error<ShapeError>({.op = layer,
                             .arg = "x",
                             .given = x.t.describe(),
                             .wanted = most_rank == 4 ? fmt::format("[N, {}, H, W]", features)
                                                      : fmt::format("[N, {0}] or [N, {0}, L]", features),
                             .what = "not what this layer normalises",
                             .loc = x.loc});
  if (!training) return batch_norm_inference(x, running_mean, running_var, weight, bias, {.eps = eps});
  BatchNormResult r = batch_norm(x, weight, bias, {.eps = eps});
  const NoGrad guard;
  const double n = static_cast<double>(x.t.numel()) / static_cast<double>(features);
  running_mean.copy_(running_mean * (1 - momentum) + r.mean * momentum);
  running_var.copy_(running_var * (1 - momentum) + r.variance * (momentum * n / (n - 1)));
  return std::move(r.y);
}

std::string BatchNorm::describe(const char* layer) const {
  return fmt::format("{}({}{})", layer, running_mean.numel(), weight.defined() ? "" : ", not affine");
}

LayerNorm::LayerNorm(const LayerNormOptions& o, Loc loc) : shape(o.shape), eps(o.eps) {
  bool sizes = !o.shape.empty();
  for (const std::int64_t n : o.shape) sizes = sizes && n >= 1;
  if (!sizes) fail("LayerNorm", "shape", to_string(o.shape), "one size or more, each at least 1", loc);
  check_eps_and_dtype("LayerNorm", o.eps, o.dtype, loc);
  if (!o.affine) return;
  weight = parameter(o.shape, 1, o.dtype, loc);
  if (o.bias) bias = parameter(o.shape, 0, o.dtype, loc);
}

Tensor LayerNorm::operator()(Arg x) const {
  const Call call(*this, x);
  return call.done(layer_norm(x, shape, weight, bias, {.eps = eps}));
}

std::string LayerNorm::describe() const {
  return fmt::format("LayerNorm({}{})", to_string(shape),
                     !weight.defined() ? ", not affine"
                     : bias.defined()  ? ""
                                       : ", no bias");
}

GroupNorm::GroupNorm(const GroupNormOptions& o, Loc loc)
    : groups(o.groups), features(o.features), eps(o.eps) {
  if (o.features < 1) fail("GroupNorm", "features", fmt::format("{}", o.features), "1 or more", loc);
  if (o.groups < 1 || o.features % o.groups != 0)
    fail("GroupNorm", "groups", fmt::format("{}", o.groups),
         fmt::format("a divisor of the {} features", o.features), loc);
  check_eps_and_dtype("GroupNorm", o.eps, o.dtype, loc);
  if (!o.affine) return;
  weight = parameter({o.features}, 1, o.dtype, loc);
  bias = parameter({o.features}, 0, o.dtype, loc);
}

Tensor GroupNorm::operator()(Arg x) const {
  const Call call(*this, x);
  if (x.t.defined() && (x.t.dim() < 2 || x.t.shape()[1] != features))
    throw_error<ShapeError>({.op = "GroupNorm",
                             .arg = "x",
                             .given = x.t.describe(),
                             .wanted = fmt::format("[N, {0}] or [N, {0}, ..]", features),
                             .what = "not what this layer normalises",
                             .loc = x.loc});
  return call.done(group_norm(x, groups, weight, bias, {.eps = eps}));
}

std::string GroupNorm::describe() const {
  return fmt::format("GroupNorm({} groups of {}{})", groups, features / groups,
                     weight.defined() ? "" : ", not affine");
}

}  // namespace thalweg::nn
