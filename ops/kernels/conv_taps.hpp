// Which taps of a kernel meet which positions of a map, along one axis: the positions with the same taps form
// a group, so that taps on padding are left out and not multiplied. Depends on the standard library only;
// internal to the convolution. Invariant: the groups of an axis cover every position once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace thalweg::kernels {

/// Positions first + i step (i < count) of the destination. At position i, tap number t is kernel index tap +
/// t tap_step and reads source index source + i source_step + t source_tap. No taps: nothing falls on the
/// source.
struct TapGroup {
  std::int64_t first = 0, step = 1, count = 0;
  std::int64_t tap = 0, tap_step = 1, taps = 0;
  std::int64_t source = 0, source_step = 1, source_tap = 1;
};

/// One axis of a convolution.
struct TapAxis {
  std::int64_t in = 0, out = 0, kernel = 0, stride = 1, padding = 0, dilation = 1;
};

/// The group of one position alone, of the output (forward) or of the input (backward).
TapGroup taps_at(const TapAxis& axis, bool backward, std::int64_t position) noexcept;

/// Writes the groups of an axis, at most one for each position, and returns how many.
std::int64_t tap_groups(const TapAxis& axis, bool backward, TapGroup* to) noexcept;

}  // namespace thalweg::kernels
