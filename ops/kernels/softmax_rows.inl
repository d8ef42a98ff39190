// Softmax rows in lanes; included once per instruction set by softmax_rows.cpp (so no include guard).
// Invariant: a short last vector is padded with what adds nothing and takes the same lanes; sums run in T
// over blocks of 512 elements, whose totals are added in double.
#include <cmath>
#include <limits>

#include <hwy/highway.h>

#include <thalweg/ops/kernels/simd/lane.inl>
#include <thalweg/ops/kernels/softmax_rows.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using V = simd::HWY_NAMESPACE::Lane<Tag<T>>;
template <class T>
inline constexpr std::int64_t width = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
constexpr std::int64_t block = 512;

template <class T>
HWY_INLINE V<T> load(const T* x) {
  return V<T>(hn::LoadU(Tag<T>(), x));
}
template <class T>
HWY_INLINE void store(V<T> v, T* y) {
  hn::StoreU(v.v, Tag<T>(), y);
}

/// The first `n` places from x, the others `rest`; and the first `n` places of v to y.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
template <class T>
HWY_INLINE V<T> load_part(const T* x, std::int64_t n, T rest) {
  constexpr Tag<T> d;
  const auto mask = hn::FirstN(d, static_cast<std::size_t>(n));
  return V<T>(hn::IfThenElse(mask, hn::MaskedLoad(mask, d, x), hn::Set(d, rest)));
}
template <class T>
HWY_INLINE void store_part(V<T> v, T* y, std::int64_t n) {
  constexpr Tag<T> d;
  hn::BlendedStore(v.v, hn::FirstN(d, static_cast<std::size_t>(n)), d, y);
}
#else
template <class T>
HWY_INLINE V<T> load_part(const T* x, std::int64_t n, T rest) {
  HWY_ALIGN T buffer[static_cast<std::size_t>(width<T>)];
  for (std::int64_t l = 0; l < width<T>; ++l) buffer[l] = l < n ? x[l] : rest;
  return V<T>(hn::Load(Tag<T>(), buffer));
}
template <class T>
HWY_INLINE void store_part(V<T> v, T* y, std::int64_t n) {
  HWY_ALIGN T buffer[static_cast<std::size_t>(width<T>)];
  hn::Store(v.v, Tag<T>(), buffer);
  for (std::int64_t l = 0; l < n; ++l) y[l] = buffer[l];
}
#endif

/// The lanes joined in the instruction set's fixed order.
template <class T>
HWY_INLINE T total(V<T> v) {
  return hn::GetLane(hn::SumOfLanes(Tag<T>(), v.v));
}

/// max x, NaN if there is one.
template <class T>
HWY_INLINE T largest(const T* x, std::int64_t n) {
  constexpr Tag<T> d;
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  V<T> m(hn::Set(d, lowest));
  std::int64_t i = 0;
  for (; i + width<T> <= n; i += width<T>) m = maximum(m, load(x + i));
  if (i < n) m = maximum(m, load_part(x + i, n - i, lowest));
  if (!hn::AllFalse(d, hn::IsNaN(m.v))) return std::numeric_limits<T>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, m.v));
}

/// What a row's sum is made of; `take` may also leave its term in y.
template <class T>
struct ExpTerm {  // exp(x - m), left in y
  static constexpr bool two_inputs = false;
  static constexpr T nothing = -std::numeric_limits<T>::infinity();
  T m;
  HWY_INLINE V<T> take(V<T> x, V<T>) const { return exp(x - V<T>(hn::Set(Tag<T>(), m))); }
};
template <class T>
struct ProductTerm {  // g y
  static constexpr bool two_inputs = true;
  static constexpr T nothing = 0;
  HWY_INLINE V<T> take(V<T> g, V<T> y) const { return g * y; }
};
template <class T>
struct PlainTerm {  // g
  static constexpr bool two_inputs = false;
  static constexpr T nothing = 0;
  HWY_INLINE V<T> take(V<T> g, V<T>) const { return g; }
};

