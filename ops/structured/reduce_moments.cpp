// var, stddev and norm: inference, kernels, derivatives, references, samples. Depends on functions.hpp,
// kernels/moments, fmt. Invariant: where the result is 0 the gradient of stddev and norm is 0, not 0/0.
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/moments.hpp>
#include <thalweg/ops/structured/reduce.hpp>
#include <thalweg/ops/structured/reduce_support.hpp>

namespace thalweg::ops {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

Over over_of(const VarianceOptions& t) { return {.dims = t.dims, .keepdim = t.keepdim}; }
Over over_of(const NormOptions& t) { return {.dims = t.dims, .keepdim = t.keepdim}; }

/// n - correction
double divisor_of(const Dims& shape, const VarianceOptions& t) {
  return static_cast<double>(reduced_count(shape, resolved(t.dims, shape.size())) - t.correction);
}

void infer_variance(const Ins& in, const VarianceOptions& t, Outs& out) {
  require_present(in, 0, "x");
  require_floating(in, 0, "x");
  const Dims dims = resolve_dims(in, t.dims, in[0].shape.size());
  if (t.correction < 0)
    in.fail<ValueError>("correction", fmt::format("{}", t.correction), "0 or more", "negative correction");
  const std::int64_t n = reduced_count(in[0].shape, dims);
  if (n <= t.correction)
    in.fail<ValueError>(fmt::format("the number of elements in dims {}", to_string(dims)).c_str(),
                        fmt::format("{}", n), fmt::format("more than {} (the correction)", t.correction),
                        "too few elements");
  out.add(in[0].dtype, reduced_shape(in[0].shape, dims, t.keepdim));
}

/// (x - mean) g / (n - correction)
Tensor scaled_deviation(const Tensor& x, const Tensor& g, const VarianceOptions& t) {
  const Tensor center = mean(x, {.dims = resolved(t.dims, x.dim()), .keepdim = true});
  return (x - center) * (restore_dims(g, x.shape(), over_of(t)) / divisor_of(x.shape(), t));
}

/// g / y, 0 where y is 0.
Tensor divided_unless_zero(const Tensor& g, const Tensor& y) {
  const Tensor zero = y == 0.0;
  return where(zero, 0.0, g) / where(zero, 1.0, y);
}

Tensor variance_reference(const Tensor& x, const VarianceOptions& t) {
  const Over over{.dims = t.dims, .keepdim = true};
  const Dims dims = resolved(t.dims, x.dim());
  const double n = static_cast<double>(reduced_count(x.shape(), dims));
  Tensor total = fold_reference(x, over, 0, [](double a, double b) { return a + b; });
  Tensor y = zeros(total.shape(), DType::f64);
  for_each_index(x.shape(), [&](const Dims& index) {
    Dims to = index;
    for (std::int64_t d : dims) to[static_cast<int>(d)] = 0;
    const double deviation = value_at(x, index) - value_at(total, to) / n;
    set_value(y, to, value_at(y, to) + deviation * deviation / (n - static_cast<double>(t.correction)));
  });
  return y.reshape(reduced_shape(x.shape(), dims, t.keepdim));
}

/// Both signs, no kink of |x| near.
Tensor away_from_zero(SampleList& s, const Dims& shape) {
  return s.uniform(shape, 0.3, 2) * sign(s.normal(shape));
}

void variance_samples(SampleList& s) {
  s.add({s.normal({3, 4})}, VarianceOptions{});
  s.add({s.normal({3, 4})}, VarianceOptions{.dims = {0}, .correction = 0}, "population");
  s.add({s.normal({3, 4})}, VarianceOptions{.dims = {-1}, .keepdim = true}, "keepdim");
  s.add({s.normal({2, 3, 4})}, VarianceOptions{.dims = {0, 2}, .correction = 2}, "two dims");
  s.add({s.normal({3, 0})}, VarianceOptions{.dims = {0}}, "empty result");
}

void variance_errors(ErrorList& e, const char* op) {
  reduction_errors(e, op, [](Over t) { return VarianceOptions{.dims = t.dims, .keepdim = t.keepdim}; });
  e.add<ValueError>(
      {zeros({1, 3})}, VarianceOptions{.dims = {0}},
      std::string(op) + ": too few elements: the number of elements in dims [0] is 1, wanted more than 1",
      "ValueError");
  e.add<ValueError>({zeros({0})}, VarianceOptions{.correction = 0}, "dims [0] is 0, wanted more than 0",
                    "ValueError");
  e.add<ValueError>({zeros({3})}, VarianceOptions{.correction = -1}, "correction is -1", "ValueError");
  e.add<DTypeError>({zeros({3}, DType::i64)}, VarianceOptions{}, "x is i64[3], wanted f32 or f64",
                    "DTypeError");
}

}  // namespace

// ---- var and stddev ----

void Var::infer(const Ins& in, const Attrs& t, Outs& out) { infer_variance(in, t, out); }

void Var::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::variance(in[0], out[0], resolved(t.dims, in[0].shape.size()), divisor_of(in[0].shape, t));
}

void Var::vjp(Vjp& v, const Attrs& t) { v.set(0, scaled_deviation(v.in(0), v.g() * 2, t)); }

std::vector<Tensor> Var::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {variance_reference(in[0], t)};
}

void Var::samples(SampleList& s) {
  variance_samples(s);
  s.add({s.normal({})}, Attrs{.correction = 0}, "0-d");
}
void Var::errors(ErrorList& e) { variance_errors(e, "var"); }

