// Sums, products and extremes over any dimensions; reduce_arg.cpp has argmax, argmin and the running sums.
// Depends on base, par, fault, reduce_plan and reduce_rows. Invariant: a segment is computed on one thread in
// one order and segments are joined in one tree, so bits do not depend on the number of threads.
#include <thalweg/ops/kernels/reduce.hpp>

#include <atomic>
#include <limits>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/reduce_arg.hpp>
#include <thalweg/ops/kernels/reduce_plan.hpp>
#include <thalweg/ops/kernels/reduce_rows.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t items_per_chunk = 4;  // of up to reduce_segment elements each: some 10 us

/// What makes a sum a sum: for elements T held in accumulators Acc.
template <class T, class Acc>
struct Operation {
  Acc identity;
  Acc (*row)(const T* x, std::int64_t n);
  void (*into)(Acc* acc, const T* x, std::int64_t step, std::int64_t rows, std::int64_t n);
  Acc (*join)(Acc a, Acc b);
  void (*join_rows)(Acc* a, const Acc* b, std::int64_t step, std::int64_t rows, std::int64_t n);  ///< a = join(a, b)
};

/// Where the partial result of a segment goes. The planted fault takes places in the order of arrival
/// instead.
class Places {
 public:
  Places(std::int64_t results, std::int64_t segments) noexcept
      : segments_(segments), by_arrival_(results == 1 && fault::is(Fault::reduce_thread_order)) {}
  std::int64_t take(std::int64_t result, std::int64_t segment) noexcept {
    return by_arrival_ ? arrived_.fetch_add(1) : result * segments_ + segment;
  }

 private:
  std::int64_t segments_;
  bool by_arrival_;
  std::atomic<std::int64_t> arrived_{0};
};

/// How many of `n` blocks are taken: all, but for the planted fault.
std::int64_t blocks_taken(std::int64_t n) noexcept {
  return n > 1 && fault::is(Fault::reduce_block) ? n - 1 : n;
}

template <class T, class Acc, class Out>
void reduce_rows_of(const ReducePlan& p, const T* src, Out* dst, const Operation<T, Acc>& op) {
  const std::int64_t run_blocks = (p.run.size + reduce_block - 1) / reduce_block;
  const std::int64_t blocks = blocks_taken(p.outer.size * run_blocks);
  const std::int64_t per_segment =
      std::max<std::int64_t>(1, reduce_segment / std::clamp<std::int64_t>(p.run.size, 1, reduce_block));
  const std::int64_t segments = std::max<std::int64_t>(1, (blocks + per_segment - 1) / per_segment);
  const auto segment_of = [&](const T* base, std::int64_t segment) noexcept {
    T buffer[reduce_block];
    Cascade<Acc> sum(op.join);
    const std::int64_t end = std::min(blocks, (segment + 1) * per_segment);
    std::int64_t b = segment * per_segment;
    if (b >= end) return op.identity;  // nothing to reduce, perhaps not even blocks in a run
    for (std::int64_t run = b / run_blocks, i = b % run_blocks; b < end; ++run, i = 0)
      for (const T* const at = base + p.outer.offset(run); i < run_blocks && b < end; ++i, ++b) {
        const std::int64_t begin = i * reduce_block, n = std::min(reduce_block, p.run.size - begin);
        sum.push(op.row(p.run.row(at, begin, n, buffer), n));
      }
    return sum.finish(op.identity);
  };
  const std::int64_t kept = p.kept.total;
  if (segments == 1) {
    const std::int64_t grain =
        std::max<std::int64_t>(1, items_per_chunk * reduce_segment / std::max<std::int64_t>(1, p.reduced));
    const std::int64_t dst_step = p.kept.dst[p.kept.rank - 1], src_step = p.kept.src[p.kept.rank - 1];
    par::chunks(kept, grain, [&](std::int64_t begin, std::int64_t end) {
      walk_rows(p.kept, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t count, std::int64_t) {
        for (std::int64_t i = 0; i < count; ++i)
          dst[d + i * dst_step] = static_cast<Out>(segment_of(src + s + i * src_step, 0));
      });
    });
    return;
  }
  mem::Scratch<Acc> partial(static_cast<std::size_t>(kept * segments));
  Places places(kept, segments);
  Sequence kept_src, kept_dst;
  kept_src.plan = kept_dst.plan = p.kept;
  std::copy_n(p.kept.dst, p.kept.rank, kept_dst.plan.src);
  par::chunks(kept * segments, items_per_chunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Acc x = segment_of(src + kept_src.offset(i / segments), i % segments);
      partial[static_cast<std::size_t>(places.take(i / segments, i % segments))] = x;
    }
  });
  for (std::int64_t k = 0; k < kept; ++k) {
    Cascade<Acc> sum(op.join);
    for (std::int64_t s = 0; s < segments; ++s) sum.push(partial[static_cast<std::size_t>(k * segments + s)]);
    dst[kept_dst.offset(k)] = static_cast<Out>(sum.finish(op.identity));
  }
}

