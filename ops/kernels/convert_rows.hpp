// Rows converted from any dtype to any other, over any strides; one table per instruction set. Depends on
// base dtypes and simd/targets only. Invariant: conversions never trap: floats go to integers cut to the
// range, NaN as 0; integers wrap; anything but 0 is true, whatever byte a bool is made of.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/dtype.hpp>

namespace thalweg::kernels {

/// dst[i * dst_step] = src[i * src_step] for i in [0, n). Steps in elements; the rows must not overlap.
using ConvertRow = void (*)(void* dst, std::int64_t dst_step, const void* src, std::int64_t src_step,
                            std::int64_t n) noexcept;

struct ConvertRows {
  ConvertRow row[dtype_count][dtype_count];  ///< [to][from]
};

namespace detail {
/// The table of the instruction set in use.
const ConvertRows& convert_rows() noexcept;
}  // namespace detail

inline ConvertRow convert_row(DType to, DType from) noexcept {
  return detail::convert_rows().row[static_cast<int>(to)][static_cast<int>(from)];
}

}  // namespace thalweg::kernels
