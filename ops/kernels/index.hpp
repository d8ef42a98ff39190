// Gather, scatter, select and one-hot along one dimension, with i64 or i32 indices of any strides.
// Depends on base and par. Invariant: indices were checked by the caller (first_out_of_range), but for the functions that
// answer whether all were in range; sums into one element run in the order of the source positions, on one thread, so their bits are fixed.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// Row-major position of the first index outside [0, size), or -1 when all are inside. Reads i64 or i32.
std::int64_t first_out_of_range(const ConstView& index, std::int64_t size) noexcept;

// The next four answer false, and leave dst in part unwritten, when an index is out of range.

/// dst[i,j,k] = src[i, index[i,j,k], k] (dim = 1 shown). index and dst have one shape, of src's rank, and no
/// extent above src's but along dim. Same dtype on both sides, any.
bool gather(const ConstView& src, int dim, const ConstView& index, const View& dst) noexcept;

/// dst[i, index[i,j,k], k] = src[i,j,k]; of several sources for one place the last in order along dim wins.
/// index and src have one shape. What dst held elsewhere stays.
bool scatter(const View& dst, int dim, const ConstView& index, const ConstView& src) noexcept;

/// dst = base, then dst[i, index[i,j,k], k] += src[i,j,k]. f32, f64 and the integer types. base, of dst's shape, may
/// repeat one number (strides of 0).
bool scatter_add(const ConstView& base, const View& dst, int dim, const ConstView& index,
                 const ConstView& src) noexcept;

/// dst[i,j..,k] = src[i, index[j..], k]: whole slices; the index, of any shape, stands in dst's shape where src has dim.
bool index_select(const ConstView& src, int dim, const ConstView& index, const View& dst) noexcept;

/// dst = base, then dst[i, index[j], k] += src[i,j,k]: whole slices; with zeros the adjoint of index_select. base may
/// repeat one number (strides of 0).
void index_add(const ConstView& base, const View& dst, int dim, const ConstView& index, const ConstView& src);

/// dst[.., c, ..] = (index == c), the class dimension of dst being `dim` (index's shape with `dim` inserted);
/// any dtype.
void one_hot(const ConstView& index, const View& dst, int dim) noexcept;

}  // namespace thalweg::kernels
