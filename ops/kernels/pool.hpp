// Two-dimensional pooling over planes: largest and mean of a window, and what their gradients need.
// Depends on base. Invariant: a plane is the work of one thread and its windows are taken row by row, so bits
// depend on shapes alone.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// Sizes of a pooling; index 0 is vertical, 1 horizontal. Every extent is at least 1 but `planes`.
struct PoolGeometry {
  std::int64_t planes = 0;
  std::int64_t in[2] = {}, out[2] = {};
  std::int64_t kernel[2] = {}, stride[2] = {}, padding[2] = {}, dilation[2] = {1, 1};
};

/// The dtype of window positions: the smallest that counts a window's elements.
DType pool_index_dtype(const PoolGeometry& g) noexcept;

// Views hold planes * in (or out) elements in row-major order; sources of any strides, results contiguous;
// f32 or f64. A position is that of an element in its window, row-major; positions that are none, and those
// outside the image, belong to no element.

/// y = the largest element of each window and where it is: the first NaN, else the first of equals; -inf
/// where a window holds no element.
void max_pool(const ConstView& x, const View& y, const View& index, const PoolGeometry& g);
/// dx = the sum of g over the windows that chose the element.
void max_pool_backward(const ConstView& grad, const ConstView& index, const View& dx, const PoolGeometry& g);
/// y = the element of each window at the position given; 0 where there is none.
void max_pool_gather(const ConstView& x, const ConstView& index, const View& y, const PoolGeometry& g);

/// y = sum of each window over its size: that of the window within the padded image, or the number of
/// elements that are not padding; 0 where it holds none.
void avg_pool(const ConstView& x, const View& y, const PoolGeometry& g, bool count_padding);
/// dx = the sum of g over size of the windows that hold the element.
void avg_pool_backward(const ConstView& grad, const View& dx, const PoolGeometry& g, bool count_padding);

}  // namespace thalweg::kernels