/// Geometry of a reduction by columns: items are (kept index, tile of columns, segment of reduced rows).
struct ColumnTiles {
  std::int64_t columns, tiles, rows, rows_per_segment, segments;

  explicit ColumnTiles(const ReducePlan& p) noexcept
      : columns(p.run.size),
        tiles((columns + reduce_columns - 1) / reduce_columns),
        rows(p.outer.size),
        rows_per_segment(std::max<std::int64_t>(128, reduce_segment / std::min(columns, reduce_columns))),
        segments(blocks_taken((rows + rows_per_segment - 1) / rows_per_segment)) {}
  std::int64_t width(std::int64_t tile) const noexcept {
    return std::min(reduce_columns, columns - tile * reduce_columns);
  }
};

/// Joins `count` rows into the first, in Cascade's order.
template <class T, class Acc>
void join_in_tree(Acc* rows, std::int64_t count, std::int64_t stride, std::int64_t width,
                  const Operation<T, Acc>& op) noexcept {
  std::int64_t stack[64];
  int top = 0;
  const auto join_top = [&] {
    --top;
    op.join_rows(rows + stack[top - 1] * stride, rows + stack[top] * stride, 0, 1, width);
  };
  for (std::int64_t r = 0; r < count; ++r) {
    stack[top++] = r;
    for (std::int64_t c = r; c & 1; c >>= 1) join_top();
  }
  while (top > 1) join_top();
}

template <class T, class Acc, class Out>
void reduce_columns_of(const ReducePlan& p, const T* src, Out* dst, const Operation<T, Acc>& op) {
  const ColumnTiles g(p);
  Sequence kept_src, kept_dst;
  kept_src.plan = kept_dst.plan = p.kept;
  std::copy_n(p.kept.dst, p.kept.rank, kept_dst.plan.src);
  const auto segment_of = [&](Acc* acc, std::int64_t kept, std::int64_t tile, std::int64_t segment) noexcept {
    T buffer[reduce_columns];
    const std::int64_t width = g.width(tile), first = tile * reduce_columns;
    std::fill_n(acc, width, op.identity);
    const T* base = src + kept_src.offset(kept);
    const std::int64_t begin = segment * g.rows_per_segment, end = std::min(g.rows, begin + g.rows_per_segment);
    if (p.outer.one_stride() && p.run.one_stride() && p.run.stride() == 1)
      return op.into(acc, base + p.outer.offset(begin) + first, p.outer.stride(), end - begin, width);
    for (std::int64_t r = begin; r < end; ++r)
      op.into(acc, p.run.row(base + p.outer.offset(r), first, width, buffer), 0, 1, width);
  };
  const auto write = [&](const Acc* acc, std::int64_t kept, std::int64_t tile) noexcept {
    Out* out = dst + kept_dst.offset(kept);
    for (std::int64_t j = 0; j < g.width(tile); ++j)
      out[p.run_dst.offset(tile * reduce_columns + j)] = static_cast<Out>(acc[j]);
  };
  const std::int64_t results = p.kept.total * g.tiles;
  if (g.segments <= 1) {
    const std::int64_t work = std::max<std::int64_t>(1, g.rows * std::min(g.columns, reduce_columns));
    par::chunks(results, std::max<std::int64_t>(1, items_per_chunk * reduce_segment / work),
                [&](std::int64_t begin, std::int64_t end) {
                  for (std::int64_t i = begin; i < end; ++i) {
                    alignas(64) Acc acc[reduce_columns];
                    segment_of(acc, i / g.tiles, i % g.tiles, 0);
                    write(acc, i / g.tiles, i % g.tiles);
                  }
                });
    return;
  }
  const std::int64_t stride = std::min(g.columns, reduce_columns);
  mem::Scratch<Acc> partial(static_cast<std::size_t>(results * g.segments * stride));
  Places places(results, g.segments);
  const std::int64_t grain =
      std::max<std::int64_t>(1, items_per_chunk * reduce_segment / (g.rows_per_segment * stride));
  par::chunks(results * g.segments, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      alignas(64) Acc acc[reduce_columns];
      const std::int64_t result = i / g.segments, tile = result % g.tiles;
      segment_of(acc, result / g.tiles, tile, i % g.segments);
      std::copy_n(acc, g.width(tile), partial.data() + places.take(result, i % g.segments) * stride);
    }
  });
  par::chunks(results, std::max<std::int64_t>(1, 4 * items_per_chunk / g.segments),
              [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t result = begin; result < end; ++result) {
                  Acc* const rows = partial.data() + result * g.segments * stride;
                  join_in_tree(rows, g.segments, stride, g.width(result % g.tiles), op);
                  write(rows, result / g.tiles, result % g.tiles);
                }
              });
}

