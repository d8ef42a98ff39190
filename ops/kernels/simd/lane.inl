// Lane<D>: the lane that formulas run on inside the library, one Highway vector. Included once per
// instruction set, with <hwy/highway.h> before it, by each multi-target file; opens
// thalweg::simd::HWY_NAMESPACE itself. Invariant: an operator is one rounding; a * b + c in a formula is
// never fused, so that it has the bits of the same formula evaluated one tensor operation at a time.
#if defined(THALWEG_LANE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef THALWEG_LANE_INL
#undef THALWEG_LANE_INL
#else
#define THALWEG_LANE_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace thalweg::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace vmath {
#include <thalweg/ops/kernels/simd/math.inl>
#include <thalweg/ops/kernels/simd/math_two.inl>
}  // namespace vmath

template <class D>
struct Lane;

template <class D>
struct LaneMask {
  hn::Mask<D> m;

  friend HWY_INLINE LaneMask operator&(LaneMask a, LaneMask b) { return {hn::And(a.m, b.m)}; }
  friend HWY_INLINE LaneMask operator|(LaneMask a, LaneMask b) { return {hn::Or(a.m, b.m)}; }
  friend HWY_INLINE LaneMask operator!(LaneMask a) { return {hn::Not(a.m)}; }
  /// a where the mask is set, else b; nothing is multiplied.
  friend HWY_INLINE Lane<D> select(LaneMask c, Lane<D> a, Lane<D> b) { return hn::IfThenElse(c.m, a.v, b.v); }
};

template <class D>
struct Lane {
  using Vector = hn::Vec<D>;
  using Mask = LaneMask<D>;
  using element = hn::TFromD<D>;

  Vector v;

  Lane() = default;
  HWY_INLINE Lane(Vector x) : v(x) {}  // NOLINT(google-explicit-constructor)
  /// A literal of the formula, in every place.
  HWY_INLINE Lane(double c)
      : v(hn::Set(D(), static_cast<element>(c))) {}  // NOLINT(google-explicit-constructor)

  friend HWY_INLINE Lane operator+(Lane a, Lane b) { return hn::Add(a.v, b.v); }
  friend HWY_INLINE Lane operator-(Lane a, Lane b) { return hn::Sub(a.v, b.v); }
  friend HWY_INLINE Lane operator*(Lane a, Lane b) { return hn::Mul(a.v, b.v); }
  friend HWY_INLINE Lane operator/(Lane a, Lane b) { return hn::Div(a.v, b.v); }
  friend HWY_INLINE Lane operator-(Lane a) { return hn::Neg(a.v); }

  friend HWY_INLINE Mask operator<(Lane a, Lane b) { return {hn::Lt(a.v, b.v)}; }
  friend HWY_INLINE Mask operator<=(Lane a, Lane b) { return {hn::Le(a.v, b.v)}; }
  friend HWY_INLINE Mask operator>(Lane a, Lane b) { return {hn::Gt(a.v, b.v)}; }
  friend HWY_INLINE Mask operator>=(Lane a, Lane b) { return {hn::Ge(a.v, b.v)}; }
  friend HWY_INLINE Mask operator==(Lane a, Lane b) { return {hn::Eq(a.v, b.v)}; }
  // Not hn::Ne, which is false for NaN on AVX2 and AVX-512.
  friend HWY_INLINE Mask operator!=(Lane a, Lane b) { return {hn::Not(hn::Eq(a.v, b.v))}; }
  friend HWY_INLINE Mask isnan(Lane a) { return {hn::IsNaN(a.v)}; }
  friend HWY_INLINE Mask isfinite(Lane a) { return {hn::IsFinite(a.v)}; }

  friend HWY_INLINE Lane abs(Lane a) { return hn::Abs(a.v); }
  friend HWY_INLINE Lane floor(Lane a) { return hn::Floor(a.v); }
  friend HWY_INLINE Lane sqrt(Lane a) { return hn::Sqrt(a.v); }
  /// -1, 0 or 1; NaN stays NaN, and a zero keeps its sign.
  friend HWY_INLINE Lane sign(Lane a) { return select(a > 0, 1, select(a < 0, -1, a)); }
  /// NaN if either is NaN.
  friend HWY_INLINE Lane maximum(Lane a, Lane b) {
    return select(isnan(a), a, select(isnan(b) | (b > a), b, a));
  }
  friend HWY_INLINE Lane minimum(Lane a, Lane b) {
    return select(isnan(a), a, select(isnan(b) | (b < a), b, a));
  }

  friend HWY_INLINE Lane exp(Lane a) { return vmath::Exp(D(), a.v); }
  friend HWY_INLINE Lane log(Lane a) { return vmath::Log(D(), a.v); }
  friend HWY_INLINE Lane log1p(Lane a) { return vmath::Log1p(D(), a.v); }
  friend HWY_INLINE Lane expm1(Lane a) { return vmath::Expm1(D(), a.v); }
  friend HWY_INLINE Lane tanh(Lane a) { return vmath::Tanh(D(), a.v); }
  friend HWY_INLINE Lane sigmoid(Lane a) { return vmath::Sigmoid(D(), a.v); }
  friend HWY_INLINE Lane erf(Lane a) { return vmath::Erf(D(), a.v); }
  friend HWY_INLINE Lane erfc(Lane a) { return vmath::Erfc(D(), a.v); }
  friend HWY_INLINE Lane sin(Lane a) { return vmath::Sin(D(), a.v); }
  friend HWY_INLINE Lane cos(Lane a) { return vmath::Cos(D(), a.v); }
  friend HWY_INLINE Lane pow(Lane a, Lane b) { return vmath::Pow(D(), a.v, b.v); }
  friend HWY_INLINE Lane atan2(Lane a, Lane b) { return vmath::Atan2(D(), a.v, b.v); }
};

}  // namespace thalweg::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // once per target
