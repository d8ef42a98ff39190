// Compiles gemm_vector_kernels.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/gemm_vector_kernels.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/gemm_vector_kernels.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

template <>
const GemmVectorKernels<float>& gemm_vector_kernels<float>() noexcept {
  static constexpr const GemmVectorKernels<float>* all[] = {
      &N_SCALAR::gemm_vector_f32, &N_SSE4::gemm_vector_f32, &N_AVX2::gemm_vector_f32,
      &N_AVX3::gemm_vector_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const GemmVectorKernels<double>& gemm_vector_kernels<double>() noexcept {
  static constexpr const GemmVectorKernels<double>* all[] = {
      &N_SCALAR::gemm_vector_f64, &N_SSE4::gemm_vector_f64, &N_AVX2::gemm_vector_f64,
      &N_AVX3::gemm_vector_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
