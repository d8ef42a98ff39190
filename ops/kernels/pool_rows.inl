// The kernels of pool_rows.hpp; included once per instruction set by pool_rows.cpp (so no include guard).
// Invariant: `pixels` are four vectors that hold the two rows under a vector of windows: above (left, right),
// below (left, right). Maps narrower than a vector lie side by side in them.
#include <algorithm>
#include <limits>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/pool_rows.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // functions of the same name in other files must not meet these at link time

#if HWY_TARGET == HWY_SCALAR

constexpr PoolRows rows{};

#else

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using I = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<I>;
constexpr D d;
constexpr I di;
constexpr std::int64_t width = static_cast<std::int64_t>(hn::MaxLanes(D()));

struct Pixels {
  V above[2], below[2];
};

// ---- partial vectors ----

/// The first n floats from x (n may exceed a vector or be below 1), the others `rest`.
HWY_INLINE V load_part(const float* x, std::int64_t n, float rest) {
  HWY_ALIGN float buffer[static_cast<std::size_t>(width)];
  for (std::int64_t l = 0; l < width; ++l) buffer[l] = l < n ? x[l] : rest;
  return hn::Load(d, buffer);
}
HWY_INLINE void store_part(V v, float* y, std::int64_t n) {
  HWY_ALIGN float buffer[static_cast<std::size_t>(width)];
  hn::Store(v, d, buffer);
  for (std::int64_t l = 0; l < std::min(n, width); ++l) y[l] = buffer[l];
}
HWY_INLINE VI load_index(const std::uint8_t* p) {
  return hn::PromoteTo(di, hn::LoadU(hn::Rebind<std::uint8_t, D>(), p));
}
HWY_INLINE void store_index(VI v, std::uint8_t* p) {
  const hn::Rebind<std::uint8_t, D> bytes;
  hn::StoreU(hn::DemoteTo(bytes, v), bytes, p);
}

// ---- 2 x 2 ----

/// Of two vectors, the even and the odd groups of `group` lanes.
template <int group>
HWY_INLINE void deal(V low, V high, V& even, V& odd) {
  if constexpr (group >= width) {
    even = low, odd = high;
  } else if constexpr (2 * group == width) {
    even = hn::ConcatLowerLower(d, high, low), odd = hn::ConcatUpperUpper(d, high, low);
  } else if constexpr (group == 2) {
    const hn::Repartition<double, D> pairs;
    const auto l = hn::BitCast(pairs, low), h = hn::BitCast(pairs, high);
    even = hn::BitCast(d, hn::ConcatEven(pairs, h, l)), odd = hn::BitCast(d, hn::ConcatOdd(pairs, h, l));
  } else {
#if HWY_TARGET == HWY_AVX3
    static_assert(group == 4 && width == 16);
    even = V{_mm512_shuffle_f32x4(low.raw, high.raw, 0x88)},
    odd = V{_mm512_shuffle_f32x4(low.raw, high.raw, 0xDD)};
#endif
  }
}

/// Four vectors in memory order as pixels, for maps whose rows are `group` floats.
template <int group>
HWY_INLINE Pixels dealt(const float* x) {
  Pixels p;
  if constexpr (group == width) {
    p.above[0] = hn::LoadU(d, x), p.below[0] = hn::LoadU(d, x + width);
    p.above[1] = hn::LoadU(d, x + 2 * width), p.below[1] = hn::LoadU(d, x + 3 * width);
  } else {
    deal<group>(hn::LoadU(d, x), hn::LoadU(d, x + width), p.above[0], p.below[0]);
    deal<group>(hn::LoadU(d, x + 2 * width), hn::LoadU(d, x + 3 * width), p.above[1], p.below[1]);
  }
  return p;
}

/// x at `position` takes the place of best unless that is NaN or no smaller.
HWY_INLINE void contend(V x, VI position, V& best, VI& at) {
  const auto wins = hn::And(hn::Not(hn::Le(x, best)), hn::Eq(best, best));
  best = hn::IfThenElse(wins, x, best);
  at = hn::IfThenElse(hn::RebindMask(di, wins), position, at);
}

HWY_INLINE void largest(const Pixels& p, V& best, VI& at) {
  best = hn::ConcatEven(d, p.above[1], p.above[0]);
  at = hn::Zero(di);
  contend(hn::ConcatOdd(d, p.above[1], p.above[0]), hn::Set(di, 1), best, at);
  contend(hn::ConcatEven(d, p.below[1], p.below[0]), hn::Set(di, 2), best, at);
  contend(hn::ConcatOdd(d, p.below[1], p.below[0]), hn::Set(di, 3), best, at);
}

HWY_INLINE V mean_of(const Pixels& p) {
  const V above =
      hn::Add(hn::ConcatEven(d, p.above[1], p.above[0]), hn::ConcatOdd(d, p.above[1], p.above[0]));
  const V three = hn::Add(above, hn::ConcatEven(d, p.below[1], p.below[0]));
  return hn::Mul(hn::Add(three, hn::ConcatOdd(d, p.below[1], p.below[0])), hn::Set(d, 0.25f));
}

