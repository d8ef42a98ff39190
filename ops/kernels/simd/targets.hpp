// The instruction sets the kernels are compiled for, and which of them this process runs.
// Depends on the standard library only. Invariant: current_target() is always one this CPU can run, and only
// force_target() (tests, certification) changes it; bits are promised per target, not across them.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

namespace thalweg::simd {

enum class Target : std::uint8_t { scalar, sse4, avx2, avx512 };

inline constexpr int target_count = 4;

namespace detail {
// Constant-initialised to scalar, raised to the best target before any ordinary static initialiser runs.
extern constinit std::atomic<std::uint8_t> target_in_use;
}  // namespace detail

/// The targets that are compiled in and that this CPU can run, weakest first; scalar is always one of them.
std::span<const Target> supported_targets() noexcept;

/// True when this CPU can run `t`.
bool is_supported(Target t) noexcept;

/// The target every dispatched kernel runs on: the best supported one unless force_target() chose another.
inline Target current_target() noexcept {
  return static_cast<Target>(detail::target_in_use.load(std::memory_order_relaxed));
}

/// Makes every later kernel call run on `t`. Throws ValueError when this CPU lacks it. For tests: not meant
/// to be called while kernels run on other threads.
void force_target(Target t);

/// "scalar", "sse4", "avx2" or "avx512".
const char* target_name(Target t) noexcept;

/// Runs the scope on one target and puts the former one back.
class TargetScope {
 public:
  explicit TargetScope(Target t) : saved_(current_target()) { force_target(t); }
  TargetScope(const TargetScope&) = delete;
  TargetScope& operator=(const TargetScope&) = delete;
  ~TargetScope() {
    detail::target_in_use.store(static_cast<std::uint8_t>(saved_), std::memory_order_relaxed);
  }

 private:
  Target saved_;
};

}  // namespace thalweg::simd
