// Compiles limits_kernels.inl for each instruction set. Depends on Highway and the library's choice of target.
#include "limits_kernels.hpp"

#include <thalweg/ops/kernels/simd/highway.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "limits_kernels.inl"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/simd/targets.hpp>

#include "limits_kernels.inl"

namespace bench {

const LimitKernels& limit_kernels() {
  static constexpr const LimitKernels* all[] = {&N_SCALAR::limit_kernels, &N_SSE4::limit_kernels,
                                                &N_AVX2::limit_kernels, &N_AVX3::limit_kernels};
  return *all[static_cast<int>(thalweg::simd::current_target())];
}

}  // namespace bench
