// Pointwise kernels: the tables made from the op structs, and the driver that walks any layout with them.
// Depends on base views and simd/targets. Invariant: an element's bits depend on its operands only, not on
// its place, the layout, or the number of threads.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::kernels {

/// A contiguous kernel: `n` elements of each source, all of the compute dtype; `dst` may be one of the
/// sources.
using PointwiseFn = void (*)(const void* const* src, void* dst, std::int64_t n, const void* attrs) noexcept;

/// The dtypes that formulas are computed in; every other dtype is converted on the way in and out.
inline constexpr int compute_dtype_count = 3;

/// Row of the tables for a compute dtype: f32 0, f64 1, i64 2; other dtypes have none.
constexpr int compute_index(DType d) noexcept { return static_cast<int>(d); }
static_assert(compute_index(DType::f32) == 0 && compute_index(DType::f64) == 1 &&
              compute_index(DType::i64) == 2);

/// One op's kernels, by compute dtype; nullptr where the op is not defined.
/// `backward[operand]` takes g, then the saved operands in order, then the saved output, and yields that
/// gradient.
struct PointwiseKernels {
  PointwiseFn forward[compute_dtype_count] = {};
  PointwiseFn backward[3][compute_dtype_count] = {};
  PointwiseFn bytes = nullptr;  ///< of a logical op: bytes to 0 or 1, for DType::boolean as compute dtype
};

/// The families of library ops, each compiled in a file of its own; the lists are in ops/pointwise/*.inl.
enum class Group : std::uint8_t { arithmetic, math, activations, compare, terms };
inline constexpr int group_count = 5;

namespace detail {
extern const PointwiseKernels* const library_tables[group_count][simd::target_count];
}

/// Kernels of the library's op number `index` of a group's list, on the target in use.
inline const PointwiseKernels& library_kernels(Group group, int index) noexcept {
  return detail::library_tables[static_cast<int>(group)][static_cast<int>(simd::current_target())][index];
}

/// dst[i] = fn(src[0][i], ...) over any layout. Every source view has dst's shape (broadcast operands have
/// stride 0); dtypes are converted to `compute` on reading and to dst's on writing. dst may coincide with a
/// source exactly; it must not overlap one otherwise. `n_src` is 1 to 5.
void pointwise(PointwiseFn fn, DType compute, const ConstView* src, int n_src, const View& dst,
               const void* attrs);

}  // namespace thalweg::kernels
