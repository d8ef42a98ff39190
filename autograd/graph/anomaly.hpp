// Anomaly: finds the op that makes the first NaN or infinity. Depends on apply.
// Invariant: it lives on the stack of the thread that it watches; without one, ops pay nothing for it.
#pragma once

#include <thalweg/autograd/graph/apply.hpp>

namespace thalweg {

struct AnomalyOptions {
  bool infinity = true;  ///< look for infinities too: off where a mask of -inf is meant
};

/// While it lives, every op that this thread calls, and the derivative of each in a backward pass, looks at what it
/// has made:
///
///     thalweg::Anomaly guard;
///     loss(x).backward();  // ValueError: sqrt: the derivative makes a NaN: the gradient of argument 1 at [3] is ..
///
/// A NaN where no operand holds one, or an infinity where all are finite, ends the op by a ValueError that names op,
/// place and the line of the call; in a backward pass the line is the one that recorded the op. An op made of others, or
/// of a function of one's own, is looked at as a whole. Not seen: what comes in from outside, and the sum of gradients
/// that meet. The strong guarantee holds, but for an op in place, whose result stays. Costs a pass over operands and results, for debugging only.
/// Scopes may be nested, last in, first out; the innermost one's options hold.
class Anomaly final : public ApplyHook {
 public:
  explicit Anomaly(AnomalyOptions options = {}) noexcept;
  Anomaly(const Anomaly&) = delete;
  Anomaly& operator=(const Anomaly&) = delete;
  ~Anomaly() override { thread_state.apply_hook = outer_; }

 private:
  void apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) override;
  void in_place(const OpDef& op, Tensor* in, int n, const void* attrs, Loc loc) override;
  void vjp(Vjp& v, void* attrs, void (*run)(Vjp&, void*)) override;

  ApplyHook* outer_;
  ApplyHook* below_;  // the hook that is no Anomaly
  AnomalyOptions options_;
};

}  // namespace thalweg
