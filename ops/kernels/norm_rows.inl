// The passes of norm_rows.hpp in lanes; included once per instruction set by norm_rows.cpp (so no include
// guard). Invariant: a lane adds at most `flush_after` terms before they go to doubles; a short last vector
// is padded with terms of 0.
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/norm_rows.hpp>

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
constexpr int flush_after = 32;

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
HWY_INLINE V<T> load(const T* x, std::int64_t left, V<T> rest) {
  return left >= width<T> ? hn::LoadU(Tag<T>(), x) : load_part<T>(x, left, rest);
}
template <class T>
HWY_INLINE V<T> every(T x) {
  return hn::Set(Tag<T>(), x);
}

/// to[l] += v[l] for the first n lanes.
template <class T>
HWY_INLINE void add_lanes(V<T> v, double* to, std::int64_t n) {
  HWY_ALIGN T buffer[static_cast<std::size_t>(width<T>)];
  hn::Store(v, Tag<T>(), buffer);
  for (std::int64_t l = 0; l < n; ++l) to[l] += static_cast<double>(buffer[l]);
}

// ---- what is summed, of one or two sources ----

template <class T>
struct MomentTerms {
  static constexpr bool two = false;
  using Scalar = T;
  /// a += x - center, b += (x - center)^2
  static HWY_INLINE void add(V<T> x, V<T>, V<T> center, V<T>& a, V<T>& b) {
    const V<T> d = hn::Sub(x, center);
    a = hn::Add(a, d);
    b = hn::MulAdd(d, d, b);
  }
};
template <class T>
struct ProductTerms {
  static constexpr bool two = true;
  using Scalar = T;
  /// a += g, b += g (x - center)
  static HWY_INLINE void add(V<T> x, V<T> g, V<T> center, V<T>& a, V<T>& b) {
    a = hn::Add(a, g);
    b = hn::MulAdd(g, hn::Sub(x, center), b);
  }
};

/// Sums of one channel: four accumulators each, flushed to one double a lane.
template <class Terms, class T = typename Terms::Scalar>
void sum_channel(const T* x, const T* g, Pieces p, T shift, double* sums) {
  constexpr std::int64_t w = width<T>, stretch = 4 * w;
  const V<T> center = every(shift), zero = hn::Zero(Tag<T>());
  double first[static_cast<std::size_t>(w)] = {}, second[static_cast<std::size_t>(w)] = {};
  V<T> a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
  std::int64_t count = 0;
  const auto other = [&](const T* at) HWY_ATTR { return Terms::two ? hn::LoadU(Tag<T>(), at) : zero; };
  for (std::int64_t row = 0; row < p.rows; ++row, x += p.step, g += p.step) {
    for (std::int64_t i = 0; i < p.length;) {
      const std::int64_t full = (p.length - i) / stretch, room = flush_after - count;
      const std::int64_t batch = full < room ? full : room;
      for (const std::int64_t end = i + batch * stretch; i < end; i += stretch) {
        Terms::add(hn::LoadU(Tag<T>(), x + i), other(g + i), center, a0, b0);
        Terms::add(hn::LoadU(Tag<T>(), x + i + w), other(g + i + w), center, a1, b1);
        Terms::add(hn::LoadU(Tag<T>(), x + i + 2 * w), other(g + i + 2 * w), center, a2, b2);
        Terms::add(hn::LoadU(Tag<T>(), x + i + 3 * w), other(g + i + 3 * w), center, a3, b3);
      }
      count += batch;
      if (full == 0) {  // less than a stretch is left: into the first accumulator, at most four terms
        for (; i < p.length; i += w) {
          const std::int64_t left = p.length - i;
          Terms::add(load<T>(x + i, left, center), Terms::two ? load<T>(g + i, left, zero) : zero, center, a0,
                     b0);
        }
        count += 4;
      }
      if (count < flush_after) continue;
      add_lanes<T>(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), first, w);
      add_lanes<T>(hn::Add(hn::Add(b0, b1), hn::Add(b2, b3)), second, w);
      a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero;
      count = 0;
    }
  }
  add_lanes<T>(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), first, w);
  add_lanes<T>(hn::Add(hn::Add(b0, b1), hn::Add(b2, b3)), second, w);
  sums[0] = sums[1] = 0;
  for (std::int64_t l = 0; l < w; ++l) sums[0] += first[l], sums[1] += second[l];
}

