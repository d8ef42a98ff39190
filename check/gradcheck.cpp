// See gradcheck.hpp. Depends on stencil.hpp, fmt.
// Invariant: the numeric side never records, so it works on functions whose vjp is missing or throws.
#include <thalweg/check/gradcheck.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/check/stencil.hpp>

namespace thalweg::check {
namespace {

/// Collects comparisons; keeps the worst.
class Judge {
 public:
  explicit Judge(const GradcheckOptions& o) : options_(o) {}

  double step() const { return options_.linear ? 1.0 : options_.step; }
  double allowed(double numeric, double analytic, double magnitude, double size, double h) const {
    if (options_.linear) return 1e-12 * (size + magnitude + std::fabs(analytic)) + 1e-300;
    // The last term is the rounding of the stencil itself.
    return options_.atol +
           options_.rtol * std::fmax(magnitude, std::fmax(std::fabs(numeric), std::fabs(analytic))) +
           2e-15 * size / h;
  }
  /// Whether `analytic` is a slope of a function that bends here: between the one-sided ones, where those
  /// differ.
  static bool at_kink(double analytic, double left, double right) {
    const double jump = std::fabs(left - right), scale = std::fmax(std::fabs(left), std::fabs(right));
    const double slack = 1e-4 * scale;
    return jump > 1e-3 * scale && jump > 1e-9 && analytic >= std::fmin(left, right) - slack &&
           analytic <= std::fmax(left, right) + slack;
  }
  /// True when the pair is a failure and the worst so far.
  bool add(double analytic, double numeric, double allowed) {
    const double ratio = analytic == numeric ? 0 : std::fabs(analytic - numeric) / allowed;
    ++report.checked;
    if (!(ratio <= report.worst)) {
      report.worst = std::isnan(ratio) ? HUGE_VAL : ratio;
      return !(ratio <= 1);
    }
    return false;
  }
  GradReport report;

