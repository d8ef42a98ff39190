// The passes of norm_groups_rows.hpp in lanes; included once per instruction set by norm_groups_rows.cpp (so
// no include guard). Invariant: a lane adds at most `most_terms` terms before they go to a double; a short
// last vector is padded with terms of 0.
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include <cmath>

#include <thalweg/ops/kernels/norm_groups_rows.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using V = hn::Vec<Tag<T>>;
template <class T>
inline constexpr std::int64_t width = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
constexpr std::int64_t most_terms = 32;

/// The first `n` places from x, the others `rest`; and the first `n` places of v to y.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
template <class T>
HWY_INLINE V<T> load_part(const T* x, std::int64_t n, V<T> rest) {
  constexpr Tag<T> d;
  const auto mask = hn::FirstN(d, static_cast<std::size_t>(n));
  return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, x), rest);
}
template <class T>
HWY_INLINE void store_part(V<T> v, T* y, std::int64_t n) {
  constexpr Tag<T> d;
  hn::BlendedStore(v, hn::FirstN(d, static_cast<std::size_t>(n)), d, y);
}
#else
template <class T>
HWY_INLINE V<T> load_part(const T* x, std::int64_t n, V<T> rest) {
  HWY_ALIGN T buffer[static_cast<std::size_t>(width<T>)];
  hn::Store(rest, Tag<T>(), buffer);
  for (std::int64_t l = 0; l < n; ++l) buffer[l] = x[l];
  return hn::Load(Tag<T>(), buffer);
}
template <class T>
HWY_INLINE void store_part(V<T> v, T* y, std::int64_t n) {
  HWY_ALIGN T buffer[static_cast<std::size_t>(width<T>)];
  hn::Store(v, Tag<T>(), buffer);
  for (std::int64_t l = 0; l < n; ++l) y[l] = buffer[l];
}
#endif

template <class T>
HWY_INLINE V<T> load(const T* x) {
  return hn::LoadU(Tag<T>(), x);
}
template <class T>
HWY_INLINE V<T> every(T x) {
  return hn::Set(Tag<T>(), x);
}
template <class T>
HWY_INLINE double total(V<T> v) {
  return static_cast<double>(hn::GetLane(hn::SumOfLanes(Tag<T>(), v)));
}

// ---- sums of a piece: two at a time ----

/// sum (x - center), sum (x - center)^2
template <class T>
struct MomentTerms {
  const T* x;
  V<T> center;
  HWY_INLINE void add(std::int64_t i, V<T>& a, V<T>& b) const { add_of(load(x + i), a, b); }
  HWY_INLINE void add_part(std::int64_t i, std::int64_t n, V<T>& a, V<T>& b) const {
    add_of(load_part<T>(x + i, n, center), a, b);
  }
  HWY_INLINE void add_of(V<T> v, V<T>& a, V<T>& b) const {
    const V<T> d = hn::Sub(v, center);
    a = hn::Add(a, d);
    b = hn::MulAdd(d, d, b);
  }
};
/// sum g, sum g (x - center)
template <class T>
struct ProductTerms {
  const T *g, *x;
  V<T> center;
  HWY_INLINE void add(std::int64_t i, V<T>& a, V<T>& b) const { add_of(load(g + i), load(x + i), a, b); }
  HWY_INLINE void add_part(std::int64_t i, std::int64_t n, V<T>& a, V<T>& b) const {
    add_first(n, load_part<T>(g + i, n, hn::Zero(Tag<T>())), load_part<T>(x + i, n, center), a, b);
  }
  HWY_INLINE void add_of(V<T> h, V<T> v, V<T>& a, V<T>& b) const {
    a = hn::Add(a, h);
    b = hn::MulAdd(h, hn::Sub(v, center), b);
  }
  /// The first n places alone: beyond them even an infinite center adds 0.
  HWY_INLINE void add_first(std::int64_t n, V<T> h, V<T> v, V<T>& a, V<T>& b) const {
    a = hn::Add(a, h);
    b = hn::MulAdd(
        h, hn::IfThenElseZero(hn::FirstN(Tag<T>(), static_cast<std::size_t>(n)), hn::Sub(v, center)), b);
  }
};
/// The same with g weight for g.
template <class T>
struct WeightedTerms {
  ProductTerms<T> of;
  const T* weight;
  HWY_INLINE void add(std::int64_t i, V<T>& a, V<T>& b) const {
    of.add_of(hn::Mul(load(of.g + i), load(weight + i)), load(of.x + i), a, b);
  }
  HWY_INLINE void add_part(std::int64_t i, std::int64_t n, V<T>& a, V<T>& b) const {
    const V<T> zero = hn::Zero(Tag<T>());
    of.add_first(n, hn::Mul(load_part<T>(of.g + i, n, zero), load_part<T>(weight + i, n, zero)),
                 load_part<T>(of.x + i, n, of.center), a, b);
  }
};

