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

bool multiplies(const OpInfo& op) { return named(op, {"matmul", "linear", "linear_relu", "linear_sigmoid", "linear_tanh"}); }

struct Planted {
  Fault fault;
  const char* name;
  std::uint32_t axes;
  bool (*concerns)(const OpInfo&);
};

constexpr Planted planted[] = {
    {Fault::pointwise_tail, "pointwise tail dropped", bit(Axis::forward) | bit(Axis::sizes), [](const OpInfo& op) { return op.pointwise(); }},
    {Fault::gemm_k_tail, "tail of the inner dimension dropped", bit(Axis::forward), multiplies},
    {Fault::gemm_edge, "edge tile not written", bit(Axis::forward), multiplies},
    {Fault::reduce_block, "last block of a reduction dropped", bit(Axis::forward) | bit(Axis::sizes),
     [](const OpInfo& op) { return named(op, {"sum", "mean", "prod", "max", "min"}); }},
    {Fault::reduce_thread_order, "partial sums in thread order", bit(Axis::determinism) | bit(Axis::threads),
     [](const OpInfo& op) { return named(op, {"sum", "mean"}); }},
    {Fault::unbroadcast, "broadcast gradient not summed", bit(Axis::broadcasting),
     [](const OpInfo& op) { return op.def->broadcasts && op.def->differentiable && op.def->n_in > 1; }},
    {Fault::accumulate, "second contribution to a gradient lost", bit(Axis::aliasing),
     [](const OpInfo& op) {
       return op.def->kind == OpKind::pointwise && op.def->differentiable && op.def->n_in == 2 && op.row->conditions == 0;
     }},
};

}  // namespace

void mutate_kernels(MutantTrial& trial) {
  for (const Planted& p : planted) {
    if (!p.concerns(trial.op)) continue;
    const kernels::fault::Scope on(p.fault);
    trial.judge_fault(fmt::format("{}: {}", trial.op.name(), p.name), p.axes);
  }
}

}  // namespace thalweg::check
