// Compiles softmax_rows.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway, simd/lane and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/softmax_rows.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/simd/targets.hpp>
#include <thalweg/ops/kernels/softmax_rows.inl>

namespace thalweg::kernels {

template <>
const SoftmaxRows<float>& softmax_rows<float>() noexcept {
  static constexpr const SoftmaxRows<float>* all[] = {&N_SCALAR::softmax_f32, &N_SSE4::softmax_f32,
                                                      &N_AVX2::softmax_f32, &N_AVX3::softmax_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const SoftmaxRows<double>& softmax_rows<double>() noexcept {
  static constexpr const SoftmaxRows<double>* all[] = {&N_SCALAR::softmax_f64, &N_SSE4::softmax_f64,
                                                       &N_AVX2::softmax_f64, &N_AVX3::softmax_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