 private:
  const GradcheckOptions& options_;
};

std::string place(const std::vector<Tensor>& tensors, std::int64_t n, const char* what) {
  for (std::size_t j = 0; j < tensors.size(); ++j) {
    if (!counts(tensors[j])) continue;
    if (n < tensors[j].numel())
      return fmt::format("{} {}, element {}", what, j, index_of(n, tensors[j].shape()));
    n -= tensors[j].numel();
  }
  return what;
}

std::string code_of(const std::vector<Tensor>& in) {
  std::string s;
  for (std::size_t i = 0; i < in.size(); ++i)
    if (!in[i].defined() || in[i].numel() <= 64)
      s += fmt::format("\n  const Tensor x{} = {};", i, to_code(in[i]));
  return s;
}

std::string columns_place(const Columns& c, const std::vector<Tensor>& in, std::int64_t column) {
  const std::size_t k = c.slot(column);
  return fmt::format("input {}, element {}", c.input[k],
                     index_of(column - c.first[k], in[c.input[k]].shape()));
}

/// Both Jacobians, where they are small enough to read.
std::string both(const Jacobian& a, const Jacobian& b) {
  if (a.rows * a.columns > 64) return {};
  std::string s = "\n  Jacobian, one row per output element: analytic | numeric";
  for (std::int64_t r = 0; r < a.rows; ++r) {
    s += "\n   ";
    for (const Jacobian* j : {&a, &b}) {
      for (std::int64_t c = 0; c < a.columns; ++c)
        s += fmt::format(" {:11.5g}", j->at[static_cast<std::size_t>(r * a.columns + c)]);
      if (j == &a) s += "  | ";
    }
  }
  return s;
}

/// Rows one at a time cannot see a vjp that is not linear in the output gradient (g * g is 1 for g = 1): J'v
/// must be the sum of v times rows. Returns what is wrong, or "".
std::string not_linear_in_seed(const Function& fn, const std::vector<Tensor>& in, const Columns& columns,
                               const Jacobian& j, std::uint64_t seed) {
  if (j.rows == 0) return {};
  Tape tape(fn, in, columns);
  Numbers numbers(seed);
  std::vector<double> v(static_cast<std::size_t>(j.rows));
  for (double& x : v) x = numbers.signed_unit();
  const std::vector<double> pulled = tape.pull(v);
  for (std::int64_t c = 0; c < j.columns; ++c) {
    double sum = 0, size = 0;
    for (std::int64_t r = 0; r < j.rows; ++r) {
      const double term = v[static_cast<std::size_t>(r)] * j.at[static_cast<std::size_t>(r * j.columns + c)];
      sum += term, size += std::fabs(term);
    }
    const double got = pulled[static_cast<std::size_t>(c)];
    if (std::fabs(got - sum) > 1e-10 * size + 1e-14)
      return fmt::format(
          "the gradient of {} is not linear in the output gradient: {:.12g} for a random one, {:.12g} summed "
          "from unit ones{}",
          columns_place(columns, in, c), got, sum, code_of(in));
  }
  return {};
}

GradReport check_jacobian(const Function& fn, const std::vector<Tensor>& in, const Columns& columns,
                          const GradcheckOptions& o) {
  Judge judge(o);
  const Jacobian analytic = analytic_jacobian(fn, in, o.fixed);
  Stencil stencil(fn, in, columns);
  Jacobian numeric{analytic.rows, columns.total, std::vector<double>(analytic.at.size())};
  std::int64_t bad_row = -1, bad_column = -1;
  for (std::int64_t c = 0; c < columns.total; ++c) {
    const double unit = o.linear ? 1 : stencil.unit(c);
    Stencil::Slopes s = stencil.along({{c, unit}}, judge.step());
    std::vector<Stencil::Slopes> finer;
    for (std::int64_t r = 0; r < analytic.rows; ++r) {
      const std::size_t j = static_cast<std::size_t>(r), at = static_cast<std::size_t>(r * columns.total + c);
      const double a = analytic.at[at];
      double n = numeric.at[at] = s.middle[j] / unit;
      double allowed = judge.allowed(n, a, 0, s.size, judge.step() * unit);
      for (int level = 0; level < 2 && o.kinks && !o.linear && !(std::fabs(a - n) <= allowed); ++level) {
        const double h = judge.step() / (level == 0 ? 16 : 256);
        if (finer.size() <= static_cast<std::size_t>(level)) finer.push_back(stencil.along({{c, unit}}, h));
        const Stencil::Slopes& f = finer[static_cast<std::size_t>(level)];
        n = f.middle[j] / unit;
        allowed = judge.allowed(n, a, 0, f.size, h * unit);
        if (level == 1 && Judge::at_kink(a, f.left[j] / unit, f.right[j] / unit)) n = a;
        if (std::fabs(a - n) <= allowed) ++judge.report.kinks;
      }
      if (judge.add(a, n, allowed)) bad_row = r, bad_column = c;
    }
  }
  if (bad_row >= 0) {
    judge.report.ok = false;
    const std::size_t at = static_cast<std::size_t>(bad_row * columns.total + bad_column);
    NoGrad off;
    judge.report.message = fmt::format(
        "wrong derivative of {} by {}: analytic {:.12g}, numeric {:.12g} ({:.3g} times what is allowed){}{}",
        place(fn(in), bad_row, "output"), columns_place(columns, in, bad_column), analytic.at[at],
        numeric.at[at], judge.report.worst, both(analytic, numeric), code_of(in));
  } else if (std::string why = not_linear_in_seed(fn, in, columns, analytic, o.seed); !why.empty()) {
    judge.report.ok = false;
    judge.report.message = std::move(why);
  }
  return judge.report;
}

/// One direction: dense signed weights, or a few elements only.
std::vector<std::pair<std::int64_t, double>> direction(const Columns& columns, bool sparse,
                                                       Numbers& numbers) {
  std::vector<std::pair<std::int64_t, double>> u;
  if (sparse) {
    for (int k = 0; k < 3; ++k) {
      const std::int64_t c = numbers.below(columns.total);
      if (std::none_of(u.begin(), u.end(), [&](const auto& e) { return e.first == c; }))
        u.emplace_back(c, numbers.signed_unit());
    }
  } else {
    for (std::int64_t c = 0; c < columns.total; ++c) u.emplace_back(c, numbers.signed_unit());
  }
  return u;
}

GradReport check_directions(const Function& fn, const std::vector<Tensor>& in, const Columns& columns,
                            const GradcheckOptions& o) {
  Judge judge(o);
  Tape tape(fn, in, columns);
  Stencil stencil(fn, in, columns);
  Numbers numbers(o.seed);
  for (int d = 0; d < 2 * o.directions; ++d) {
    const auto u = direction(columns, d % 2 != 0, numbers);
    std::vector<double> v(stencil.outputs());
    for (double& x : v) x = numbers.signed_unit();
    const std::vector<double> g = tape.pull(v);
    double analytic = 0, terms = 0;
    for (const auto& [c, w] : u) {
      analytic += g[static_cast<std::size_t>(c)] * w;
      terms += std::fabs(g[static_cast<std::size_t>(c)] * w);
    }
    double numeric = 0, allowed = 0;
    for (double shrink : {1.0, 1.0 / 16, 1.0 / 256}) {
      const double h = judge.step() * shrink;
      const Stencil::Slopes s = stencil.along(u, h);
      numeric = 0;
      double magnitude = terms, size = 0;
      for (std::size_t j = 0; j < v.size(); ++j) {
        numeric += v[j] * s.middle[j];
        magnitude += std::fabs(v[j] * s.middle[j]);
        size += s.size * std::fabs(v[j]);
      }
      allowed = judge.allowed(numeric, analytic, magnitude, size, h);
      if (std::fabs(analytic - numeric) <= allowed || !o.kinks || o.linear) break;
      if (shrink == 1.0) ++judge.report.kinks;
    }
    if (judge.add(analytic, numeric, allowed) && judge.report.message.empty()) {
      judge.report.ok = false;
      judge.report.message = fmt::format(
          "wrong derivative along {} direction {}: analytic {:.12g}, numeric {:.12g} (allowed difference "
          "{:.3g}){}",
          d % 2 ? "sparse" : "dense", d, analytic, numeric, allowed, code_of(in));
    }
  }
  return judge.report;
}

}  // namespace

Jacobian analytic_jacobian(const Function& fn, const std::vector<Tensor>& inputs, std::uint64_t fixed) {
  const Columns columns(inputs, fixed);
  Tape tape(fn, inputs, columns);
  Jacobian j{tape.rows(), columns.total, {}};
  std::vector<double> v(static_cast<std::size_t>(tape.rows()));
  for (std::int64_t r = 0; r < tape.rows(); ++r) {
    v[static_cast<std::size_t>(r)] = 1;
    const std::vector<double> row = tape.pull(v);
    j.at.insert(j.at.end(), row.begin(), row.end());
    v[static_cast<std::size_t>(r)] = 0;
  }
  return j;
}

Jacobian numeric_jacobian(const Function& fn, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  const Columns columns(inputs, options.fixed);
  Stencil stencil(fn, inputs, columns);
  Jacobian j{static_cast<std::int64_t>(stencil.outputs()), columns.total, {}};
  j.at.resize(static_cast<std::size_t>(j.rows * j.columns));
  for (std::int64_t c = 0; c < j.columns; ++c) {
    const double unit = options.linear ? 1 : stencil.unit(c);
    const Stencil::Slopes s = stencil.along({{c, unit}}, options.linear ? 1.0 : options.step);
    for (std::int64_t r = 0; r < j.rows; ++r)
      j.at[static_cast<std::size_t>(r * j.columns + c)] = s.middle[static_cast<std::size_t>(r)] / unit;
  }
  return j;
}

GradReport gradcheck_function(const Function& fn, const std::vector<Tensor>& inputs,
                              const GradcheckOptions& options) {
  const Columns columns(inputs, options.fixed);
  if (columns.total == 0) {
    // Nothing to differentiate by, but the call and its gradient must still work on nothing.
    Tape tape(fn, inputs, columns);
    tape.pull(std::vector<double>(static_cast<std::size_t>(tape.rows()), 1.0));
    return {};
  }
  if (columns.total <= options.full_limit) return check_jacobian(fn, inputs, columns, options);
  GradReport report = check_directions(fn, inputs, columns, options);
  if (!report.ok && columns.total <= 4096) {
    // The direction says that something is wrong; the Jacobian says where.
    const GradReport full = check_jacobian(fn, inputs, columns, options);
    if (!full.ok || full.kinks > 0) return full;  // a direction across many kinks has no one slope
  }
  return report;
}

GradReport gradgradcheck_function(const Function& fn, const std::vector<Tensor>& inputs,
                                  const GradcheckOptions& options) {
  std::vector<Tensor> xv = inputs;
  Numbers numbers(options.seed + 17);
  {
    NoGrad off;
    for (const Tensor& y : fn(inputs))
      if (counts(y)) xv.push_back(numbers.signed_units(y.shape()));
  }
  GradcheckOptions second = options;
  GradReport report = gradcheck_function(vjp_function(fn, inputs.size(), options.fixed), xv, second);
  if (!report.ok) report.message = "second order (inputs, then output gradients): " + report.message;
  return report;
}

}  // namespace thalweg::check
