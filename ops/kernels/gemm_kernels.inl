// The register tile in lanes; included once per instruction set by gemm_kernels.cpp (so no include guard).
// Invariant: an element's chain of multiply-adds is the same in every variant, so tiles of any size give its
// bits.
#include <algorithm>
#include <utility>

#include <hwy/highway.h>

#include <thalweg/ops/kernels/gemm_kernels.hpp>
#include <thalweg/ops/kernels/simd/lane.inl>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;
using simd::HWY_NAMESPACE::Lane;

// Accumulators fill the register file but for the vectors of B and one of A: 24 + 3 + 1 of 32 on AVX-512,
// 12 + 2 + 1 of 16 on AVX2; without fused multiply-add the product needs a register too.
#if HWY_TARGET == HWY_AVX3
constexpr int tile_rows = 8, tile_vectors = 3;
#elif HWY_TARGET == HWY_AVX2
constexpr int tile_rows = 6, tile_vectors = 2;
#else
constexpr int tile_rows = 4, tile_vectors = 2;
#endif

// Whether there are loads and stores of a part of a vector that touch nothing else.
constexpr bool reads_part = HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3;

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using Lanes = hn::Vec<Tag<T>>;

// Loops over registers are unrolled by expansion: at -O2 neither compiler promises to do it for a loop, and
// an array indexed by a variable would live in memory.
template <int... I>
using Seq = std::integer_sequence<int, I...>;

template <int r, class Vec, int... V>
HWY_INLINE void row_step(Seq<V...>, Vec a, const Vec* b, Vec* acc) {
  constexpr int n = static_cast<int>(sizeof...(V));
  ((acc[r * n + V] = hn::MulAdd(a, b[V], acc[r * n + V])), ...);
}

template <class T, int... I>
HWY_INLINE void clear(Seq<I...>, Lanes<T>* acc) {
  ((acc[I] = hn::Zero(Tag<T>())), ...);
}

/// Vector V of a row of B, of which the first n > 0 columns of the last one may be all that is there.
template <bool whole, int V, int vectors, class T>
HWY_INLINE Lanes<T> load_b(const T* b, [[maybe_unused]] std::int64_t n) {
  constexpr Tag<T> d;
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if constexpr (!whole && V + 1 == vectors)
    return hn::MaskedLoad(hn::FirstN(d, static_cast<std::size_t>(n)), d, b + V * lanes);
#endif
  return hn::LoadU(d, b + V * lanes);
}

template <bool packed, bool whole, class T, int... R, int... V>
HWY_INLINE void accumulate(Seq<R...>, Seq<V...> vectors, const GemmTile<T>& t, Lanes<T>* acc) {
  constexpr Tag<T> d;
  constexpr int count = static_cast<int>(sizeof...(V));
  const std::int64_t last = t.cols - (count - 1) * static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  // A tile with fewer rows than the variant repeats its last row; what comes of it is not stored.
  const T* const a[] = {t.a + (packed ? R : std::min<std::int64_t>(R, t.rows - 1) * t.a_row)...};
  const std::int64_t a_col = packed ? tile_rows : t.a_col, b_row = t.b_row;
  const T* b = t.b;
  std::int64_t at = 0;
  for (std::int64_t p = t.k; p > 0; --p) {
    const Lanes<T> bv[] = {load_b<whole, V, count, T>(b, last)...};
    (row_step<R>(vectors, hn::Set(d, a[R][at]), bv, acc), ...);
    at += a_col;
    b += b_row;
  }
}

