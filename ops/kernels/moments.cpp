// See moments.hpp. A reduction here is a fold: a state for each block of 256 elements, joined in order.
#include <thalweg/ops/kernels/moments.hpp>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/convert_rows.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/reduce.hpp>
#include <thalweg/ops/kernels/reduce_rows.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t block = 256;
constexpr std::int64_t segment = 1 << 16;  // elements folded by one thread at a time
constexpr std::int64_t tile = 16;  // results that take turns, block by block: columns share cache lines

/// Some dimensions of a tensor, walked row-major.
struct Walk {
  Dims shape, strides;
  std::int64_t total = 1;
  void add(std::int64_t extent, std::int64_t stride) {
    shape.push_back(extent);
    strides.push_back(stride);
    total *= extent;
  }
  std::int64_t offset(std::int64_t i) const noexcept {
    std::int64_t at = 0;
    for (int d = shape.size() - 1; d >= 0; --d) {
      at += i % shape[d] * strides[d];
      i /= shape[d];
    }
    return at;
  }
  /// Elements [begin, begin + n) side by side: where they lie, or in `buffer`.
  template <class T>
  const T* read(const T* base, std::int64_t begin, std::int64_t n, T* buffer) const noexcept {
    const int last = shape.size() - 1;
    if (last < 0) return base;  // one element
    const std::int64_t step = strides[last], extent = shape[last];
    if (step == 1 && begin % extent + n <= extent) return base + offset(begin);
    for (std::int64_t done = 0; done < n;) {
      const std::int64_t at = (begin + done) % extent, run = std::min(n - done, extent - at);
      const T* x = base + offset(begin + done);
      for (std::int64_t i = 0; i < run; ++i) buffer[done + i] = x[i * step];
      done += run;
    }
    return buffer;
  }
};

template <class T, class Fold>
void fold_over(const ConstView& src, const View& dst, const Dims& axes, const Fold& fold) {
  using State = typename Fold::State;
  Walk kept, reduced;
  for (int d = 0; d < src.shape.size(); ++d)
    (axes.contains(d) ? reduced : kept).add(src.shape[d], src.strides[d]);
  const std::int64_t segments = std::max<std::int64_t>(1, (reduced.total + segment - 1) / segment);
  const std::int64_t length = std::clamp<std::int64_t>(reduced.total, 1, segment);
  const std::int64_t tiles = (kept.total + tile - 1) / tile;
  const mem::Scratch<State> states(static_cast<std::size_t>(kept.total * segments));
  const T* from = src.as<T>();
  const std::int64_t grain = std::max<std::int64_t>(1, segment / (length * std::min(tile, kept.total + 1)));
  par::chunks(tiles * segments, grain, [&](std::int64_t begin, std::int64_t end) {
    T buffer[block];
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = i % segments * segment, last = std::min(reduced.total, first + segment);
      const std::int64_t k = i / segments * tile, width = std::min(tile, kept.total - k);
      State s[tile] = {};
      const T* base[tile];
      for (std::int64_t c = 0; c < width; ++c) base[c] = from + kept.offset(k + c);
      for (std::int64_t at = first; at < last; at += block) {
        const std::int64_t n = std::min(block, last - at);
        for (std::int64_t c = 0; c < width; ++c) {
          s[c] = fold.join(s[c], fold.of(reduced.read(base[c], at, n, buffer), n));
        }
      }
      for (std::int64_t c = 0; c < width; ++c)
        states[static_cast<std::size_t>((k + c) * segments + i % segments)] = s[c];
    }
  });
  T* to = dst.as<T>();
  for (std::int64_t k = 0; k < kept.total; ++k) {
    State s{};
    for (std::int64_t i = 0; i < segments; ++i)
      s = fold.join(s, states[static_cast<std::size_t>(k * segments + i)]);
    to[k] = static_cast<T>(fold.finish(s));
  }
}