void StdDev::infer(const Ins& in, const Attrs& t, Outs& out) { infer_variance(in, t, out); }

void StdDev::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::standard_deviation(in[0], out[0], resolved(t.dims, in[0].shape.size()),
                              divisor_of(in[0].shape, t));
}

void StdDev::vjp(Vjp& v, const Attrs& t) {
  v.set(0, scaled_deviation(v.in(0), divided_unless_zero(v.g(), v.out()), t));
}

std::vector<Tensor> StdDev::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Tensor y = variance_reference(in[0], t);
  double* p = y.mutable_data<double>();
  for (std::int64_t i = 0; i < y.numel(); ++i) p[i] = std::sqrt(p[i]);
  return {y};
}

void StdDev::samples(SampleList& s) {
  variance_samples(s);
  s.add_kink({full({2, 3}, 0.1, DType::f64)}, Attrs{.dims = {1}}, {zeros({2, 3}, DType::f64)}, "constants");
}
void StdDev::errors(ErrorList& e) { variance_errors(e, "stddev"); }

// ---- norm ----

void Norm::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  require_floating(in, 0, "x");
  const Dims dims = resolve_dims(in, t.dims, in[0].shape.size());
  if (!(t.p >= 1)) in.fail<ValueError>("p", fmt::format("{}", t.p), "1 or more, or infinity", "not a norm");
  out.add(in[0].dtype, reduced_shape(in[0].shape, dims, t.keepdim));
}

void Norm::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::power_norm(in[0], out[0], resolved(t.dims, in[0].shape.size()), t.p);
}

void Norm::vjp(Vjp& v, const Attrs& t) {
  const Tensor x = v.in(0);
  const Tensor g = restore_dims(v.g(), x.shape(), over_of(t)),
               y = restore_dims(v.out(), x.shape(), over_of(t));
  if (t.p == 1) return v.set(0, g * sign(x));
  if (t.p == 2) return v.set(0, x * divided_unless_zero(g, y));
  if (t.p == infinity) {
    const Tensor chosen = logical_or(equal(abs(x), y), isnan(x));
    const Tensor ties = sum(chosen, {.dims = resolved(t.dims, x.dim()), .keepdim = true});
    return v.set(0, where(chosen, g / ties * sign(x), 0.0));
  }
  const Tensor zero = y == 0.0;
  v.set(0, where(zero, 0.0, g) * sign(x) * pow(abs(x) / where(zero, 1.0, y), t.p - 1));
}

std::vector<Tensor> Norm::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Tensor top = fold_reference(in[0], {.dims = t.dims, .keepdim = true}, 0, [](double y, double x) {
    return std::fabs(x) <= y || y != y ? y : std::fabs(x);
  });
  const Dims dims = resolved(t.dims, in[0].dim()), shape = reduced_shape(in[0].shape(), dims, t.keepdim);
  if (t.p == infinity) return {top.reshape(shape)};
  Tensor sums = zeros(top.shape(), DType::f64);  // of (|x| / largest)^p
  for_each_index(in[0].shape(), [&](const Dims& index) {
    Dims to = index;
    for (std::int64_t d : dims) to[static_cast<int>(d)] = 0;
    const double largest = value_at(top, to);
    if (largest == 0) return;
    const double share = std::isfinite(largest) ? std::fabs(value_at(in[0], index)) / largest : 1;
    set_value(sums, to, value_at(sums, to) + std::pow(share, t.p));
  });
  Tensor y = zeros(top.shape(), DType::f64);
  for_each_index(y.shape(), [&](const Dims& to) {
    if (value_at(top, to) != 0) set_value(y, to, value_at(top, to) * std::pow(value_at(sums, to), 1 / t.p));
  });
  return {y.reshape(shape)};
}

void Norm::samples(SampleList& s) {
  reduction_samples(
      s, &away_from_zero, [](Over t) { return Attrs{.dims = t.dims, .keepdim = t.keepdim}; }, true);
  s.add({away_from_zero(s, {3, 4})}, Attrs{.p = 1, .dims = {1}}, "p = 1");
  s.add({away_from_zero(s, {3, 4})}, Attrs{.p = 3, .dims = {0}}, "p = 3");
  s.add({away_from_zero(s, {3, 4})}, Attrs{.p = 2.5, .keepdim = true}, "p = 2.5");
  s.add({abs(s.distinct({3, 4})) + 0.5 * s.distinct({3, 4})}, Attrs{.p = infinity, .dims = {1}}, "p = inf");
  const Tensor zero = zeros({3}, DType::f64);
  for (const double p : {1.0, 2.0, 3.0, infinity}) s.add_kink({zero}, Attrs{.p = p}, {zero}, "at 0");
  s.add_kink({from<double>({-2, 1, 2}, {3})}, Attrs{.p = infinity}, {from<double>({-0.5, 0, 0.5}, {3})},
             "p = inf, ties");
}

void Norm::errors(ErrorList& e) {
  reduction_errors(e, "norm", [](Over t) { return Attrs{.dims = t.dims, .keepdim = t.keepdim}; });
  e.add<ValueError>({zeros({3})}, Attrs{.p = 0.5}, "norm: not a norm: p is 0.5, wanted 1 or more",
                    "ValueError");
  e.add<ValueError>({zeros({3})}, Attrs{.p = std::nan("")}, "p is nan", "ValueError");
  e.add<DTypeError>({zeros({3}, DType::i64)}, Attrs{}, "x is i64[3], wanted f32 or f64", "DTypeError");
}

}  // namespace thalweg::ops