template <class T, int... V>
HWY_INLINE void store_row(Seq<V...>, const Lanes<T>* acc, T* c, bool add) {
  constexpr Tag<T> d;
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  if (add)
    (hn::StoreU(hn::Add(hn::LoadU(d, c + V * lanes), acc[V]), d, c + V * lanes), ...);
  else
    (hn::StoreU(acc[V], d, c + V * lanes), ...);
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
/// The first `cols` columns of a row: the last vector is written in part.
template <class T, int vectors>
HWY_INLINE void store_part_row(const Lanes<T>* acc, T* c, std::int64_t cols, bool add) {
  constexpr Tag<T> d;
  constexpr std::int64_t whole = (vectors - 1) * static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  store_row<T>(std::make_integer_sequence<int, vectors - 1>(), acc, c, add);
  const auto mask = hn::FirstN(d, static_cast<std::size_t>(cols - whole));
  const auto sum = acc[vectors - 1];
  hn::BlendedStore(add ? hn::Add(hn::MaskedLoad(mask, d, c + whole), sum) : sum, mask, d, c + whole);
}
#endif

template <class T, int vectors, int... R>
HWY_INLINE void store(Seq<R...>, const GemmTile<T>& t, const Lanes<T>* acc) {
  constexpr auto width = vectors * static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  constexpr std::make_integer_sequence<int, vectors> all{};
  if (t.cols == width && t.c_col == 1) {
    ((R < t.rows ? store_row<T>(all, acc + R * vectors, t.c + R * t.c_row, t.add) : void()), ...);
    return;
  }
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if (t.c_col == 1) {
    ((R < t.rows ? store_part_row<T, vectors>(acc + R * vectors, t.c + R * t.c_row, t.cols, t.add) : void()),
     ...);
    return;
  }
#endif
  HWY_ALIGN T tile[sizeof...(R) * static_cast<std::size_t>(width)];
  (store_row<T>(all, acc + R * vectors, tile + R * width, false), ...);
  for (std::int64_t i = 0; i < t.rows; ++i)
    for (std::int64_t j = 0; j < t.cols; ++j) {
      T& c = t.c[i * t.c_row + j * t.c_col];
      c = t.add ? c + tile[i * width + j] : tile[i * width + j];
    }
}

template <bool packed, bool whole, class T, int rows, int vectors>
void tile_variant(const GemmTile<T>& t) {
  constexpr std::make_integer_sequence<int, rows> r{};
  Lanes<T> acc[rows * vectors];
  clear<T>(std::make_integer_sequence<int, rows * vectors>(), acc);
  accumulate<packed, whole, T>(r, std::make_integer_sequence<int, vectors>(), t, acc);
  store<T, vectors>(r, t, acc);
}

template <bool packed, bool whole, class T, int vectors>
HWY_INLINE void choose_rows(const GemmTile<T>& t) {
  if (t.rows > 4 && tile_rows > 4)
    tile_variant<packed, whole, T, tile_rows, vectors>(t);
  else if (t.rows > 2)
    tile_variant<packed, whole, T, 4, vectors>(t);
  else if (t.rows == 2)
    tile_variant<packed, whole, T, 2, vectors>(t);
  else
    tile_variant<packed, whole, T, 1, vectors>(t);
}

template <bool packed, bool whole, class T>
HWY_INLINE void choose_vectors(const GemmTile<T>& t) {
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
  if (t.cols <= lanes)
    choose_rows<packed, whole, T, 1>(t);
  else if (t.cols <= 2 * lanes)
    choose_rows<packed, whole, T, 2>(t);
  else
    choose_rows<packed, whole, T, tile_vectors>(t);
}

template <class T>
void packed_tile(const GemmTile<T>& t) {
  choose_vectors<true, true, T>(t);
}

template <class T>
void strided_tile(const GemmTile<T>& t) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if (t.b_exact) return choose_vectors<false, false, T>(t);
#endif
  choose_vectors<false, true, T>(t);
}

template <Activation act, class T>
HWY_INLINE Lanes<T> activate(Lanes<T> x) {
  constexpr Tag<T> d;
  if constexpr (act == Activation::relu)
    return hn::IfThenElse(hn::Or(hn::Gt(x, hn::Zero(d)), hn::IsNaN(x)), x, hn::Zero(d));
  else if constexpr (act == Activation::sigmoid)
    return sigmoid(Lane<Tag<T>>(x)).v;
  else if constexpr (act == Activation::tanh)
    return tanh(Lane<Tag<T>>(x)).v;
  else
    return x;
}

template <Activation act, class T>
void finish_with(T* c, const T* bias, std::int64_t n) {
  constexpr Tag<T> d;
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(d));
  std::int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    Lanes<T> x = hn::LoadU(d, c + j);
    if (bias != nullptr) x = hn::Add(x, hn::LoadU(d, bias + j));
    hn::StoreU(activate<act, T>(x), d, c + j);
  }
  if (j == n) return;
  HWY_ALIGN T rest[hn::MaxLanes(d)] = {};
  for (std::int64_t l = 0; l < n - j; ++l) rest[l] = bias != nullptr ? c[j + l] + bias[j + l] : c[j + l];
  hn::Store(activate<act, T>(hn::Load(d, rest)), d, rest);
  for (std::int64_t l = 0; l < n - j; ++l) c[j + l] = rest[l];
}

template <class T>
void finish(T* c, const T* bias, std::int64_t n, Activation act) {
  switch (act) {
    case Activation::none:
      return finish_with<Activation::none, T>(c, bias, n);
    case Activation::relu:
      return finish_with<Activation::relu, T>(c, bias, n);
    case Activation::sigmoid:
      return finish_with<Activation::sigmoid, T>(c, bias, n);
    case Activation::tanh:
      return finish_with<Activation::tanh, T>(c, bias, n);
  }
}

template <class T>
constexpr GemmKernels<T> make_kernels() {
  constexpr int lanes = static_cast<int>(hn::MaxLanes(Tag<T>()));
  static_assert(tile_vectors * lanes * sizeof(T) <= gemm_widest_panel);
  return {tile_rows,       tile_vectors * lanes,
          lanes,           packed_tile<T>,
          strided_tile<T>, finish<T>,
          reads_part,      static_cast<int>(gemm_row_block) / tile_rows * tile_rows};
}

constexpr GemmKernels<float> gemm_f32 = make_kernels<float>();
constexpr GemmKernels<double> gemm_f64 = make_kernels<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
