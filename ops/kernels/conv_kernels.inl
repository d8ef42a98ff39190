// The register tile of the convolution in lanes; included once per instruction set by conv_kernels.cpp (so no
// include guard). Invariant: an element's chain of multiply-adds is the same in every variant, so tiles of
// any size give its bits.
#include <algorithm>
#include <utility>

#include <hwy/highway.h>

#include <thalweg/ops/kernels/conv_kernels.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

// Accumulators fill the register file but for the vectors of B and one of A, as in the matrix product.
#if HWY_TARGET == HWY_AVX3
constexpr int tile_rows = 8, tile_vectors = 3;
#elif HWY_TARGET == HWY_AVX2
constexpr int tile_rows = 6, tile_vectors = 2;
#else
constexpr int tile_rows = 4, tile_vectors = 2;
#endif

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using Lanes = hn::Vec<Tag<T>>;
template <int... I>
using Seq = std::integer_sequence<int, I...>;

// Loops over registers are unrolled by expansion: an array indexed by a variable would live in memory.
template <int r, class Vec, int... V>
HWY_INLINE void row_step(Seq<V...>, Vec a, const Vec* b, Vec* acc) {
  constexpr int n = static_cast<int>(sizeof...(V));
  ((acc[r * n + V] = hn::MulAdd(a, b[V], acc[r * n + V])), ...);
}

template <class T, int... I>
HWY_INLINE void clear(Seq<I...>, Lanes<T>* acc) {
  ((acc[I] = hn::Zero(Tag<T>())), ...);
}

template <bool dense_rows, class T, int... R, int... V>
HWY_INLINE void accumulate(Seq<R...>, Seq<V...> vectors, const ConvTile<T>& t, Lanes<T>* acc) {
  constexpr Tag<T> d;
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  const std::int64_t b_row = t.b_row, a_col = dense_rows ? 1 : t.a_col;
  for (std::int64_t s = 0; s < t.segments; ++s) {
    const T* first = t.a + t.a_at[s];
    // A tile with fewer rows than the variant repeats its last row; what comes of it is not stored.
    const T* const a[] = {first + (dense_rows ? std::min<std::int64_t>(R, t.rows - 1) * t.a_row : R)...};
    const T* b = t.b + t.b_at[s];
    std::int64_t at = 0;
    for (std::int64_t p = t.k; p > 0; --p) {
      const Lanes<T> bv[] = {hn::LoadU(d, b + V * lanes)...};
      (row_step<R>(vectors, hn::Set(d, a[R][at]), bv, acc), ...);
      at += a_col;
      b += b_row;
    }
  }
}

template <class T>
HWY_INLINE Lanes<T> finished(const ConvTile<T>& t, Lanes<T> x, int row, std::int64_t column) {
  constexpr Tag<T> d;
  if (t.row_bias != nullptr) x = hn::Add(x, hn::Set(d, t.row_bias[row]));
  if (t.bias != nullptr) x = hn::Add(x, hn::LoadU(d, t.bias + column));
  if (t.relu) x = hn::IfThenElse(hn::Or(hn::Gt(x, hn::Zero(d)), hn::IsNaN(x)), x, hn::Zero(d));
  return x;
}

template <int row, class T, int... V>
HWY_INLINE void store_row(Seq<V...>, const ConvTile<T>& t, const Lanes<T>* acc) {
  constexpr Tag<T> d;
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  T* c = t.c + row * t.c_row;
  if (t.add)
    (hn::StoreU(finished<T>(t, hn::Add(hn::LoadU(d, c + V * lanes), acc[V]), row, V * lanes), d,
                c + V * lanes),
     ...);
  else if (t.stream)
    (hn::Stream(finished<T>(t, acc[V], row, V * lanes), d, c + V * lanes), ...);
  else
    (hn::StoreU(finished<T>(t, acc[V], row, V * lanes), d, c + V * lanes), ...);
}

template <class T, int vectors, int... R>
HWY_INLINE void store(Seq<R...>, const ConvTile<T>& t, const Lanes<T>* acc) {
  constexpr std::make_integer_sequence<int, vectors> all{};
  ((R < t.rows ? store_row<R, T>(all, t, acc + R * vectors) : void()), ...);
}

template <bool dense_rows, class T, int rows, int vectors>
void tile_variant(const ConvTile<T>& t) {
  constexpr std::make_integer_sequence<int, rows> r{};
  Lanes<T> acc[rows * vectors];
  clear<T>(std::make_integer_sequence<int, rows * vectors>(), acc);
  accumulate<dense_rows, T>(r, std::make_integer_sequence<int, vectors>(), t, acc);
  store<T, vectors>(r, t, acc);
}

