// See pool.hpp: which way fits a geometry, and the way window by window that fits any. Depends on dense, par,
// pool_plan.
#include <thalweg/ops/kernels/pool.hpp>

#include <algorithm>
#include <limits>

#include <thalweg/ops/kernels/dense.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/pool_plan.hpp>

namespace thalweg::kernels {
namespace {

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

/// Where in a plane the positions of its windows are: a table, where that is not too large.
class Places {
 public:
  explicit Places(const PoolGeometry& g)
      : g_(g),
        size_(g.kernel[0] * g.kernel[1]),
        windows_(g.out[0] * g.out[1]),
        tabulated_(size_ * windows_ <= most),
        table_(static_cast<std::size_t>(tabulated_ ? size_ * windows_ : 1)) {
    for (std::int64_t o = 0; tabulated_ && o < windows_; ++o)
      for (std::int64_t p = 0; p < size_; ++p)
        table_.data()[o * size_ + p] = static_cast<std::int32_t>(find(o, p));
  }
  /// f(window, place of its position in the plane or -1) for every window, row by row.
  template <class Index, class F>
  void each(const Index* index, F f) const {
    const std::int32_t* places = table_.data();
    if (tabulated_)
      for (std::int64_t o = 0; o < windows_; ++o, places += size_)
        f(o, valid(index[o]) ? places[index[o]] : -1);
    else
      for (std::int64_t o = 0; o < windows_; ++o) f(o, valid(index[o]) ? find(o, index[o]) : -1);
  }

 private:
  static constexpr std::int64_t most = 65536;
  bool valid(std::int64_t position) const noexcept { return position >= 0 && position < size_; }
  std::int64_t find(std::int64_t o, std::int64_t position) const noexcept {
    const std::int64_t row =
        o / g_.out[1] * g_.stride[0] - g_.padding[0] + position / g_.kernel[1] * g_.dilation[0];
    const std::int64_t column =
        o % g_.out[1] * g_.stride[1] - g_.padding[1] + position % g_.kernel[1] * g_.dilation[1];
    const bool inside = row >= 0 && row < g_.in[0] && column >= 0 && column < g_.in[1];
    return inside ? row * g_.in[1] + column : -1;
  }
  const PoolGeometry& g_;
  std::int64_t size_, windows_;
  bool tabulated_;
  mem::Scratch<std::int32_t> table_;
};

template <class T, class Index>
void max_backward_of(const ConstView& grad, const ConstView& index, const View& dx, const PoolGeometry& g) {
  const DenseSource src(grad), positions(index);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  const Places places(g);
  const std::int64_t group =
      std::max<std::int64_t>(1, 4096 / in);  // planes that fit the first cache together
  par::chunks(g.planes, plane_grain(g), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      if ((p - begin) % group == 0) std::fill_n(dx.as<T>() + p * in, std::min(group, end - p) * in, T{0});
      const T* from = src.as<T>() + p * out;
      T* to = dx.as<T>() + p * in;
      places.each(positions.as<Index>() + p * out, [&](std::int64_t o, std::int64_t at) {
        if (at >= 0) to[at] += from[o];
      });
    }
  });
}

template <class T, class Index>
void gather_of(const ConstView& x, const ConstView& index, const View& y, const PoolGeometry& g) {
  const DenseSource src(x), positions(index);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  const Places places(g);
  each_plane(g, [&](std::int64_t p) {
    const T* from = src.as<T>() + p * in;
    T* to = y.as<T>() + p * out;
    places.each(positions.as<Index>() + p * out,
                [&](std::int64_t o, std::int64_t at) { to[o] = at >= 0 ? from[at] : T{0}; });
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
  if (max_pool_in_lanes(x, y, index, g)) return;
  by_types(x.dtype, index.dtype, [&]<class T, class Index>() { max_pool_of<T, Index>(x, y, index, g); });
}

void max_pool_backward(const ConstView& grad, const ConstView& index, const View& dx, const PoolGeometry& g) {
  if (max_backward_in_lanes(grad, index, dx, g)) return;
  by_types(dx.dtype, index.dtype,
           [&]<class T, class Index>() { max_backward_of<T, Index>(grad, index, dx, g); });
}

void max_pool_gather(const ConstView& x, const ConstView& index, const View& y, const PoolGeometry& g) {
  by_types(x.dtype, index.dtype, [&]<class T, class Index>() { gather_of<T, Index>(x, index, y, g); });
}

void avg_pool(const ConstView& x, const View& y, const PoolGeometry& g, bool count_padding) {
  if (avg_pool_in_lanes(x, y, g, count_padding)) return;
  if (x.dtype == DType::f32)
    avg_pool_of<float>(x, y, g, count_padding);
  else
    avg_pool_of<double>(x, y, g, count_padding);
}

void avg_pool_backward(const ConstView& grad, const View& dx, const PoolGeometry& g, bool count_padding) {
  if (avg_backward_in_lanes(grad, dx, g, count_padding)) return;
  if (dx.dtype == DType::f32)
    avg_backward_of<float>(grad, dx, g, count_padding);
  else
    avg_backward_of<double>(grad, dx, g, count_padding);
}

}  // namespace thalweg::kernels
