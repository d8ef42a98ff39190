// How pixels are laid out for the planes path: a stride takes rows and columns apart into phases, so that
// every tap reads neighbours, and zeros stand around. Depends on conv_taps; internal to the convolution.
// Invariant: position (i, j) of a block reads its tap at tap_place() + i pitch + j.
#pragma once

#include <thalweg/ops/kernels/conv_taps.hpp>

namespace thalweg::kernels {

/// Elements of the planes of a block, which are on the stack: 128 KiB.
template <class T>
inline constexpr std::int64_t plane_elements = (128 << 10) / static_cast<std::int64_t>(sizeof(T));
/// Zeros behind them, since whole vectors are read.
inline constexpr std::int64_t plane_slack = 64;

/// One axis: position i of phase r of the destination (index r + i dest_step) reads source index phases (i +
/// q) + rest for taps with low <= q <= high.
struct PlaneAxis {
  TapAxis axis;
  bool backward = false;
  std::int64_t dest_step = 1, phases = 1, low = 0, high = 0, positions = 0, taps = 0;
};
PlaneAxis plane_axis(const TapAxis& axis, bool backward) noexcept;

/// The planes of `rows` positions of the vertical axis by all of the horizontal one.
struct PlaneLayout {
  PlaneAxis y, x;
  std::int64_t rows = 0, pitch = 0, part = 0, plane = 0;
  PlaneLayout() = default;
  PlaneLayout(const PlaneAxis& y_, const PlaneAxis& x_, std::int64_t rows_) noexcept
      : y(y_),
        x(x_),
        rows(rows_),
        pitch(x_.positions + x_.high - x_.low),
        part((rows_ + y_.high - y_.low) * pitch),
        plane(part * y_.phases * x_.phases) {}
};

/// Where a tap's first element lies in a plane, for phases (r, s) of the destination; -1: it meets none.
std::int64_t tap_place(const PlaneLayout& layout, std::int64_t r, std::int64_t s, std::int64_t tap_y,
                       std::int64_t tap_x) noexcept;

/// Lays out one channel for positions first, first + 1, .. of the vertical axis.
template <class T>
void lay_plane(const PlaneLayout& layout, std::int64_t first, const T* from, std::int64_t height,
               std::int64_t width, T* to) noexcept;

}  // namespace thalweg::kernels