template <bool dense_rows, class T, int vectors>
HWY_INLINE void choose_rows(const ConvTile<T>& t) {
  if (t.rows > 4 && tile_rows > 4)
    tile_variant<dense_rows, T, tile_rows, vectors>(t);
  else if (t.rows > 2)
    tile_variant<dense_rows, T, 4, vectors>(t);
  else if (t.rows == 2)
    tile_variant<dense_rows, T, 2, vectors>(t);
  else
    tile_variant<dense_rows, T, 1, vectors>(t);
}

template <bool dense_rows, class T>
void tile(const ConvTile<T>& t) {
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  if (t.cols <= lanes)
    choose_rows<dense_rows, T, 1>(t);
  else if (t.cols <= 2 * lanes)
    choose_rows<dense_rows, T, 2>(t);
  else
    choose_rows<dense_rows, T, tile_vectors>(t);
}

// Dot products of some maps with some shifts: a sum of lanes each, in registers; as many as fit beside one
// vector of every map.
#if HWY_TARGET == HWY_AVX3
constexpr int dot_maps = 4, dot_shifts = 6;
#else
constexpr int dot_maps = 2, dot_shifts = 4;
#endif
constexpr int dot_shifts_alone = 9;

template <class T, int... I>
HWY_INLINE void sum_all(Seq<I...>, const Lanes<T>* acc, T* sums) {
  ((sums[I] = hn::GetLane(hn::SumOfLanes(Tag<T>(), acc[I]))), ...);
}

template <class T, int... G, int... S>
HWY_INLINE void dot_block(Seq<G...>, Seq<S...> shifts, const ConvDots<T>& t, std::int64_t map,
                          std::int64_t shift) {
  constexpr Tag<T> d;
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  constexpr int n = static_cast<int>(sizeof...(S));
  // Past the last map or shift the last one is repeated; what comes of it is not stored.
  const T* g[] = {t.g + std::min<std::int64_t>(map + G, t.maps - 1) * t.g_step...};
  const T* x[] = {t.x + t.x_at[std::min<std::int64_t>(shift + S, t.shifts - 1)]...};
  Lanes<T> acc[sizeof...(G) * sizeof...(S)];
  clear<T>(std::make_integer_sequence<int, static_cast<int>(sizeof...(G)) * n>(), acc);
  for (std::int64_t row = 0; row < t.rows; ++row) {
    const std::int64_t in_g = row * t.g_row, in_x = row * t.x_row;
    for (std::int64_t j = 0; j < t.columns; j += lanes) {
      const Lanes<T> xv[] = {hn::LoadU(d, x[S] + in_x + j)...};
      (row_step<G>(shifts, hn::LoadU(d, g[G] + in_g + j), xv, acc), ...);
    }
  }
  T sums[sizeof...(G) * sizeof...(S)];
  sum_all<T>(std::make_integer_sequence<int, static_cast<int>(sizeof...(G)) * n>(), acc, sums);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(sizeof...(G)) && map + i < t.maps; ++i)
    for (std::int64_t s = 0; s < n && shift + s < t.shifts; ++s)
      t.out[(map + i) * t.out_step + t.out_at[shift + s]] += sums[i * n + s];
}

template <class T>
void dots(const ConvDots<T>& t) {
  if (t.maps == 1) {
    for (std::int64_t s = 0; s < t.shifts; s += dot_shifts_alone)
      dot_block<T>(Seq<0>(), std::make_integer_sequence<int, dot_shifts_alone>(), t, 0, s);
    return;
  }
  for (std::int64_t map = 0; map < t.maps; map += dot_maps)
    for (std::int64_t s = 0; s < t.shifts; s += dot_shifts)
      dot_block<T>(std::make_integer_sequence<int, dot_maps>(), std::make_integer_sequence<int, dot_shifts>(),
                   t, map, s);
}

template <class T>
constexpr ConvKernels<T> make_kernels() {
  constexpr int lanes = static_cast<int>(hn::MaxLanes(Tag<T>()));
  return {tile_rows, tile_vectors * lanes, lanes, tile<true, T>, tile<false, T>, dots<T>};
}

constexpr ConvKernels<float> conv_f32 = make_kernels<float>();
constexpr ConvKernels<double> conv_f64 = make_kernels<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