struct Sums {
  double first = 0, second = 0;
};

template <class T, class Terms>
HWY_INLINE Sums sum_of(std::int64_t n, const Terms& terms) {
  constexpr std::int64_t w = width<T>, stretch = 4 * w, block = most_terms * stretch;
  const V<T> zero = hn::Zero(Tag<T>());
  Sums sums;
  for (std::int64_t i = 0; i < n;) {
    const std::int64_t left = n - i, end = i + (left < block ? left : block);
    V<T> a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
    for (; i + stretch <= end; i += stretch) {
      terms.add(i, a0, b0);
      terms.add(i + w, a1, b1);
      terms.add(i + 2 * w, a2, b2);
      terms.add(i + 3 * w, a3, b3);
    }
    // At most three vectors and a part are left, in the last block alone: one for each accumulator.
    if (i + w <= end) terms.add(i, a0, b0), i += w;
    if (i + w <= end) terms.add(i, a1, b1), i += w;
    if (i + w <= end) terms.add(i, a2, b2), i += w;
    if (i < end) terms.add_part(i, end - i, a3, b3), i = end;
    sums.first += total<T>(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)));
    sums.second += total<T>(hn::Add(hn::Add(b0, b1), hn::Add(b2, b3)));
  }
  return sums;
}

template <class T>
HWY_INLINE void statistics(const T* x, std::int64_t n, T* mean, T* variance) {
  const T near = near_mean(x, n);
  const Sums s = sum_of<T>(n, MomentTerms<T>{x, every(near)});
  finish_statistics(near, s.first, s.second, n, mean, variance);
}

// ---- what is written ----

template <bool past, class T>
HWY_INLINE void put(V<T> v, T* to) {
  if constexpr (past)
    hn::Stream(v, Tag<T>(), to);
  else
    hn::StoreU(v, Tag<T>(), to);
}

/// to[i] = f.at(i) for i < n, the last ones f.part(i, left).
template <bool past, class T, class F>
HWY_INLINE void write(T* to, std::int64_t n, const F& f) {
  constexpr std::int64_t w = width<T>;
  std::int64_t i = 0;
  for (; i + 2 * w <= n; i += 2 * w) {
    put<past, T>(f.at(i), to + i);
    put<past, T>(f.at(i + w), to + i + w);
  }
  if (i + w <= n) put<past, T>(f.at(i), to + i), i += w;
  if (i < n) store_part<T>(f.part(i, n - i), to + i, n - i);
}

/// Whether pieces of n elements one after the other from `to` can be written past the cache.
template <class T>
HWY_INLINE bool aligned(const T* to, std::int64_t n) {
  constexpr std::int64_t w = width<T>;
  return w > 1 && n % w == 0 &&
         reinterpret_cast<std::uintptr_t>(to) % (sizeof(T) * static_cast<std::size_t>(w)) == 0;
}

template <class T>
struct Normalised {
  const T *x, *weight, *bias;
  V<T> mean, r;
  HWY_INLINE V<T> of(V<T> v, V<T> w, V<T> b) const { return hn::MulAdd(hn::Mul(hn::Sub(v, mean), r), w, b); }
  HWY_INLINE V<T> at(std::int64_t i) const { return of(load(x + i), load(weight + i), load(bias + i)); }
  HWY_INLINE V<T> part(std::int64_t i, std::int64_t n) const {
    const V<T> zero = hn::Zero(Tag<T>());
    return of(load_part<T>(x + i, n, mean), load_part<T>(weight + i, n, zero),
              load_part<T>(bias + i, n, zero));
  }
};