/// Takes a vector of windows of which `n` count: their largest or mean.
struct TakeMax {
  float* y;
  std::uint8_t* index;
  HWY_INLINE void full(std::int64_t o, const Pixels& p) const {
    V best;
    VI at;
    largest(p, best, at);
    hn::StoreU(best, d, y + o);
    store_index(at, index + o);
  }
  HWY_INLINE void part(std::int64_t o, const Pixels& p, std::int64_t n) const {
    V best;
    VI at;
    largest(p, best, at);
    store_part(best, y + o, n);
    HWY_ALIGN std::uint8_t bytes[static_cast<std::size_t>(width)];
    store_index(at, bytes);
    for (std::int64_t l = 0; l < n; ++l) index[o + l] = bytes[l];
  }
};
struct TakeMean {
  float* y;
  HWY_INLINE void full(std::int64_t o, const Pixels& p) const { hn::StoreU(mean_of(p), d, y + o); }
  HWY_INLINE void part(std::int64_t o, const Pixels& p, std::int64_t n) const {
    store_part(mean_of(p), y + o, n);
  }
};

template <int group, class Take>
HWY_INLINE void pool_packed(const float* x, std::int64_t windows, const Take& take) {
  std::int64_t o = 0;
  for (; o + width <= windows; o += width) take.full(o, dealt<group>(x + 4 * o));
  if (o == windows) return;
  HWY_ALIGN float buffer[static_cast<std::size_t>(4 * width)] = {};
  std::copy_n(x + 4 * o, 4 * (windows - o), buffer);
  take.part(o, dealt<group>(buffer), windows - o);
}

template <class Take>
HWY_INLINE void pool_rows_of(const float* x, Maps m, const Take& take) {
  const std::int64_t high = m.height / 2, wide = m.width / 2;
  std::int64_t o = 0;
  for (std::int64_t map = 0; map < m.count; ++map)
    for (std::int64_t i = 0; i < high; ++i) {
      const float* top = x + (map * m.height + 2 * i) * m.width;
      const float* low = top + m.width;
      std::int64_t j = 0;
      for (; j + width <= wide; j += width, o += width)
        take.full(o, Pixels{{hn::LoadU(d, top + 2 * j), hn::LoadU(d, top + 2 * j + width)},
                            {hn::LoadU(d, low + 2 * j), hn::LoadU(d, low + 2 * j + width)}});
      if (j == wide) continue;
      const std::int64_t n = wide - j, more = 2 * n - width;
      const float *t = top + 2 * j, *l = low + 2 * j;
      take.part(o,
                Pixels{{load_part(t, 2 * n, 0), load_part(t + width, more, 0)},
                       {load_part(l, 2 * n, 0), load_part(l + width, more, 0)}},
                n);
      o += n;
    }
}

/// Whether maps lie side by side in vectors: rows of 2, 4, .. up to a vector, an even number of them.
HWY_INLINE bool packs(Maps m) {
  return m.height % 2 == 0 && m.width <= width && (m.width & (m.width - 1)) == 0;
}

template <class Take>
HWY_INLINE void pool(const float* x, Maps m, const Take& take) {
  if (!packs(m)) return pool_rows_of(x, m, take);
  const std::int64_t windows = m.count * (m.height / 2) * (m.width / 2);
  if (m.width == width) return pool_packed<static_cast<int>(width)>(x, windows, take);
  if constexpr (width > 2)
    if (m.width == 2) return pool_packed<2>(x, windows, take);
  if constexpr (width > 4)
    if (m.width == 4) return pool_packed<4>(x, windows, take);
  if constexpr (width > 8)
    if (m.width == 8) return pool_packed<8>(x, windows, take);
}

void max2(const float* x, float* y, std::uint8_t* index, Maps m) { pool(x, m, TakeMax{y, index}); }
void mean2(const float* x, float* y, Maps m) { pool(x, m, TakeMean{y}); }

/// Which window each lane of four vectors of pixels belongs to, and which of its elements it is.
struct Spread {
  HWY_ALIGN std::int32_t window[4][static_cast<std::size_t>(width)];
  HWY_ALIGN std::int32_t element[4][static_cast<std::size_t>(width)];
  /// In memory order for maps whose rows are `row` floats, or two rows of two vectors each (row = 2 width).
  explicit Spread(std::int64_t row) {
    for (std::int64_t q = 0; q < 4 * width; ++q) {
      const std::int64_t pair = q / (2 * row), in_pair = q % (2 * row), column = in_pair % row;
      window[q / width][q % width] = static_cast<std::int32_t>(pair * (row / 2) + column / 2);
      element[q / width][q % width] = static_cast<std::int32_t>(in_pair / row * 2 + column % 2);
    }
  }
};

