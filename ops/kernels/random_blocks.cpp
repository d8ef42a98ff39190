// Compiles random_blocks.inl once for each instruction set and picks the table of the one in use.
// Depends on Highway, simd/lane and simd/targets.
#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/random_blocks.inl>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/random_blocks.inl>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

const RandomBlocks& random_blocks() noexcept {
  static constexpr const RandomBlocks* all[] = {&N_SCALAR::blocks, &N_SSE4::blocks, &N_AVX2::blocks,
                                                &N_AVX3::blocks};
  return *all[static_cast<int>(simd::current_target())];
}

}  // namespace thalweg::kernels
