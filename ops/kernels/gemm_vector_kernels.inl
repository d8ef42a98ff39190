// Matrix times vector in lanes; included once per instruction set by gemm_vector_kernels.cpp (so no include
// guard). Invariant: chain l takes the elements p = l, l + P, l + 2 P, ... in rising order from 0, where P =
// gemm_partials; then chains l and l + P/2 are added, l and l + P/4, and so on.
#include <algorithm>
#include <utility>

#include <hwy/highway.h>

#include <thalweg/ops/kernels/gemm_vector_kernels.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using Lanes = hn::Vec<Tag<T>>;
template <class T>
inline constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
/// Vectors that hold the chains of one sum.
template <class T>
inline constexpr int group = static_cast<int>(gemm_partials<T> / lanes<T>);
/// Groups that run side by side, to hide the latency of a multiply-add.
template <class T>
inline constexpr int side_by_side = group<T> >= 8 ? 1 : 8 / group<T>;

template <int... I>
using Seq = std::integer_sequence<int, I...>;
template <int n>
using Count = std::make_integer_sequence<int, n>;

/// n <= `lanes` elements, zeros behind them; nothing else is read.
template <class T>
HWY_INLINE Lanes<T> load_part(const T* from, std::int64_t n) {
  constexpr Tag<T> d;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return hn::MaskedLoad(hn::FirstN(d, static_cast<std::size_t>(n)), d, from);
#else
  HWY_ALIGN T part[static_cast<std::size_t>(lanes<T>)] = {};
  for (std::int64_t l = 0; l < n; ++l) part[l] = from[l];
  return hn::Load(d, part);
#endif
}

template <class T, int... V>
HWY_INLINE void load_all(Seq<V...>, const T* from, Lanes<T>* v) {
  ((v[V] = hn::LoadU(Tag<T>(), from + V * lanes<T>)), ...);
}

template <class T, int... I>
HWY_INLINE void clear(Seq<I...>, Lanes<T>* v) {
  ((v[I] = hn::Zero(Tag<T>())), ...);
}

/// One step of k by a group: chains `acc` of the row at w take w[p..] x.
template <class T, int... V>
HWY_INLINE void row_step(Seq<V...>, const T* w, const Lanes<T>* x, Lanes<T>* acc) {
  constexpr Tag<T> d;
  ((acc[V] = hn::MulAdd(hn::LoadU(d, w + V * lanes<T>), x[V], acc[V])), ...);
}

/// The last n < gemm_partials elements of k: chains beyond them are left as they are.
template <class T, int... V>
HWY_INLINE void last_step(Seq<V...>, const T* w, const T* x, std::int64_t n, Lanes<T>* acc) {
  constexpr Tag<T> d;
  const auto one = [&](int v) HWY_ATTR {
    const std::int64_t left = std::clamp<std::int64_t>(n - v * lanes<T>, 0, lanes<T>);
    if (left == 0) return;
    const auto sum = hn::MulAdd(load_part(w + v * lanes<T>, left), load_part(x + v * lanes<T>, left), acc[v]);
    acc[v] = hn::IfThenElse(hn::FirstN(d, static_cast<std::size_t>(left)), sum, acc[v]);
  };
  (one(V), ...);
}

/// The chains of `n` elements at w + R * step (and of one x, or x + R * x_step), for every R, side by side.
template <class T, bool one_x, int... R>
HWY_INLINE void chains(Seq<R...>, const T* w, std::int64_t step, const T* x, std::int64_t x_step,
                       std::int64_t n, Lanes<T>* acc) {
  constexpr Count<group<T>> all{};
  constexpr int g = group<T>;
  clear<T>(Count<static_cast<int>(sizeof...(R)) * g>(), acc);
  std::int64_t p = 0;
  if constexpr (one_x) {
    for (; p + gemm_partials<T> <= n; p += gemm_partials<T>) {
      Lanes<T> xv[g];
      load_all<T>(all, x + p, xv);
      (row_step<T>(all, w + R * step + p, xv, acc + R * g), ...);
    }
  } else {
    const auto one = [&](const T* row, const T* at, Lanes<T>* sum) HWY_ATTR {
      Lanes<T> xv[g];
      load_all<T>(all, at, xv);
      row_step<T>(all, row, xv, sum);
    };
    for (; p + gemm_partials<T> <= n; p += gemm_partials<T>)
      (one(w + R * step + p, x + R * x_step + p, acc + R * g), ...);
  }
  if (p < n) (last_step<T>(all, w + R * step + p, x + R * x_step + p, n - p, acc + R * g), ...);
}

