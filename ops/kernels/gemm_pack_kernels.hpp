// Packing in lanes, one table per instruction set. Depends on the standard library only; internal to the
// kernels. Invariant: values are moved, never computed with.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

template <class T>
struct GemmPackKernels {
  int lanes = 0;
  /// out[p * width + l] = from[p * k_step + l] for l < count, else 0; p < k; width a multiple of `lanes`.
  void (*rows)(const T* from, std::int64_t k_step, std::int64_t k, std::int64_t count, std::int64_t width,
               T* out) = nullptr;
  /// out[p * width + l] = from[l * lane_step + p] for p < k and l below the number returned, at most count:
  /// what is over is left to others. k a multiple of `turned`.
  std::int64_t (*turn)(const T* from, std::int64_t lane_step, std::int64_t k, std::int64_t count,
                       std::int64_t width, T* out) = nullptr;
  int turned = 0;
};

/// The table of the instruction set in use.
template <class T>
const GemmPackKernels<T>& gemm_pack_kernels() noexcept;
template <>
const GemmPackKernels<float>& gemm_pack_kernels<float>() noexcept;
template <>
const GemmPackKernels<double>& gemm_pack_kernels<double>() noexcept;

}  // namespace thalweg::kernels
