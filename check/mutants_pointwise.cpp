// Mutants of derivative formulas: the op's f64 backward kernel is replaced by one on the Mutant lane, which
// corrupts one arithmetic step. Depends on mutants_trial.hpp, simd/mutant.hpp. Invariant: the table handed
// out while a mutant is in place differs from the op's own in one entry.
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>
#include <thalweg/check/mutants_trial.hpp>

namespace thalweg::check {
namespace {

using kernels::PointwiseFn;
using kernels::PointwiseKernels;

PointwiseKernels& patched_table() {
  static PointwiseKernels table;
  return table;
}

/// Another backward kernel for one operand, for the scope.
class KernelSwap {
 public:
  KernelSwap(OpDef& def, int operand, PointwiseFn fn) : def_(def), kept_(def.kernels) {
    patched_table() = kept_();
    patched_table().backward[operand][kernel_index(DType::f64)] = fn;
    def_.kernels = []() -> const PointwiseKernels& { return patched_table(); };
  }
  KernelSwap(const KernelSwap&) = delete;
  KernelSwap& operator=(const KernelSwap&) = delete;
  ~KernelSwap() { def_.kernels = kept_; }

 private:
  OpDef& def_;
  const PointwiseKernels& (*kept_)();
};

/// The plan of this thread, put back to "no mutant" at the end.
class PlanScope {
 public:
  PlanScope(int k, int kind) { simd::mutation_plan() = {.k = k, .kind = kind}; }
  PlanScope(const PlanScope&) = delete;
  PlanScope& operator=(const PlanScope&) = delete;
  ~PlanScope() { simd::mutation_plan() = {}; }
};

/// What a backward kernel reads: the output gradient, then what it saved; for one set of attributes.
struct Probe {
  std::vector<std::vector<double>> sources;
  std::shared_ptr<const void> attrs;
};

std::vector<double> special_operands(const OpInfo& op, bool condition, int arity) {
  if (condition) return {0, 1, -1, 0.1, -0.1, 2, std::nan("")};
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<double> v{0,     -0.0, 1,     -1,    0.5,    -0.5, 2,    -2,          3.25,
                        -3.25, 1e-3, -1e-3, 12,    -12,    40,   -40,  710,         -710,
                        2000,  1e20, -1e20, 1e-20, 1e-310, inf,  -inf, std::nan("")};
  for (double k : op.row->kinks) v.push_back(k);
  if (arity == 1)
    for (int i = -400; i <= 400; ++i) v.push_back(0.0517 * i);
  return v;
}

/// All combinations of special operands, after the operands of the samples.
std::vector<std::vector<double>> probe_operands(const MutantTrial& trial, const void* attrs) {
  const OpInfo& op = trial.op;
  const int arity = op.def->n_in;
  std::vector<std::vector<double>> operands(static_cast<std::size_t>(arity));
  for (const Case& c : trial.cases)
    if (c.attrs.get() == attrs)
      for (std::size_t i = 0; i < operands.size(); ++i) {
        const std::vector<double> part = values(c.in[i]);
        operands[i].insert(operands[i].end(), part.begin(), part.end());
      }
  std::vector<std::vector<double>> special;
  std::size_t total = 1;
  for (int i = 0; i < arity; ++i) {
    special.push_back(special_operands(op, ((op.row->conditions >> i) & 1u) != 0, arity));
    total *= special.back().size();
  }
  for (std::size_t n = 0; n < total; ++n) {
    std::size_t rest = n;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      operands[i].push_back(special[i][rest % special[i].size()]);
      rest /= special[i].size();
    }
  }
  return operands;
}

Probe make_probe(const MutantTrial& trial, const Case& variant, int operand) {
  const OpInfo& op = trial.op;
  const std::vector<std::vector<double>> operands = probe_operands(trial, variant.attrs.get());
  const Dims shape{static_cast<std::int64_t>(operands[0].size())};
  std::vector<Tensor> in;
  for (const std::vector<double>& x : operands) in.push_back(from_values(x, shape));
  Probe probe{{}, variant.attrs};
  Numbers numbers(11);
  probe.sources.push_back(values(numbers.signed_units(shape)));
  const NeedMask needs = op.def->needs_of(operand);
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (needs & need_input(static_cast<int>(i))) probe.sources.push_back(operands[i]);
  if (needs & need_output()) probe.sources.push_back(values(evaluate(op, in, variant.attrs.get())[0]));
  return probe;
}

std::vector<double> run(PointwiseFn fn, const std::vector<Probe>& probes) {
  std::vector<double> all;
  for (const Probe& p : probes) {
    const void* src[5] = {};
    for (std::size_t s = 0; s < p.sources.size(); ++s) src[s] = p.sources[s].data();
    std::vector<double> y(p.sources[0].size());
    fn(src, y.data(), static_cast<std::int64_t>(y.size()), p.attrs.get());
    all.insert(all.end(), y.begin(), y.end());
  }
  return all;
}

constexpr const char* kind_names[simd::mutation_count] = {"sign", "factor", "swapped", "replaced",
                                                          "constant"};

void mutate_operand(MutantTrial& trial, int operand, PointwiseFn fn) {
  constexpr const char* operands[3][3] = {{"x"}, {"a", "b"}, {"c", "a", "b"}};
  std::vector<Probe> probes;
  for (const Case* c : variants(trial.cases)) probes.push_back(make_probe(trial, *c, operand));
  const KernelSwap swap(*trial.op.def, operand, fn);
  int steps = 0;
  std::vector<double> sound;
  {
    const PlanScope plan(-1, 0);
    sound = run(fn, probes);
    steps = simd::mutation_plan().seen;
  }
  for (int k = 0; k < steps; ++k)
    for (int kind = 0; kind < simd::mutation_count; ++kind) {
      const PlanScope plan(k, kind);
      const std::vector<double> mutated = run(fn, probes);
      if (!simd::mutation_plan().applied) continue;
      trial.judge(fmt::format("{}.d{} step {} {}", trial.op.name(), operands[trial.op.def->n_in - 1][operand],
                              k, kind_names[kind]),
                  effect_of({sound}, {mutated}));
    }
}

}  // namespace

void mutate_pointwise(MutantTrial& trial) {
  if (!trial.op.pointwise()) return;
  for (int i = 0; i < trial.op.def->n_in && i < 3; ++i)
    if (const PointwiseFn fn = trial.op.mutant_backward[i]; fn && !trial.op.def->identity[i])
      mutate_operand(trial, i, fn);
}

}  // namespace thalweg::check
