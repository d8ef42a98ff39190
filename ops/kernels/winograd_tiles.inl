// Winograd's transforms in lanes; included once per instruction set by winograd_tiles.cpp (so no include
// guard). Invariant: a coefficient that is not zero is always multiplied, never skipped by value, so NaN and
// Inf reach all they should.
#include <algorithm>
#include <utility>

#include <hwy/highway.h>

#include <thalweg/ops/kernels/winograd_tiles.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr std::int64_t width = static_cast<std::int64_t>(hn::MaxLanes(D()));

// Loops over registers are unrolled by expansion: at -O2 no compiler promises to do it for a loop.
template <int... I>
using Seq = std::integer_sequence<int, I...>;
template <int n>
constexpr std::make_integer_sequence<int, n> up_to{};

HWY_INLINE V times(float f, V x) { return hn::Mul(hn::Set(D(), f), x); }
/// f x + y
HWY_INLINE V plus(float f, V x, V y) { return hn::MulAdd(hn::Set(D(), f), x, y); }

// Each stage is a matrix on one axis: `from` numbers in, `to` numbers out.

/// F(2,3) on the points 0, 1, -1, infinity.
struct Two {
  struct Data {
    static constexpr int from = 4, to = 4;
    static HWY_INLINE void apply(const V* d, V* v) {
      v[0] = hn::Sub(d[0], d[2]);
      v[1] = hn::Add(d[1], d[2]);
      v[2] = hn::Sub(d[2], d[1]);
      v[3] = hn::Sub(d[3], d[1]);
    }
  };
  struct Weights {
    static constexpr int from = 3, to = 4;
    static HWY_INLINE void apply(const V* w, V* u) {
      const V even = times(0.5f, hn::Add(w[0], w[2]));
      u[0] = w[0];
      u[1] = plus(0.5f, w[1], even);
      u[2] = plus(-0.5f, w[1], even);
      u[3] = w[2];
    }
  };
  struct Output {
    static constexpr int from = 4, to = 2;
    static HWY_INLINE void apply(const V* m, V* y) {
      y[0] = hn::Add(m[0], hn::Add(m[1], m[2]));
      y[1] = hn::Add(hn::Sub(m[1], m[2]), m[3]);
    }
  };
  struct Gradient {
    static constexpr int from = 2, to = 4;
    static HWY_INLINE void apply(const V* g, V* y) {
      y[0] = g[0];
      y[1] = hn::Add(g[0], g[1]);
      y[2] = hn::Sub(g[0], g[1]);
      y[3] = g[1];
    }
  };
  struct WeightGradient {
    static constexpr int from = 4, to = 3;
    static HWY_INLINE void apply(const V* u, V* w) {
      const V even = times(0.5f, hn::Add(u[1], u[2]));
      w[0] = hn::Add(u[0], even);
      w[1] = times(0.5f, hn::Sub(u[1], u[2]));
      w[2] = hn::Add(even, u[3]);
    }
  };
};

/// F(4,3) on the points 0, +-a, +-b, infinity. Of the pairs of short binary fractions that were tried,
/// 5/8 and 3/2 gave the least error: less than half that of the usual 1 and 2.
struct Four {
  static constexpr double a = 0.625, b = 1.5, a2 = a * a, b2 = b * b;
  static constexpr double at_zero = 1 / (a2 * b2), at_a = 0.5 / (a2 * (a2 - b2)),
                          at_b = 0.5 / (b2 * (b2 - a2));
  static constexpr float f(double x) { return static_cast<float>(x); }