struct VarianceFold {
  struct State {
    double n, mean, m2;
  };
  double divisor;
  bool root;
  template <class T>
  State of(const T* x, std::int64_t count) const noexcept {
    const ReduceRows<T>& rows = reduce_rows<T>();
    const double n = static_cast<double>(count), first = static_cast<double>(x[0]);
    // Sums of differences from the first element: exactly 0 for equal elements.
    const double mean = first + rows.deviations(x, first, count) / n;
    return {n, mean, rows.spread(x, mean, count)};
  }
  State join(const State& a, const State& b) const noexcept {
    if (a.n == 0) return b;
    if (b.n == 0) return a;
    const double n = a.n + b.n, delta = b.mean - a.mean;
    return {n, a.mean + delta * (b.n / n), a.m2 + b.m2 + delta * delta * (a.n * b.n / n)};
  }
  double finish(const State& s) const noexcept { return root ? std::sqrt(s.m2 / divisor) : s.m2 / divisor; }
};

/// sum |x|^p = scale^p times `sum`, the scale a power of two near the largest |x|.
struct NormFold {
  struct State {
    double scale, sum;
  };
  double p;
  double power(double x) const noexcept { return p == 1 ? x : p == 2 ? x * x : std::pow(x, p); }
  template <class T>
  State of(const T* elements, std::int64_t n) const noexcept {
    double x[block], top = 0;
    convert_row(DType::f64, dtype_of<T>)(x, 1, elements, 1, n);
    for (std::int64_t i = 0; i < n; ++i) top = std::fabs(x[i]) > top || x[i] != x[i] ? std::fabs(x[i]) : top;
    if (top == 0 || !std::isfinite(top) || std::isinf(p)) return {top, 1};
    const double scale = std::ldexp(1.0, std::ilogb(top)), shrink = 1 / scale;
    double sum = 0;
    if (std::isfinite(shrink))
      for (std::int64_t i = 0; i < n; ++i) sum += power(std::fabs(x[i]) * shrink);
    else
      for (std::int64_t i = 0; i < n; ++i) sum += power(std::fabs(x[i]) / scale);
    return {scale, sum};
  }
  State join(const State& a, const State& b) const noexcept {
    if (a.scale == 0) return b;
    if (b.scale == 0) return a;
    if (!std::isfinite(a.scale) || !std::isfinite(b.scale)) return {a.scale + b.scale, 1};  // NaN beats inf
    if (std::isinf(p)) return {std::max(a.scale, b.scale), 1};
    const double scale = std::max(a.scale, b.scale);
    return {scale, a.sum * power(a.scale / scale) + b.sum * power(b.scale / scale)};
  }
  double finish(const State& s) const noexcept {
    if (s.scale == 0 || !std::isfinite(s.scale) || std::isinf(p)) return s.scale;
    return s.scale * (p == 1 ? s.sum : p == 2 ? std::sqrt(s.sum) : std::pow(s.sum, 1 / p));
  }
};

/// Some lines of a recurrence: the first element of each operand's line, and the step along it.
template <class T, std::int64_t L>
struct Lines {
  const T *a[L]{}, *b[L]{};
  T* y[L]{};
  std::int64_t a_step, b_step, y_step;
};

/// Side by side, because the steps of one line wait for one another. `a` stands at the coefficient of the first step that
/// has one.
template <class T, std::int64_t L>
void recur(const Lines<T, L>& at, std::int64_t n) noexcept {
  double state[L];
  for (std::int64_t l = 0; l < L; ++l) {
    state[l] = static_cast<double>(at.b[l][0]);
    at.y[l][0] = at.b[l][0];
  }
  for (std::int64_t j = 1; j < n; ++j)
    for (std::int64_t l = 0; l < L; ++l) {
      const double carried = static_cast<double>(at.a[l][(j - 1) * at.a_step]) * state[l];
      state[l] = static_cast<double>(at.b[l][j * at.b_step]) + carried;
      at.y[l][j * at.y_step] = static_cast<T>(state[l]);
    }
}

