// See conv_planes.hpp: weight gradient, as dot products of the gradient's rows with shifted rows of the
// input. Depends on base/memory, par and the convolution's parts. Invariant: how the images are cut into
// partial sums follows from the geometry alone.
#include <algorithm>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/conv_kernels.hpp>
#include <thalweg/ops/kernels/conv_planes.hpp>
#include <thalweg/ops/kernels/conv_rows.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t most_parts = 16;
constexpr std::int64_t most_shifts = 256;
constexpr std::int64_t chunk_added = 1 << 14;
constexpr std::int64_t maps_at_once = 4;
constexpr std::int64_t row_products = 1 << 19;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

/// The output rows in [first, end) at which vertical tap `tap` meets the input.
struct RowsMet {
  std::int64_t first = 0, end = 0, source = 0;
};
RowsMet rows_met(const ConvGeometry& g, std::int64_t tap, std::int64_t first, std::int64_t end) noexcept {
  const std::int64_t shift = tap * g.dilation[0] - g.padding[0];
  RowsMet m{std::max(first, shift >= 0 ? 0 : ceil_div(-shift, g.stride[0])), end, 0};
  const std::int64_t room = g.in[0] - shift;
  m.end = std::min(end, room <= 0 ? 0 : (room - 1) / g.stride[0] + 1);
  m.source = m.first * g.stride[0] + shift;
  return m;
}

TapAxis axis(const ConvGeometry& g) noexcept {
  return {g.in[1], g.out[1], g.kernel[1], g.stride[1], g.padding[1], g.dilation[1]};
}

/// As many output rows as leave the input's rows and copies of the gradient's on the stack; 0 if not even one.
template <class T>
std::int64_t rows_at_once(const ConvGeometry& g, const RowLayout& layout, std::int64_t columns) noexcept {
  const std::int64_t reach = (g.kernel[0] - 1) * g.dilation[0] + 1, channels = g.in_channels / g.groups;
  const std::int64_t products = columns * (g.out_channels / g.groups) * channels;
  for (std::int64_t rows = g.out[0]; rows > 0; rows /= 2) {
    const bool fits = channels * ((rows - 1) * g.stride[0] + reach) * layout.row <= plane_elements<T> &&
                      maps_at_once * rows * columns <= plane_elements<T> / 2;
    if (fits && (rows <= 8 || rows * products <= row_products)) return rows;
  }
  return 0;
}

template <class T>
class PlanesWeights {
 public:
  PlanesWeights(const ConvGeometry& g, const T* dy, const T* x, T* dw)
      : g_(g),
        dy_(dy),
        x_(x),
        dw_(dw),
        kernels_(conv_kernels<T>()),
        layout_(row_layout(axis(g), false, kernels_.lanes)),
        channels_(g.in_channels / g.groups),
        maps_(g.out_channels / g.groups),
        columns_(ceil_div(g.out[1], kernels_.lanes) * kernels_.lanes),
        rows_(rows_at_once<T>(g, layout_, columns_)),
        items_(g.batch * ceil_div(g.out[0], rows_)),
        parts_count_(std::min(most_parts, items_)),
        part_(g.out_channels * channels_ * g.kernel[0] * g.kernel[1]),
        parts_(static_cast<std::size_t>(parts_count_ * part_)) {}

  void run() noexcept {
    par::chunks(parts_count_, 1, [&](std::int64_t begin, std::int64_t end) noexcept {
      for (std::int64_t i = begin; i < end; ++i) part(i);
    });
    for (std::int64_t step = 1; step < parts_count_; step *= 2)
      for (std::int64_t s = 0; s + step < parts_count_; s += 2 * step) {
        T *to = parts_.data() + s * part_, *from = to + step * part_;
        par::chunks(part_, chunk_added, [&](std::int64_t begin, std::int64_t end) noexcept {
          for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
        });
      }
    std::copy_n(parts_.data(), part_, dw_);
  }

 private:
  void part(std::int64_t index) noexcept {
    T* to = parts_.data() + index * part_;
    std::fill_n(to, part_, T{0});
    const std::int64_t blocks = ceil_div(g_.out[0], rows_);
    for (std::int64_t i = items_ * index / parts_count_; i < items_ * (index + 1) / parts_count_; ++i)
      for (std::int64_t group = 0; group < g_.groups; ++group)
        rows(i / blocks, group, i % blocks * rows_, to + group * maps_ * part_ / g_.out_channels);
  }

