// Axes 1 forward, 16 special values: values against naive f64 references. Depends on axes.hpp, fmt.
// Invariant: references see exactly the rounded inputs the op saw, so that only the op's own error is
// measured.
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>

namespace thalweg::check {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

/// The operands of element k of the (equal-shaped) inputs.
std::vector<std::vector<double>> all_values(const std::vector<Tensor>& in) {
  std::vector<std::vector<double>> v;
  for (const Tensor& t : in) v.push_back(values(t));
  return v;
}

double reference_at(const OpInfo& op, const Case& c, const std::vector<std::vector<double>>& x,
                    std::size_t k) {
  double at[3] = {};
  for (std::size_t i = 0; i < x.size(); ++i) at[i] = x[i][k];
  return op.scalar_reference(at, c.attrs.get());
}

/// The one-element call at place k, for messages.
std::vector<Tensor> element(const std::vector<Tensor>& in, std::size_t k) {
  std::vector<Tensor> one;
  for (const Tensor& t : in)
    one.push_back(cast(alias(cast(t, t.dtype()), static_cast<std::int64_t>(k), {1}, {1}), t.dtype()));
  return one;
}

void check_pointwise_floating(Trial& t, const Case& c, const std::vector<Tensor>& in, DType dtype) {
  t.at(c, in);
  poison(in[0].numel() * 8);
  const Tensor y = evaluate(t.op, in, c.attrs.get())[0];
  const DType wanted = t.op.def->predicate ? DType::boolean : dtype;
  if (y.dtype() != wanted) t.fail(fmt::format("gives {} where {} is due", name(y.dtype()), name(wanted)));
  const Row& row = *t.op.row;
  // The f64 reference is itself rounded, so the f64 bound gets one unit more.
  const double bound = t.op.def->predicate ? 0 : dtype == DType::f32 ? row.ulp_f32 + 0.01 : row.ulp_f64 + 1;
  const auto x = all_values(in);
  const std::vector<double> got = values(y);
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t k = 0; k < got.size(); ++k) {
    const double error = ulp_error(got[k], reference_at(t.op, c, x, k), row.error_floor, dtype);
    if (!(error <= worst)) worst = error, where = k;
  }
  if (!(worst <= bound)) {
    t.at(c, element(in, where));
    t.fail(fmt::format("{} value {:.17g}, reference {:.17g}: {:.3g} ulp, the row allows {:.3g}", name(dtype),
                       got[where], reference_at(t.op, c, x, where), worst, bound));
  }
}

std::vector<Tensor> small_integers(const Trial& t, DType dtype) {
  const std::int64_t lowest = dtype == DType::u8 || dtype == DType::boolean ? 0 : -3,
                     count = dtype == DType::boolean ? 2 : 7;
  std::vector<Tensor> in;
  for (int i = 0; i < t.op.def->n_in; ++i) {
    std::vector<double> v;
    for (std::int64_t k = 0; k < 343; ++k) {
      const std::int64_t place = i == 0 ? k % 7 : i == 1 ? k / 7 % 7 : k / 49;
      v.push_back(static_cast<double>(lowest + place % count));
    }
    in.push_back(cast(from_values(v, {343}), dtype));
  }
  return in;
}

void check_integers(Trial& t, const Case& c, DType dtype) {
  const std::vector<Tensor> in = small_integers(t, dtype);
  if (!t.op.row->integers) return check_pointwise_floating(t, c, in, DType::f32);
  t.at(c, in);
  const Tensor y = evaluate(t.op, in, c.attrs.get())[0];
  const DType wanted = t.op.def->predicate ? DType::boolean : dtype;
  if (y.dtype() != wanted)
    t.fail(fmt::format("gives {} for {} inputs, wanted {}", name(y.dtype()), name(dtype), name(wanted)));
  const auto x = all_values(in);
  std::vector<double> want;
  for (std::size_t k = 0; k < x[0].size(); ++k) want.push_back(std::trunc(reference_at(t.op, c, x, k)));
  const std::vector<double> expected = values(cast(cast(from_values(want, {343}), DType::i64), wanted)),
                            got = values(y);
  for (std::size_t k = 0; k < got.size(); ++k)
    if (got[k] != expected[k]) {
      t.at(c, element(in, k));
      t.fail(fmt::format("{} value {}, reference {}", name(dtype), got[k], expected[k]));
    }
}

