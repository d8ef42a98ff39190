// Whether indices are in range. Depends on the standard library only; internal to the index kernels.
// Invariant: no early way out, so that the loops run in lanes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace thalweg::kernels {

/// Whether all of n indices are in [0, size).
template <class I>
bool in_range(const I* x, std::int64_t step, std::int64_t n, std::int64_t size) noexcept {
  using U = std::make_unsigned_t<I>;
  const auto last = static_cast<U>(std::min<std::int64_t>(size, std::numeric_limits<I>::max()) - 1);
  U bad = 0;  // its top bit: an index below 0, or last - index
  std::int64_t i = 0;
  constexpr std::int64_t block = 32;
  for (; step == 1 && i + block <= n; i += block)
    for (std::int64_t j = 0; j < block; ++j) bad |= static_cast<U>(x[i + j]) | (last - static_cast<U>(x[i + j]));
  for (; i < n; ++i) bad |= static_cast<U>(x[i * step]) | (last - static_cast<U>(x[i * step]));
  return static_cast<I>(bad) >= 0;
}

/// The same for the indices of `width` lines side by side; looked at just before they are used, they are read from memory
/// once.
template <class I>
bool lines_in_range(const I* x, std::int64_t length, std::int64_t step, std::int64_t width, std::int64_t beside,
                    std::int64_t size) noexcept {
  if (width == 1) return in_range(x, step, length, size);
  bool good = true;
  for (std::int64_t j = 0; j < length; ++j) good &= in_range(x + j * step, beside, width, size);
  return good;
}

}  // namespace thalweg::kernels
