// The ways of pooling that run in lanes: 2 x 2 squares, and rows of any window. Depends on dense, par,
// pool_rows.
#include <algorithm>

#include <thalweg/ops/kernels/dense.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/pool_plan.hpp>
#include <thalweg/ops/kernels/pool_rows.hpp>

namespace thalweg::kernels {
namespace {

// A gradient of this size does not stay in the cache until it is read.
constexpr std::int64_t stream_bytes = std::int64_t{24} << 20;

/// The windows are the quarters of a plane's 2 x 2 squares.
bool is_squares(const PoolGeometry& g) noexcept {
  for (int d = 0; d < 2; ++d)
    if (g.kernel[d] != 2 || g.stride[d] != 2 || g.padding[d] != 0 || g.dilation[d] != 1 ||
        g.out[d] != g.in[d] / 2)
      return false;
  return true;
}

/// f(maps, first plane) for chunks of planes that are squares.
template <class F>
void each_chunk(const PoolGeometry& g, F f) {
  par::chunks(g.planes, plane_grain(g), [&](std::int64_t begin, std::int64_t end) {
    f(Maps{end - begin, g.in[0], g.in[1]}, begin);
  });
}

bool max_squares(const ConstView& x, const View& y, const View& index, const PoolGeometry& g) {
  const auto kernel = pool_rows().max2;
  if (kernel == nullptr || !is_squares(g) || x.dtype != DType::f32) return false;
  const DenseSource src(x);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  each_chunk(g, [&](Maps m, std::int64_t p) {
    kernel(src.as<float>() + p * in, y.as<float>() + p * out, index.as<std::uint8_t>() + p * out, m);
  });
  return true;
}

bool past_cache(const PoolGeometry& g) noexcept {
  return g.planes * g.in[0] * g.in[1] * static_cast<std::int64_t>(sizeof(float)) >= stream_bytes;
}

bool max_squares_backward(const ConstView& grad, const ConstView& index, const View& dx,
                          const PoolGeometry& g) {
  const auto kernel = pool_rows().max2_backward;
  if (kernel == nullptr || !is_squares(g) || dx.dtype != DType::f32) return false;
  const DenseSource src(grad), positions(index);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  each_chunk(g, [&](Maps m, std::int64_t p) {
    kernel(src.as<float>() + p * out, positions.as<std::uint8_t>() + p * out, dx.as<float>() + p * in, m,
           past_cache(g));
  });
  return true;
}

bool mean_squares(const ConstView& x, const View& y, const PoolGeometry& g) {
  const auto kernel = pool_rows().mean2;
  if (kernel == nullptr || !is_squares(g) || x.dtype != DType::f32) return false;
  const DenseSource src(x);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  each_chunk(g,
             [&](Maps m, std::int64_t p) { kernel(src.as<float>() + p * in, y.as<float>() + p * out, m); });
  return true;
}

bool mean_squares_backward(const ConstView& grad, const View& dx, const PoolGeometry& g) {
  const auto kernel = pool_rows().mean2_backward;
  if (kernel == nullptr || !is_squares(g) || dx.dtype != DType::f32) return false;
  const DenseSource src(grad);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  each_chunk(g, [&](Maps m, std::int64_t p) {
    kernel(src.as<float>() + p * out, dx.as<float>() + p * in, m, past_cache(g));
  });
  return true;
}

/// Whether rows of windows go through lanes: f32, neighbouring columns, a byte for a position, and no window
/// without an element.
bool is_rows(const PoolGeometry& g, DType dtype) noexcept {
  if (dtype != DType::f32 || g.stride[1] > 2 || g.kernel[0] * g.kernel[1] > 256) return false;
  for (int d = 0; d < 2; ++d) {
    if (g.in[d] > pool_buffer || g.dilation[d] > pool_buffer) return false;
    for (std::int64_t i = 0; i < g.out[d]; ++i) {
      const Span s = span_of(g, d, i);
      if (s.first >= s.last) return false;
    }
  }
  return true;
}

constexpr std::int64_t most_maps = 16;
constexpr std::int64_t two_vectors = 32;  // a vector that begins in a row's last place is read as a pair

/// Padded rows of x, kernel[0] of them in the buffer.
Strip strip_of(const PoolGeometry& g) noexcept {
  const std::int64_t reach = g.dilation[1] * g.kernel[1], s = g.stride[1];
  const std::int64_t needed = std::max(g.in[1] + 2 * g.padding[1], (g.out[1] - 1) * s + reach);
  Strip strip;
  strip.lanes = (needed + s - 1) / s;
  strip.segment = strip.lanes * s;
  const std::int64_t room = pool_buffer / g.kernel[0] - reach - 2 * two_vectors;
  strip.maps = std::clamp<std::int64_t>(room / strip.segment, 0, most_maps);
  strip.row = strip.maps * strip.segment + reach + 2 * two_vectors;
  return strip;
}

/// Rows of g, out[0] of them in the buffer, and rows of dx.
Strip gradient_strip_of(const PoolGeometry& g) noexcept {
  const std::int64_t s = g.stride[1];
  const std::int64_t before = g.dilation[1] * (g.kernel[1] - 1) / s + 1, behind = g.padding[1] / s + 1;
  Strip strip;
  strip.segment = before;
  strip.lanes = std::max(g.out[1], (g.in[1] + s - 1) / s) + before + behind;
  const std::int64_t ends = before + behind + two_vectors;
  const std::int64_t room = std::min(pool_buffer / g.out[0], pool_buffer / s) - ends;
  strip.maps = std::clamp<std::int64_t>(room / strip.lanes, 0, most_maps);
  strip.row = strip.maps * strip.lanes + ends;
  return strip;
}

bool max_rows(const ConstView& x, const View& y, const View& index, const PoolGeometry& g) {
  const auto kernel = pool_rows().max;
  if (kernel == nullptr || !is_rows(g, x.dtype)) return false;
  const Strip strip = strip_of(g);
  if (strip.maps == 0) return false;
  const DenseSource src(x);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1], lanes = strip.maps * strip.lanes + 16;
  const mem::Scratch<std::int32_t> first_tap(static_cast<std::size_t>(lanes));
  for (std::int64_t j = 0; j < lanes; ++j) {
    const std::int64_t column = j % strip.lanes;
    first_tap.data()[j] = column < g.out[1] ? static_cast<std::int32_t>(span_of(g, 1, column).first) : 0;
  }
  each_chunk(g, [&](Maps m, std::int64_t p) {
    kernel(src.as<float>() + p * in, y.as<float>() + p * out, index.as<std::uint8_t>() + p * out, g, strip,
           {first_tap.data(), nullptr}, m.count);
  });
  return true;
}

/// mean(source, result, sizes, maps, first plane) in lanes, where they fit.
template <class F>
bool mean_in_lanes(const PoolGeometry& g, DType dtype, const Strip& strip, bool count_padding, F f) {
  if (strip.maps == 0 || !is_rows(g, dtype)) return false;
  const mem::Scratch<float> sizes(static_cast<std::size_t>(g.out[0] * g.out[1]));
  window_sizes(sizes.data(), g, count_padding);
  each_chunk(g, [&](Maps m, std::int64_t p) { f(WindowColumns{nullptr, sizes.data()}, m.count, p); });
  return true;
}

bool mean_rows(const ConstView& x, const View& y, const PoolGeometry& g, bool count_padding) {
  const auto kernel = pool_rows().mean;
  if (kernel == nullptr) return false;
  const DenseSource src(x);
  const Strip strip = strip_of(g);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  return mean_in_lanes(g, x.dtype, strip, count_padding,
                       [&](WindowColumns sizes, std::int64_t n, std::int64_t p) {
                         kernel(src.as<float>() + p * in, y.as<float>() + p * out, g, strip, sizes, n);
                       });
}

bool mean_rows_backward(const ConstView& grad, const View& dx, const PoolGeometry& g, bool count_padding) {
  const auto kernel = pool_rows().mean_backward;
  if (kernel == nullptr) return false;
  const DenseSource src(grad);
  const Strip strip = gradient_strip_of(g);
  const std::int64_t in = g.in[0] * g.in[1], out = g.out[0] * g.out[1];
  return mean_in_lanes(g, dx.dtype, strip, count_padding,
                       [&](WindowColumns sizes, std::int64_t n, std::int64_t p) {
                         kernel(src.as<float>() + p * out, dx.as<float>() + p * in, g, strip, sizes, n);
                       });
}

}  // namespace

bool max_pool_in_lanes(const ConstView& x, const View& y, const View& index, const PoolGeometry& g) {
  return max_squares(x, y, index, g) || max_rows(x, y, index, g);
}
bool max_backward_in_lanes(const ConstView& grad, const ConstView& index, const View& dx,
                           const PoolGeometry& g) {
  return max_squares_backward(grad, index, dx, g);
}
bool avg_pool_in_lanes(const ConstView& x, const View& y, const PoolGeometry& g, bool count_padding) {
  return mean_squares(x, y, g) || mean_rows(x, y, g, count_padding);
}
bool avg_backward_in_lanes(const ConstView& grad, const View& dx, const PoolGeometry& g, bool count_padding) {
  return mean_squares_backward(grad, dx, g) || mean_rows_backward(grad, dx, g, count_padding);
}

}  // namespace thalweg::kernels
