// See mutants.hpp. Depends on mutants_trial.hpp, par, fmt.
#include <thalweg/check/mutants.hpp>

#include <chrono>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>
#include <thalweg/check/mutants_trial.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::check {
namespace {

constexpr std::uint32_t gradient_axes = bit(Axis::jacobian) | bit(Axis::directions);
/// Steps that only special operands reach are the business of these.
constexpr std::uint32_t point_axes = bit(Axis::special_values) | bit(Axis::kinks);

bool same_value(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

/// The constant c with mutated = c sound, if there is one among those that mutants multiply by.
std::optional<double> constant_factor(const std::vector<double>& sound, const std::vector<double>& mutated) {
  for (double c : {1.0, -1.0, 1.0625, 0.0}) {
    bool fits = true;
    for (std::size_t i = 0; fits && i < sound.size(); ++i) {
      const double want = c * sound[i];
      fits =
          same_value(mutated[i], want) || (c != 1 && std::fabs(mutated[i] - want) <= 1e-14 * std::fabs(want));
    }
    if (fits) return c;
  }
  return std::nullopt;
}

/// Mutation plans belong to a thread, so kernels must stay on this one.
class OneThread {
 public:
  OneThread() : threads_(par::num_threads()) { par::set_num_threads(1); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread() { par::set_num_threads(threads_); }

 private:
  int threads_;
};

}  // namespace

Effect effect_of(const GradientRows& sound, const GradientRows& mutated) {
  if (sound.size() != mutated.size()) return Effect::inside;
  Effect effect = Effect::none;
  for (std::size_t i = 0; i < sound.size(); ++i) {
    if (sound[i].size() != mutated[i].size()) return Effect::inside;
    const std::optional<double> c = constant_factor(sound[i], mutated[i]);
    if (!c) return Effect::inside;
    if (*c != 1) effect = Effect::result;
  }
  return effect;
}

MutantTrial::MutantTrial(const OpInfo& op_, const Options& options, MutantReport& report)
    : op(op_), cases(cases_of(op_, options)), options_(options), report_(report) {}

bool MutantTrial::red(Tier tier, std::uint32_t axes) const {
  Options o = options_;
  o.tier = tier;
  o.axes = axes;
  o.stop_at_failure = true;
  const Report r = certify(op, o);
  for (const AxisResult& a : r.axes)
    if (a.outcome == Outcome::failed) return true;
  return false;
}

bool MutantTrial::sound() {
  if (!red(Tier::standard, gradient_axes | point_axes | bit(Axis::forward))) return true;
  report_.survivors.push_back(fmt::format("{}: red without any mutant", op.name()));
  ++report_.made;
  return false;
}

void MutantTrial::judge(const std::string& name, Effect effect) {
  if (effect == Effect::none) return report_.equivalents.push_back(name);
  if (effect == Effect::result) return judge_result(name);
  ++report_.made;
  if (red(Tier::quick, bit(Axis::jacobian)) || red(Tier::standard, gradient_axes | point_axes))
    ++report_.caught;
  else
    report_.survivors.push_back(name);
}

void MutantTrial::judge_result(const std::string& name) {
  ++report_.results_made;
  if (red(Tier::quick, bit(Axis::jacobian)))
    ++report_.results_caught;
  else
    report_.result_survivors.push_back(name);
}

void MutantTrial::judge_fault(const std::string& name, std::uint32_t axes) {
  ++report_.made;
  if (red(Tier::quick, axes) || red(Tier::standard, axes))
    ++report_.caught;
  else
    report_.survivors.push_back(name);
}

GradientRows MutantTrial::gradient_rows() const {
  GradientRows rows;
  for (const Case& c : cases) {
    if (!any_gradient(op, c.in)) continue;
    Numbers numbers(7);
    EnableGrad on;
    const std::vector<Tensor> x = leaves(op, cast_floating(c.in, DType::f64));
    const std::vector<Tensor> y = forward(op, x, c.attrs.get());
    const std::vector<Tensor> g = pull_back(y, x, random_seeds(y, numbers));
    rows.resize(std::max(rows.size(), g.size()));
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!g[i].defined()) continue;
      const std::vector<double> part = values(g[i]);
      rows[i].insert(rows[i].end(), part.begin(), part.end());
    }
  }
  return rows;
}

GradientRows MutantTrial::forward_rows() const {
  GradientRows rows;
  for (const Case& c : cases) {
    const std::vector<Tensor> y = evaluate(op, c.in, c.attrs.get());
    rows.resize(std::max(rows.size(), y.size()));
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::vector<double> part = values(y[i]);
      rows[i].insert(rows[i].end(), part.begin(), part.end());
    }
  }
  return rows;
}