void forward_pointwise(Trial& t) {
  const std::int64_t n = t.by_tier(1500, 20000, 200000);
  for (const Case* c : variants(t.cases)) {
    const std::vector<Tensor> in = pointwise_operands(t.op, Dims{n}, t.numbers);
    for (DType dtype : {DType::f64, DType::f32})
      check_pointwise_floating(t, *c, cast_floating(in, dtype), dtype);
    if (t.op.def->n_in > 1) {
      std::vector<Tensor> mixed = cast_floating(in, DType::f32);
      mixed.back() = cast(mixed.back(), DType::f64);  // promoted to f64, from f32 values
      check_pointwise_floating(t, *c, mixed, DType::f64);
    }
    // Attributes are made for floating inputs (clamp's bounds need not be whole), so integers get the
    // defaults.
    if (c == &t.cases.front())
      for (DType dtype : {DType::i64, DType::i32, DType::u8, DType::boolean}) check_integers(t, *c, dtype);
  }
}

// ---- structured ops ----

std::vector<Tensor> reference_inputs(const std::vector<Tensor>& in, bool magnitudes) {
  std::vector<Tensor> r;
  for (const Tensor& t : in) {
    Tensor x = !t.defined() ? t : cast(t, is_floating(t.dtype()) ? DType::f64 : DType::i64);
    if (magnitudes && x.defined() && x.dtype() == DType::f64)
      for (double *p = x.mutable_data<double>(), *end = p + x.numel(); p != end; ++p) *p = std::fabs(*p);
    r.push_back(x);
  }
  return r;
}

double largest(const std::vector<Tensor>& in) {
  double m = 0;
  for (const Tensor& t : in)
    if (t.defined() && is_floating(t.dtype()))
      for (double v : values(t))
        if (std::isfinite(v)) m = std::fmax(m, std::fabs(v));
  return m;
}

/// Of the forced path, where it states one for this dtype; else 0.
double path_bound(const Trial& t, DType dtype) { return t.path && dtype == DType::f32 ? t.path->bound : 0; }

/// Compares one output. `magnitude` holds the sum of the terms' absolute values where the op is linear or its
/// path's bound is in terms of them, else is undefined.
void compare_output(Trial& t, const Tensor& y, const Tensor& want, const Tensor& magnitude, double scale,
                    std::int64_t terms) {
  if (!(y.shape() == want.shape()))
    t.fail(fmt::format("shape {}, the reference gives {}", to_string(y.shape()), to_string(want.shape())));
  const std::vector<double> got = values(y), exact = values(want);
  const std::vector<double> terms_size = magnitude.defined() ? values(magnitude) : std::vector<double>();
  const bool floating = is_floating(y.dtype());
  double top = scale;
  for (double v : exact)
    if (std::isfinite(v)) top = std::fmax(top, std::fabs(v));
  const double bound = path_bound(t, y.dtype());
  double largest_sum = 0;
  for (double v : terms_size) largest_sum = std::fmax(largest_sum, std::fabs(v));
  for (std::size_t k = 0; k < got.size(); ++k) {
    if (got[k] == exact[k] || (std::isnan(got[k]) && std::isnan(exact[k]))) continue;
    const double size = bound > 0 ? largest_sum : terms_size.empty() ? top : std::fabs(terms_size[k]);
    const double eps_allowed = bound > 0 ? bound : 8 + 2 * std::sqrt(static_cast<double>(terms));
    // Below the normal numbers a rounding is a fixed step.
    const double step = y.dtype() == DType::f32 ? std::numeric_limits<float>::denorm_min() : 0;
    const double allowed = floating ? eps_allowed * epsilon(y.dtype()) * size + step : 0;
    if (!(std::fabs(got[k] - exact[k]) <= allowed))
      t.fail(fmt::format("{} value {:.17g} at {}, reference {:.17g}, allowed difference {:.3g}",
                         name(y.dtype()), got[k], index_of(static_cast<std::int64_t>(k), y.shape()), exact[k],
                         allowed));
  }
}

