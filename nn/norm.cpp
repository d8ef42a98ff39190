// Depends on norm.hpp, fmt.
#include <thalweg/nn/norm.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::nn {
namespace {

void check_options(const char* layer, const BatchNormOptions& o, Loc loc) {
  const auto fail = [&](const char* arg, std::string given, const char* wanted) {
    throw_error<ValueError>({.op = layer,
                             .arg = arg,
                             .given = std::move(given),
                             .wanted = wanted,
                             .what = "option outside its domain",
                             .loc = loc});
  };
  if (o.features < 1) fail("features", fmt::format("{}", o.features), "1 or more");
  if (!(o.eps >= 0 && std::isfinite(o.eps)))
    fail("eps", fmt::format("{}", o.eps), "a finite number, 0 or more");
  if (!(o.momentum >= 0 && o.momentum <= 1)) fail("momentum", fmt::format("{}", o.momentum), "0 to 1");
  if (!is_floating(o.dtype))
    throw_error<DTypeError>({.op = layer,
                             .arg = "dtype",
                             .given = name(o.dtype),
                             .wanted = "f32 or f64",
                             .what = "parameters are floating",
                             .loc = loc});
}

}  // namespace

BatchNorm::BatchNorm(const char* layer, const BatchNormOptions& o, Loc loc)
    : eps(o.eps), momentum(o.momentum) {
  check_options(layer, o, loc);
  running_mean = zeros({o.features}, o.dtype);
  running_var = ones({o.features}, o.dtype);
  if (!o.affine) return;
  weight = ones({o.features}, o.dtype);
  bias = zeros({o.features}, o.dtype);
  weight.set_requires_grad(true, loc);
  bias.set_requires_grad(true, loc);
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

}  // namespace thalweg::nn
