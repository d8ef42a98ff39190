// The kernels of affine_rows.hpp; included once per instruction set by affine_rows.cpp (so no include guard).
// Invariant: the same operations in every instruction set, none of them fused, so the bits agree; every index
// is inside its plane whatever the map.
#include <algorithm>
#include <cmath>

#include <hwy/highway.h>

#include <thalweg/ops/kernels/affine_rows.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // functions of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, static_cast<std::size_t>(affine_block)>;
using I = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<I>;
using M = hn::Mask<I>;
constexpr D d;
constexpr I di;
constexpr std::int64_t width = static_cast<std::int64_t>(hn::MaxLanes(D()));

/// The place of a block's first column on one axis.
struct Start {
  float fraction;
  std::int32_t whole, folded;
};

HWY_INLINE Start start_of(const AffineAxis& a, std::int64_t i, std::int64_t j) {
  const double place = a.step[0] * static_cast<double>(i) + a.step[1] * static_cast<double>(j) + a.step[2];
  const double held = std::min(std::max(place, -affine_max_place), affine_max_place);
  const double below = std::floor(held);
  Start s{static_cast<float>(held - below), static_cast<std::int32_t>(below), 0};
  s.folded = s.whole;
  if (s.whole < 0 || s.whole >= a.period) {
    s.folded = s.whole % a.period;
    if (s.folded < 0) s.folded += a.period;
  }
  return s;
}

/// The two pixels between which places lie, and how far from the first.
struct Between {
  VI first, second;
  V part;
  M outside;  // constant fill only
};

/// k modulo the period, for 0 <= k < 2 * period.
HWY_INLINE VI folded(VI k, VI period) {
  return hn::Sub(k, hn::IfThenElse(hn::Lt(k, period), hn::Zero(di), period));
}

template <Fill fill>
HWY_INLINE Between between(const AffineAxis& a, const Start& s, std::int64_t l) {
  const VI last = hn::Set(di, a.size - 1), zero = hn::Zero(di), one = hn::Set(di, 1);
  const V sum = hn::Add(hn::Set(d, s.fraction), hn::Load(d, a.fraction + l));
  const V carry = hn::Floor(sum);
  const VI carried = hn::ConvertTo(di, carry);
  const VI whole = hn::Add(hn::Add(hn::Set(di, s.whole), hn::Load(di, a.whole + l)), carried);
  Between b;
  b.part = hn::Sub(sum, carry);
  b.outside = hn::Lt(whole, zero);
  if constexpr (fill == Fill::nearest || fill == Fill::constant) {
    b.first = whole;
    b.second = hn::Add(whole, one);
    if constexpr (fill == Fill::constant) {
      const M beyond = hn::And(hn::Eq(whole, last), hn::RebindMask(di, hn::Gt(b.part, hn::Zero(d))));
      b.outside = hn::Or(b.outside, hn::Or(hn::Gt(whole, last), beyond));
    }
  } else {
    const VI period = hn::Set(di, a.period);
    // Each of the two is below the period and the carry is at most 1.
    const VI k = folded(hn::Add(hn::Set(di, s.folded), hn::Add(hn::Load(di, a.folded + l), carried)), period);
    if constexpr (fill == Fill::reflect) {
      const VI after = folded(hn::Add(k, one), period), top = hn::Sub(period, one);
      b.first = hn::Min(k, hn::Sub(top, k));
      b.second = hn::Min(after, hn::Sub(top, after));
    } else {
      // A place on the last pixel, or a whole number of periods before the image, is the last pixel; but a
      // whole number of periods after it is the first.
      const M exact = hn::RebindMask(di, hn::Eq(b.part, hn::Zero(d)));
      const M on_last = hn::And(exact, hn::Or(hn::Eq(whole, last), hn::And(b.outside, hn::Eq(k, zero))));
      b.first = hn::IfThenElse(on_last, last, k);
      b.second = hn::Add(b.first, one);
    }
  }
  b.first = hn::Min(hn::Max(b.first, zero), last);
  b.second = hn::Min(hn::Max(b.second, zero), last);
  return b;
}

HWY_INLINE V mix(V a, V b, V part) { return hn::Add(a, hn::Mul(part, hn::Sub(b, a))); }

HWY_INLINE void store_part(V v, float* y, std::int64_t n) {
  HWY_ALIGN float buffer[static_cast<std::size_t>(width)];
  hn::Store(v, d, buffer);
  std::copy_n(buffer, n, y);
}

template <Fill fill>
void image(const AffinePlanes& p, const AffineAxis (&axes)[2], float constant) {
  const std::int64_t plane = p.height * p.width;
  const VI row_size = hn::Set(di, static_cast<std::int32_t>(p.width));
  for (std::int64_t i = 0; i < p.height; ++i)
    for (std::int64_t j = 0; j < p.width; j += affine_block) {
      const Start rows = start_of(axes[0], i, j), columns = start_of(axes[1], i, j);
      for (std::int64_t l = 0; l < affine_block && j + l < p.width; l += width) {
        const Between r = between<fill>(axes[0], rows, l), c = between<fill>(axes[1], columns, l);
        const VI above = hn::Mul(r.first, row_size), below = hn::Mul(r.second, row_size);
        const VI at[4] = {hn::Add(above, c.first), hn::Add(above, c.second), hn::Add(below, c.first),
                          hn::Add(below, c.second)};
        const float* x = p.x;
        float* y = p.y + i * p.width + j + l;
        for (std::int64_t k = 0; k < p.count; ++k, x += plane, y += plane) {
          const V top = mix(hn::GatherIndex(d, x, at[0]), hn::GatherIndex(d, x, at[1]), c.part);
          const V bottom = mix(hn::GatherIndex(d, x, at[2]), hn::GatherIndex(d, x, at[3]), c.part);
          V v = mix(top, bottom, r.part);
          if constexpr (fill == Fill::constant)
            v = hn::IfThenElse(hn::RebindMask(d, hn::Or(r.outside, c.outside)), hn::Set(d, constant), v);
          if (j + l + width <= p.width)
            hn::StoreU(v, d, y);
          else
            store_part(v, y, p.width - j - l);
        }
      }
    }
}

constexpr AffineRows affine_table = {
    {image<Fill::nearest>, image<Fill::constant>, image<Fill::reflect>, image<Fill::wrap>}};
static_assert(static_cast<int>(Fill::nearest) == 0 && static_cast<int>(Fill::constant) == 1 &&
              static_cast<int>(Fill::reflect) == 2 && static_cast<int>(Fill::wrap) == 3);

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