/// to[I] += from[I].
template <class T, int... I>
HWY_INLINE void add_all(Seq<I...>, const Lanes<T>* from, Lanes<T>* to) {
  ((to[I] = hn::Add(to[I], from[I])), ...);
}

/// The chains of one group of vectors joined down to one vector.
template <class T, int half = group<T> / 2>
HWY_INLINE Lanes<T> join_group(Lanes<T>* v) {
  if constexpr (half == 0) {
    return v[0];
  } else {
    add_all<T>(Count<half>(), v + half, v);
    return join_group<T, half / 2>(v);
  }
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
/// Lanes `distance` apart are added: those of `a` end where that bit of the lane's number is 0, those of `b`
/// elsewhere.
template <class T, int distance>
HWY_INLINE Lanes<T> join_pair(Lanes<T> a, Lanes<T> b) {
  constexpr Tag<T> d;
  constexpr hn::Repartition<double, Tag<T>> wide;
  constexpr int bytes = distance * static_cast<int>(sizeof(T));
  if constexpr (bytes == 32) {
    const auto other = hn::ConcatUpperLower(d, a, b);
    return hn::Add(hn::ConcatUpperLower(d, b, a), hn::ConcatLowerUpper(d, other, other));
  } else if constexpr (bytes == 16) {
    return hn::Add(hn::OddEvenBlocks(b, a), hn::SwapAdjacentBlocks(hn::OddEvenBlocks(a, b)));
  } else if constexpr (bytes == 8) {
    const auto x = hn::BitCast(wide, a), y = hn::BitCast(wide, b);
    return hn::Add(hn::BitCast(d, hn::OddEven(y, x)), hn::BitCast(d, hn::Shuffle01(hn::OddEven(x, y))));
  } else {
    return hn::Add(hn::OddEven(b, a), hn::Shuffle2301(hn::OddEven(a, b)));
  }
}

/// The n rows r, r + step, ... in one vector: row number i of them where the upper bits of the lane's number
/// say i.
template <class T, int n, int step>
HWY_INLINE Lanes<T> join_rows(const Lanes<T>* v, int r) {
  if constexpr (n == 1)
    return v[r];
  else
    return join_pair<T, static_cast<int>(lanes<T>) / n>(join_rows<T, n / 2, 2 * step>(v, r),
                                                        join_rows<T, n / 2, 2 * step>(v, r + step));
}

template <class T, int distance>
HWY_INLINE Lanes<T> join_rest(Lanes<T> v) {
  if constexpr (distance == 0)
    return v;
  else
    return join_rest<T, distance / 2>(join_pair<T, distance>(v, v));
}

template <class T, int... R>
HWY_INLINE void join(Seq<R...>, Lanes<T>* v, T* y) {
  constexpr int n = static_cast<int>(sizeof...(R)), apart = static_cast<int>(lanes<T>) / n;
  const Lanes<T> joined[] = {join_group<T>(v + R * group<T>)...};
  HWY_ALIGN T sums[static_cast<std::size_t>(lanes<T>)];
  hn::Store(join_rest<T, apart / 2>(join_rows<T, n, 1>(joined, 0)), Tag<T>(), sums);
  ((y[R] = sums[R * apart]), ...);
}
#else
/// The first `n` lanes of v joined by halves.
template <class T, int n>
HWY_INLINE T join_lanes(T* v) {
  for (int half = n / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) v[l] += v[l + half];
  return v[0];
}

template <class T, int... R>
HWY_INLINE void join(Seq<R...>, Lanes<T>* v, T* y) {
  HWY_ALIGN T sums[static_cast<std::size_t>(lanes<T>)];
  const auto one = [&](Lanes<T> sum) HWY_ATTR {
    hn::Store(sum, Tag<T>(), sums);
    return join_lanes<T, static_cast<int>(lanes<T>)>(sums);
  };
  ((y[R] = one(join_group<T>(v + R * group<T>))), ...);
}
#endif

/// `count` rows side by side.
template <class T, int count>
HWY_INLINE void some_rows(const T* w, std::int64_t row_step, const T* x, std::int64_t x_step, std::int64_t k,
                          T* y) {
  Lanes<T> acc[count * group<T>];
  if (x_step == 0)
    chains<T, true>(Count<count>(), w, row_step, x, 0, k, acc);
  else
    chains<T, false>(Count<count>(), w, row_step, x, x_step, k, acc);
  join<T>(Count<count>(), acc, y);
}

template <class T>
void rows(const T* w, std::int64_t row_step, std::int64_t count, const T* x, std::int64_t x_step,
          std::int64_t k, T* y) {
  constexpr int most = side_by_side<T>;
  std::int64_t i = 0;
  const auto take = [&]<int n>(std::integral_constant<int, n>) HWY_ATTR {
    for (; i + n <= count; i += n)
      some_rows<T, n>(w + i * row_step, row_step, x + i * x_step, x_step, k, y + i);
  };
  // Eight long rows, or eight with an x each, would be too many streams of memory for one core.
  if constexpr (most >= 8)
    if (x_step == 0 && k < 256) take(std::integral_constant<int, 8>());
  if constexpr (most >= 4) take(std::integral_constant<int, 4>());
  if constexpr (most >= 2) take(std::integral_constant<int, 2>());
  take(std::integral_constant<int, 1>());
}

template <class T, int... V>
HWY_INLINE void column_row(Seq<V...>, const T* w, Lanes<T> x, Lanes<T>* sum) {
  ((sum[V] = hn::MulAdd(hn::LoadU(Tag<T>(), w + V * lanes<T>), x, sum[V])), ...);
}

/// V vectors of columns: a chain goes on over the rows of w that are `step` apart, one for each x[U].
template <class T, int... U, int... V>
HWY_INLINE void column_step(Seq<U...>, Seq<V...> vectors, const T* w, std::int64_t step, const Lanes<T>* x,
                            bool first, T* chain) {
  constexpr Tag<T> d;
  Lanes<T> sum[] = {(first ? hn::Zero(d) : hn::Load(d, chain + V * lanes<T>))...};
  (column_row<T>(vectors, w + U * step, x[U], sum), ...);
  (hn::Store(sum[V], d, chain + V * lanes<T>), ...);
}

template <class T, int... U>
void column_chain(Seq<U...> steps, const T* w, std::int64_t step, const T* x, std::int64_t cols, bool first,
                  T* chain) {
  constexpr Tag<T> d;
  const Lanes<T> xv[] = {hn::Set(d, x[U * gemm_partials<T>])...};
  std::int64_t j = 0;
  for (; j + 4 * lanes<T> <= cols; j += 4 * lanes<T>)
    column_step<T>(steps, Count<4>(), w + j, step, xv, first, chain + j);
  for (; j + lanes<T> <= cols; j += lanes<T>)
    column_step<T>(steps, Count<1>(), w + j, step, xv, first, chain + j);
  if (j == cols) return;
  Lanes<T> sum = first ? hn::Zero(d) : hn::Load(d, chain + j);
  ((sum = hn::MulAdd(load_part(w + U * step + j, cols - j), xv[U], sum)), ...);
  hn::Store(sum, d, chain + j);
}

/// to[j] += from[j], in whole vectors.
template <class T>
HWY_INLINE void add_vectors(const T* from, std::int64_t n, T* to) {
  constexpr Tag<T> d;
  for (std::int64_t j = 0; j < n; j += lanes<T>)
    hn::Store(hn::Add(hn::Load(d, to + j), hn::Load(d, from + j)), d, to + j);
}

/// Four rows of a chain are taken at a time, so that its sums are read and written once for four.
template <class T>
void columns(const T* w, std::int64_t k_step, const T* x, std::int64_t k, std::int64_t cols, T* y) {
  constexpr std::int64_t partials = gemm_partials<T>;
  HWY_ALIGN T chain[partials * gemm_vector_columns];  // chain l of column j at l * width + j
  const std::int64_t width = (cols + lanes<T> - 1) / lanes<T> * lanes<T>, step = partials * k_step;
  for (std::int64_t p = 0; p == 0 || p < k; p += 4 * partials)
    for (std::int64_t l = 0; l < partials; ++l) {
      const std::int64_t left = k - p - l;
      const T *row = w + (p + l) * k_step, *at = x + p + l;
      T* const to = chain + l * width;
      if (left > 3 * partials)
        column_chain<T>(Count<4>(), row, step, at, cols, p == 0, to);
      else if (left > 2 * partials)
        column_chain<T>(Count<3>(), row, step, at, cols, p == 0, to);
      else if (left > partials)
        column_chain<T>(Count<2>(), row, step, at, cols, p == 0, to);
      else if (left > 0)
        column_chain<T>(Count<1>(), row, step, at, cols, p == 0, to);
      else if (p == 0)
        std::fill_n(to, width, T{0});
    }
  for (std::int64_t half = partials / 2; half > 0; half /= 2)
    add_vectors<T>(chain + half * width, half * width, chain);
  std::copy_n(chain, cols, y);
}

constexpr GemmVectorKernels<float> gemm_vector_f32{rows<float>, columns<float>};
constexpr GemmVectorKernels<double> gemm_vector_f64{rows<double>, columns<double>};

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
