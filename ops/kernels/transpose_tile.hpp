// A small matrix transposed in registers. Depends on the standard library only; internal to the kernels.
// Invariant: every source line is read once, whole, so strides that map all lines to one cache set do no harm.
#pragma once

#include <emmintrin.h>

#include <cstdint>
#include <cstring>

namespace thalweg::kernels {

/// Rows of a full tile: the elements of one cache line of the source.
template <class T>
inline constexpr std::int64_t tile_rows = 64 / static_cast<std::int64_t>(sizeof(T));

namespace detail {

/// dst[r * ld + c] = src[c * ls + r] for r, c < 16 / sizeof(T): 4 x 4 of four bytes, 2 x 2 of eight.
template <class T>
inline void transpose_square(T* dst, std::int64_t ld, const T* src, std::int64_t ls) noexcept {
  typedef T V __attribute__((vector_size(16)));
  constexpr int n = 16 / sizeof(T);
  V in[n], out[n];
  for (int c = 0; c < n; ++c) std::memcpy(&in[c], src + c * ls, 16);
  if constexpr (n == 4) {
    const V ab_low = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5),
            ab_high = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
    const V cd_low = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5),
            cd_high = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
    out[0] = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    out[1] = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    out[2] = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    out[3] = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
  } else {
    out[0] = __builtin_shufflevector(in[0], in[1], 0, 2);
    out[1] = __builtin_shufflevector(in[0], in[1], 1, 3);
  }
  for (int r = 0; r < n; ++r) std::memcpy(dst + r * ld, &out[r], 16);
}

}  // namespace detail

/// dst[r * ld + c] = src[c * ls + r] for r < rows <= tile_rows<T>, c < cols. `ahead` elements further on lies
/// what will be wanted next. T is an unsigned integer of 1, 4 or 8 bytes.
template <class T>
inline void transpose_tile(T* dst, std::int64_t ld, const T* src, std::int64_t ls, std::int64_t rows,
                           std::int64_t cols, std::int64_t ahead) noexcept {
  std::int64_t c = 0;
  if constexpr (sizeof(T) >= 4) {
    constexpr std::int64_t n = 16 / sizeof(T);
    if (rows == tile_rows<T>) {
      for (; c + n <= cols; c += n) {
        for (std::int64_t k = 0; k < n; ++k)
          _mm_prefetch(reinterpret_cast<const char*>(src + (c + k) * ls + ahead), _MM_HINT_T0);
        for (std::int64_t r = 0; r < tile_rows<T>; r += n)
          detail::transpose_square(dst + r * ld + c, ld, src + c * ls + r, ls);
      }
    }
  }
  for (; c < cols; ++c)
    for (std::int64_t r = 0; r < rows; ++r) dst[r * ld + c] = src[c * ls + r];
}

}  // namespace thalweg::kernels