void check_structured(Trial& t, const Case& c, const std::vector<Tensor>& in, bool special = false) {
  const std::vector<Tensor> want = t.op.reference(reference_inputs(in, false), c.attrs.get());
  std::vector<Tensor> magnitude(want.size());
  if ((t.op.linear || t.op.multilinear || path_bound(t, DType::f32) > 0) && !special)
    magnitude = t.op.reference(reference_inputs(in, true), c.attrs.get());
  std::int64_t terms = 1;
  for (const Tensor& x : in) terms = std::max(terms, x.defined() ? x.numel() : 0);
  for (const Tensor& w : want) poison(w.defined() ? w.numel() * 8 : 0);
  const std::vector<Tensor> y = evaluate(t.op, in, c.attrs.get());
  for (std::size_t j = 0; j < want.size() && j < y.size(); ++j)
    if (want[j].defined()) compare_output(t, y[j], want[j], magnitude[j], largest(in), terms);
}

void forward_structured(Trial& t) {
  if (!t.op.reference) t.not_applicable("no reference was given");
  for (const Case& c : t.cases) {
    bool plain = true;
    for (const Tensor& x : c.in) plain &= x.defined() && x.dtype() == DType::f64;
    for (DType dtype : {DType::f64, DType::f32}) {
      t.at(c, cast_floating(c.in, dtype));
      check_structured(t, c, t.current().in);
    }
    if (!plain || t.op.random) continue;
    t.at(c, cast_floating(c.in,
                          DType::i64));  // sums, shapes and choices take integers too; others say DTypeError
    try {
      check_structured(t, c, t.current().in);
    } catch (const DTypeError&) {
    } catch (const ValueError&) {
    }
  }
}

// ---- special values ----

std::vector<double> special_numbers(DType d) {
  using F = std::numeric_limits<float>;
  using D = std::numeric_limits<double>;
  const bool single = d == DType::f32;
  const double tiny = single ? F::denorm_min() : D::denorm_min(), least = single ? F::min() : D::min();
  const double most = single ? F::max() : D::max();
  return {std::nan(""), inf, -inf, 0.0, -0.0, tiny, -tiny, least, -least, most, -most, 1, -1, 0.5, 2, -3};
}

std::vector<Tensor> special_operands(int n, DType dtype) {
  const std::vector<double> s = special_numbers(dtype);
  const std::size_t count = s.size();
  std::size_t total = 1;
  for (int i = 0; i < n; ++i) total *= count;
  std::vector<Tensor> in;
  std::size_t step = 1;
  for (int i = 0; i < n; ++i, step *= count) {
    std::vector<double> v(total);
    for (std::size_t k = 0; k < total; ++k) v[k] = s[k / step % count];
    in.push_back(cast(from_values(v, {static_cast<std::int64_t>(total)}), dtype));
  }
  return in;
}

/// A NaN must come out unless the op's row speaks of NaN, or the op chooses or asks.
bool nan_may_vanish(const OpInfo& op) {
  return op.def->predicate || op.row->conditions != 0 ||
         std::string_view(op.row->note).find("NaN") != std::string_view::npos;
}