template <class T>
void recurrence_of(const ConstView& a, const ConstView& b, const View& y, int dim, bool reverse,
                   bool lagged) {
  Walk of_a, of_b, of_y;
  for (int d = 0; d < y.shape.size(); ++d) {
    if (d == dim) continue;
    of_a.add(y.shape[d], a.strides[d]);
    of_b.add(y.shape[d], b.strides[d]);
    of_y.add(y.shape[d], y.strides[d]);
  }
  const std::int64_t n = y.shape[dim];
  if (n == 0) return;
  const std::int64_t sign = reverse ? -1 : 1, first = reverse ? n - 1 : 0;
  const std::int64_t first_a = n == 1 || lagged ? first : first + sign;  // one's own, or the one beside the earlier y
  const auto lines_from = [&](auto together, std::int64_t line) noexcept {
    constexpr std::int64_t L = decltype(together)::value;
    Lines<T, L> at{.a_step = sign * a.strides[dim], .b_step = sign * b.strides[dim], .y_step = sign * y.strides[dim]};
    for (std::int64_t l = 0; l < L; ++l) {
      at.a[l] = a.as<T>() + of_a.offset(line + l) + first_a * a.strides[dim];
      at.b[l] = b.as<T>() + of_b.offset(line + l) + first * b.strides[dim];
      at.y[l] = y.as<T>() + of_y.offset(line + l) + first * y.strides[dim];
    }
    recur(at, n);
  };
  constexpr std::int64_t together = 8;
  par::chunks((of_y.total + together - 1) / together, std::max<std::int64_t>(1, segment / (n * together)),
              [&](std::int64_t begin, std::int64_t end) {
                std::int64_t line = begin * together;
                const std::int64_t last = std::min(of_y.total, end * together);
                for (; line + together <= last; line += together)
                  lines_from(std::integral_constant<std::int64_t, together>{}, line);
                for (; line < last; ++line) lines_from(std::integral_constant<std::int64_t, 1>{}, line);
              });
}

}  // namespace

void variance(const ConstView& src, const View& dst, const Dims& axes, double divisor) {
  if (src.dtype == DType::f32)
    fold_over<float>(src, dst, axes, VarianceFold{divisor, false});
  else
    fold_over<double>(src, dst, axes, VarianceFold{divisor, false});
}

void standard_deviation(const ConstView& src, const View& dst, const Dims& axes, double divisor) {
  if (src.dtype == DType::f32)
    fold_over<float>(src, dst, axes, VarianceFold{divisor, true});
  else
    fold_over<double>(src, dst, axes, VarianceFold{divisor, true});
}

/// p = 1 and 2 where no scale is needed: f64 holds the square of any f32.
void plain_norm(int p, const ConstView& src, const View& dst, const Dims& axes) {
  const mem::Scratch<double> sums(static_cast<std::size_t>(numel(dst)));
  sum_powers(p, src, View{sums.data(), DType::f64, dst.shape, contiguous_strides(dst.shape)}, axes);
  for (std::int64_t i = 0; i < numel(dst); ++i) {
    const double y = sums[static_cast<std::size_t>(i)], root = p == 1 ? y : std::sqrt(y);
    if (dst.dtype == DType::f32)
      dst.as<float>()[i] = static_cast<float>(root);
    else
      dst.as<double>()[i] = root;
  }
}

void power_norm(const ConstView& src, const View& dst, const Dims& axes, double p) {
  if (p == 1 || (p == 2 && src.dtype == DType::f32)) return plain_norm(static_cast<int>(p), src, dst, axes);
  if (src.dtype == DType::f32)
    fold_over<float>(src, dst, axes, NormFold{p});
  else
    fold_over<double>(src, dst, axes, NormFold{p});
}

void recurrence(const ConstView& a, const ConstView& b, const View& y, int dim, bool reverse, bool lagged) {
  if (y.dtype == DType::f32)
    recurrence_of<float>(a, b, y, dim, reverse, lagged);
  else
    recurrence_of<double>(a, b, y, dim, reverse, lagged);
}

}  // namespace thalweg::kernels
