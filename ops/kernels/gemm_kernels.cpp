// Compiles gemm_kernels.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway, simd/lane and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/gemm_kernels.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/gemm_kernels.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

template <>
const GemmKernels<float>& gemm_kernels<float>() noexcept {
  static constexpr const GemmKernels<float>* all[] = {&N_SCALAR::gemm_f32, &N_SSE4::gemm_f32,
                                                      &N_AVX2::gemm_f32, &N_AVX3::gemm_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const GemmKernels<double>& gemm_kernels<double>() noexcept {
  static constexpr const GemmKernels<double>* all[] = {&N_SCALAR::gemm_f64, &N_SSE4::gemm_f64,
                                                       &N_AVX2::gemm_f64, &N_AVX3::gemm_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
