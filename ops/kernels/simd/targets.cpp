// Asks the CPU what it can run, once, before static initialisers. Depends on base/error only.
#include <thalweg/ops/kernels/simd/targets.hpp>

#include <cpuid.h>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::simd {

namespace detail {
constinit std::atomic<std::uint8_t> target_in_use{static_cast<std::uint8_t>(Target::scalar)};
}

namespace {

// f16c has no name in clang 14's __builtin_cpu_supports; it is bit 29 of ecx of leaf 1.
bool has_f16c() noexcept {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && ((c >> 29) & 1U) != 0;
}

Target best_target() noexcept {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("ssse3") || !__builtin_cpu_supports("sse4.1") ||
      !__builtin_cpu_supports("sse4.2"))
    return Target::scalar;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
      !__builtin_cpu_supports("bmi2") || !has_f16c())
    return Target::sse4;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512bw"))
    return Target::avx2;
  return Target::avx512;
}

// Priority 101 is the first open to programs, so static initialisers that compute tensors see the best
// target.
[[gnu::constructor(101)]] void choose_target() noexcept {
  detail::target_in_use.store(static_cast<std::uint8_t>(best_target()), std::memory_order_relaxed);
}

}  // namespace

std::span<const Target> supported_targets() noexcept {
  static constexpr Target all[target_count] = {Target::scalar, Target::sse4, Target::avx2, Target::avx512};
  static const int count = static_cast<int>(best_target()) + 1;
  return {all, static_cast<std::size_t>(count)};
}

bool is_supported(Target t) noexcept { return static_cast<std::size_t>(t) < supported_targets().size(); }

void force_target(Target t) {
  if (!is_supported(t))
    throw_error<ValueError>(
        {.op = "force_target", .given = target_name(t), .what = "this CPU cannot run it"});
  detail::target_in_use.store(static_cast<std::uint8_t>(t), std::memory_order_relaxed);
}

const char* target_name(Target t) noexcept {
  static constexpr const char* names[target_count] = {"scalar", "sse4", "avx2", "avx512"};
  return names[static_cast<int>(t)];
}

}  // namespace thalweg::simd
