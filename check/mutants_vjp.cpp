// Mutants inside a vjp: the op's vjp runs under a hook that corrupts one of the ops it applies or values it unpacks, or
// that hands it other attributes; the op run with other attributes; and inside composites: the path back through one of
// the ops that they are made of. Depends on mutants_trial.hpp, mutants_hook.hpp. Invariant: the OpDef has its own functions back when a mutant ends.
#include <algorithm>

#include <fmt/format.h>

#include <thalweg/check/mutants_hook.hpp>
#include <thalweg/check/mutants_trial.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::check {
namespace {

/// Runs an op's vjp under a hook, for the scope.
class VjpSwap {
 public:
  VjpSwap(OpDef& def, VjpHook& hook) : def_(def) {
    own = def.vjp;
    active = &hook;
    swapped = &def;
    def_.vjp = [](Vjp& v, const void* attrs) { active->run(*swapped, own, v, attrs); };
  }
  VjpSwap(const VjpSwap&) = delete;
  VjpSwap& operator=(const VjpSwap&) = delete;
  ~VjpSwap() { def_.vjp = own; }

 private:
  OpDef& def_;
  inline static thread_local void (*own)(Vjp&, const void*) = nullptr;
  inline static thread_local VjpHook* active = nullptr;
  inline static thread_local const OpDef* swapped = nullptr;
};

class VjpMutants {
 public:
  explicit VjpMutants(MutantTrial& trial) : trial_(trial) {
    VjpHook watch({});
    const VjpSwap swap(*trial.op.def, watch);
    sound_ = trial.gradient_rows();
    ops_ = watch.most_ops();
    saved_ = watch.saved_count();
  }

  void run() {
    using enum VjpMutation;
    for (const auto& [op, times] : ops_)
      for (int n = 0; n < times; ++n) {
        for (VjpMutation m : {negated, factor, replaced, swapped}) one({m, op, n, 0});
        for (int variant = 0; variant < attribute_variants(*op); ++variant) one({attribute, op, n, variant});
      }
    for (int variant = 0; variant < attribute_variants(*trial_.op.def); ++variant)
      one({given, nullptr, -1, variant});
    for (int n = 0; n < saved_; ++n)
      for (VjpMutation m : {saved_scaled, saved_other}) one({m, nullptr, n, 0});
  }

 private:
  void one(VjpHook::Plan plan) {
    VjpHook hook(plan);
    const VjpSwap swap(*trial_.op.def, hook);
    Effect effect = Effect::inside;
    try {
      effect = effect_of(sound_, trial_.gradient_rows());
    } catch (const Error&) {
      // An op further on refuses the corrupted value: the gradient axis will say so.
    }
    // Harmless here, refused there: nothing is left to catch.
    if (effect == Effect::none && hook.malformed()) return trial_.refused(name_of(plan));
    if (hook.applied()) trial_.judge(name_of(plan), effect);
  }

  std::string name_of(const VjpHook::Plan& p) const {
    const std::string vjp = fmt::format("{}.vjp", trial_.op.name());
    if (p.kind == VjpMutation::given)
      return fmt::format("{} given attribute {}", vjp, attribute_name(*trial_.op.def, p.variant));
    if (!p.op) return fmt::format("{} saved {} {}", vjp, p.n, mutation_name(p.kind));
    return fmt::format("{} {} {} {}{}", vjp, p.op->name, p.n, mutation_name(p.kind),
                       p.kind == VjpMutation::attribute ? " " + attribute_name(*p.op, p.variant) : "");
  }

  MutantTrial& trial_;
  GradientRows sound_;
  std::vector<std::pair<const OpDef*, int>> ops_;
  int saved_ = 0;
};

// ---- attributes of the op itself ----

/// Runs one op with its attributes changed wherever it is applied.
class ForwardHook final : public ApplyHook {
 public:
  ForwardHook(const OpDef& op, int variant) : op_(op), variant_(variant) {}
  void apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) override {
    const HookScope off(nullptr);
    apply_unhooked(op, in, n, attrs, loc, out);
    if (&op == &op_) applied_ |= replace_shifted(op, variant_, in, n, attrs, loc, out, malformed_);
  }
  bool applied() const noexcept { return applied_; }
  bool malformed() const noexcept { return malformed_; }

 private:
  const OpDef& op_;
  int variant_;
  bool applied_ = false, malformed_ = false;
};

// ---- composites ----

/// Corrupts the path back through the k-th op that a composite is made of: its output's gradient is
/// multiplied by `factor`, or the path to input `cut` ends there.
class PathHook final : public ApplyHook {
 public:
  struct Plan {
    int k = -1;
    double factor = 1;
    int cut = -1;
  };
  explicit PathHook(Plan plan) : plan_(plan) {}

