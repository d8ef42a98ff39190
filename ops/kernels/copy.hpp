// Strided copy, cast and fill: the kernels under contiguous(), to(dtype), clone(), expand and flip.
// Depends on base and par only. Invariant: src and dst must not overlap (unless they are the very same
// elements).
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// dst[i] = cast(src[i]) for every index i. Equal shapes; any strides, a stride of 0 in src repeats
/// (broadcast), negative strides walk back. Casts: floating to integer truncates towards zero, saturates at
/// the ends of the range, and NaN gives 0; integer to narrower integer wraps; to bool is `x != 0` (so NaN
/// gives true). Bytes that differ only in NaN payload are kept when the dtypes are equal. Throws nothing,
/// allocates nothing.
void copy(const ConstView& src, const View& dst) noexcept;

/// dst[i] = value, cast as by copy().
void fill(const View& dst, double value) noexcept;
void fill(const View& dst, std::int64_t value) noexcept;
inline void fill(const View& dst, int value) noexcept { fill(dst, static_cast<std::int64_t>(value)); }

/// Fills what lies outside the box of extents `inner` that begins at index `first`. What the box holds after is not
/// promised: it is for the caller to write.
void fill_around(const View& dst, const Dims& first, const Dims& inner, double value) noexcept;

}  // namespace thalweg::kernels
