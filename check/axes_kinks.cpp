// Axis 17 kinks: the documented subgradient at the kink itself. Depends on axes.hpp, fmt.
// Invariant: the slopes on either side come from the f64 reference, never from the op.
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>

namespace thalweg::check {
namespace {

/// Slopes on either side of operand i at the point `at`, by a four-point one-sided stencil.
void one_sided(const OpInfo& op, const void* attrs, double* at, int i, double& left, double& right) {
  const double h = 1e-3, x = at[i];
  double f[7];
  for (int k = -3; k <= 3; ++k) {
    at[i] = x + k * h;
    f[k + 3] = op.scalar_reference(at, attrs);
  }
  at[i] = x;
  right = (-11 * f[3] + 18 * f[4] - 9 * f[5] + 2 * f[6]) / (6 * h);
  left = (11 * f[3] - 18 * f[2] + 9 * f[1] - 2 * f[0]) / (6 * h);
}

double documented(AtKink rule, double left, double right) {
  switch (rule) {
    case AtKink::zero:
      return 0;
    case AtKink::one:
      return 1;
    case AtKink::left:
      return left;
    case AtKink::right:
      return right;
    default:
      return 0.5 * (left + right);
  }
}

void check_kink(Trial& t, const Case& c, const std::vector<double>& point) {
  for (DType dtype : {DType::f64, DType::f32}) {
    std::vector<Tensor> in;
    for (double x : point) in.push_back(cast(from_values({x, x, x}, {3}), dtype));
    t.at(c, in);
    const Tensor seed = cast(from_values({1, -1.5, 0.75}, {3}), dtype);
    for (bool create : {false, true}) {
      const std::vector<Tensor> g = gradients(t.op, in, c.attrs.get(), {seed}, create);
      for (std::size_t i = 0; i < g.size(); ++i) {
        if (!g[i].defined()) continue;
        double at[3] = {}, left, right;
        for (std::size_t o = 0; o < point.size(); ++o) at[o] = values(in[o])[0];
        one_sided(t.op, c.attrs.get(), at, static_cast<int>(i), left, right);
        const bool bends =
            std::fabs(left - right) > 1e-4 * std::fmax(1, std::fmax(std::fabs(left), std::fabs(right)));
        const bool jumps =
            std::fmin(std::fabs(left), std::fabs(right)) > 100;  // a step looks equally steep from both sides
        const double want =
            bends || jumps ? documented(t.op.row->at_kink, left, right) : 0.5 * (left + right);
        const std::vector<double> got = values(g[i]), v = values(seed);
        for (std::size_t k = 0; k < got.size(); ++k)
          if (!(std::fabs(got[k] - v[k] * want) <= 1e-6 * std::fmax(1, std::fabs(want))))
            t.fail(
                fmt::format("{}: the gradient of operand {} at the kink is {:.9g} for an output gradient of "
                            "{}; the row says \"{}\": {:.9g}",
                            name(dtype), i, got[k], v[k], t.op.row->subgradient, v[k] * want));
      }
    }
  }
}

/// A point where formulas divide 0 by 0 or take its logarithm, with the gradient that the reference documents
/// there.
struct Point {
  const char* op;
  double at[2];
  double gradient[2];
};

constexpr Point documented_points[] = {
    {"pow", {0, 0}, {0, 0}},      {"pow", {0, 2}, {0, 0}},
    {"pow", {0, 1}, {1, 0}},      {"pow", {-2, 0}, {0, std::numeric_limits<double>::quiet_NaN()}},
    {"atan2", {0, 0}, {0, 0}},    {"atan2", {0.3, 0.4}, {1.6, -1.2}},
    {"kl_term", {-1, 0}, {0, 0}}, {"kl_term", {-1, 0.25}, {-0.25, 0.6137056388801094}},
};

bool check_points(Trial& t) {
  bool any = false;
  for (const Point& p : documented_points) {
    if (std::string_view(p.op) != t.op.name()) continue;
    any = true;
    const std::vector<Tensor> in{from_values({p.at[0]}, {1}), from_values({p.at[1]}, {1})};
    for (bool create : {false, true}) {
      t.at(t.cases.front(), in);
      const std::vector<Tensor> g =
          gradients(t.op, in, t.cases.front().attrs.get(), {from_values({1}, {1})}, create);
      for (int i = 0; i < 2; ++i) {
        const double got = values(g[static_cast<std::size_t>(i)])[0], want = p.gradient[i];
        if (!(ulp_error(got, want, 1, DType::f64) <= 8))
          t.fail(fmt::format("the gradient of operand {} is {:.17g}, documented is {:.17g}", i, got, want));
      }
    }
  }
  return any;
}

}  // namespace

void try_kinks(Trial& t) {
  if (!t.op.def->differentiable) t.not_applicable("no gradient");
  const Row& row = *t.op.row;
  if (!t.op.pointwise()) {
    for (const Case& c : t.cases) {
      if (c.at_kink.empty()) continue;
      t.at(c);
      const std::vector<Tensor> x = leaves(t.op, c.in);
      const std::vector<Tensor> y = forward(t.op, x, c.attrs.get());
      std::vector<Tensor> ones;
      for (const Tensor& o : y) ones.push_back(o.requires_grad() ? ones_like(o) : Tensor());
      const std::vector<Tensor> g = pull_back(y, x, ones);
      for (std::size_t i = 0; i < c.at_kink.size(); ++i)
        if (c.at_kink[i].defined() && !(relative_error(g[i], cast(c.at_kink[i], DType::f64), 1) <= 1e-12))
          t.fail(fmt::format("the gradient of input {} is {}, documented is {}", i, to_code(g[i]),
                             to_code(c.at_kink[i])));
    }
    if (t.samples == 0 && *row.subgradient == '\0') t.not_applicable("no kinks");
    return;
  }
  const bool points = check_points(t);
  if (row.kinks.count == 0 && !row.kink_at_equal) {
    if (!points) t.not_applicable("no kinks");
    return;
  }
  if (row.at_kink == AtKink::unstated)
    t.fail("the row names kinks, but not the subgradient there (.at_kink)");
  for (const Case* c : variants(t.cases)) {
    if (row.kink_at_equal) {
      for (double x : {-1.25, 0.0, 0.75}) check_kink(t, *c, {x, x});
    } else {
      for (double k : row.kinks) {
        std::vector<double> point{k};
        for (int i = 1; i < t.op.def->n_in; ++i) point.push_back(0.5 * (row.domain[i].lo + row.domain[i].hi));
        check_kink(t, *c, point);
      }
    }
  }
}

}  // namespace thalweg::check
