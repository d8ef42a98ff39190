// See pool.hpp: window by window, for any geometry. Depends on dense, par.
#include <thalweg/ops/kernels/pool.hpp>

#include <algorithm>
#include <limits>

#include <thalweg/ops/kernels/dense.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 16384;

std::int64_t plane_grain(const PoolGeometry& g) noexcept {
  return std::max<std::int64_t>(1, grain_elements / (g.in[0] * g.in[1] + g.out[0] * g.out[1]));
}

/// The part of one window along one dimension that lies in the image: taps first to last (exclusive), the
/// first at `at`.
struct Span {
  std::int64_t first, last, at;
};

Span span_of(const PoolGeometry& g, int d, std::int64_t out) noexcept {
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

template <class T, class Index>
void max_plane(const T* x, T* y, Index* index, const PoolGeometry& g) {
  each_window(g, [&](const Span& rows, const Span& columns, std::int64_t o) {
    T best = -std::numeric_limits<T>::infinity();
    std::int64_t at = 0;
    bool none = true;
    for (std::int64_t i = rows.first; i < rows.last; ++i) {
      const T* p = x + (rows.at + (i - rows.first) * g.dilation[0]) * g.in[1] + columns.at;
      for (std::int64_t j = columns.first; j < columns.last; ++j, p += g.dilation[1]) {
        // A NaN that was found stays; one that is met replaces any number.
        if (!none && (best != best || *p <= best)) continue;
        best = *p, at = i * g.kernel[1] + j, none = false;
      }
    }
    y[o] = best;
    index[o] = static_cast<Index>(at);
  });
}

/// Where in a plane the element of a window at `position` is; -1 when that is nowhere.
std::int64_t place_of(const PoolGeometry& g, std::int64_t o, std::int64_t position) noexcept {
  if (position < 0 || position >= g.kernel[0] * g.kernel[1]) return -1;
  const std::int64_t row = o / g.out[1] * g.stride[0] - g.padding[0] + position / g.kernel[1] * g.dilation[0];
  const std::int64_t column =
      o % g.out[1] * g.stride[1] - g.padding[1] + position % g.kernel[1] * g.dilation[1];
  const bool inside = row >= 0 && row < g.in[0] && column >= 0 && column < g.in[1];
  return inside ? row * g.in[1] + column : -1;
}

template <class T>
void avg_plane(const T* x, T* y, const PoolGeometry& g, const T* sizes) {
  each_window(g, [&](const Span& rows, const Span& columns, std::int64_t o) {
    T total = 0;
    for (std::int64_t i = rows.first; i < rows.last; ++i) {
      const T* p = x + (rows.at + i - rows.first) * g.in[1] + columns.at;
      for (std::int64_t j = columns.first; j < columns.last; ++j) total += *p++;
    }
    y[o] = sizes[o] > 0 ? total / sizes[o] : T{0};
  });
}

template <class T>
void avg_plane_backward(const T* grad, T* dx, const PoolGeometry& g, const T* sizes) {
  std::fill_n(dx, g.in[0] * g.in[1], T{0});
  each_window(g, [&](const Span& rows, const Span& columns, std::int64_t o) {
    const T share = grad[o] / sizes[o];
    for (std::int64_t i = rows.first; i < rows.last; ++i) {
      T* p = dx + (rows.at + i - rows.first) * g.in[1] + columns.at;
      for (std::int64_t j = columns.first; j < columns.last; ++j) *p++ += share;
    }
  });
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

/// Calls f(plane) for each plane, in parallel.
template <class F>
void each_plane(const PoolGeometry& g, F f) {
  par::chunks(g.planes, plane_grain(g), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) f(p);
  });
}

template <class T, class Index>
void max_pool_of(const ConstView& x, const View& y, const View& index, const PoolGeometry& g) {
  const DenseSource src(x);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  each_plane(g, [&](std::int64_t p) {
    max_plane(src.as<T>() + p * in, y.as<T>() + p * out, index.as<Index>() + p * out, g);
  });
}

