// Reductions over any set of dimensions, running sums and products, and the sum of squares of a tensor.
// Depends on base, par, fault and simd. Invariant: what is added to what follows from shape and axes alone
// (fixed blocks, fixed tree), never from the number of threads.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

enum class ReduceKind : std::uint8_t { sum, prod, max, min, argmax, argmin };

/// dst = kind of src over `axes` (each in [0, rank), none twice; an empty list copies). dst has src's shape
/// with the reduced dimensions either removed or of extent 1 (keepdim); any strides on both sides.
///  - sum, prod: f32 and f64 to the same dtype (f32 sums run in fixed blocks, combined in f64, so 10^8 ones
///  give
///    exactly 1e8); i64, i32, u8 and bool to i64 (wrapping). Over nothing: 0 and 1.
///  - max, min: any dtype to the same dtype; NaN propagates. The reduced extent must not be 0.
///  - argmax, argmin: dst is i64; `axes` is one dimension, or all of them (the answer then is the row-major
///    position). First NaN if there is one, else the first of equal extremes. The reduced extent must not be
///    0.
/// Throws MemoryError only, before anything is written.
void reduce(ReduceKind kind, const ConstView& src, const View& dst, const Dims& axes);

enum class ScanKind : std::uint8_t { sum, prod };

/// dst[.., i, ..] = src[.., 0, ..] op ... op src[.., i, ..] along `dim`; from the far end when `reverse`.
/// Shapes equal; dtypes as for sum: f32, f64 to the same, others to i64. f32 runs in an f64 accumulator. dst
/// may be src.
void scan(ScanKind kind, const ConstView& src, const View& dst, int dim, bool reverse = false) noexcept;

/// dst[.., i, ..] = the product of src[.., k, ..] over all k but i along `dim`. f32 or f64 to the same, multiplied in f64
/// without a division, so that zeros are exact. Throws MemoryError only, before anything is written.
void product_of_others(const ConstView& src, const View& dst, int dim);

/// dst (f64) = sum of |x|^p over `axes`, p 1 or 2, of f32 or f64; shapes as for reduce(). Accumulated in f64 in
/// fixed blocks, which no finite f32 can make overflow.
void sum_powers(int p, const ConstView& src, const View& dst, const Dims& axes);

/// Sum of squares of all elements (f32 or f64, any strides), accumulated in f64 in fixed blocks: for gradient
/// clipping.
double sum_squares(const ConstView& src);

}  // namespace thalweg::kernels
