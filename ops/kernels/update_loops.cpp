// Compiles update_loops.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway, simd/lane and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/update_loops.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/simd/targets.hpp>
#include <thalweg/ops/kernels/update_loops.inl>

namespace thalweg::kernels {

template <>
const UpdateLoops<float>& update_loops<float>() noexcept {
  static constexpr const UpdateLoops<float>* all[] = {&N_SCALAR::update_f32, &N_SSE4::update_f32,
                                                      &N_AVX2::update_f32, &N_AVX3::update_f32};
  return *all[static_cast<int>(simd::current_target())];
}

template <>
const UpdateLoops<double>& update_loops<double>() noexcept {
  static constexpr const UpdateLoops<double>* all[] = {&N_SCALAR::update_f64, &N_SSE4::update_f64,
                                                       &N_AVX2::update_f64, &N_AVX3::update_f64};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
