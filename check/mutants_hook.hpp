// VjpHook: watches the ops and saved values inside a vjp and corrupts one of them. Internal to check/.
// Depends on graph/apply.hpp. Invariant: a corruption that would change a shape or throw is left out and the
// plain op runs, so that no mutant is caught for being malformed.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <thalweg/autograd/graph/apply.hpp>

namespace thalweg::check {

enum class VjpMutation : std::uint8_t {
  none,
  negated,       ///< the op's result (a mask: inverted)
  factor,        ///< the op's result times 1.0625
  replaced,      ///< the first input of the result's shape instead of the result
  swapped,       ///< the last two inputs change places (only where order matters)
  attribute,     ///< the op's attributes, see shift_attributes()
  given,         ///< the attributes that the vjp itself is given, in the same ways
  saved_scaled,  ///< a saved value: 1.0625 x + 0.03; indices in reverse order; a mask inverted
  saved_other,   ///< a saved value: the one unpacked before it
};
const char* mutation_name(VjpMutation m) noexcept;

/// Changes a copy of an op's attributes in its variant-th way: the next dimension, the other direction, one
/// element on, another key. False where there is no such way for these inputs (which may be undefined).
bool shift_attributes(const OpDef& op, int variant, void* attrs, const Tensor* in, int n);
/// How many ways there are for an op, and what each changes.
int attribute_variants(const OpDef& op);
std::string attribute_name(const OpDef& op, int variant);
/// A copy of an op's attributes that can be changed; null for an op without.
std::shared_ptr<void> copy_attributes(const OpDef& op, const void* attrs);

/// Puts what the op gives with its attributes changed in one way in the place of `out`, which it gave as it is.
/// False, and `out` is kept, where that makes no sense; also where it throws or has another shape, which
/// `malformed` then says.
bool replace_shifted(const OpDef& op, int variant, const Tensor* in, int n, const void* attrs, Loc loc,
                     Tensor* out, bool& malformed);

class VjpHook final : public ApplyHook {
 public:
  /// The n-th time that `op` is applied, which is the same line of the vjp whatever branches a sample takes;
  /// or the n-th saved value.
  struct Plan {
    VjpMutation kind = VjpMutation::none;
    const OpDef* op = nullptr;
    int n = 0;
    int variant = 0;
  };
  explicit VjpHook(Plan plan) : plan_(plan) {}

  void apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) override;
  Tensor saved(const Tensor& t) override;

  /// Runs the vjp `own` of `op`, under this hook and, if planned, with other attributes than it was given.
  void run(const OpDef& op, void (*own)(Vjp&, const void*), Vjp& v, const void* attrs);

  /// Whether the mutation made sense anywhere.
  bool applied() const noexcept { return applied_; }
  /// Whether it was left out somewhere because it would have changed a shape or thrown: shape checks would
  /// notice it.
  bool malformed() const noexcept { return malformed_; }
  /// Each op seen and how often at most in one vjp, in order of appearance.
  const std::vector<std::pair<const OpDef*, int>>& most_ops() const noexcept { return most_ops_; }
  int saved_count() const noexcept { return most_saved_; }

 private:
  /// Ops and saved values are numbered from 0.
  void begin() {
    ops_.clear();
    saved_ = 0;
    before_ = {};
  }
  bool run_given(const OpDef& op, void (*own)(Vjp&, const void*), Vjp& v, const void* attrs);
  void corrupt(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out);
  bool try_inputs(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out);

  Plan plan_;
  std::vector<std::pair<const OpDef*, int>> ops_, most_ops_;
  int saved_ = 0, most_saved_ = 0;
  bool applied_ = false, malformed_ = false;
  Tensor before_;
};

/// Hangs a hook into this thread (or, with null, takes it out) for the scope.
class HookScope {
 public:
  explicit HookScope(ApplyHook* hook) noexcept : kept_(thread_state.apply_hook) {
    thread_state.apply_hook = hook;
  }
  HookScope(const HookScope&) = delete;
  HookScope& operator=(const HookScope&) = delete;
  ~HookScope() { thread_state.apply_hook = kept_; }

 private:
  ApplyHook* kept_;
};

}  // namespace thalweg::check