/// Sums of `n` vectors of columns, the last of them `last` columns wide.
template <class Terms, int n, class T = typename Terms::Scalar>
HWY_INLINE void sum_strip(const T* x, const T* g, Pieces p, const T* shift, double* first, double* second,
                          std::int64_t last) {
  constexpr std::int64_t w = width<T>;
  const V<T> zero = hn::Zero(Tag<T>());
  V<T> center[n], a[n], b[n];
  for (int k = 0; k < n; ++k)
    center[k] = load<T>(shift + k * w, k + 1 < n ? w : last, zero), a[k] = b[k] = zero;
  for (std::int64_t row = 0; row < p.rows;) {
    const std::int64_t end = row + flush_after < p.rows ? row + flush_after : p.rows;
    for (; row < end; ++row, x += p.step, g += p.step) {
      for (int k = 0; k < n; ++k) {
        const std::int64_t left = k + 1 < n ? w : last;
        Terms::add(load<T>(x + k * w, left, center[k]), Terms::two ? load<T>(g + k * w, left, zero) : zero,
                   center[k], a[k], b[k]);
      }
    }
    for (int k = 0; k < n; ++k) {
      add_lanes<T>(a[k], first + k * w, k + 1 < n ? w : last);
      add_lanes<T>(b[k], second + k * w, k + 1 < n ? w : last);
      a[k] = b[k] = zero;
    }
  }
}

template <class Terms, class T = typename Terms::Scalar>
void sum_columns(const T* x, const T* g, Pieces p, const T* shift, double* first, double* second) {
  constexpr std::int64_t w = width<T>;
  for (std::int64_t c = 0; c < p.length; ++c) first[c] = second[c] = 0;
  std::int64_t c = 0;
  for (; c + 4 * w <= p.length; c += 4 * w)
    sum_strip<Terms, 4>(x + c, g + c, p, shift + c, first + c, second + c, w);
  for (; c < p.length; c += w)
    sum_strip<Terms, 1>(x + c, g + c, p, shift + c, first + c, second + c,
                        p.length - c < w ? p.length - c : w);
}

// ---- what is written ----

template <class T>
HWY_INLINE V<T> normalised(V<T> x, V<T> mean, V<T> scale, V<T> shift) {
  return hn::MulAdd(hn::Sub(x, mean), scale, shift);
}
template <class T>
HWY_INLINE V<T> gradient_of(V<T> g, V<T> x, V<T> mean, V<T> k1, V<T> scale, V<T> k2) {
  return hn::Mul(hn::NegMulAdd(hn::Sub(x, mean), k2, hn::Sub(g, k1)), scale);
}

/// Whether every vector of `to` can be written past the cache.
template <class T>
HWY_INLINE bool aligned(const T* to, Pieces p) {
  constexpr std::int64_t w = width<T>;
  return w > 1 && reinterpret_cast<std::uintptr_t>(to) % (sizeof(T) * static_cast<std::size_t>(w)) == 0 &&
         p.step % w == 0 && p.length % w == 0;
}

template <bool past, class T>
HWY_INLINE void put(V<T> v, T* to) {
  if constexpr (past)
    hn::Stream(v, Tag<T>(), to);
  else
    hn::StoreU(v, Tag<T>(), to);
}

/// to[i] = f(i, elements left from i) over all pieces.
template <bool past, class T, class F>
HWY_INLINE void write_pieces(T* to, Pieces p, F f) {
  constexpr std::int64_t w = width<T>;
  for (std::int64_t row = 0, base = 0; row < p.rows; ++row, base += p.step) {
    std::int64_t i = 0;
    for (; i + 4 * w <= p.length; i += 4 * w)
      for (int k = 0; k < 4; ++k) put<past, T>(f.at(base, i + k * w), to + base + i + k * w);
    for (; i + w <= p.length; i += w) put<past, T>(f.at(base, i), to + base + i);
    if (i < p.length) store_part<T>(f.part(base, i, p.length - i), to + base + i, p.length - i);
  }
}

template <class T, class F>
HWY_INLINE void write(T* to, Pieces p, const F& f, bool stream) {
  if (stream && aligned(to, p)) {
    write_pieces<true>(to, p, f);
    hwy::FlushStream();
  } else {
    write_pieces<false>(to, p, f);
  }
}