  void apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) override {
    const int place = ops_++;
    most_ = std::max(most_, ops_);
    if (place != plan_.k) return apply_unhooked(op, in, n, attrs, loc, out);
    std::vector<Tensor> given(in, in + n);
    if (plan_.cut >= 0 && plan_.cut < n && given[static_cast<std::size_t>(plan_.cut)].requires_grad()) {
      Tensor& t = given[static_cast<std::size_t>(plan_.cut)];
      t = t.detach();
      applied_ = true;
    }
    apply_unhooked(op, given.data(), n, attrs, loc, out);
    if (plan_.cut >= 0 || !out[0].requires_grad()) return;
    out[0].register_hook([c = plan_.factor](const Tensor& g) {
      const HookScope off(nullptr);
      return g * c;
    });
    applied_ = true;
  }
  void begin() { ops_ = 0; }
  bool applied() const noexcept { return applied_; }
  int most() const noexcept { return most_; }

 private:
  Plan plan_;
  int ops_ = 0, most_ = 0;
  bool applied_ = false;
};

class ComposeSwap {
 public:
  ComposeSwap(OpDef& def, PathHook& hook) : def_(def) {
    own = def.compose;
    active = &hook;
    def_.compose = [](const Tensor* in, int n, const void* attrs, Loc loc) {
      const HookScope on(active);
      active->begin();
      return own(in, n, attrs, loc);
    };
  }
  ComposeSwap(const ComposeSwap&) = delete;
  ComposeSwap& operator=(const ComposeSwap&) = delete;
  ~ComposeSwap() { def_.compose = own; }

 private:
  OpDef& def_;
  inline static thread_local Tensor (*own)(const Tensor*, int, const void*, Loc) = nullptr;
  inline static thread_local PathHook* active = nullptr;
};

// ---- the result as a whole ----

/// Multiplies the gradient of every input of one op.
class ResultHook final : public ApplyHook {
 public:
  ResultHook(const OpDef& op, double factor) : op_(op), factor_(factor) {}
  void apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) override {
    for (int i = 0; &op == &op_ && i < n; ++i)
      if (in[i].defined() && in[i].requires_grad())
        Tensor(in[i]).register_hook([c = factor_](const Tensor& g) {
          const HookScope off(nullptr);
          return g * c;
        });
    apply_unhooked(op, in, n, attrs, loc, out);
  }

 private:
  const OpDef& op_;
  double factor_;
};

}  // namespace

void mutate_vjp(MutantTrial& trial) {
  const OpKind kind = trial.op.def->kind;
  if (kind == OpKind::structured || kind == OpKind::view) VjpMutants(trial).run();
}

void mutate_forward(MutantTrial& trial) {
  const OpDef& def = *trial.op.def;
  const GradientRows sound = trial.forward_rows();
  for (int variant = 0; variant < attribute_variants(def); ++variant) {
    ForwardHook hook(def, variant);
    const HookScope on(&hook);
    const std::string name = fmt::format("{} run with attribute {}", def.name, attribute_name(def, variant));
    const bool same = effect_of(sound, trial.forward_rows()) == Effect::none;
    if (same && hook.malformed())
      trial.refused(name);
    else if (same && hook.applied())
      trial.judge(name, Effect::none);
    else if (!same)
      trial.judge_fault(name, bit(Axis::forward));
  }
}

void mutate_composite(MutantTrial& trial) {
  if (trial.op.def->kind != OpKind::composite) return;
  PathHook watch({});
  GradientRows sound;
  {
    const ComposeSwap swap(*trial.op.def, watch);
    sound = trial.gradient_rows();
  }
  const auto one = [&](PathHook::Plan plan, const std::string& what) {
    PathHook hook(plan);
    const ComposeSwap swap(*trial.op.def, hook);
    Effect effect = Effect::inside;
    try {
      effect = effect_of(sound, trial.gradient_rows());
    } catch (const Error&) {
      // No path is left at all: the gradient axis will say so.
    }
    if (hook.applied())
      trial.judge(fmt::format("{}.compose op {} {}", trial.op.name(), plan.k, what), effect);
  };
  for (int k = 0; k < watch.most(); ++k) {
    one({k, -1, -1}, "negated");
    one({k, 1.0625, -1}, "factor");
    for (int i = 0; i < 2; ++i) one({k, 1, i}, fmt::format("input {} cut", i));
  }
}

void mutate_result(MutantTrial& trial) {
  const GradientRows sound = trial.gradient_rows();
  const bool zero = std::all_of(sound.begin(), sound.end(), [](const std::vector<double>& row) {
    return std::all_of(row.begin(), row.end(), [](double v) { return v == 0; });
  });
  if (zero) return;  // a step function: any multiple of its gradient is the same
  for (double c : {0.0, -1.0, 1.001}) {
    ResultHook hook(*trial.op.def, c);
    const HookScope on(&hook);
    trial.judge_result(fmt::format("{} gradient times {}", trial.op.name(), c));
  }
}

}  // namespace thalweg::check
