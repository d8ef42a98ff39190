// GroupTable: one family of ops on the four targets, with the integer kernels added; what each
// pointwise_*.cpp exports. Depends on pointwise.hpp and block_kernels.hpp. Invariant: constant-initialised,
// so it is ready before any code runs.
#pragma once

#include <thalweg/ops/kernels/pointwise.hpp>
#include <thalweg/ops/kernels/simd/block_kernels.hpp>

namespace thalweg::simd {

template <int N>
struct GroupTable {
  kernels::PointwiseKernels rows[target_count][N] = {};
};

template <class... Ops, int N>
constexpr GroupTable<N> group_table(List<Ops...>, const kernels::PointwiseKernels (&scalar)[N],
                                    const kernels::PointwiseKernels (&sse4)[N],
                                    const kernels::PointwiseKernels (&avx2)[N],
                                    const kernels::PointwiseKernels (&avx512)[N]) {
  static_assert(sizeof...(Ops) == N);
  constexpr kernels::PointwiseFn integers[] = {integer_forward<Ops>()...};
  GroupTable<N> table;
  for (int i = 0; i < N; ++i) {
    table.rows[0][i] = scalar[i];
    table.rows[1][i] = sse4[i];
    table.rows[2][i] = avx2[i];
    table.rows[3][i] = avx512[i];
    for (auto& target : table.rows) target[i].forward[2] = integers[i];
  }
  return table;
}

}  // namespace thalweg::simd
