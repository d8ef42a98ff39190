// ThreadState: what the engine keeps per thread: recording on or off, the Lamport counter that ranks nodes, the call
// site that errors name, and the hook by which the harness watches ops. Depends on base only.
// Invariant: constant-initialised, so that reading it costs no guard.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/loc.hpp>

namespace thalweg {

struct ApplyHook;  // graph/apply.hpp

struct ThreadState {
  bool grad_enabled = true;
  bool reaping = false;             // this thread is inside Node::drop
  std::uint64_t rank = 0;           // Lamport clock of the nodes recorded here
  Loc call_site{};                  // set by modules and by backward: the user's line, not the layer's
  ApplyHook* apply_hook = nullptr;  // asked instead of ops and vjps: Anomaly, the harness
  void* reap_list = nullptr;
};

inline constinit thread_local ThreadState thread_state;

/// Names the user's line for everything called inside the scope, unless an outer scope named one already.
class CallSite {
 public:
  explicit CallSite(Loc loc) noexcept : saved_(thread_state.call_site) {
    if (!saved_) thread_state.call_site = loc;
  }
  CallSite(const CallSite&) = delete;
  CallSite& operator=(const CallSite&) = delete;
  ~CallSite() { thread_state.call_site = saved_; }

 private:
  Loc saved_;
};

/// Switches recording off (or on) for the scope, also when it ends by an exception.
template <bool Enabled>
class GradMode {
 public:
  GradMode() noexcept : saved_(thread_state.grad_enabled) { thread_state.grad_enabled = Enabled; }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;
  ~GradMode() { thread_state.grad_enabled = saved_; }

 private:
  bool saved_;
};

using NoGrad = GradMode<false>;
using EnableGrad = GradMode<true>;

inline bool grad_enabled() noexcept { return thread_state.grad_enabled; }

}  // namespace thalweg
