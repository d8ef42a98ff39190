// Depends on init.hpp, kernels/random, kernels/copy, fmt.
#include <thalweg/nn/init.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/random.hpp>

namespace thalweg::nn {

Generator& default_generator() noexcept {
  static thread_local Generator generator(0);
  return generator;
}

void seed(std::uint64_t value) noexcept { default_generator() = Generator(value); }

std::uint64_t derive_seed(Generator* source) noexcept {
  const RandomKey key = (source ? *source : default_generator()).next();
  const PhiloxBlock block = philox(key.seed, key.offset, 0);
  return (std::uint64_t{block[0]} << 32) | block[1];
}

namespace init {
namespace {

void check_target(const char* op, const Tensor& t, Loc loc) {
  if (!is_floating(t.dtype()))
    throw_error<DTypeError>({.op = op,
                             .arg = "t",
                             .given = t.describe(),
                             .wanted = "f32 or f64",
                             .what = "only floating tensors are initialised at random",
                             .loc = loc});
}

void check_finite(const char* op, const char* arg, double v, double least, Loc loc) {
  if (std::isfinite(v) && v >= least) return;
  throw_error<ValueError>({.op = op,
                           .arg = arg,
                           .given = fmt::format("{}", v),
                           .wanted = std::isfinite(least) ? fmt::format("a finite number, {} or more", least)
                                                          : std::string("a finite number"),
                           .what = "option outside its domain",
                           .loc = loc});
}

constexpr double any = -HUGE_VAL;

double total(const Fans& f) { return static_cast<double>(std::max<std::int64_t>(f.in + f.out, 1)); }

double kaiming_deviation(const char* op, const Tensor& t, KaimingOptions o, Loc loc) {
  check_finite(op, "a", o.a, 0, loc);
  const Fans f = fans(t, loc);
  const std::int64_t fan = std::max<std::int64_t>(o.fan == Fan::in ? f.in : f.out, 1);
  return std::sqrt(2 / (1 + o.a * o.a) / static_cast<double>(fan));
}

}  // namespace

Fans fans(const Tensor& weight, Loc loc) {
  if (weight.dim() < 2)
    throw_error<ShapeError>({.op = "init",
                             .arg = "weight",
                             .given = weight.describe(),
                             .wanted = "two dimensions or more, [out, in, ...]",
                             .what = "the number of inputs and outputs is unknown",
                             .loc = loc});
  std::int64_t window = 1;
  for (int d = 2; d < weight.dim(); ++d) window *= weight.shape()[d];
  return {weight.shape()[1] * window, weight.shape()[0] * window};
}

void uniform(Tensor& t, Generator& g, double low, double high, Loc loc) {
  check_target("uniform", t, loc);
  check_finite("uniform", "low", low, any, loc);
  check_finite("uniform", "high", high, low, loc);
  t.get()->storage->bump("nn::init", loc);
  kernels::random_uniform(t.mutable_view(), low, high, g.next());
}

void normal(Tensor& t, Generator& g, double mean, double deviation, Loc loc) {
  check_target("normal", t, loc);
  check_finite("normal", "mean", mean, any, loc);
  check_finite("normal", "deviation", deviation, 0, loc);
  t.get()->storage->bump("nn::init", loc);
  kernels::random_normal(t.mutable_view(), mean, deviation, g.next());
}

void constant(Tensor& t, double value, Loc loc) {
  check_target("constant", t, loc);
  t.get()->storage->bump("nn::init", loc);
  kernels::fill(t.mutable_view(), value);
}

void xavier_uniform(Tensor& t, Generator& g, XavierOptions o, Loc loc) {
  check_finite("xavier_uniform", "gain", o.gain, 0, loc);
  const double bound = o.gain * std::sqrt(6 / total(fans(t, loc)));
  uniform(t, g, -bound, bound, loc);
}

void xavier_normal(Tensor& t, Generator& g, XavierOptions o, Loc loc) {
  check_finite("xavier_normal", "gain", o.gain, 0, loc);
  normal(t, g, 0, o.gain * std::sqrt(2 / total(fans(t, loc))), loc);
}

void kaiming_uniform(Tensor& t, Generator& g, KaimingOptions o, Loc loc) {
  const double bound = std::sqrt(3.0) * kaiming_deviation("kaiming_uniform", t, o, loc);
  uniform(t, g, -bound, bound, loc);
}

void kaiming_normal(Tensor& t, Generator& g, KaimingOptions o, Loc loc) {
  normal(t, g, 0, kaiming_deviation("kaiming_normal", t, o, loc), loc);
}

}  // namespace init
}  // namespace thalweg::nn
