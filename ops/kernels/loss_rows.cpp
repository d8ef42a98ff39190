// Compiles loss_rows.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/loss_rows.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/simd/targets.hpp>
#include <thalweg/ops/kernels/loss_rows.inl>

namespace thalweg::kernels {

template <>
const LossRows<float>& loss_rows<float>() noexcept {
  static constexpr const LossRows<float>* all[] = {&N_SCALAR::loss_f32, &N_SSE4::loss_f32,
                                                      &N_AVX2::loss_f32, &N_AVX3::loss_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const LossRows<double>& loss_rows<double>() noexcept {
  static constexpr const LossRows<double>* all[] = {&N_SCALAR::loss_f64, &N_SSE4::loss_f64,
                                                       &N_AVX2::loss_f64, &N_AVX3::loss_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
