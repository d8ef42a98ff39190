// Splits a reduction into kept and reduced dimensions, blocks and segments, and adds partial results in a
// fixed tree. Depends on base and copy_plan; internal to reduce.cpp. Invariant: blocks and segments follow
// from shape and axes alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include <thalweg/autograd/base/view.hpp>
#include <thalweg/ops/kernels/copy_plan.hpp>

namespace thalweg::kernels {

inline constexpr std::int64_t reduce_block = 2048;     // elements a row kernel takes at once
inline constexpr std::int64_t reduce_segment = 16384;  // elements that make one partial result
inline constexpr std::int64_t reduce_columns = 512;    // accumulators side by side: 4 KiB of doubles

/// Some dimensions of src walked in row-major order as one sequence.
struct Sequence {
  CopyPlan plan;
  std::int64_t size = 1;

  Sequence() = default;
  Sequence(const Dims& shape, const Dims& strides) noexcept
      : plan(copy_plan(shape, strides, strides, true)), size(plan.total) {}

  bool one_stride() const noexcept { return plan.rank == 1; }
  std::int64_t stride() const noexcept { return plan.src[0]; }

  std::int64_t offset(std::int64_t i) const noexcept {
    if (plan.rank == 1) return i * plan.src[0];
    std::int64_t at = 0;
    for (int d = plan.rank - 1; d >= 0; --d) {
      at += i % plan.extent[d] * plan.src[d];
      i /= plan.extent[d];
    }
    return at;
  }

  /// Elements [begin, begin + n) as a dense row: where they are if they lie so, else gathered into `buffer`.
  template <class T>
  const T* row(const T* base, std::int64_t begin, std::int64_t n, T* buffer) const noexcept {
    if (plan.rank == 1 && (plan.src[0] == 1 || n == 1)) return base + begin * plan.src[0];
    T* out = buffer;
    walk_rows(plan, begin, begin + n, [&](std::int64_t, std::int64_t s, std::int64_t count, std::int64_t) {
      const std::int64_t step = plan.src[plan.rank - 1];
      for (std::int64_t i = 0; i < count; ++i) *out++ = base[s + i * step];
    });
    return buffer;
  }
};

/// The last dimension (of extent above 1) is either reduced ("rows": each result is a sum along dense lanes)
/// or kept
/// ("columns": a row of accumulators runs down the reduced indices).
struct ReducePlan {
  bool rows = true;
  CopyPlan
      kept;  ///< rows: all kept dimensions; columns: those before the last reduced one. dst and src strides.
  Sequence outer;    ///< rows: reduced dimensions before the run; columns: all reduced dimensions
  Sequence run;      ///< rows: the reduced dimensions at the end; columns: the kept ones at the end
  Sequence run_dst;  ///< columns: where the run lies in dst
  std::int64_t reduced = 1;
};

inline ReducePlan reduce_plan(const ConstView& src, const View& dst, const Dims& axes) noexcept {
  const int rank = src.shape.size();
  const bool keepdim = dst.shape.size() == rank;
  Dims dst_strides = Dims::filled(rank, 0);
  for (int i = 0, k = 0; i < rank; ++i) {
    if (!axes.contains(i)) dst_strides[i] = dst.strides[keepdim ? i : k];
    if (keepdim || !axes.contains(i)) ++k;
  }
  ReducePlan p;
  int last = rank - 1;
  while (last >= 0 && src.shape[last] == 1) --last;
  p.rows = last < 0 || axes.contains(last);
  int run = last + 1;  // the run is [run, last]
  while (run > 0 && (src.shape[run - 1] == 1 || axes.contains(run - 1) == p.rows)) --run;
  Dims kept_shape, kept_src, kept_dst, outer_shape, outer_src, run_shape, run_src, run_dst;
  for (int i = 0; i < rank; ++i) {
    if (axes.contains(i)) p.reduced *= src.shape[i];
    if (src.shape[i] == 1) continue;
    if (i >= run) {
      run_shape.push_back(src.shape[i]), run_src.push_back(src.strides[i]), run_dst.push_back(dst_strides[i]);
    } else if (axes.contains(i)) {
      outer_shape.push_back(src.shape[i]), outer_src.push_back(src.strides[i]);
    } else {
      kept_shape.push_back(src.shape[i]), kept_src.push_back(src.strides[i]),
          kept_dst.push_back(dst_strides[i]);
    }
  }
  p.kept = copy_plan(kept_shape, kept_dst, kept_src, true);
  p.outer = Sequence(outer_shape, outer_src);
  p.run = Sequence(run_shape, run_src);
  if (!p.rows) p.run_dst = Sequence(run_shape, run_dst);
  return p;
}

/// Joins numbers pairwise in the order they come: the tree depends on how many there are, on nothing else.
template <class Acc>
class Cascade {
 public:
  explicit Cascade(Acc (*join)(Acc, Acc)) noexcept : join_(join) {}

  void push(Acc x) noexcept {
    for (std::uint64_t c = count_++; c & 1; c >>= 1) x = join_(stack_[--top_], x);
    stack_[top_++] = x;
  }
  Acc finish(Acc of_nothing) noexcept {
    if (top_ == 0) return of_nothing;
    Acc x = stack_[--top_];
    while (top_ > 0) x = join_(stack_[--top_], x);
    return x;
  }

 private:
  Acc (*join_)(Acc, Acc);
  Acc stack_[64];
  int top_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace thalweg::kernels