/// Gives back the gradient of a vector of windows: to the element chosen, or a quarter to each.
struct GiveMax {
  const float* g;
  const std::uint8_t* index;
  V value;
  VI at;
  HWY_INLINE void load(std::int64_t o, std::int64_t n) {
    if (n >= width) {
      value = hn::LoadU(d, g + o);
      at = load_index(index + o);
      return;
    }
    HWY_ALIGN std::uint8_t bytes[static_cast<std::size_t>(width)] = {};
    std::copy_n(index + o, n, bytes);
    value = load_part(g + o, n, 0);
    at = load_index(bytes);
  }
  template <class Window>
  HWY_INLINE V pixels(Window window, VI element) const {
    const VI position = hn::BitCast(di, hn::TableLookupLanes(hn::BitCast(d, at), window));
    const auto chosen = hn::RebindMask(d, hn::Eq(position, element));
    return hn::IfThenElseZero(chosen, hn::TableLookupLanes(value, window));
  }
};
struct GiveMean {
  const float* g;
  V value;
  HWY_INLINE void load(std::int64_t o, std::int64_t n) {
    value = hn::Mul(n >= width ? hn::LoadU(d, g + o) : load_part(g + o, n, 0), hn::Set(d, 0.25f));
  }
  template <class Window>
  HWY_INLINE V pixels(Window window, VI) const {
    return hn::TableLookupLanes(value, window);
  }
};

template <bool past>
HWY_INLINE void put(V v, float* to) {
  if constexpr (past)
    hn::Stream(v, d, to);
  else
    hn::StoreU(v, d, to);
}

/// The pixels of the windows from o on go to to[0..3], of which `n` windows count.
template <bool past, class Give>
HWY_INLINE void give(Give& from, std::int64_t o, std::int64_t n, const Spread& s, float* const (&to)[4]) {
  from.load(o, n);
  for (int k = 0; k < 4; ++k) {
    const auto window = hn::SetTableIndices(d, s.window[k]);
    const V v = from.pixels(window, hn::Load(di, s.element[k]));
    put<past>(v, to[k]);
  }
}

template <bool past, class Give>
HWY_INLINE void spread_packed(Give from, float* dx, Maps m) {
  const Spread s(m.width);
  const std::int64_t windows = m.count * (m.height / 2) * (m.width / 2);
  std::int64_t o = 0;
  for (; o + width <= windows; o += width) {
    float* const to = dx + 4 * o;
    give<past>(from, o, width, s, {to, to + width, to + 2 * width, to + 3 * width});
  }
  if (o == windows) return;
  HWY_ALIGN float buffer[static_cast<std::size_t>(4 * width)];
  give<false>(from, o, windows - o, s, {buffer, buffer + width, buffer + 2 * width, buffer + 3 * width});
  std::copy_n(buffer, 4 * (windows - o), dx + 4 * o);
}

template <bool past, class Give>
HWY_INLINE void spread_rows(Give from, float* dx, Maps m) {
  const Spread s(2 * width);
  const std::int64_t high = m.height / 2, wide = m.width / 2;
  std::int64_t o = 0;
  for (std::int64_t map = 0; map < m.count; ++map) {
    for (std::int64_t i = 0; i < high; ++i) {
      float* top = dx + (map * m.height + 2 * i) * m.width;
      float* low = top + m.width;
      std::int64_t j = 0;
      for (; j + width <= wide; j += width, o += width) {
        float *const t = top + 2 * j, *const l = low + 2 * j;
        give<past>(from, o, width, s, {t, t + width, l, l + width});
      }
      if (j < wide) {
        HWY_ALIGN float buffer[static_cast<std::size_t>(4 * width)];
        give<false>(from, o, wide - j, s, {buffer, buffer + width, buffer + 2 * width, buffer + 3 * width});
        std::copy_n(buffer, 2 * (wide - j), top + 2 * j);
        std::copy_n(buffer + 2 * width, 2 * (wide - j), low + 2 * j);
        o += wide - j;
      }
      if (m.width % 2 != 0) top[m.width - 1] = low[m.width - 1] = 0;
    }
    if (m.height % 2 != 0) std::fill_n(dx + (map * m.height + m.height - 1) * m.width, m.width, 0.f);
  }
}

template <class Give>
HWY_INLINE void spread(Give from, float* dx, Maps m, bool stream) {
  const bool packed = packs(m);
  const bool aligned = reinterpret_cast<std::uintptr_t>(dx) % (4 * static_cast<std::size_t>(width)) == 0;
  if (!stream || !aligned || !(packed || m.width % (2 * width) == 0))
    return packed ? spread_packed<false>(from, dx, m) : spread_rows<false>(from, dx, m);
  packed ? spread_packed<true>(from, dx, m) : spread_rows<true>(from, dx, m);
  hwy::FlushStream();
}

void max2_backward(const float* g, const std::uint8_t* index, float* dx, Maps m, bool stream) {
  spread(GiveMax{g, index, hn::Zero(d), hn::Zero(di)}, dx, m, stream);
}
void mean2_backward(const float* g, float* dx, Maps m, bool stream) {
  spread(GiveMean{g, hn::Zero(d)}, dx, m, stream);
}

#include <thalweg/ops/kernels/pool_windows.inl>

constexpr PoolRows rows{max2, max2_backward, mean2, mean2_backward, max, mean, mean_backward};

#endif

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