template <class Out, class T, class Acc>
void run(const ConstView& src, const View& dst, const Dims& axes, const Operation<T, Acc>& op) {
  const ReducePlan p = reduce_plan(src, dst, axes);
  if (p.rows)
    reduce_rows_of<T, Acc, Out>(p, src.as<T>(), dst.as<Out>(), op);
  else
    reduce_columns_of<T, Acc, Out>(p, src.as<T>(), dst.as<Out>(), op);
}

template <class Acc>
Acc join_sum(Acc a, Acc b) {
  return a + b;
}
template <class Acc>
Acc join_product(Acc a, Acc b) {
  return a * b;
}
template <class Acc>
Acc join_max(Acc a, Acc b) {
  return b > a || b != b ? b : a;
}
template <class Acc>
Acc join_min(Acc a, Acc b) {
  return b < a || b != b ? b : a;
}

template <class T>
void reduce_floating(ReduceKind kind, const ConstView& src, const View& dst, const Dims& axes) {
  const ReduceRows<T>& rows = reduce_rows<T>();
  const ReduceRows<double>& wide = reduce_rows<double>();
  constexpr T inf = std::numeric_limits<T>::infinity();
  switch (kind) {
    case ReduceKind::sum:
      return run<T>(src, dst, axes, Operation<T, double>{0, rows.sum, rows.add, join_sum<double>, wide.add});
    case ReduceKind::prod:
      return run<T>(src, dst, axes,
                    Operation<T, double>{1, rows.product, rows.multiply, join_product<double>, wide.multiply});
    case ReduceKind::max:
      return run<T>(src, dst, axes, Operation<T, T>{-inf, rows.maximum, rows.raise, join_max<T>, rows.raise});
    default:
      return run<T>(src, dst, axes, Operation<T, T>{inf, rows.minimum, rows.lower, join_min<T>, rows.lower});
  }
}

// Unsigned arithmetic, so that overflow wraps as promised.
struct WrapSum {
  static std::int64_t join(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
};
struct WrapProduct {
  static std::int64_t join(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  }
};
struct IntMax {
  static std::int64_t join(std::int64_t a, std::int64_t b) { return b > a ? b : a; }
};
struct IntMin {
  static std::int64_t join(std::int64_t a, std::int64_t b) { return b < a ? b : a; }
};

/// Loops of fixed length, which the compilers turn into lanes; the order does not matter to integers.
template <class T, class Op>
struct IntegerLoops {
  using I = std::int64_t;
  static constexpr std::int64_t step = 16;

