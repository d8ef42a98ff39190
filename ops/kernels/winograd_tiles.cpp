// Compiles winograd_tiles.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/winograd_tiles.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/simd/targets.hpp>
#include <thalweg/ops/kernels/winograd_tiles.inl>

namespace thalweg::kernels {

const WinogradTiles& winograd_tiles() noexcept {
  static constexpr const WinogradTiles* all[] = {&N_SCALAR::winograd, &N_SSE4::winograd, &N_AVX2::winograd,
                                                 &N_AVX3::winograd};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
