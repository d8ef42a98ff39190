// Compiles gemm_pack_kernels.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/gemm_pack_kernels.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/gemm_pack_kernels.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

template <>
const GemmPackKernels<float>& gemm_pack_kernels<float>() noexcept {
  static constexpr const GemmPackKernels<float>* all[] = {&N_SCALAR::gemm_pack_f32, &N_SSE4::gemm_pack_f32,
                                                          &N_AVX2::gemm_pack_f32, &N_AVX3::gemm_pack_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const GemmPackKernels<double>& gemm_pack_kernels<double>() noexcept {
  static constexpr const GemmPackKernels<double>* all[] = {&N_SCALAR::gemm_pack_f64, &N_SSE4::gemm_pack_f64,
                                                           &N_AVX2::gemm_pack_f64, &N_AVX3::gemm_pack_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
