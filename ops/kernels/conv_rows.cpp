// See conv_rows.hpp. Depends on nothing else.
#include <thalweg/ops/kernels/conv_rows.hpp>

namespace thalweg::kernels {
namespace {

struct Shift {
  bool meets = false;
  std::int64_t q = 0, rest = 0;
};
Shift shift_of(const PlaneAxis& a, std::int64_t phase, std::int64_t tap) noexcept {
  const std::int64_t at =
      a.backward ? phase + a.axis.padding - tap * a.axis.dilation : tap * a.axis.dilation - a.axis.padding;
  const std::int64_t rest = ((at % a.axis.stride) + a.axis.stride) % a.axis.stride,
                     q = (at - rest) / a.axis.stride;
  if (a.backward) return {rest == 0, q, 0};
  return {true, q, rest};
}

}  // namespace

PlaneAxis plane_axis(const TapAxis& axis, bool backward) noexcept {
  PlaneAxis a;
  a.axis = axis;
  a.backward = backward;
  a.taps = axis.kernel;
  (backward ? a.dest_step : a.phases) = axis.stride;
  a.positions = backward ? (axis.in + axis.stride - 1) / axis.stride : axis.out;
  for (std::int64_t phase = 0; phase < a.dest_step; ++phase)
    for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
      const Shift s = shift_of(a, phase, tap);
      if (!s.meets) continue;
      a.low = std::min(a.low, s.q);
      a.high = std::max(a.high, s.q);
    }
  return a;
}

std::int64_t tap_place(const PlaneLayout& l, std::int64_t r, std::int64_t s, std::int64_t tap_y,
                       std::int64_t tap_x) noexcept {
  const Shift y = shift_of(l.y, r, tap_y), x = shift_of(l.x, s, tap_x);
  if (!y.meets || !x.meets) return -1;
  return (y.rest * l.x.phases + x.rest) * l.part + (y.q - l.y.low) * l.pitch + x.q - l.x.low;
}

template <class T>
void lay_plane(const PlaneLayout& l, std::int64_t first, const T* from, std::int64_t height,
               std::int64_t width, T* to) noexcept {
  const std::int64_t rows = l.rows + l.y.high - l.y.low, left = -l.x.low, room = l.pitch - left;
  for (std::int64_t py = 0; py < l.y.phases; ++py)
    for (std::int64_t px = 0; px < l.x.phases; ++px)
      for (std::int64_t i = 0; i < rows; ++i, to += l.pitch) {
        const std::int64_t row = l.y.phases * (first + i + l.y.low) + py;
        const std::int64_t there = px < width ? (width - px + l.x.phases - 1) / l.x.phases : 0;
        const std::int64_t n = row < 0 || row >= height ? 0 : std::min(there, room);
        const T* source = from + row * width + px;
        for (std::int64_t j = 0; j < left; ++j) to[j] = T{0};
        if (l.x.phases == 1)
          std::copy_n(source, n, to + left);
        else
          for (std::int64_t j = 0; j < n; ++j) to[left + j] = source[j * l.x.phases];
        for (std::int64_t j = left + n; j < l.pitch; ++j) to[j] = T{0};
      }
}

template void lay_plane<float>(const PlaneLayout&, std::int64_t, const float*, std::int64_t, std::int64_t,
                               float*) noexcept;
template void lay_plane<double>(const PlaneLayout&, std::int64_t, const double*, std::int64_t, std::int64_t,
                                double*) noexcept;

}  // namespace thalweg::kernels