template <class T>
struct Normalise {
  const T* x;
  V<T> mean, scale, shift;
  HWY_INLINE V<T> at(std::int64_t base, std::int64_t i) const {
    return normalised<T>(hn::LoadU(Tag<T>(), x + base + i), mean, scale, shift);
  }
  HWY_INLINE V<T> part(std::int64_t base, std::int64_t i, std::int64_t n) const {
    return normalised<T>(load_part<T>(x + base + i, n, mean), mean, scale, shift);
  }
};
template <class T>
struct Gradient {
  const T* g;
  const T* x;
  V<T> mean, k1, scale, k2;
  HWY_INLINE V<T> at(std::int64_t base, std::int64_t i) const {
    constexpr Tag<T> d;
    return gradient_of<T>(hn::LoadU(d, g + base + i), hn::LoadU(d, x + base + i), mean, k1, scale, k2);
  }
  HWY_INLINE V<T> part(std::int64_t base, std::int64_t i, std::int64_t n) const {
    return gradient_of<T>(load_part<T>(g + base + i, n, k1), load_part<T>(x + base + i, n, mean), mean, k1,
                          scale, k2);
  }
};
template <class T>
struct NormaliseColumns {
  const T* x;
  const T *mean, *scale, *shift;
  HWY_INLINE V<T> at(std::int64_t base, std::int64_t i) const {
    constexpr Tag<T> d;
    return normalised<T>(hn::LoadU(d, x + base + i), hn::LoadU(d, mean + i), hn::LoadU(d, scale + i),
                         hn::LoadU(d, shift + i));
  }
  HWY_INLINE V<T> part(std::int64_t base, std::int64_t i, std::int64_t n) const {
    const V<T> zero = hn::Zero(Tag<T>());
    return normalised<T>(load_part<T>(x + base + i, n, zero), load_part<T>(mean + i, n, zero),
                         load_part<T>(scale + i, n, zero), load_part<T>(shift + i, n, zero));
  }
};
template <class T>
struct GradientColumns {
  const T* g;
  const T* x;
  const T *mean, *k1, *scale, *k2;
  HWY_INLINE V<T> at(std::int64_t base, std::int64_t i) const {
    constexpr Tag<T> d;
    return gradient_of<T>(hn::LoadU(d, g + base + i), hn::LoadU(d, x + base + i), hn::LoadU(d, mean + i),
                          hn::LoadU(d, k1 + i), hn::LoadU(d, scale + i), hn::LoadU(d, k2 + i));
  }
  HWY_INLINE V<T> part(std::int64_t base, std::int64_t i, std::int64_t n) const {
    const V<T> zero = hn::Zero(Tag<T>());
    return gradient_of<T>(load_part<T>(g + base + i, n, zero), load_part<T>(x + base + i, n, zero),
                          load_part<T>(mean + i, n, zero), load_part<T>(k1 + i, n, zero),
                          load_part<T>(scale + i, n, zero), load_part<T>(k2 + i, n, zero));
  }
};

template <bool past, class T>
HWY_INLINE void write_in_turn(const T* x, T* y, Pieces p, std::int64_t c, std::int64_t channels,
                              const T* mean, const T* scale, const T* shift) {
  constexpr std::int64_t w = width<T>;
  for (std::int64_t row = 0; row < p.rows;
       ++row, x += p.length, y += p.length, c = c + 1 < channels ? c + 1 : 0) {
    const V<T> m = every(mean[c]), a = every(scale[c]), b = every(shift[c]);
    std::int64_t i = 0;
    for (; i + w <= p.length; i += w) put<past, T>(normalised<T>(hn::LoadU(Tag<T>(), x + i), m, a, b), y + i);
    if (i < p.length)
      store_part<T>(normalised<T>(load_part<T>(x + i, p.length - i, m), m, a, b), y + i, p.length - i);
  }
}

// ---- the table ----

template <class T>
void moments(const T* x, Pieces p, T shift, double* sums) {
  sum_channel<MomentTerms<T>>(x, x, p, shift, sums);
}
template <class T>
void products(const T* g, const T* x, Pieces p, T mean, double* sums) {
  sum_channel<ProductTerms<T>>(x, g, p, mean, sums);
}
template <class T>
void normalise(const T* x, T* y, Pieces p, T mean, T scale, T shift, bool stream) {
  write(y, p, Normalise<T>{x, every(mean), every(scale), every(shift)}, stream);
}
template <class T>
void gradient(const T* g, const T* x, T* dx, Pieces p, T mean, T k1, T scale, T k2, bool stream) {
  write(dx, p, Gradient<T>{g, x, every(mean), every(k1), every(scale), every(k2)}, stream);
}
template <class T>
void normalise_in_turn(const T* x, T* y, Pieces p, std::int64_t first, std::int64_t channels, const T* mean,
                       const T* scale, const T* shift, bool stream) {
  if (!stream || !aligned(y, p)) return write_in_turn<false>(x, y, p, first, channels, mean, scale, shift);
  write_in_turn<true>(x, y, p, first, channels, mean, scale, shift);
  hwy::FlushStream();
}
template <class T>
void column_moments(const T* x, Pieces p, const T* shift, double* first, double* second) {
  sum_columns<MomentTerms<T>>(x, x, p, shift, first, second);
}
template <class T>
void column_products(const T* g, const T* x, Pieces p, const T* mean, double* first, double* second) {
  sum_columns<ProductTerms<T>>(x, g, p, mean, first, second);
}
template <class T>
void column_normalise(const T* x, T* y, Pieces p, const T* mean, const T* scale, const T* shift,
                      bool stream) {
  write(y, p, NormaliseColumns<T>{x, mean, scale, shift}, stream);
}
template <class T>
void column_gradient(const T* g, const T* x, T* dx, Pieces p, const T* mean, const T* k1, const T* scale,
                     const T* k2, bool stream) {
  write(dx, p, GradientColumns<T>{g, x, mean, k1, scale, k2}, stream);
}

template <class T>
constexpr NormPasses<T> make_passes() {
  return {moments<T>,        products<T>,        normalise<T>,        gradient<T>,       normalise_in_turn<T>,
          column_moments<T>, column_products<T>, column_normalise<T>, column_gradient<T>};
}

constexpr NormPasses<float> norm_f32 = make_passes<float>();
constexpr NormPasses<double> norm_f64 = make_passes<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
