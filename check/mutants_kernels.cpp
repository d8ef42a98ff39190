// Faults planted in kernels and engine: each is switched on for the ops that run through it. Depends on
// mutants_trial.hpp, kernels/fault.hpp. Invariant: an op is listed only under faults that its code can meet.
#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include <thalweg/check/mutants_trial.hpp>
#include <thalweg/ops/kernels/fault.hpp>

namespace thalweg::check {
namespace {

using kernels::Fault;

bool named(const OpInfo& op, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), op.name()) != names.end();
}

bool multiplies(const OpInfo& op) {
  return named(op, {"matmul", "linear", "linear_relu", "linear_sigmoid", "linear_tanh"});
}

struct Planted {
  Fault fault;
  const char* name;
  std::uint32_t axes;
  bool (*concerns)(const OpInfo&);
};

/// Whether op(a, a) has a gradient that a lost contribution would change: (a - b)^2 has none there.
bool loses_gradient(const OpInfo& op, const Case& c) {
  EnableGrad recording;
  const Tensor a = leaf(c.in[0]);
  const Tensor y = forward(op, {a, a}, c.attrs.get())[0];
  const auto gradient = [&] {
    return values(grad(y, a, {.grad_outputs = {ones_like(y)}, .retain_graph = true}));
  };
  const std::vector<double> sound = gradient();
  const kernels::fault::Scope on(Fault::accumulate);
  return gradient() != sound;
}

constexpr Planted planted[] = {
    {Fault::pointwise_tail, "pointwise tail dropped", bit(Axis::forward) | bit(Axis::sizes),
     [](const OpInfo& op) { return op.pointwise(); }},
    {Fault::gemm_k_tail, "tail of the inner dimension dropped", bit(Axis::forward), multiplies},
    {Fault::gemm_edge, "edge tile not written", bit(Axis::forward), multiplies},
    {Fault::reduce_block, "last block of a reduction dropped", bit(Axis::forward) | bit(Axis::sizes),
     [](const OpInfo& op) {
       return named(op, {"sum", "mean", "prod", "max", "min"});
     }},
    {Fault::reduce_thread_order, "partial sums in thread order", bit(Axis::determinism) | bit(Axis::threads),
     [](const OpInfo& op) {
       return named(op, {"sum", "mean"});
     }},
    {Fault::unbroadcast, "broadcast gradient not summed", bit(Axis::broadcasting),
     [](const OpInfo& op) { return op.def->broadcasts && op.def->differentiable && op.def->n_in > 1; }},
    {Fault::accumulate, "second contribution to a gradient lost", bit(Axis::aliasing),
     [](const OpInfo& op) {
       return op.def->kind == OpKind::pointwise && op.def->differentiable && op.def->n_in == 2 &&
              op.row->conditions == 0;
     }},
};

}  // namespace

void mutate_kernels(MutantTrial& trial) {
  for (const Planted& p : planted) {
    if (!p.concerns(trial.op)) continue;
    const std::string name = fmt::format("{}: {}", trial.op.name(), p.name);
    const bool seen = p.fault != Fault::accumulate || loses_gradient(trial.op, trial.cases.front());
    const kernels::fault::Scope on(p.fault);
    if (seen)
      trial.judge_fault(name, p.axes);
    else
      trial.judge(name, Effect::none);
  }
}

}  // namespace thalweg::check
