// Compiles affine_rows.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/affine_rows.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/affine_rows.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

const AffineRows& affine_rows() noexcept {
  static constexpr const AffineRows* all[] = {&N_SCALAR::affine_table, &N_SSE4::affine_table,
                                              &N_AVX2::affine_table, &N_AVX3::affine_table};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