void special_forward(Trial& t, const Case& c, DType dtype) {
  const std::vector<Tensor> in = special_operands(t.op.def->n_in, dtype);
  t.at(c, in);
  const std::vector<double> got = values(evaluate(t.op, in, c.attrs.get())[0]);
  const auto x = all_values(in);
  const double bound = (dtype == DType::f32 ? t.op.row->ulp_f32 : t.op.row->ulp_f64) + 1;
  for (std::size_t k = 0; k < got.size(); ++k) {
    double want = reference_at(t.op, c, x, k);
    if (dtype == DType::f32) want = static_cast<double>(static_cast<float>(want));
    const bool sign_differs = got[k] == 0 && want == 0 && std::signbit(got[k]) != std::signbit(want);
    bool nan_in = false;
    for (const auto& v : x) nan_in |= std::isnan(v[k]);
    if (!(ulp_error(got[k], want, t.op.row->error_floor, dtype) <= bound) || sign_differs) {
      t.at(c, element(in, k));
      t.fail(fmt::format("{} value {:.17g}, reference {:.17g}", name(dtype), got[k], want));
    }
    if (nan_in && !std::isnan(got[k]) && !nan_may_vanish(t.op)) {
      t.at(c, element(in, k));
      t.fail(fmt::format("{}: NaN goes in, {} comes out, and the row's note does not say so", name(dtype),
                         got[k]));
    }
  }
}

/// Where an operand is not chosen, its gradient is an exact zero, whatever stands in it.
void masked_gradients(Trial& t, const Case& c, DType dtype) {
  const std::vector<Tensor> in = special_operands(t.op.def->n_in, dtype);
  t.at(c, in);
  const Tensor seed = cast(t.numbers.signed_units(in[0].shape()), dtype);
  for (bool create : {false, true}) {
    const std::vector<Tensor> g = gradients(t.op, in, c.attrs.get(), {seed}, create);
    const auto x = all_values(in);
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!g[i].defined()) continue;
      const std::vector<double> v = values(g[i]);
      for (std::size_t k = 0; k < v.size(); ++k) {
        double with[3], at[3] = {};
        for (std::size_t o = 0; o < x.size(); ++o) at[o] = x[o][k];
        for (int n = 0; n < 3; ++n)
          at[i] = n * 17.25 - 11, with[n] = t.op.scalar_reference(at, c.attrs.get());
        const bool chosen =
            !(ulp_error(with[0], with[1], 0, dtype) == 0 && ulp_error(with[1], with[2], 0, dtype) == 0);
        if (!chosen && v[k] != 0) {
          t.at(c, element(in, k));
          t.fail(fmt::format("{}: operand {} is not chosen, yet its gradient is {}", name(dtype), i, v[k]));
        }
      }
    }
  }
}

/// Whether the op took the call; that it refuses a value properly is the axis of errors.
bool try_special(Trial& t, const Case& c, const std::vector<Tensor>& in) {
  try {
    t.at(c, in);
    check_structured(t, c, in, true);
    return true;
  } catch (const Error&) {
    --t.samples;
    return false;
  }
}

void special_structured(Trial& t) {
  if (!t.op.reference) t.not_applicable("no reference was given");
  const double specials[] = {std::nan(""), inf, -inf, -0.0, std::numeric_limits<float>::denorm_min()};
  int tried = 0;
  for (const Case& c : t.cases) {
    std::int64_t elements = 0;
    for (std::size_t i = 0; i < c.in.size(); ++i) {
      if (!c.in[i].defined() || c.in[i].dtype() != DType::f64 || c.in[i].numel() == 0) continue;
      elements += c.in[i].numel();
      if (elements > t.by_tier(64, 400, 4000)) continue;
      for (double special : specials) {
        const std::int64_t place = t.numbers.below(c.in[i].numel());
        for (DType dtype : {DType::f64, DType::f32}) {
          std::vector<Tensor> in = c.in;
          in[i] = cast(in[i], DType::f64);
          in[i].mutable_data<double>()[place] = special;
          tried += try_special(t, c, cast_floating(in, dtype));
        }
      }
    }
  }
  if (tried == 0) t.not_applicable("takes no floating input");
}

}  // namespace

void try_forward(Trial& t) {
  if (t.op.pointwise())
    forward_pointwise(t);
  else
    forward_structured(t);
}

void try_special_values(Trial& t) {
  if (!t.op.pointwise()) return special_structured(t);
  for (const Case* c : variants(t.cases))
    for (DType dtype : {DType::f64, DType::f32}) {
      special_forward(t, *c, dtype);
      if (t.op.row->conditions != 0 && t.op.def->differentiable) masked_gradients(t, *c, dtype);
    }
}

}  // namespace thalweg::check
