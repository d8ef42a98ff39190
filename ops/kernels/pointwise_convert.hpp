// Row conversions for the pointwise driver: any of the six dtypes to a compute dtype and back, over any
// stride. Depends on base dtypes only. Invariant: conversions never trap: floats go to integers cut to the
// range, NaN as 0; integers wrap; anything but 0 is true.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/dtype.hpp>

namespace thalweg::kernels::detail {

/// dst[i] = src[i * stride] for i in [0, n), dst dense, of a compute dtype.
using LoadRow = void (*)(const void* src, std::int64_t stride, void* dst, std::int64_t n) noexcept;
/// dst[i * stride] = src[i] for i in [0, n), src dense, of a compute dtype.
using StoreRow = void (*)(const void* src, void* dst, std::int64_t stride, std::int64_t n) noexcept;

LoadRow load_row(DType from, DType compute) noexcept;
StoreRow store_row(DType compute, DType to) noexcept;

}  // namespace thalweg::kernels::detail
