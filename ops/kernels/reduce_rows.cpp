// Compiles reduce_rows.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/reduce_rows.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/reduce_rows.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

template <>
const ReduceRows<float>& reduce_rows<float>() noexcept {
  static constexpr const ReduceRows<float>* all[] = {&N_SCALAR::rows_f32, &N_SSE4::rows_f32,
                                                     &N_AVX2::rows_f32, &N_AVX3::rows_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const ReduceRows<double>& reduce_rows<double>() noexcept {
  static constexpr const ReduceRows<double>* all[] = {&N_SCALAR::rows_f64, &N_SSE4::rows_f64,
                                                      &N_AVX2::rows_f64, &N_AVX3::rows_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
