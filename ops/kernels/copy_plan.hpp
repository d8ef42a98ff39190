// How to walk two strided operands together: dimensions dropped, merged and (if allowed) reordered to long
// inner rows. Depends on base only; internal to the kernels. Invariant: the plan depends on shape and strides
// alone.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <utility>

#include <thalweg/autograd/base/dims.hpp>

namespace thalweg::kernels {

/// Dimensions outermost first; the last is the row. `dst_start`, `src_start` are offsets of the first
/// element.
struct CopyPlan {
  int rank = 0;
  std::int64_t total = 1;
  std::int64_t extent[max_dims + 1] = {};
  std::int64_t dst[max_dims + 1] = {};
  std::int64_t src[max_dims + 1] = {};
  std::int64_t dst_start = 0, src_start = 0;

  std::int64_t row() const noexcept { return extent[rank - 1]; }

  void swap(int i, int j) noexcept {
    std::swap(extent[i], extent[j]);
    std::swap(dst[i], dst[j]);
    std::swap(src[i], src[j]);
  }
};

/// With `ordered` the walk keeps row-major order (for kernels that number the elements); else the dimension
/// of the smallest dst stride becomes the row and dst is walked upwards. The rank is at least 1.
inline CopyPlan copy_plan(const Dims& shape, const Dims& dst, const Dims& src, bool ordered) noexcept {
  CopyPlan p;
  for (int i = 0; i < shape.size(); ++i) {
    p.total *= shape[i];
    if (shape[i] == 1) continue;
    p.extent[p.rank] = shape[i];
    p.dst[p.rank] = dst[i];
    p.src[p.rank] = src[i];
    ++p.rank;
  }
  if (!ordered) {
    for (int i = 0; i < p.rank; ++i) {
      if (p.dst[i] >= 0) continue;
      p.dst_start += p.dst[i] * (p.extent[i] - 1);
      p.src_start += p.src[i] * (p.extent[i] - 1);
      p.dst[i] = -p.dst[i];
      p.src[i] = -p.src[i];
    }
    for (int i = 1; i < p.rank; ++i)
      for (int j = i; j > 0 && p.dst[j - 1] < p.dst[j]; --j) p.swap(j - 1, j);
  }
  int last = 0;  // merge a dimension into the one outside it when both operands walk straight on
  for (int i = 1; i < p.rank; ++i) {
    if (p.dst[last] == p.dst[i] * p.extent[i] && p.src[last] == p.src[i] * p.extent[i]) {
      p.extent[last] *= p.extent[i];
      p.dst[last] = p.dst[i];
      p.src[last] = p.src[i];
    } else if (++last != i) {
      p.extent[last] = p.extent[i];
      p.dst[last] = p.dst[i];
      p.src[last] = p.src[i];
    }
  }
  if (p.rank == 0) {
    p.extent[0] = 1;
    p.dst[0] = p.src[0] = 1;
  }
  p.rank = p.rank == 0 ? 1 : last + 1;
  return p;
}

/// Calls row(dst offset, src offset, count, position) for the pieces of rows that make up elements [begin,
/// end) of the walk.
template <class Row>
inline void walk_rows(const CopyPlan& p, std::int64_t begin, std::int64_t end, Row&& row) noexcept {
  const int last = p.rank - 1;
  std::int64_t at[max_dims + 1];
  std::int64_t d = p.dst_start, s = p.src_start, rest = begin;
  for (int i = last; i >= 0; --i) {
    at[i] = rest % p.extent[i];
    rest /= p.extent[i];
    d += at[i] * p.dst[i];
    s += at[i] * p.src[i];
  }
  for (std::int64_t position = begin; position < end;) {
    const std::int64_t left = p.extent[last] - at[last];
    const std::int64_t count = left < end - position ? left : end - position;
    row(d, s, count, position);
    position += count;
    d -= at[last] * p.dst[last];
    s -= at[last] * p.src[last];
    at[last] = 0;
    for (int i = last - 1; i >= 0; --i) {
      d += p.dst[i];
      s += p.src[i];
      if (++at[i] < p.extent[i]) break;
      at[i] = 0;
      d -= p.dst[i] * p.extent[i];
      s -= p.src[i] * p.extent[i];
    }
  }
}

}  // namespace thalweg::kernels