  static void row_into(I* __restrict acc, const T* __restrict x, std::int64_t n) {
    std::int64_t i = 0;
    for (; i + step <= n; i += step)
      for (std::int64_t j = 0; j < step; ++j) acc[i + j] = Op::join(acc[i + j], static_cast<I>(x[i + j]));
    for (; i < n; ++i) acc[i] = Op::join(acc[i], static_cast<I>(x[i]));
  }
  static void into(I* acc, const T* x, std::int64_t row_step, std::int64_t rows, std::int64_t n) {
    for (; rows > 0; --rows, x += row_step) row_into(acc, x, n);
  }
  static I row(const T* x, std::int64_t n) {
    I a = static_cast<I>(x[0]);
    std::int64_t i = 1;
    if (n > 2 * step) {
      I lanes[step];
      for (std::int64_t j = 0; j < step; ++j) lanes[j] = static_cast<I>(x[i + j]);
      for (i += step; i + step <= n; i += step)
        for (std::int64_t j = 0; j < step; ++j) lanes[j] = Op::join(lanes[j], static_cast<I>(x[i + j]));
      for (std::int64_t j = 0; j < step; ++j) a = Op::join(a, lanes[j]);
    }
    for (; i < n; ++i) a = Op::join(a, static_cast<I>(x[i]));
    return a;
  }
};

template <class T, class Op>
Operation<T, std::int64_t> integer_operation(std::int64_t identity) noexcept {
  return {identity, IntegerLoops<T, Op>::row, IntegerLoops<T, Op>::into, Op::join,
          IntegerLoops<std::int64_t, Op>::into};
}

template <class T>
void reduce_integer(ReduceKind kind, const ConstView& src, const View& dst, const Dims& axes) {
  using I = std::int64_t;
  switch (kind) {
    case ReduceKind::sum:
      return run<I>(src, dst, axes, integer_operation<T, WrapSum>(0));
    case ReduceKind::prod:
      return run<I>(src, dst, axes, integer_operation<T, WrapProduct>(1));
    case ReduceKind::max:
      return run<T>(src, dst, axes, integer_operation<T, IntMax>(std::numeric_limits<I>::min()));
    default:
      return run<T>(src, dst, axes, integer_operation<T, IntMin>(std::numeric_limits<I>::max()));
  }
}

template <class T>
void powers(int p, const ConstView& src, const View& dst, const Dims& axes) {
  const ReduceRows<T>& rows = reduce_rows<T>();
  const auto join_rows = reduce_rows<double>().add;
  if (p == 1)
    run<double>(src, dst, axes,
                Operation<T, double>{0, rows.absolutes, rows.add_absolutes, join_sum<double>, join_rows});
  else
    run<double>(src, dst, axes,
                Operation<T, double>{0, rows.squares, rows.add_squares, join_sum<double>, join_rows});
}

}  // namespace

void reduce(ReduceKind kind, const ConstView& src, const View& dst, const Dims& axes) {
  if (numel(dst) == 0) return;
  const par::FloatEnvironment environment;  // partial sums are joined on the caller's thread
  if (kind == ReduceKind::argmax || kind == ReduceKind::argmin) return reduce_arg(kind, src, dst, axes);
  switch (src.dtype) {
    case DType::f32:
      return reduce_floating<float>(kind, src, dst, axes);
    case DType::f64:
      return reduce_floating<double>(kind, src, dst, axes);
    case DType::i64:
      return reduce_integer<std::int64_t>(kind, src, dst, axes);
    case DType::i32:
      return reduce_integer<std::int32_t>(kind, src, dst, axes);
    case DType::u8:
      return reduce_integer<std::uint8_t>(kind, src, dst, axes);
    case DType::boolean:
      return reduce_integer<bool>(kind, src, dst, axes);
  }
}

void sum_powers(int p, const ConstView& src, const View& dst, const Dims& axes) {
  if (numel(dst) == 0) return;
  const par::FloatEnvironment environment;
  if (src.dtype == DType::f32)
    powers<float>(p, src, dst, axes);
  else
    powers<double>(p, src, dst, axes);
}

double sum_squares(const ConstView& src) {
  double result = 0;
  Dims axes;
  for (int i = 0; i < src.shape.size(); ++i) axes.push_back(i);
  sum_powers(2, src, View{&result, DType::f64, Dims(), Dims()}, axes);
  return result;
}

}  // namespace thalweg::kernels
