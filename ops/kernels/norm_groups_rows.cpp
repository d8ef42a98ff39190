// Compiles norm_groups_rows.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway, simd/lane and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/norm_groups_rows.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/norm_groups_rows.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

template <>
const GroupPasses<float>& group_passes<float>() noexcept {
  static constexpr const GroupPasses<float>* all[] = {&N_SCALAR::group_norm_f32, &N_SSE4::group_norm_f32,
                                                     &N_AVX2::group_norm_f32, &N_AVX3::group_norm_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const GroupPasses<double>& group_passes<double>() noexcept {
  static constexpr const GroupPasses<double>* all[] = {&N_SCALAR::group_norm_f64, &N_SSE4::group_norm_f64,
                                                      &N_AVX2::group_norm_f64, &N_AVX3::group_norm_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
