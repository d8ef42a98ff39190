// How windows lie over a plane, and the ways of pooling that run in lanes. Depends on pool.hpp; internal to
// pool.cpp and pool_lanes.cpp. Invariant: what is decided here follows from the geometry alone.
#pragma once

#include <algorithm>

#include <thalweg/ops/kernels/pool.hpp>

namespace thalweg::kernels {

/// Planes to a chunk; small ones by sixteens, so that vectors of several start where alignment is.
inline std::int64_t plane_grain(const PoolGeometry& g) noexcept {
  const std::int64_t n = std::max<std::int64_t>(1, 16384 / (g.in[0] * g.in[1] + g.out[0] * g.out[1]));
  return n < 16 ? n : n / 16 * 16;
}

/// The part of one window along one dimension that lies in the image: taps first to last (exclusive), the
/// first at `at`.
struct Span {
  std::int64_t first, last, at;
};

inline Span span_of(const PoolGeometry& g, int d, std::int64_t out) noexcept {
  const std::int64_t start = out * g.stride[d] - g.padding[d], step = g.dilation[d];
  const std::int64_t first = start < 0 ? (-start + step - 1) / step : 0;
  const std::int64_t room = g.in[d] - start;  // taps below room / step, rounded up
  const std::int64_t last = room <= 0 ? 0 : std::min(g.kernel[d], (room + step - 1) / step);
  return {std::min(first, last), last, start + first * step};
}

/// f(row span, column span, place in the pooled plane) for every window of a plane, row by row.
template <class F>
void each_window(const PoolGeometry& g, F f) {
  std::int64_t o = 0;
  for (std::int64_t i = 0; i < g.out[0]; ++i) {
    const Span rows = span_of(g, 0, i);
    for (std::int64_t j = 0; j < g.out[1]; ++j) f(rows, span_of(g, 1, j), o++);
  }
}

/// The number of elements that count in each window's mean.
template <class T>
void window_sizes(T* sizes, const PoolGeometry& g, bool count_padding) {
  each_window(g, [&](const Span& rows, const Span& columns, std::int64_t o) {
    std::int64_t n[2] = {rows.last - rows.first, columns.last - columns.first};
    const std::int64_t at[2] = {o / g.out[1], o % g.out[1]};
    for (int d = 0; d < 2 && count_padding; ++d)
      n[d] = std::min(g.kernel[d], g.in[d] + 2 * g.padding[d] - at[d] * g.stride[d]);
    sizes[o] = static_cast<T>(n[0] * n[1]);
  });
}

// f32 in lanes, as the functions of pool.hpp; false where the geometry or the instruction set does not fit,
// and then nothing was written.
bool max_pool_in_lanes(const ConstView& x, const View& y, const View& index, const PoolGeometry& g);
bool max_backward_in_lanes(const ConstView& grad, const ConstView& index, const View& dx,
                           const PoolGeometry& g);
bool avg_pool_in_lanes(const ConstView& x, const View& y, const PoolGeometry& g, bool count_padding);
bool avg_backward_in_lanes(const ConstView& grad, const View& dx, const PoolGeometry& g, bool count_padding);

}  // namespace thalweg::kernels
