// Compiles pool_rows.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/pool_rows.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/pool_rows.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

const PoolRows& pool_rows() noexcept {
  static constexpr const PoolRows* all[] = {&N_SCALAR::rows, &N_SSE4::rows, &N_AVX2::rows, &N_AVX3::rows};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
