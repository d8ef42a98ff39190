// Settles which Highway targets are compiled, before Highway is seen: exactly scalar, SSE4, AVX2 and AVX-512.
// Every multi-target file includes this first, then <hwy/foreach_target.h>; nothing public may include it.
// Invariant: the four targets exist whatever -march says, because tests run each of them.
#pragma once

#ifdef HIGHWAY_HWY_DETECT_TARGETS_H_
#error "thalweg: include simd/highway.hpp before any Highway header"
#endif

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#define HWY_BROKEN_TARGETS 0
#define HWY_BROKEN_EMU128 1         // the fallback is HWY_SCALAR under both compilers
#define HWY_COMPILE_ALL_ATTAINABLE  // keep the weaker targets even under -march=native
#define HWY_DISABLE_PCLMUL_AES      // neither is used, so the SSE4 target need not ask for them

#include <hwy/detect_targets.h>

#if HWY_TARGETS != (HWY_SCALAR | HWY_SSE4 | HWY_AVX2 | HWY_AVX3)
#error "thalweg: the kernels expect exactly the targets scalar, SSE4, AVX2 and AVX-512"
#endif
