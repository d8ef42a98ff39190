// Positions of extremes, and running sums and products: both walk a sequence element by element in row-major
// order. Depends on base, par and reduce_plan. Invariant: one sequence is walked by one thread from its first
// element on.
#include <thalweg/ops/kernels/reduce_arg.hpp>

#include <algorithm>
#include <type_traits>

#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/reduce_plan.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 32768;
constexpr std::int64_t lines_together = 8;

template <class T>
bool is_nan(T x) noexcept {
  if constexpr (std::is_floating_point_v<T>)
    return x != x;
  else
    return false;
}

// Neither <= nor >= best is also true of a NaN, which ends the search; one rarely taken branch serves both.
template <class T, bool greatest>
bool beats(T value, T best) noexcept {
  return greatest ? !(value <= best) : !(value >= best);
}

/// How many of the first n elements, in whole groups, do not beat `best`. Without a way out inside a group, so that
/// it is compared in lanes.
template <class T, bool greatest>
std::int64_t passed_over(const T* x, std::int64_t n, T best) noexcept {
  using Narrow = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint8_t>;
  using Flag = std::conditional_t<sizeof(T) == 8, std::uint64_t, Narrow>;  // as wide as the elements
  constexpr std::int64_t group = 64;
  std::int64_t i = 0;
  for (; i + group <= n; i += group) {
    Flag any = 0;
    for (std::int64_t j = 0; j < group; ++j) any |= static_cast<Flag>(beats<T, greatest>(x[i + j], best));
    if (any) break;
  }
  return i;
}

template <class T, bool greatest>
std::int64_t position_of_extreme(const T* x, const Sequence& sequence) noexcept {
  T best = *x;
  std::int64_t at = 0;
  if (is_nan(best)) return 0;
  const std::int64_t step = sequence.plan.src[sequence.plan.rank - 1];
  walk_rows(sequence.plan, 0, sequence.size,
            [&](std::int64_t, std::int64_t s, std::int64_t n, std::int64_t position) {
              if (is_nan(best)) return;
              for (std::int64_t i = 0; i < n;) {
                if (step == 1) i += passed_over<T, greatest>(x + s + i, n - i, best);
                for (const std::int64_t end = std::min<std::int64_t>(n, i + 64); i < end; ++i) {
                  const T value = x[s + i * step];
                  if (!beats<T, greatest>(value, best)) continue;
                  best = value;
                  at = position + i;
                  if (is_nan(best)) return;
                }
              }
            });
  return at;
}

template <class T>
void arg_of(bool greatest, const ConstView& src, const View& dst, const Dims& axes) noexcept {
  const int rank = src.shape.size();
  const bool keepdim = dst.shape.size() == rank;
  Dims kept_shape, kept_src, kept_dst, shape, strides;
  for (int i = 0, k = 0; i < rank; ++i) {
    const bool reduced = axes.contains(i);
    if (reduced) {
      shape.push_back(src.shape[i]), strides.push_back(src.strides[i]);
    } else {
      kept_shape.push_back(src.shape[i]), kept_src.push_back(src.strides[i]);
      kept_dst.push_back(dst.strides[keepdim ? i : k]);
    }
    if (keepdim || !reduced) ++k;
  }
  const CopyPlan kept = copy_plan(kept_shape, kept_dst, kept_src, true);
  const Sequence sequence(shape, strides);
  const std::int64_t dst_step = kept.dst[kept.rank - 1], src_step = kept.src[kept.rank - 1];
  const T* from = src.as<T>();
  std::int64_t* to = dst.as<std::int64_t>();
  par::chunks(kept.total, std::max<std::int64_t>(1, grain_elements / sequence.size),
              [&](std::int64_t begin, std::int64_t end) {
                walk_rows(kept, begin, end,
                          [&](std::int64_t d, std::int64_t s, std::int64_t n, std::int64_t) {
                            for (std::int64_t i = 0; i < n; ++i) {
                              const T* x = from + s + i * src_step;
                              to[d + i * dst_step] = greatest ? position_of_extreme<T, true>(x, sequence)
                                                              : position_of_extreme<T, false>(x, sequence);
                            }
                          });
              });
}

