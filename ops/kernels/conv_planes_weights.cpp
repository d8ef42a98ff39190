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

TapAxis axis(const ConvGeometry& g, int i) noexcept {
  return {g.in[i], g.out[i], g.kernel[i], g.stride[i], g.padding[i], g.dilation[i]};
}

/// As many output rows as leave the input's planes and copies of the gradient's rows on the stack; rows = 0
/// if not even one does.
template <class T>
PlaneLayout layout_of(const ConvGeometry& g) noexcept {
  const std::int64_t channels = g.in_channels / g.groups;
  const PlaneAxis y = plane_axis(axis(g, 0), false), x = plane_axis(axis(g, 1), false);
  PlaneLayout l;
  for (std::int64_t rows = g.out[0]; rows > 0; rows /= 2) {
    l = PlaneLayout(y, x, rows);
    const std::int64_t products = rows * g.out[1] * (g.out_channels / g.groups) * channels;
    if (channels * l.plane <= plane_elements<T> && maps_at_once * rows * l.pitch <= plane_elements<T> / 2 &&
        (rows <= 8 || products <= row_products))
      return l;
  }
  l.rows = 0;
  return l;
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
        layout_(layout_of<T>(g)),
        channels_(g.in_channels / g.groups),
        maps_(g.out_channels / g.groups),
        shifts_(channels_ * g.kernel[0] * g.kernel[1]),
        direct_(g.out[1] % kernels_.lanes == 0),
        items_(g.batch * ceil_div(g.out[0], std::max<std::int64_t>(1, layout_.rows))),
        parts_count_(std::min(most_parts, items_)),
        part_(g.out_channels * shifts_),
        parts_(static_cast<std::size_t>(parts_count_ * part_)) {}

  void run() noexcept {
    for (std::int64_t s = 0; s < shifts_; ++s) {
      const std::int64_t taps = g_.kernel[0] * g_.kernel[1], t = s % taps;
      x_at_[s] = s / taps * layout_.plane + tap_place(layout_, 0, 0, t / g_.kernel[1], t % g_.kernel[1]);
      out_at_[s] = s;
    }
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
    const std::int64_t blocks = ceil_div(g_.out[0], layout_.rows);
    for (std::int64_t i = items_ * index / parts_count_; i < items_ * (index + 1) / parts_count_; ++i)
      for (std::int64_t group = 0; group < g_.groups; ++group)
        rows(i / blocks, group, i % blocks * layout_.rows, to + group * maps_ * shifts_);
  }

  /// Output rows first, first + 1, .. of one image and group.
  void rows(std::int64_t image, std::int64_t group, std::int64_t first, T* to) const noexcept {
    alignas(64) T planes[plane_elements<T> + plane_slack];
    const std::int64_t pixels = g_.in[0] * g_.in[1];
    const T* from = x_ + (image * g_.groups + group) * channels_ * pixels;
    for (std::int64_t c = 0; c < channels_; ++c)
      lay_plane(layout_, first, from + c * pixels, g_.in[0], g_.in[1], planes + c * layout_.plane);
    std::fill_n(planes + channels_ * layout_.plane, plane_slack, T{0});
    for (std::int64_t map = 0; map < maps_; map += maps_at_once)
      block(image * g_.out_channels + group * maps_ + map, std::min(maps_at_once, maps_ - map), first, planes,
            to + map * shifts_);
  }

  /// A few maps of the gradient with all shifts of the input.
  void block(std::int64_t map, std::int64_t maps, std::int64_t first, const T* planes, T* to) const noexcept {
    alignas(64) T own[plane_elements<T> / 2 + maps_at_once * plane_slack];
    const std::int64_t pixels = g_.out[0] * g_.out[1], height = std::min(layout_.rows, g_.out[0] - first);
    ConvDots<T> t;
    t.maps = maps;
    t.g = dy_ + map * pixels + first * g_.out[1];
    t.g_step = pixels, t.g_row = g_.out[1];
    t.x = planes;
    t.x_row = layout_.pitch;
    t.rows = height, t.columns = g_.out[1];
    if (!direct_) {  // one long row, with zeros between rows and at the end
      const std::int64_t run = (height - 1) * layout_.pitch + g_.out[1];
      t.g_step = t.columns = ceil_div(run, kernels_.lanes) * kernels_.lanes;
      t.rows = 1;
      for (std::int64_t i = 0; i < maps; ++i) {
        T *row = own + i * t.g_step, *const end = row + t.g_step;
        for (std::int64_t r = 0; r < height; ++r, row += layout_.pitch) {
          std::copy_n(t.g + i * pixels + r * g_.out[1], g_.out[1], row);
          std::fill(row + g_.out[1], std::min(row + layout_.pitch, end), T{0});
        }
        std::fill(std::min(row, end), end, T{0});
      }
      t.g = own;
    }
    t.x_at = x_at_, t.out_at = out_at_;
    t.shifts = shifts_;
    t.out = to;
    t.out_step = shifts_;
    kernels_.dots(t);
  }

  const ConvGeometry& g_;
  const T *dy_, *x_;
  T* dw_;
  const ConvKernels<T>& kernels_;
  const PlaneLayout layout_;
  const std::int64_t channels_, maps_, shifts_;
  const bool direct_;  ///< rows of the gradient are whole vectors, read in place
  const std::int64_t items_, parts_count_, part_;
  mem::Scratch<T> parts_;
  std::int64_t x_at_[most_shifts], out_at_[most_shifts];
};

}  // namespace

template <class T>
bool planes_weights_apply(const ConvGeometry& g) noexcept {
  return g.batch > 0 && g.in_channels / g.groups * g.kernel[0] * g.kernel[1] <= most_shifts &&
         layout_of<T>(g).rows > 0;
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
