// Axes 2 jacobian, 3 directions, 4 duality, 5 second order, 6 f32 gradient. Depends on axes.hpp, fmt.
// Invariant: cases at a kink are left to the axis of kinks; every other case of a differentiable op is tried.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>

namespace thalweg::check {
namespace {

GradcheckOptions stencil_options(const Trial& t, const Case& c) {
  GradcheckOptions o;
  o.linear = t.op.linear || t.op.multilinear;
  // Attributes may move a kink under a sample; elsewhere samples keep away and a bend is an error.
  o.kinks = t.op.pointwise() && t.op.row->kinks.count > 0 && c.attrs != nullptr;
  o.fixed = c.fixed;
  o.seed = t.options.seed;
  return o;
}

std::vector<Tensor> as_f64(const Case& c) { return cast_floating(c.in, DType::f64); }

std::int64_t output_elements(const Trial& t, const Case& c) {
  std::int64_t n = 0;
  for (const Tensor& y : evaluate(t.op, c.in, c.attrs.get()))
    if (y.defined() && is_floating(y.dtype())) n += y.numel();
  return n;
}

/// The cases whose Jacobian is affordable; at least the smallest one.
std::vector<const Case*> small_cases(const Trial& t, std::int64_t limit) {
  std::vector<const Case*> small;
  const Case* least = nullptr;
  std::int64_t least_size = 0;
  for (const Case& c : t.cases) {
    if (!t.differentiable(c)) continue;
    const std::int64_t n = gradient_elements(t.op, c), size = n + output_elements(t, c);
    if (n <= limit && size <= 4 * limit) small.push_back(&c);
    if (n > 0 && (!least || size < least_size)) least = &c, least_size = size;
  }
  const bool some =
      std::any_of(small.begin(), small.end(), [&](const Case* c) { return gradient_elements(t.op, *c) > 0; });
  if (!some && least) small.push_back(least);
  return small;
}

void expect(const Trial& t, const GradReport& report) {
  if (!report.ok) t.fail(report.message);
  if (report.kinks * 4 > report.checked && report.checked > 4)
    t.fail(fmt::format("{} of {} derivatives lie at kinks: the samples do not keep away from them",
                       report.kinks, report.checked));
}

}  // namespace

void try_jacobian(Trial& t) {
  t.need_gradient();
  for (const Case* c : small_cases(t, t.by_tier(40, 160, 600))) {
    t.at(*c);
    GradcheckOptions o = stencil_options(t, *c);
    o.full_limit = 1 << 20;
    expect(t, gradcheck_function(function_of(t.op, c->attrs), as_f64(*c), o));
  }
}

void try_directions(Trial& t) {
  t.need_gradient();
  for (const Case& c : t.cases) {
    if (!t.differentiable(c) || gradient_elements(t.op, c) == 0) continue;
    t.at(c);
    GradcheckOptions o = stencil_options(t, c);
    o.full_limit = 0;
    o.directions = static_cast<int>(t.by_tier(2, 6, 24));
    expect(t, gradcheck_function(function_of(t.op, c.attrs), as_f64(c), o));
  }
}

void try_duality(Trial& t) {
  t.need_gradient();
  if (!t.op.pointwise() && !t.op.linear && !t.op.multilinear)
    t.not_applicable("double vjp: no forward mode of its own");
  for (const Case& c : t.cases) {
    if (!t.differentiable(c)) continue;
    const std::vector<Tensor> in = as_f64(c);
    t.at(c, in);
    const std::vector<Tensor> x = leaves(t.op, in);
    const std::vector<Tensor> y = forward(t.op, x, c.attrs.get());
    const std::vector<Tensor> v = random_seeds(y, t.numbers);
    std::vector<Tensor> u(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      if (x[i].requires_grad()) u[i] = t.numbers.signed_units(x[i].shape());
    const std::vector<Tensor> forward_mode = push_forward(t.op, in, c.attrs.get(), u);
    const std::vector<Tensor> reverse_mode = pull_back(y, x, v);
    const Dot a = dot(v, forward_mode), b = dot(reverse_mode, u);
    const double allowed = 1e-12 * (a.magnitude + b.magnitude);
    if (!(std::fabs(a.value - b.value) <= allowed))
      t.fail(fmt::format("<v, J u> = {:.15g} by forward mode, <J'v, u> = {:.15g} by reverse mode", a.value,
                         b.value));
  }
}

namespace {

/// d2/dx2 of <w, f(x)> must be symmetric, whatever the formulas look like.
void check_symmetry(Trial& t, const Case& c, const Function& f, const std::vector<Tensor>& in) {
  std::vector<Tensor> w;
  for (const Tensor& y : evaluate(t.op, in, c.attrs.get()))
    if (y.defined() && is_floating(y.dtype())) w.push_back(t.numbers.signed_units(y.shape()));
  const Function vjp = vjp_function(f, in.size(), c.fixed);
  const Function slope = [&](const std::vector<Tensor>& x) {
    std::vector<Tensor> xv = x;
    xv.insert(xv.end(), w.begin(), w.end());
    return vjp(xv);
  };
  const Jacobian h = analytic_jacobian(slope, in, c.fixed);
  double size = 0;
  for (double v : h.at) size = std::fmax(size, std::fabs(v));
  for (std::int64_t r = 0; r < h.rows; ++r)
    for (std::int64_t k = 0; k < r; ++k) {
      const double a = h.at[static_cast<std::size_t>(r * h.columns + k)],
                   b = h.at[static_cast<std::size_t>(k * h.columns + r)];
      if (!(std::fabs(a - b) <= 1e-11 * size))
        t.fail(fmt::format("the Hessian is not symmetric: {:.15g} at [{},{}], {:.15g} at [{},{}]", a, r, k, b,
                           k, r));
    }
}

void check_third_order(Trial& t, const Case& c, const Function& f, const std::vector<Tensor>& in) {
  std::vector<Tensor> xv = in;
  NoGrad off;
  for (const Tensor& y : f(in))
    if (is_floating(y.dtype())) xv.push_back(t.numbers.signed_units(y.shape()));
  const Function second = vjp_function(f, in.size(), c.fixed);
  std::vector<Tensor> xvw = xv;
  for (const Tensor& g : second(xv)) xvw.push_back(t.numbers.signed_units(g.shape()));
  GradcheckOptions o = stencil_options(t, c);
  o.full_limit = 0;
  o.linear = false;  // products of three are no longer linear in one direction
  o.directions = static_cast<int>(t.by_tier(1, 3, 8));
  const GradReport report = gradcheck_function(vjp_function(second, xv.size(), c.fixed), xvw, o);
  if (!report.ok)
    t.fail("third order (inputs, output gradients, second output gradients): " + report.message);
}

}  // namespace

void try_second_order(Trial& t) {
  t.need_gradient();
  std::vector<const Case*> cases = small_cases(t, t.by_tier(14, 40, 120));
  std::size_t limit = static_cast<std::size_t>(t.by_tier(6, 40, 1000));
  if (cases.size() > limit) {
    // Those that stand out by their note come first.
    std::stable_partition(cases.begin(), cases.end(), [](const Case* c) { return !c->note.empty(); });
    cases.resize(limit);
  }
  for (const Case* c : cases) {
    const std::vector<Tensor> in = as_f64(*c);
    t.at(*c, in);
    const Function f = function_of(t.op, c->attrs);
    GradcheckOptions o = stencil_options(t, *c);
    o.full_limit = t.by_tier(30, 100, 400);
    expect(t, gradgradcheck_function(f, in, o));
    if (gradient_elements(t.op, *c) == 0) continue;
    check_symmetry(t, *c, f, in);
    const bool third = t.op.pointwise() ? t.op.row->smooth && t.op.row->kinks.count == 0 : t.op.multilinear;
    if (third) check_third_order(t, *c, f, in);
  }
}

namespace {

std::vector<Tensor> magnitudes(const std::vector<Tensor>& in) {
  std::vector<Tensor> r = in;
  for (Tensor& x : r)
    if (x.defined() && x.dtype() == DType::f64) {
      x = cast(x, DType::f64);
      for (double *p = x.mutable_data<double>(), *end = p + x.numel(); p != end; ++p) *p = std::fabs(*p);
    }
  return r;
}

/// How large the terms of each gradient are. A linear op's are known, and may all be small, as a mean's are;
/// formulas like 1 - y^2 lose digits against terms of size one.
std::vector<double> gradient_scales(const Trial& t, const Case& c, const std::vector<Tensor>& in,
                                    const std::vector<Tensor>& seeds) {
  std::vector<double> scales(in.size(), 1);
  if (!t.op.linear && !t.op.multilinear) return scales;
  const std::vector<Tensor> g = gradients(t.op, magnitudes(in), c.attrs.get(), magnitudes(seeds));
  for (std::size_t i = 0; i < g.size(); ++i) {
    if (!g[i].defined()) continue;
    scales[i] = 0;
    for (double v : values(g[i]))
      if (std::isfinite(v)) scales[i] = std::fmax(scales[i], std::fabs(v));
  }
  return scales;
}

}  // namespace

void try_f32_gradient(Trial& t) {
  t.need_gradient();
  for (const Case& c : t.cases) {
    if (!t.differentiable(c)) continue;
    const std::vector<Tensor> single = cast_floating(c.in, DType::f32),
                              wide = cast_floating(single, DType::f64);
    t.at(c, single);
    std::vector<Tensor> v, v64;
    for (const Tensor& y : forward(t.op, leaves(t.op, single), c.attrs.get())) {
      if (y.requires_grad() && y.dtype() != DType::f32 && !t.op.row->sets_dtype)
        t.fail(fmt::format("an f32 op gives {}", name(y.dtype())));
      v.push_back(y.requires_grad() ? cast(t.numbers.signed_units(y.shape()), y.dtype()) : Tensor());
      v64.push_back(cast(v.back(), DType::f64));
    }
    const std::vector<Tensor> g = gradients(t.op, single, c.attrs.get(), v),
                              exact = gradients(t.op, wide, c.attrs.get(), v64);
    const std::vector<double> scales = gradient_scales(t, c, wide, v64);
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!g[i].defined()) continue;
      if (g[i].dtype() != DType::f32)
        t.fail(fmt::format("the gradient of input {} is {}, wanted f32", i, name(g[i].dtype())));
      double terms = 1;
      for (const Tensor& x : c.in) terms = std::fmax(terms, x.defined() ? static_cast<double>(x.numel()) : 0);
      const double error = relative_error(g[i], exact[i], scales[i]),
                   allowed = (32 + 4 * std::sqrt(terms)) * epsilon(DType::f32);
      if (!(error <= allowed))
        t.fail(
            fmt::format("the f32 gradient of input {} differs from the f64 one by {:.3g}, allowed {:.3g} "
                        "(relative to the largest)",
                        i, error, allowed));
    }
  }
}

}  // namespace thalweg::check