/// dx, adding to dweight and dbias on the way.
template <class T>
struct Gradient {
  const T *g, *x, *weight;
  T *dweight, *dbias;
  V<T> mean, r, k1, k2;
  HWY_INLINE V<T> of(V<T> g1, V<T> d, V<T> w) const {
    return hn::Mul(hn::NegMulAdd(d, k2, hn::Sub(hn::Mul(g1, w), k1)), r);
  }
  HWY_INLINE V<T> at(std::int64_t i) const {
    const V<T> g1 = load(g + i), d = hn::Sub(load(x + i), mean);
    hn::StoreU(hn::MulAdd(g1, hn::Mul(d, r), load(dweight + i)), Tag<T>(), dweight + i);
    hn::StoreU(hn::Add(g1, load(dbias + i)), Tag<T>(), dbias + i);
    return of(g1, d, load(weight + i));
  }
  HWY_INLINE V<T> part(std::int64_t i, std::int64_t n) const {
    const V<T> zero = hn::Zero(Tag<T>());
    const V<T> g1 = load_part<T>(g + i, n, zero), d = hn::Sub(load_part<T>(x + i, n, mean), mean);
    store_part<T>(hn::MulAdd(g1, hn::Mul(d, r), load_part<T>(dweight + i, n, zero)), dweight + i, n);
    store_part<T>(hn::Add(g1, load_part<T>(dbias + i, n, zero)), dbias + i, n);
    return of(g1, d, load_part<T>(weight + i, n, zero));
  }
};

/// (x - mean) scale + shift
template <class T>
struct RunNormalised {
  const T* x;
  V<T> mean, scale, shift;
  HWY_INLINE V<T> of(V<T> v) const { return hn::MulAdd(hn::Sub(v, mean), scale, shift); }
  HWY_INLINE V<T> at(std::int64_t i) const { return of(load(x + i)); }
  HWY_INLINE V<T> part(std::int64_t i, std::int64_t n) const { return of(load_part<T>(x + i, n, mean)); }
};
/// (g weight - k1 - (x - mean) k2) r
template <class T>
struct RunGradient {
  const T *g, *x;
  V<T> weight, mean, r, k1, k2;
  HWY_INLINE V<T> of(V<T> g1, V<T> v) const {
    return hn::Mul(hn::NegMulAdd(hn::Sub(v, mean), k2, hn::Sub(hn::Mul(g1, weight), k1)), r);
  }
  HWY_INLINE V<T> at(std::int64_t i) const { return of(load(g + i), load(x + i)); }
  HWY_INLINE V<T> part(std::int64_t i, std::int64_t n) const {
    return of(load_part<T>(g + i, n, hn::Zero(Tag<T>())), load_part<T>(x + i, n, mean));
  }
};

// ---- the table ----

template <bool past, class T>
HWY_INLINE void normalise_pieces(const T* x, const T* weight, const T* bias, GroupPieces p, double eps, T* y,
                                 T* mean, T* variance) {
  std::int64_t group = p.first;
  for (std::int64_t k = 0; k < p.count; ++k, x += p.n, y += p.n) {
    statistics(x, p.n, mean + k, variance + k);
    const T r = static_cast<T>(inverse_deviation(variance[k], eps));
    const Normalised<T> f{x, weight + group * p.n, bias + group * p.n, every(mean[k]), every(r)};
    write<past, T>(y, p.n, f);
    group = group + 1 < p.groups ? group + 1 : 0;
  }
}

template <class T>
void normalise(const T* x, const T* weight, const T* bias, GroupPieces p, double eps, T* y, T* mean,
               T* variance, bool stream) {
  if (!stream || !aligned(y, p.n)) return normalise_pieces<false>(x, weight, bias, p, eps, y, mean, variance);
  normalise_pieces<true>(x, weight, bias, p, eps, y, mean, variance);
  hwy::FlushStream();
}