  /// Output rows [first, first + rows_) of one image and group.
  void rows(std::int64_t image, std::int64_t group, std::int64_t first, T* to) const noexcept {
    alignas(64) T planes[plane_elements<T>];
    const std::int64_t end = std::min(first + rows_, g_.out[0]);
    std::int64_t begin = g_.in[0], stop = 0;
    for (std::int64_t ky = 0; ky < g_.kernel[0]; ++ky) {
      const RowsMet m = rows_met(g_, ky, first, end);
      if (m.first >= m.end) continue;
      begin = std::min(begin, m.source);
      stop = std::max(stop, m.source + (m.end - 1 - m.first) * g_.stride[0] + 1);
    }
    if (begin >= stop) return;
    const std::int64_t pixels = g_.in[0] * g_.in[1];
    for (std::int64_t c = 0; c < channels_; ++c)
      lay_rows(x_ + ((image * g_.groups + group) * channels_ + c) * pixels + begin * g_.in[1], stop - begin,
               g_.in[1], layout_, planes + c * (stop - begin) * layout_.row);
    RowTap taps[most_row_taps];
    const std::int64_t across =
        row_taps(axis(g_), false, 0, layout_, taps);
    for (std::int64_t map = 0; map < maps_; map += maps_at_once)
      block(image * g_.out_channels + group * maps_ + map, std::min(maps_at_once, maps_ - map), first, end, begin, stop,
            planes, taps, across, to + map * part_ / g_.out_channels);
  }

  /// A few maps of the gradient with all shifts of the input.
  void block(std::int64_t map, std::int64_t maps, std::int64_t first, std::int64_t end, std::int64_t begin,
             std::int64_t stop, const T* planes, const RowTap* taps, std::int64_t across, T* to) const noexcept {
    alignas(64) T own[plane_elements<T> / 2];
    const std::int64_t pixels = g_.out[0] * g_.out[1], height = end - first;
    const T* from = dy_ + map * pixels + first * g_.out[1];
    ConvDots<T> t;
    t.maps = maps;
    t.g_step = pixels, t.g_row = g_.out[1];
    if (columns_ != g_.out[1]) {  // lanes past a row's end must be zeros
      for (std::int64_t i = 0; i < maps; ++i)
        for (std::int64_t r = 0; r < height; ++r) {
          T* row = own + (i * height + r) * columns_;
          std::copy_n(from + i * pixels + r * g_.out[1], g_.out[1], row);
          std::fill(row + g_.out[1], row + columns_, T{0});
        }
      from = own;
      t.g_step = height * columns_, t.g_row = columns_;
    }
    std::int64_t x_at[most_shifts], out_at[most_shifts];
    t.x_at = x_at, t.out_at = out_at;
    t.x_row = g_.stride[0] * layout_.row;
    t.columns = columns_;
    t.out = to;
    t.out_step = part_ / g_.out_channels;
    for (std::int64_t ky = 0; ky < g_.kernel[0]; ++ky) {
      const RowsMet m = rows_met(g_, ky, first, end);
      if (m.first >= m.end) continue;
      t.shifts = 0;
      for (std::int64_t c = 0; c < channels_; ++c)
        for (std::int64_t i = 0; i < across; ++i) {
          x_at[t.shifts] = (c * (stop - begin) + m.source - begin) * layout_.row + taps[i].at;
          out_at[t.shifts++] = (c * g_.kernel[0] + ky) * g_.kernel[1] + taps[i].tap;
        }
      t.x = planes;
      t.g = from + (m.first - first) * t.g_row;
      t.rows = m.end - m.first;
      kernels_.dots(t);
    }
  }

  const ConvGeometry& g_;
  const T *dy_, *x_;
  T* dw_;
  const ConvKernels<T>& kernels_;
  const RowLayout layout_;
  const std::int64_t channels_, maps_, columns_, rows_, items_, parts_count_, part_;
  mem::Scratch<T> parts_;
};

}  // namespace

template <class T>
bool planes_weights_apply(const ConvGeometry& g) noexcept {
  const std::int64_t lanes = conv_kernels<T>().lanes;
  return g.batch > 0 && g.kernel[1] <= most_row_taps && g.in_channels / g.groups * g.kernel[1] <= most_shifts &&
         rows_at_once<T>(g, row_layout(axis(g), false, lanes), ceil_div(g.out[1], lanes) * lanes) > 0;
}

template <class T>
bool conv_planes_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw) {
  const std::int64_t elements = g.out_channels * (g.in_channels / g.groups) * g.kernel[0] * g.kernel[1];
  if (elements == 0) return true;
  PlanesWeights<T>(g, dy, x, dw).run();
  for (std::int64_t i = 0; i < elements; ++i)
    if (dw[i] != dw[i]) return false;
  return true;
}

template bool planes_weights_apply<float>(const ConvGeometry&) noexcept;
template bool planes_weights_apply<double>(const ConvGeometry&) noexcept;
template bool conv_planes_weights<float>(const ConvGeometry&, const float*, const float*, float*);
template bool conv_planes_weights<double>(const ConvGeometry&, const double*, const double*, double*);

}  // namespace thalweg::kernels
