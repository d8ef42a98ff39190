// The kernels of ops/pointwise/terms.inl on every instruction set. Depends on the lanes only.
// Invariant: the file is compiled once per target; whatever stands outside HWY_ONCE lives in that target's
// namespace.
#include <array>
#include <cmath>
#include <limits>

#include <thalweg/ops/kernels/simd/group_table.hpp>
#include <thalweg/ops/kernels/simd/highway.hpp>
#include <thalweg/ops/pointwise/row.hpp>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <thalweg/ops/kernels/pointwise_terms.cpp>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/simd/lane_kernels.inl>

HWY_BEFORE_NAMESPACE();
namespace thalweg::simd::HWY_NAMESPACE {
#include <thalweg/ops/pointwise/terms.inl>
}  // namespace thalweg::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace thalweg::ops {
#include <thalweg/ops/pointwise/terms.inl>
}  // namespace thalweg::ops

namespace thalweg::simd {

extern constinit const GroupTable<ops::TermOps::size> terms_kernels;
constinit const GroupTable<ops::TermOps::size> terms_kernels =
    group_table(ops::TermOps{}, N_SCALAR::TableOf<N_SCALAR::TermOps>::rows,
                N_SSE4::TableOf<N_SSE4::TermOps>::rows, N_AVX2::TableOf<N_AVX2::TermOps>::rows,
                N_AVX3::TableOf<N_AVX3::TermOps>::rows);

}  // namespace thalweg::simd
#endif
