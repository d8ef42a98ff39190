// Compiles conv_kernels.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/conv_kernels.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/conv_kernels.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

template <>
const ConvKernels<float>& conv_kernels<float>() noexcept {
  static constexpr const ConvKernels<float>* all[] = {&N_SCALAR::conv_f32, &N_SSE4::conv_f32,
                                                      &N_AVX2::conv_f32, &N_AVX3::conv_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const ConvKernels<double>& conv_kernels<double>() noexcept {
  static constexpr const ConvKernels<double>* all[] = {&N_SCALAR::conv_f64, &N_SSE4::conv_f64,
                                                       &N_AVX2::conv_f64, &N_AVX3::conv_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