MutantReport mutate(std::span<const OpInfo* const> ops, const Options& options) {
  MutantReport report;
  const auto start = std::chrono::steady_clock::now();
  for (const OpInfo* op : ops) {
    try {
      MutantTrial trial(*op, options, report);
      mutate_kernels(trial);
      const OneThread one;
      if (!trial.sound()) continue;
      mutate_forward(trial);
      if (!op->def->differentiable) continue;
      mutate_pointwise(trial);
      mutate_vjp(trial);
      mutate_composite(trial);
      mutate_result(trial);
    } catch (const std::exception& error) {
      ++report.made;
      report.survivors.push_back(fmt::format("{}: the trial threw \"{}\"", op->name(), error.what()));
    }
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

namespace {

struct Reason {
  const char* op;    // the name starts so
  const char* kind;  // and ends so
  const char* why;
};

constexpr Reason reasons[] = {
    {"sign.dx", "", "the derivative is 0"},
    {"pow.da step", "", "keeps the base from overflowing where b = 0 and the product is 0 anyway"},
    {"atan2.d", "constant",
     "stands for a^2 + b^2 = 0, where any positive number does; shows only where both squares underflow"},
    {"atan2.d", "replaced", "a a or b b: both operands are the same"},
    {"gather.vjp expand", "", "zeros, repeated"},
    {"index_select.vjp expand", "", "zeros, repeated"},
    {"embedding.vjp expand", "", "zeros, repeated"},
    {"max_with_index.vjp expand", "", "zeros, repeated"},
    {"min_with_index.vjp expand", "", "zeros, repeated"},
    {"max_pool2d_backward.vjp given", "size swapped", "the size is that of the gradient it gets"},
    {"avg_pool2d_backward.vjp given", "size swapped", "the size is that of the gradient it gets"},
    {"conv2d_", "given attribute size swapped", "the sizes are those of the operands it reads"},
    {"squeeze.vjp given attribute", "", "it takes the operand's shape as it was recorded"},
    {"unsqueeze.vjp given attribute", "", "it takes the operand's shape as it was recorded"},
    {"embedding run with attribute padding_idx", "", "only the gradient depends on it"},
    {"cross_entropy_soft", "ignore_index",
     "the ignored class is for class indices; targets here are probabilities"},
    {"squared_difference:", "", "where a = b the gradient is 0"},
    {"absolute_difference:", "", "where a = b the contributions are 0"},
    {"huber_term:", "", "where a = b the gradient is 0"},
    {"bce_probability_term.d", "constant", "a limit of p beside 0 and 1, which samples keep away from; the op's test does not"},
    {"bce_probability_term.d", "replaced", "a limit of p beside 0 and 1, which samples keep away from; the op's test does not"},
    {"absolute_difference.d", "factor", "only the sign of a - b counts"},
    {"kl_term.db", "constant", "keeps the logarithm away from a b of 0, for which 0 is selected"},
    {"elu.dx", "constant", "keeps exp() away from operands whose result is not selected"},
    {"selu.dx", "constant", "keeps exp() away from operands whose result is not selected"},
    {"gelu", "constant", "a bound past which the derivative is 0 or 1 already"},
    {"silu.dx", "constant", "a bound past which the derivative is 0 or 1 already"},
    {"", "replaced", "x x or x + x: both operands are the same"},
};

std::string with_reason(const std::string& name) {
  for (const Reason& r : reasons)
    if (name.starts_with(r.op) && name.ends_with(r.kind)) return fmt::format("{} ({})", name, r.why);
  return name + " (not explained)";
}

}  // namespace

std::string mutant_table(const MutantReport& report) {
  std::string s = fmt::format("{} of {} mutants caught ({:.4f}) in {:.1f} s\n", report.caught, report.made,
                              report.score(), report.seconds);
  for (const std::string& name : report.survivors) s += fmt::format("  survived: {}\n", with_reason(name));
  s += fmt::format(
      "Not counted: {} of {} changes of a result as a whole caught; {} mutants that shapes refuse wherever they "
      "do anything; {} mutants change no gradient:\n",
      report.results_caught, report.results_made, report.refused.size(), report.equivalents.size());
  for (const std::string& name : report.result_survivors) s += fmt::format("  survived: {}\n", name);
  for (const std::string& name : report.equivalents)
    s += fmt::format("  equivalent: {}\n", with_reason(name));
  return s;
}

}  // namespace thalweg::check
