// Matrix times vector in lanes, one table per instruction set.
// Depends on the standard library only; internal to the kernels.
// Invariant: a sum over k <= gemm_segment is made of `gemm_partials` interleaved chains of multiply-adds
// joined by halves; both functions give its very bits.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

inline constexpr std::int64_t gemm_segment = 2048;         // most elements of k in one sum
inline constexpr std::int64_t gemm_vector_columns = 1024;  // most columns of one call of `columns`

/// Chains of a sum: the elements of 64 bytes, on every instruction set.
template <class T>
inline constexpr std::int64_t gemm_partials = 64 / static_cast<std::int64_t>(sizeof(T));

template <class T>
struct GemmVectorKernels {
  /// y[i] = sum over p < k of w[i * row_step + p] x[i * x_step + p], for i < rows.
  void (*rows)(const T* w, std::int64_t row_step, std::int64_t rows, const T* x, std::int64_t x_step,
               std::int64_t k, T* y) = nullptr;
  /// y[j] = sum over p < k of w[p * k_step + j] x[p], for j < cols <= gemm_vector_columns.
  void (*columns)(const T* w, std::int64_t k_step, const T* x, std::int64_t k, std::int64_t cols,
                  T* y) = nullptr;
};

/// The table of the instruction set in use.
template <class T>
const GemmVectorKernels<T>& gemm_vector_kernels() noexcept;
template <>
const GemmVectorKernels<float>& gemm_vector_kernels<float>() noexcept;
template <>
const GemmVectorKernels<double>& gemm_vector_kernels<double>() noexcept;

}  // namespace thalweg::kernels