template <class T, class Index>
void max_backward_of(const ConstView& grad, const ConstView& index, const View& dx, const PoolGeometry& g) {
  const DenseSource src(grad), positions(index);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  each_plane(g, [&](std::int64_t p) {
    T* to = dx.as<T>() + p * in;
    std::fill_n(to, in, T{0});
    for (std::int64_t o = 0; o < out; ++o) {
      const std::int64_t at = place_of(g, o, positions.as<Index>()[p * out + o]);
      if (at >= 0) to[at] += src.as<T>()[p * out + o];
    }
  });
}

template <class T, class Index>
void gather_of(const ConstView& x, const ConstView& index, const View& y, const PoolGeometry& g) {
  const DenseSource src(x), positions(index);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  each_plane(g, [&](std::int64_t p) {
    for (std::int64_t o = 0; o < out; ++o) {
      const std::int64_t at = place_of(g, o, positions.as<Index>()[p * out + o]);
      y.as<T>()[p * out + o] = at >= 0 ? src.as<T>()[p * in + at] : T{0};
    }
  });
}

template <class T>
void avg_pool_of(const ConstView& x, const View& y, const PoolGeometry& g, bool count_padding) {
  const DenseSource src(x);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  const mem::Scratch<T> sizes(static_cast<std::size_t>(out));
  window_sizes(sizes.data(), g, count_padding);
  each_plane(g,
             [&](std::int64_t p) { avg_plane(src.as<T>() + p * in, y.as<T>() + p * out, g, sizes.data()); });
}

template <class T>
void avg_backward_of(const ConstView& grad, const View& dx, const PoolGeometry& g, bool count_padding) {
  const DenseSource src(grad);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  const mem::Scratch<T> sizes(static_cast<std::size_t>(out));
  window_sizes(sizes.data(), g, count_padding);
  each_plane(g, [&](std::int64_t p) {
    avg_plane_backward(src.as<T>() + p * out, dx.as<T>() + p * in, g, sizes.data());
  });
}

/// Calls f.template operator()<T, Index>().
template <class F>
void by_types(DType values, DType positions, F f) {
  const bool single = values == DType::f32, byte = positions == DType::u8;
  if (single && byte) return f.template operator()<float, std::uint8_t>();
  if (single) return f.template operator()<float, std::int32_t>();
  if (byte) return f.template operator()<double, std::uint8_t>();
  f.template operator()<double, std::int32_t>();
}

}  // namespace

DType pool_index_dtype(const PoolGeometry& g) noexcept {
  return g.kernel[0] * g.kernel[1] <= 256 ? DType::u8 : DType::i32;
}

void max_pool(const ConstView& x, const View& y, const View& index, const PoolGeometry& g) {
  by_types(x.dtype, index.dtype, [&]<class T, class Index>() { max_pool_of<T, Index>(x, y, index, g); });
}

void max_pool_backward(const ConstView& grad, const ConstView& index, const View& dx, const PoolGeometry& g) {
  by_types(dx.dtype, index.dtype,
           [&]<class T, class Index>() { max_backward_of<T, Index>(grad, index, dx, g); });
}

void max_pool_gather(const ConstView& x, const ConstView& index, const View& y, const PoolGeometry& g) {
  by_types(x.dtype, index.dtype, [&]<class T, class Index>() { gather_of<T, Index>(x, index, y, g); });
}

void avg_pool(const ConstView& x, const View& y, const PoolGeometry& g, bool count_padding) {
  if (x.dtype == DType::f32)
    avg_pool_of<float>(x, y, g, count_padding);
  else
    avg_pool_of<double>(x, y, g, count_padding);
}

void avg_pool_backward(const ConstView& grad, const View& dx, const PoolGeometry& g, bool count_padding) {
  if (dx.dtype == DType::f32)
    avg_backward_of<float>(grad, dx, g, count_padding);
  else
    avg_backward_of<double>(grad, dx, g, count_padding);
}

}  // namespace thalweg::kernels
