// Packing: operand blocks rearranged into panels that the register tile reads straight through.
// Depends on the standard library only; internal to the kernels.
// Invariant: a panel is [k][width], lanes past `count` are zeros.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

/// One operand seen as lanes by k: rows of A, or columns of B. Element (lane, p) is at data[lane * lane_step
/// + p * k_step].
template <class T>
struct GemmOperand {
  const T* data = nullptr;
  std::int64_t lane_step = 0, k_step = 0;
};

/// Writes one panel: out[p * width + l] = element (first + l, k0 + p) for l < count, else 0; p < k.
template <class T>
void gemm_pack_panel(const GemmOperand<T>& from, std::int64_t first, std::int64_t count, std::int64_t k0,
                     std::int64_t k, std::int64_t width, T* out) noexcept;

}  // namespace thalweg::kernels
