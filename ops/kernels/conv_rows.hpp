// How rows of pixels are laid out for the planes path: a stride takes them apart into phases, so that every
// tap reads neighbours, and zeros stand at their ends. Depends on conv_taps; internal to the convolution.
#pragma once

#include <thalweg/ops/kernels/conv_taps.hpp>

namespace thalweg::kernels {

inline constexpr std::int64_t most_row_taps = 64;
/// Elements of a plane's part on the stack: 128 KiB.
template <class T>
inline constexpr std::int64_t plane_elements = (128 << 10) / static_cast<std::int64_t>(sizeof(T));

/// A row is `phases` stretches of `phase` elements; stretch r holds columns r, r + phases, .. from `left` on.
struct RowLayout {
  std::int64_t phases = 1, left = 0, phase = 0, row = 0, taps = 0;
};
RowLayout row_layout(const TapAxis& axis, bool backward, std::int64_t lanes) noexcept;

/// Tap `tap` of the destination's position j (of its phase) reads element at + j of a row.
struct RowTap {
  std::int64_t tap = 0, at = 0;
};
std::int64_t row_taps(const TapAxis& axis, bool backward, std::int64_t phase, const RowLayout& layout,
                      RowTap* to) noexcept;

template <class T>
void lay_rows(const T* from, std::int64_t rows, std::int64_t width, const RowLayout& layout, T* to) noexcept;

}  // namespace thalweg::kernels