template <bool keep, class Term, class T>
T sum_of(const Term& term, const T* a, const T* b, T* out, std::int64_t n) {
  double sum = 0;
  for (std::int64_t begin = 0; begin < n; begin += block) {
    const std::int64_t end = begin + block < n ? begin + block : n;
    V<T> s(0.0), s2(0.0);
    std::int64_t i = begin;
    for (; i + 2 * width<T> <= end; i += 2 * width<T>) {
      const V<T> e = term.take(load(a + i), Term::two_inputs ? load(b + i) : V<T>(0.0));
      const V<T> f = term.take(load(a + i + width<T>), Term::two_inputs ? load(b + i + width<T>) : V<T>(0.0));
      if constexpr (keep) store(e, out + i), store(f, out + i + width<T>);
      s = s + e;
      s2 = s2 + f;
    }
    for (; i < end; i += width<T>) {
      const std::int64_t left = end - i;
      const V<T> x = left >= width<T> ? load(a + i) : load_part(a + i, left, Term::nothing);
      V<T> y(0.0);
      if constexpr (Term::two_inputs) y = left >= width<T> ? load(b + i) : load_part(b + i, left, T{0});
      const V<T> e = term.take(x, y);
      if constexpr (keep) {
        if (left >= width<T>)
          store(e, out + i);
        else
          store_part(e, out + i, left);
      }
      s = s + e;
    }
    sum += static_cast<double>(total<T>(s + s2));
  }
  return static_cast<T>(sum);
}

/// out = f(a, b) element by element; f is one of the formulas below.
template <class F, class T>
HWY_INLINE void map(const F& f, const T* a, const T* b, T* out, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + width<T> <= n; i += width<T>) store(f.at(load(a + i), load(b + i)), out + i);
  if (i < n) store_part(f.at(load_part(a + i, n - i, T{0}), load_part(b + i, n - i, T{0})), out + i, n - i);
}

template <class T>
struct DivideBy {
  V<T> sum;
  HWY_INLINE V<T> at(V<T> e, V<T>) const { return e / sum; }
};
template <class T>
struct ShiftTwice {
  V<T> m, log_sum;
  HWY_INLINE V<T> at(V<T> x, V<T>) const { return (x - m) - log_sum; }
};
template <class T>
struct SoftmaxGradient {
  V<T> s;
  HWY_INLINE V<T> at(V<T> g, V<T> y) const { return y * (g - s); }
};
template <class T>
struct LogSoftmaxGradient {
  V<T> s;
  HWY_INLINE V<T> at(V<T> g, V<T> y) const { return g - exp(y) * s; }
};

template <class T>
HWY_INLINE V<T> every(T x) {
  return V<T>(hn::Set(Tag<T>(), x));
}

/// log of one number in the lanes' own arithmetic, so that every kernel rounds alike.
template <class T>
T log_of(T x) {
  HWY_ALIGN T lanes[static_cast<std::size_t>(width<T>)];
  hn::Store(log(every(x)).v, Tag<T>(), lanes);
  return lanes[0];
}

/// What a result is made of, once maximum and sum are known: exp(x - m) where it `keeps` that, else x.
template <class T>
struct Softmax {
  static constexpr bool keeps = true;
  V<T> sum;
  HWY_INLINE Softmax(V<T>, V<T> s) : sum(s) {}
  HWY_INLINE V<T> at(V<T> e) const { return e / sum; }
};
template <class T>
struct LogSoftmax {
  static constexpr bool keeps = false;
  V<T> m, log_sum;
  HWY_INLINE LogSoftmax(V<T> most, V<T> s) : m(most), log_sum(log(s)) {}
  HWY_INLINE V<T> at(V<T> x) const { return (x - m) - log_sum; }
};

/// Rows that fit one vector, four at a time: one after the other each would wait for its own sum. The bits
/// are those of the long way.
template <class F, class T>
void short_rows(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  constexpr Tag<T> d;
  constexpr int group = 4;
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  for (std::int64_t r = 0; r < rows; r += group) {
    V<T> in[group], m[group], e[group];
    const auto row = [&](int k) { return r + k < rows ? r + k : rows - 1; };  // the last one again and again
    for (int k = 0; k < group; ++k) in[k] = load_part(x + row(k) * n, n, lowest);
    for (int k = 0; k < group; ++k)
      m[k] = every(hn::AllFalse(d, hn::IsNaN(in[k].v)) ? hn::GetLane(hn::MaxOfLanes(d, in[k].v))
                                                       : std::numeric_limits<T>::quiet_NaN());
    for (int k = 0; k < group; ++k) e[k] = exp(in[k] - m[k]);
    for (int k = 0; k < group; ++k)
      store_part(F(m[k], every(total<T>(e[k]))).at(F::keeps ? e[k] : in[k]), y + row(k) * n, n);
  }
}