  struct Data {
    static constexpr int from = 6, to = 6;
    static HWY_INLINE void apply(const V* d, V* v) {
      const V even_a = plus(f(-b2), d[2], d[4]), odd_a = plus(f(-b2), d[1], d[3]);
      const V even_b = plus(f(-a2), d[2], d[4]), odd_b = plus(f(-a2), d[1], d[3]);
      v[0] = plus(f(-a2 - b2), d[2], plus(f(a2 * b2), d[0], d[4]));
      v[1] = plus(f(a), odd_a, even_a);
      v[2] = plus(f(-a), odd_a, even_a);
      v[3] = plus(f(b), odd_b, even_b);
      v[4] = plus(f(-b), odd_b, even_b);
      v[5] = plus(f(-a2 - b2), d[3], plus(f(a2 * b2), d[1], d[5]));
    }
  };
  struct Weights {
    static constexpr int from = 3, to = 6;
    static HWY_INLINE void apply(const V* w, V* u) {
      const V even_a = times(f(at_a), plus(f(a2), w[2], w[0]));
      const V even_b = times(f(at_b), plus(f(b2), w[2], w[0]));
      u[0] = times(f(at_zero), w[0]);
      u[1] = plus(f(a * at_a), w[1], even_a);
      u[2] = plus(f(-a * at_a), w[1], even_a);
      u[3] = plus(f(b * at_b), w[1], even_b);
      u[4] = plus(f(-b * at_b), w[1], even_b);
      u[5] = w[2];
    }
  };
  struct Output {
    static constexpr int from = 6, to = 4;
    static HWY_INLINE void apply(const V* m, V* y) {
      const V even_a = hn::Add(m[1], m[2]), odd_a = hn::Sub(m[1], m[2]);
      const V even_b = hn::Add(m[3], m[4]), odd_b = hn::Sub(m[3], m[4]);
      y[0] = hn::Add(m[0], hn::Add(even_a, even_b));
      y[1] = plus(f(a), odd_a, times(f(b), odd_b));
      y[2] = plus(f(a2), even_a, times(f(b2), even_b));
      y[3] = plus(f(a * a2), odd_a, plus(f(b * b2), odd_b, m[5]));
    }
  };
  struct Gradient {
    static constexpr int from = 4, to = 6;
    static HWY_INLINE void apply(const V* g, V* y) {
      const V even_a = plus(f(a2), g[2], g[0]), odd_a = plus(f(a2), g[3], g[1]);
      const V even_b = plus(f(b2), g[2], g[0]), odd_b = plus(f(b2), g[3], g[1]);
      y[0] = g[0];
      y[1] = plus(f(a), odd_a, even_a);
      y[2] = plus(f(-a), odd_a, even_a);
      y[3] = plus(f(b), odd_b, even_b);
      y[4] = plus(f(-b), odd_b, even_b);
      y[5] = g[3];
    }
  };
  struct WeightGradient {
    static constexpr int from = 6, to = 3;
    static HWY_INLINE void apply(const V* u, V* w) {
      const V even_a = times(f(at_a), hn::Add(u[1], u[2])), odd_a = hn::Sub(u[1], u[2]);
      const V even_b = times(f(at_b), hn::Add(u[3], u[4])), odd_b = hn::Sub(u[3], u[4]);
      w[0] = plus(f(at_zero), u[0], hn::Add(even_a, even_b));
      w[1] = plus(f(a * at_a), odd_a, times(f(b * at_b), odd_b));
      w[2] = plus(f(a2), even_a, plus(f(b2), even_b, u[5]));
    }
  };
};

/// y0 = d0 w1 + d1 w2, y1 = d0 w0 + d1 w1 by the products (d0 + d1) w1, d0 (w0 - w1), d1 (w2 - w1).
struct Pair {
  struct Data {
    static constexpr int from = 2, to = 3;
    static HWY_INLINE void apply(const V* d, V* v) {
      v[0] = d[0];
      v[1] = hn::Add(d[0], d[1]);
      v[2] = d[1];
    }
  };
  struct Weights {
    static constexpr int from = 3, to = 3;
    static HWY_INLINE void apply(const V* w, V* u) {
      u[0] = hn::Sub(w[0], w[1]);
      u[1] = w[1];
      u[2] = hn::Sub(w[2], w[1]);
    }
  };
  struct Output {
    static constexpr int from = 3, to = 2;
    static HWY_INLINE void apply(const V* m, V* y) {
      y[0] = hn::Add(m[1], m[2]);
      y[1] = hn::Add(m[1], m[0]);
    }
  };
  struct Gradient {
    static constexpr int from = 2, to = 3;
    static HWY_INLINE void apply(const V* g, V* y) {
      y[0] = g[1];
      y[1] = hn::Add(g[0], g[1]);
      y[2] = g[0];
    }
  };
  struct WeightGradient {
    static constexpr int from = 3, to = 3;
    static HWY_INLINE void apply(const V* u, V* w) {
      w[0] = u[0];
      w[1] = hn::Sub(u[1], hn::Add(u[0], u[2]));
      w[2] = u[2];
    }
  };
};