/// L lines side by side, because the steps of one wait for one another. In place only with equal strides.
template <std::int64_t L, ScanKind kind, class T, class Acc, class Out>
void scan_together(const T* x, std::int64_t x_line, std::int64_t x_step, Out* y, std::int64_t y_line,
                   std::int64_t y_step, std::int64_t n) noexcept {
  Acc acc[L];
  for (std::int64_t l = 0; l < L; ++l) acc[l] = kind == ScanKind::sum ? Acc{0} : Acc{1};
  for (std::int64_t j = 0; j < n; ++j) {
    const T* const from = x + j * x_step;
    Out* const to = y + j * y_step;
    for (std::int64_t l = 0; l < L; ++l) {
      const Acc value = static_cast<Acc>(from[l * x_line]);
      acc[l] = kind == ScanKind::sum ? acc[l] + value : acc[l] * value;
      to[l * y_line] = static_cast<Out>(acc[l]);
    }
  }
}

template <class T, class Acc, class Out>
void scan_of(ScanKind kind, const ConstView& src, const View& dst, int dim, bool reverse) noexcept {
  Dims shape, src_strides, dst_strides;
  for (int i = 0; i < src.shape.size(); ++i) {
    if (i == dim) continue;
    shape.push_back(src.shape[i]), src_strides.push_back(src.strides[i]),
        dst_strides.push_back(dst.strides[i]);
  }
  const CopyPlan lines = copy_plan(shape, dst_strides, src_strides, false);
  const std::int64_t n = src.shape[dim];
  if (lines.total * n == 0) return;
  const std::int64_t ss = reverse ? -src.strides[dim] : src.strides[dim];
  const std::int64_t ds = reverse ? -dst.strides[dim] : dst.strides[dim];
  const T* from = src.as<T>() - (reverse ? ss * (n - 1) : 0);
  Out* to = dst.as<Out>() - (reverse ? ds * (n - 1) : 0);
  const std::int64_t src_step = lines.src[lines.rank - 1], dst_step = lines.dst[lines.rank - 1];
  par::chunks(
      lines.total, std::max<std::int64_t>(1, grain_elements / n), [&](std::int64_t begin, std::int64_t end) {
        walk_rows(lines, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t count, std::int64_t) {
          const auto lines_from = [&](auto together, std::int64_t i) noexcept {
            const T* const x = from + s + i * src_step;
            Out* const y = to + d + i * dst_step;
            if (kind == ScanKind::sum) scan_together<decltype(together)::value, ScanKind::sum, T, Acc>(x, src_step, ss, y, dst_step, ds, n);
            else scan_together<decltype(together)::value, ScanKind::prod, T, Acc>(x, src_step, ss, y, dst_step, ds, n);
          };
          std::int64_t i = 0;
          for (; i + lines_together <= count; i += lines_together)
            lines_from(std::integral_constant<std::int64_t, lines_together>{}, i);
          for (; i < count; ++i) lines_from(std::integral_constant<std::int64_t, 1>{}, i);
        });
      });
}

}  // namespace

void reduce_arg(ReduceKind kind, const ConstView& src, const View& dst, const Dims& axes) noexcept {
  const bool greatest = kind == ReduceKind::argmax;
  switch (src.dtype) {
    case DType::f32:
      return arg_of<float>(greatest, src, dst, axes);
    case DType::f64:
      return arg_of<double>(greatest, src, dst, axes);
    case DType::i64:
      return arg_of<std::int64_t>(greatest, src, dst, axes);
    case DType::i32:
      return arg_of<std::int32_t>(greatest, src, dst, axes);
    case DType::u8:
      return arg_of<std::uint8_t>(greatest, src, dst, axes);
    case DType::boolean:
      return arg_of<bool>(greatest, src, dst, axes);
  }
}

void scan(ScanKind kind, const ConstView& src, const View& dst, int dim, bool reverse) noexcept {
  using U = std::uint64_t;  // wraps without undefined behaviour
  using I = std::int64_t;
  switch (src.dtype) {
    case DType::f32:
      return scan_of<float, double, float>(kind, src, dst, dim, reverse);
    case DType::f64:
      return scan_of<double, double, double>(kind, src, dst, dim, reverse);
    case DType::i64:
      return scan_of<I, U, I>(kind, src, dst, dim, reverse);
    case DType::i32:
      return scan_of<std::int32_t, U, I>(kind, src, dst, dim, reverse);
    case DType::u8:
      return scan_of<std::uint8_t, U, I>(kind, src, dst, dim, reverse);
    case DType::boolean:
      return scan_of<bool, U, I>(kind, src, dst, dim, reverse);
  }
}

}  // namespace thalweg::kernels