/// Softmax down the columns of [n, inner] matrices, as many columns side by side as there are lanes. Sums run
/// over 32 rows, and then over those sums: not the order of rows, so the last bits may differ from theirs.
template <class F, class T>
void columns(const T* x, T* y, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  constexpr std::int64_t rows_of_sum = 32;
  for (std::int64_t o = 0; o < outer; ++o, x += n * inner, y += n * inner)
    for (std::int64_t j = 0; j < inner; j += width<T>) {
      const std::int64_t left = inner - j;
      const auto take = [&](const T* from, std::int64_t i) {
        return left >= width<T> ? load(from + i * inner + j) : load_part(from + i * inner + j, left, T{0});
      };
      const auto put = [&](V<T> v, std::int64_t i) {
        if (left >= width<T>)
          store(v, y + i * inner + j);
        else
          store_part(v, y + i * inner + j, left);
      };
      V<T> m = take(x, 0), sum(0.0);
      for (std::int64_t i = 1; i < n; ++i) m = maximum(m, take(x, i));
      for (std::int64_t begin = 0; begin < n; begin += rows_of_sum) {
        const std::int64_t end = begin + rows_of_sum < n ? begin + rows_of_sum : n;
        V<T> part(0.0);
        for (std::int64_t i = begin; i < end; ++i) {
          const V<T> e = exp(take(x, i) - m);
          if constexpr (F::keeps) put(e, i);
          part = part + e;
        }
        sum = sum + part;
      }
      const F last(m, sum);
      for (std::int64_t i = 0; i < n; ++i) put(last.at(take(F::keeps ? y : x, i)), i);
    }
}

template <class T>
void softmax(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  if (n <= width<T>) return short_rows<Softmax<T>>(x, y, rows, n);
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const T sum = sum_of<true>(ExpTerm<T>{largest(x, n)}, x, x, y, n);
    map(DivideBy<T>{every(sum)}, y, y, y, n);
  }
}

template <class T>
void log_softmax(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  if (n <= width<T>) return short_rows<LogSoftmax<T>>(x, y, rows, n);
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const T m = largest(x, n);
    const T sum = sum_of<false>(ExpTerm<T>{m}, x, x, y, n);
    map(ShiftTwice<T>{every(m), every(log_of(sum))}, x, x, y, n);
  }
}

template <class T>
void logsumexp(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  for (std::int64_t r = 0; r < rows; ++r, x += n, ++y) {
    const T most = largest(x, n), m = std::isfinite(most) ? most : T{0};
    *y = m + log_of(sum_of<false>(ExpTerm<T>{m}, x, x, y, n));
  }
}

template <class T>
void softmax_backward(const T* g, const T* y, T* out, std::int64_t rows, std::int64_t n) {
  for (std::int64_t r = 0; r < rows; ++r, g += n, y += n, out += n)
    map(SoftmaxGradient<T>{every(sum_of<false>(ProductTerm<T>{}, g, y, out, n))}, g, y, out, n);
}

template <class T>
void log_softmax_backward(const T* g, const T* y, T* out, std::int64_t rows, std::int64_t n) {
  for (std::int64_t r = 0; r < rows; ++r, g += n, y += n, out += n)
    map(LogSoftmaxGradient<T>{every(sum_of<false>(PlainTerm<T>{}, g, g, out, n))}, g, y, out, n);
}

template <class T>
constexpr SoftmaxRows<T> make_rows() {
  return {softmax<T>,
          log_softmax<T>,
          logsumexp<T>,
          softmax_backward<T>,
          log_softmax_backward<T>,
          columns<Softmax<T>, T>,
          columns<LogSoftmax<T>, T>};
}

constexpr SoftmaxRows<float> softmax_f32 = make_rows<float>();
constexpr SoftmaxRows<double> softmax_f64 = make_rows<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