template <class Step, int... I, int... O>
HWY_INLINE void column(Seq<I...>, Seq<O...>, const float* in, std::int64_t in_step, float* out,
                       std::int64_t out_step) {
  const V a[] = {hn::LoadU(D(), in + I * in_step)...};
  V b[sizeof...(O)];
  Step::apply(a, b);
  (hn::StoreU(b[O], D(), out + O * out_step), ...);
}

template <class Step>
void stage(const float* in, const WinogradLayout& from, float* out, const WinogradLayout& to,
           std::int64_t count) {
  HWY_ALIGN float half[Step::to * Step::from * width];
  for (std::int64_t t = 0; t < count; ++t, in += from.step, out += to.step) {
    for (int j = 0; j < Step::from; ++j)
      column<Step>(up_to<Step::from>, up_to<Step::to>, in + j * from.col, from.row, half + j * width,
                   Step::from * width);
    for (int i = 0; i < Step::to; ++i)
      column<Step>(up_to<Step::from>, up_to<Step::to>, half + i * Step::from * width, width, out + i * to.row,
                   to.col);
  }
}

// The transpose of `width` vectors, first within blocks of four lanes, then of the blocks.

#if HWY_TARGET != HWY_SCALAR
HWY_INLINE V low_pairs(V a, V b) {
  const hn::Repartition<double, D> d;
  return hn::BitCast(D(), hn::InterleaveLower(d, hn::BitCast(d, a), hn::BitCast(d, b)));
}
HWY_INLINE V high_pairs(V a, V b) {
  const hn::Repartition<double, D> d;
  return hn::BitCast(D(), hn::InterleaveUpper(d, hn::BitCast(d, a), hn::BitCast(d, b)));
}

/// Rows 4 q to 4 q + 3.
template <int q>
HWY_INLINE void transpose_four(V* r) {
  V* const x = r + 4 * q;
  const V a = hn::InterleaveLower(D(), x[0], x[1]), b = hn::InterleaveLower(D(), x[2], x[3]);
  const V c = hn::InterleaveUpper(D(), x[0], x[1]), d = hn::InterleaveUpper(D(), x[2], x[3]);
  x[0] = low_pairs(a, b);
  x[1] = high_pairs(a, b);
  x[2] = low_pairs(c, d);
  x[3] = high_pairs(c, d);
}
#endif

#if HWY_TARGET == HWY_AVX3
template <int j>
HWY_INLINE void transpose_blocks(V* r) {
  const __m512 a = _mm512_shuffle_f32x4(r[j].raw, r[4 + j].raw, 0x44);
  const __m512 b = _mm512_shuffle_f32x4(r[j].raw, r[4 + j].raw, 0xEE);
  const __m512 c = _mm512_shuffle_f32x4(r[8 + j].raw, r[12 + j].raw, 0x44);
  const __m512 d = _mm512_shuffle_f32x4(r[8 + j].raw, r[12 + j].raw, 0xEE);
  r[j] = V{_mm512_shuffle_f32x4(a, c, 0x88)};
  r[4 + j] = V{_mm512_shuffle_f32x4(a, c, 0xDD)};
  r[8 + j] = V{_mm512_shuffle_f32x4(b, d, 0x88)};
  r[12 + j] = V{_mm512_shuffle_f32x4(b, d, 0xDD)};
}
#elif HWY_TARGET == HWY_AVX2
template <int j>
HWY_INLINE void transpose_blocks(V* r) {
  const V low = hn::ConcatLowerLower(D(), r[4 + j], r[j]), high = hn::ConcatUpperUpper(D(), r[4 + j], r[j]);
  r[j] = low;
  r[4 + j] = high;
}
#endif

template <int... Q, int... J>
HWY_INLINE void transpose([[maybe_unused]] V* r, Seq<Q...>, Seq<J...>) {
#if HWY_TARGET != HWY_SCALAR
  (transpose_four<Q>(r), ...);
#endif
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  (transpose_blocks<J>(r), ...);
#endif
}
HWY_INLINE void transpose(V* r) { transpose(r, up_to<static_cast<int>(width / 4)>, up_to<4>); }