template <bool past, class T>
HWY_INLINE void gradient_pieces(const T* g, const T* x, const T* weight, const T* mean, const T* variance,
                                GroupPieces p, double eps, T* dx, T* dweight, T* dbias) {
  std::int64_t group = p.first;
  const double n = static_cast<double>(p.n);
  for (std::int64_t k = 0; k < p.count; ++k, g += p.n, x += p.n, dx += p.n) {
    const std::int64_t at = group * p.n;
    const V<T> center = every(mean[k]);
    const Sums s = sum_of<T>(p.n, WeightedTerms<T>{{g, x, center}, weight + at});
    const double r = inverse_deviation(variance[k], eps);
    const Gradient<T> f{g,
                        x,
                        weight + at,
                        dweight + at,
                        dbias + at,
                        center,
                        every(static_cast<T>(r)),
                        every(static_cast<T>(s.first / n)),
                        every(static_cast<T>(r * r * s.second / n))};
    write<past, T>(dx, p.n, f);
    group = group + 1 < p.groups ? group + 1 : 0;
  }
}

template <class T>
void gradient(const T* g, const T* x, const T* weight, const T* mean, const T* variance, GroupPieces p,
              double eps, T* dx, T* dweight, T* dbias, bool stream) {
  if (!stream || !aligned(dx, p.n))
    return gradient_pieces<false>(g, x, weight, mean, variance, p, eps, dx, dweight, dbias);
  gradient_pieces<true>(g, x, weight, mean, variance, p, eps, dx, dweight, dbias);
  hwy::FlushStream();
}

template <class T>
void moments(const T* x, std::int64_t n, T shift, double* sums) {
  const Sums s = sum_of<T>(n, MomentTerms<T>{x, every(shift)});
  sums[0] = s.first, sums[1] = s.second;
}
template <class T>
void products(const T* g, const T* x, const T* weight, std::int64_t n, T mean, double* sums) {
  const ProductTerms<T> plain{g, x, every(mean)};
  const Sums s = weight ? sum_of<T>(n, WeightedTerms<T>{plain, weight}) : sum_of<T>(n, plain);
  sums[0] = s.first, sums[1] = s.second;
}

template <class T, class F>
HWY_INLINE void write_part(T* to, std::int64_t n, const F& f, bool stream) {
  if (!stream || !aligned(to, n)) return write<false, T>(to, n, f);
  write<true, T>(to, n, f);
  hwy::FlushStream();
}

template <class T>
void normalise_part(const T* x, const T* weight, const T* bias, std::int64_t n, T mean, T r, T* y,
                    bool stream) {
  write_part(y, n, Normalised<T>{x, weight, bias, every(mean), every(r)}, stream);
}
template <class T>
void gradient_part(const T* g, const T* x, const T* weight, std::int64_t n, PieceNumbers<T> of, T* dx,
                   T* dweight, T* dbias, bool stream) {
  write_part(
      dx, n,
      Gradient<T>{g, x, weight, dweight, dbias, every(of.mean), every(of.r), every(of.k1), every(of.k2)},
      stream);
}
template <class T>
void normalise_run(const T* x, std::int64_t n, T mean, T scale, T shift, T* y, bool stream) {
  write_part(y, n, RunNormalised<T>{x, every(mean), every(scale), every(shift)}, stream);
}
template <class T>
void gradient_run(const T* g, const T* x, T weight, std::int64_t n, PieceNumbers<T> of, T* dx, bool stream) {
  write_part(dx, n,
             RunGradient<T>{g, x, every(weight), every(of.mean), every(of.r), every(of.k1), every(of.k2)},
             stream);
}

void add(const float* x, std::int64_t n, double* to) {
  constexpr Tag<double> d;
  constexpr hn::Rebind<float, Tag<double>> half;
  constexpr std::int64_t w = width<double>;
  std::int64_t i = 0;
  for (; i + w <= n; i += w)
    hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::PromoteTo(d, hn::LoadU(half, x + i))), d, to + i);
  for (; i < n; ++i) to[i] += static_cast<double>(x[i]);
}
void add(const double* x, std::int64_t n, double* to) {
  constexpr Tag<double> d;
  constexpr std::int64_t w = width<double>;
  std::int64_t i = 0;
  for (; i + w <= n; i += w) hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::LoadU(d, x + i)), d, to + i);
  for (; i < n; ++i) to[i] += x[i];
}

template <class T>
constexpr GroupPasses<T> make_group_passes() {
  return {normalise<T>,     gradient<T>,      moments<T>,      products<T>, normalise_part<T>,
          gradient_part<T>, normalise_run<T>, gradient_run<T>, add};
}

constexpr GroupPasses<float> group_norm_f32 = make_group_passes<float>();
constexpr GroupPasses<double> group_norm_f64 = make_group_passes<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
