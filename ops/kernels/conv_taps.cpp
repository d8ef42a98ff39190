// See conv_taps.hpp. Depends on nothing else.
#include <thalweg/ops/kernels/conv_taps.hpp>

#include <numeric>

namespace thalweg::kernels {

TapGroup taps_at(const TapAxis& a, bool backward, std::int64_t position) noexcept {
  TapGroup g;
  g.first = position;
  g.count = 1;
  g.step = backward ? a.stride : 1;
  g.source_step = backward ? 1 : a.stride;
  const std::int64_t limit = backward ? a.out : a.in;
  if (backward) {
    // Output o reads position p through tap k when o stride = p + padding - k dilation: every tap_step-th.
    g.tap_step = a.stride / std::gcd(a.stride, a.dilation);
    g.source_tap = -a.dilation * g.tap_step / a.stride;
  } else {
    g.source_tap = a.dilation;
  }
  for (std::int64_t k = 0; k < a.kernel; ++k) {
    const std::int64_t at =
        backward ? position + a.padding - k * a.dilation : position * a.stride - a.padding + k * a.dilation;
    if (at < 0 || (backward && at % a.stride != 0)) continue;
    const std::int64_t source = backward ? at / a.stride : at;
    if (source >= limit) continue;
    if (g.taps++ == 0) g.tap = k, g.source = source;
  }
  return g;
}

std::int64_t tap_groups(const TapAxis& a, bool backward, TapGroup* to) noexcept {
  const std::int64_t positions = backward ? a.in : a.out, step = backward ? a.stride : 1;
  std::int64_t groups = 0;
  for (std::int64_t r = 0; r < std::min(step, positions); ++r) {
    std::int64_t open = -1;
    for (std::int64_t p = r; p < positions; p += step) {
      const TapGroup g = taps_at(a, backward, p);
      if (open >= 0 && to[open].tap == g.tap && to[open].taps == g.taps)
        ++to[open].count;
      else
        to[open = groups++] = g;
    }
  }
  return groups;
}

}  // namespace thalweg::kernels