/// The first `n` floats at x, zeros behind; and the first `n` lanes of v to y.
HWY_INLINE V load_part(const float* x, std::int64_t n) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return hn::MaskedLoad(hn::FirstN(D(), static_cast<std::size_t>(n)), D(), x);
#else
  HWY_ALIGN float buffer[static_cast<std::size_t>(width)] = {};
  for (std::int64_t l = 0; l < n; ++l) buffer[l] = x[l];
  return hn::Load(D(), buffer);
#endif
}
HWY_INLINE void store_part(V v, float* y, std::int64_t n) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  hn::BlendedStore(v, hn::FirstN(D(), static_cast<std::size_t>(n)), D(), y);
#else
  HWY_ALIGN float buffer[static_cast<std::size_t>(width)];
  hn::Store(v, D(), buffer);
  for (std::int64_t l = 0; l < n; ++l) y[l] = buffer[l];
#endif
}

template <int... L>
HWY_INLINE void load_block(Seq<L...>, const float* in, std::int64_t plane, std::int64_t last, std::int64_t n,
                           V* r) {
  if (n == width && last == width - 1)
    ((r[L] = hn::LoadU(D(), in + L * plane)), ...);
  else
    ((r[L] = load_part(in + std::min<std::int64_t>(L, last) * plane, n)), ...);
  transpose(r);
}

template <int... L>
HWY_INLINE void store_block(Seq<L...>, V* r, float* out, std::int64_t plane, std::int64_t last,
                            std::int64_t n) {
  transpose(r);
  if (n == width && last == width - 1)
    (hn::StoreU(r[L], D(), out + L * plane), ...);
  else
    ((L <= last ? store_part(r[L], out + L * plane, n) : void()), ...);
}

/// Walks the elements of rows in order.
struct Walk {
  std::int64_t columns, gap, column = 0;
  template <class T>
  HWY_INLINE T* next(T*& at) {
    T* const here = at;
    at += width;
    if (++column == columns) column = 0, at += gap;
    return here;
  }
};

template <int... L>
HWY_INLINE void load_all(Seq<L...> lanes, const float* in, std::int64_t plane, std::int64_t planes,
                         std::int64_t total, float* out, Walk walk) {
  for (std::int64_t p = 0; p < total; p += width) {
    const std::int64_t n = std::min(width, total - p);
    V r[sizeof...(L)];
    load_block(lanes, in + p, plane, planes - 1, n, r);
    ((L < n ? hn::StoreU(r[L], D(), walk.next(out)) : void()), ...);
  }
}

template <int... L>
HWY_INLINE void store_all(Seq<L...> lanes, const float* in, Walk walk, float* out, std::int64_t plane,
                          std::int64_t planes, std::int64_t total) {
  for (std::int64_t p = 0; p < total; p += width) {
    const std::int64_t n = std::min(width, total - p);
    V r[] = {L < n ? hn::LoadU(D(), walk.next(in)) : hn::Zero(D())...};
    store_block(lanes, r, out + p, plane, planes - 1, n);
  }
}

void load(const float* in, std::int64_t plane, std::int64_t planes, std::int64_t rows, std::int64_t columns,
          float* out, std::int64_t out_row) {
  load_all(up_to<static_cast<int>(width)>, in, plane, std::min(planes, width), rows * columns, out,
           {columns, out_row - columns * width});
}

void store(const float* in, std::int64_t in_row, float* out, std::int64_t plane, std::int64_t planes,
           std::int64_t rows, std::int64_t columns) {
  store_all(up_to<static_cast<int>(width)>, in, {columns, in_row - columns * width}, out, plane,
            std::min(planes, width), rows * columns);
}

template <class S>
constexpr WinogradTiles::Scheme make_scheme() {
  return {stage<typename S::Data>, stage<typename S::Weights>, stage<typename S::Output>,
          stage<typename S::Gradient>, stage<typename S::WeightGradient>};
}

constexpr WinogradTiles winograd{
    static_cast<int>(width), {make_scheme<Two>(), make_scheme<Four>(), make_scheme<Pair>()}, load, store};

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
