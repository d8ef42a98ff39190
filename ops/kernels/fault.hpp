// Planted faults for the mutation score: the harness switches one on and some axis must turn red.
// Depends on the standard library only. Invariant: with Fault::none, one relaxed load per kernel call is all
// it costs.
#pragma once

#include <atomic>

namespace thalweg::kernels {

enum class Fault {
  none,
  pointwise_tail,       ///< the last element of a pointwise result is not written
  gemm_k_tail,          ///< the last element of the inner dimension is dropped
  gemm_edge,            ///< the edge tile is not written
  winograd_edge,        ///< the tile row that reaches over the edge of a map is not written
  reduce_block,         ///< the last block of a reduction is dropped
  reduce_thread_order,  ///< partial sums are combined in the order threads finish
  unbroadcast,          ///< a broadcast gradient is not summed
  accumulate,           ///< the second of two contributions to a gradient is lost
};

namespace fault {

inline std::atomic<int> active{static_cast<int>(Fault::none)};

inline bool is(Fault f) noexcept { return active.load(std::memory_order_relaxed) == static_cast<int>(f); }

/// Switches a fault on for the scope.
class Scope {
 public:
  explicit Scope(Fault f) noexcept : saved_(active.exchange(static_cast<int>(f))) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { active.store(saved_); }

 private:
  int saved_;
};

}  // namespace fault
}  // namespace thalweg::kernels
