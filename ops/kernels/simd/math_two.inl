// Vector sin, cos, pow and atan2; float goes through double. Included once per instruction set by lane.inl
// after math.inl, inside thalweg::simd::HWY_NAMESPACE::vmath. The table of errors stands in math.inl.
// Invariant: special values as in C99's Annex F.

/// Applies a double-lane function object to float lanes, half a vector at a time.
template <class D, class F, class... V>
HWY_INLINE hn::Vec<D> ThroughDouble(D d, F f, V... x) {
#if HWY_TARGET == HWY_SCALAR
  // Highway's scalar DemoteTo cuts to the largest float where an overflow must give infinity.
  const hn::Rebind<double, D> dd;
  return hn::Set(d, static_cast<float>(hn::GetLane(f(dd, hn::PromoteTo(dd, x)...))));
#else
  const hn::Half<D> dh;
  const hn::Rebind<double, hn::Half<D>> dd;
  const auto low = hn::DemoteTo(dh, f(dd, hn::PromoteTo(dd, hn::LowerHalf(dh, x))...));
  const auto high = hn::DemoteTo(dh, f(dd, hn::PromoteTo(dd, hn::UpperHalf(dh, x))...));
  return hn::Combine(d, high, low);
#endif
}

// ---- sin, cos
// -------------------------------------------------------------------------------------------------------

struct UseSin {
  static double scalar(double x) { return std::sin(x); }
};
struct UseCos {
  static double scalar(double x) { return std::cos(x); }
};

/// sin(x + quarter pi/2), |x| <= 10^6.
template <class D, class V>
HWY_INLINE V SinShifted(D d, V x, uint64_t quarter) {
  const BitsTag<D> db;
  const V magic = Number(d, Format<double>::round_magic);
  const V shifted = hn::MulAdd(x, Number(d, 0.63661977236758134308), magic);
  const V n = hn::Sub(shifted, magic);
  // n times each of the first two parts of pi/2 is exact: 33 bits by at most 20.
  const V r0 = hn::NegMulAdd(n, Number(d, 0x1.921fb544p+0), x);
  const V w = hn::Mul(n, Number(d, 0x1.0b4611a6p-34));
  const V r1 = hn::Sub(r0, w);
  const V back = hn::Sub(hn::Sub(r0, r1), w);
  const V rest = hn::NegMulAdd(n, Number(d, 0x1.3198a2e037073p-69), back);
  const V r = hn::Add(r1, rest);
  const V low = hn::Add(hn::Sub(r1, r), rest);

  const V one = Number(d, 1);
  const V z = hn::Mul(r, r);
  const V s = Poly(d, z, -0.16666666666666665, 0.0083333333333309366, -0.00019841269836740532,
                   2.7557316093198405e-6, -2.5051129896450186e-8, 1.5917988979397433e-10);
  const V c = Poly(d, z, 0.041666666666666665, -0.001388888888888739, 2.4801587298754401e-5,
                   -2.755731726587808e-7, 2.0876145049413179e-9, -1.138254464534925e-11);
  const V half_z = hn::Mul(z, Number(d, 0.5));
  const V sine = hn::Add(r, hn::MulAdd(hn::Mul(r, z), s, hn::NegMulAdd(low, half_z, low)));
  const V head = hn::Sub(one, half_z);
  const V tail = hn::MulAdd(hn::Mul(z, z), c, hn::NegMulAdd(r, low, hn::Sub(hn::Sub(one, head), half_z)));
  const V cosine = hn::Add(head, tail);

  const auto q = hn::Add(hn::BitCast(db, shifted), hn::Set(db, quarter));
  const auto odd = hn::TestBit(q, hn::Set(db, uint64_t{1}));
  const auto sign = hn::ShiftLeft<62>(hn::And(q, hn::Set(db, uint64_t{2})));
  const V y = hn::IfThenElse(hn::MaskFromVec(hn::BitCast(d, hn::VecFromMask(db, odd))), cosine, sine);
  return hn::Xor(y, hn::BitCast(d, sign));
}

/// As SinShifted to 2^-32, which is plenty for a float: x is one, so what remains of it is never tiny.
template <class D, class V>
HWY_INLINE V SinShiftedOfFloat(D d, V x, uint64_t quarter) {
  const BitsTag<D> db;
  const V magic = Number(d, Format<double>::round_magic);
  const V shifted = hn::MulAdd(x, Number(d, 0.63661977236758134308), magic);
  const V n = hn::Sub(shifted, magic);
  const V r0 = hn::NegMulAdd(n, Number(d, 0x1.921fb544p+0), x);
  const V r1 = hn::NegMulAdd(n, Number(d, 0x1.0b4611a6p-34), r0);
  const V r = hn::NegMulAdd(n, Number(d, 0x1.3198a2e037073p-69), r1);

  const V z = hn::Mul(r, r);
  const V s = Poly(d, z, -0.16666666666666665, 0.0083333333333309366, -0.00019841269836740532,
                   2.7557316093198405e-6, -2.5051129896450186e-8);
  const V c = Poly(d, z, -0.5, 0.041666666666666665, -0.001388888888888739, 2.4801587298754401e-5,
                   -2.755731726587808e-7);
  const V sine = hn::MulAdd(hn::Mul(r, z), s, r);
  const V cosine = hn::MulAdd(z, c, Number(d, 1));

  const auto q = hn::Add(hn::BitCast(db, shifted), hn::Set(db, quarter));
  const auto odd = hn::TestBit(q, hn::Set(db, uint64_t{1}));
  const auto sign = hn::ShiftLeft<62>(hn::And(q, hn::Set(db, uint64_t{2})));
  const V y = hn::IfThenElse(hn::MaskFromVec(hn::BitCast(d, hn::VecFromMask(db, odd))), cosine, sine);
  return hn::Xor(y, hn::BitCast(d, sign));
}

/// Lanes too large for the three-part reduction (or infinite, or NaN) are done by libm, each by itself.
template <class Which, class D, class V>
HWY_NOINLINE V PatchLargeAngles(D d, V x, V y) {
  alignas(64) double in[hn::MaxLanes(d)];
  alignas(64) double out[hn::MaxLanes(d)];
  hn::Store(x, d, in);
  hn::Store(y, d, out);
  for (size_t i = 0; i < hn::Lanes(d); ++i)
    if (!(in[i] <= 1e6 && in[i] >= -1e6)) out[i] = Which::scalar(in[i]);
  return hn::Load(d, out);
}

template <class D, class V>
HWY_NOINLINE V SinDouble(D d, V x) {
  V y = SinShifted(d, x, 0);
  y = hn::IfThenElse(hn::Lt(hn::Abs(x), Number(d, 0x1p-27)), x, y);  // also keeps the sign of -0
  if (HWY_LIKELY(hn::AllTrue(d, hn::Le(hn::Abs(x), Number(d, 1e6))))) return y;
  return PatchLargeAngles<UseSin>(d, x, y);
}
template <class D, class V>
HWY_NOINLINE V CosDouble(D d, V x) {
  const V y = SinShifted(d, x, 1);
  if (HWY_LIKELY(hn::AllTrue(d, hn::Le(hn::Abs(x), Number(d, 1e6))))) return y;
  return PatchLargeAngles<UseCos>(d, x, y);
}

struct CallSin {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = SinShiftedOfFloat(d, x, 0);
    if (HWY_LIKELY(hn::AllTrue(d, hn::Le(hn::Abs(x), Number(d, 1e6)))))
      return hn::IfThenElse(hn::Lt(hn::Abs(x), Number(d, 0x1p-27)), x, y);  // also keeps the sign of -0
    return SinDouble(d, x);
  }
};
struct CallCos {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = SinShiftedOfFloat(d, x, 1);
    if (HWY_LIKELY(hn::AllTrue(d, hn::Le(hn::Abs(x), Number(d, 1e6))))) return y;
    return CosDouble(d, x);
  }
};

template <class D, class V>
HWY_INLINE V Sin(D d, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == 4)
    return ThroughDouble(d, CallSin(), x);
  else
    return SinDouble(d, x);
}
template <class D, class V>
HWY_INLINE V Cos(D d, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == 4)
    return ThroughDouble(d, CallCos(), x);
  else
    return CosDouble(d, x);
}

// ---- pow
// --------------------------------------------------------------------------------------------------------------

template <class V>
struct TwoParts {
  V high;
  V low;
};

/// log(a) in two doubles, good to about 2^-66, for positive finite a.
template <class D, class V>
HWY_INLINE TwoParts<V> LogTwoParts(D d, V a) {
  const V one = Number(d, 1);
  const LogParts<V> parts = SplitAny(d, a);
  const V f = hn::Sub(parts.m, one);
  const V den = hn::Add(parts.m, one);
  const V den_low = hn::Sub(parts.m, hn::Sub(den, one));
  // s = f / (m + 1) with its remainder; log m = 2 atanh(s).
  const V s = hn::Div(f, den);
  const V product = hn::Mul(s, den);
  const V remainder =
      hn::Sub(hn::Sub(hn::Sub(f, product), ProductError(d, s, den, product)), hn::Mul(s, den_low));
  const V s_low = hn::Div(remainder, den);
  const V z = hn::Mul(s, s);
  const V z_low = hn::MulAdd(hn::Add(s, s), s_low, ProductError(d, s, s, z));
  // 2 atanh(s) = s (2 + t), t = 2/3 z + z^2 P(z)
  const V p = hn::Mul(hn::Mul(z, z), Poly(d, z, 0.4, 0.28571428571429371, 0.22222222221652765,
                                          0.18181818336099846, 0.15384594887007179, 0.13334808798812339,
                                          0.11706126464563397, 0.11724327060846747));
  const V third = Number(d, 0x1.5555555555555p-1);
  const V lead = hn::Mul(z, third);
  const V lead_low = hn::Add(ProductError(d, z, third, lead),
                             hn::MulAdd(z, Number(d, 0x1.5555555555555p-55), hn::Mul(z_low, third)));
  const V t = hn::Add(lead, p);
  const V t_low = hn::Add(lead_low, hn::Sub(p, hn::Sub(t, lead)));
  const V two = Number(d, 2);
  const V w = hn::Add(two, t);
  const V w_low = hn::Add(hn::Sub(t, hn::Sub(w, two)), t_low);
  const V log_m = hn::Mul(s, w);
  const V log_m_low = hn::Add(ProductError(d, s, w, log_m), hn::MulAdd(s, w_low, hn::Mul(s_low, w)));
  const V base = hn::Mul(parts.e, Number(d, Format<double>::ln2_high));  // exact: 40 bits by 11
  const V sum = hn::Add(base, log_m);
  const V sum_low = hn::Add(hn::Sub(log_m, hn::Sub(sum, base)),
                            hn::MulAdd(parts.e, Number(d, Format<double>::ln2_low), log_m_low));
  const V high = hn::Add(sum, sum_low);
  return {high, hn::Sub(sum_low, hn::Sub(high, sum))};
}

/// a^y for a > 0 finite. Precise: full double; otherwise enough for a float result.
template <bool Precise, class D, class V>
HWY_INLINE V PowPositive(D d, V a, V y) {
  // Any larger |y| overflows or underflows for every a but 1; cutting it keeps the splitting finite.
  y = hn::Min(hn::Max(y, Number(d, -1e25)), Number(d, 1e25));
  if constexpr (Precise) {
    const TwoParts<V> log = LogTwoParts(d, a);
    const V high = hn::Mul(y, log.high);
    const V low = hn::MulAdd(y, log.low, ProductError(d, y, log.high, high));
    const V c =
        hn::Min(hn::Max(high, Number(d, Format<double>::exp_low)), Number(d, Format<double>::exp_high));
    const ExpParts<V> parts = ReduceExp(d, c);
    const V r = hn::Add(parts.r, hn::IfThenElseZero(hn::Eq(c, high), low));
    const V p = hn::Add(hn::MulAdd(hn::Mul(r, r), ExpTail(d, r), r), Number(d, 1));
    return ScaleByPower(d, p, parts.shifted);
  } else {
    return ExpNumber(d, hn::Mul(y, LogNumber(d, a)));
  }
}

template <bool Precise, class D, class V>
HWY_NOINLINE V PowDouble(D d, V x, V y) {
  const V zero = hn::Zero(d);
  const V one = Number(d, 1);
  const V infinity = Number(d, __builtin_huge_val());
  const V a = hn::Abs(x);
  const V y_abs = hn::Abs(y);
  V magnitude = PowPositive<Precise>(d, a, y);
  const auto positive = hn::Gt(y, zero);
  // 0 and infinity as bases mirror each other; an infinite exponent asks only on which side of 1 the base
  // lies.
  const V to_zero = hn::IfThenElse(positive, zero, infinity);
  const V to_infinity = hn::IfThenElse(positive, infinity, zero);
  magnitude = hn::IfThenElse(hn::Eq(a, zero), to_zero, magnitude);
  magnitude = hn::IfThenElse(hn::Eq(a, infinity), to_infinity, magnitude);
  const V limit = hn::IfThenElse(hn::Eq(a, one), one, hn::IfThenElse(hn::Gt(a, one), to_infinity, to_zero));
  magnitude = hn::IfThenElse(hn::Eq(y_abs, infinity), limit, magnitude);
  // Above 2^53 every double is an even integer.
  const V half = hn::Mul(y, Number(d, 0.5));
  const auto integer = hn::Eq(hn::Trunc(y), y);
  const auto odd = hn::And(integer, hn::And(hn::Ne(hn::Trunc(half), half), hn::Lt(y_abs, Number(d, 0x1p53))));
  const V sign = hn::And(x, hn::SignBit(d));
  V result = hn::Or(magnitude, hn::IfThenElseZero(odd, sign));
  const auto undefined = hn::And(hn::And(hn::Lt(x, zero), hn::Lt(a, infinity)), hn::Not(integer));
  result = hn::IfThenElse(undefined, Number(d, __builtin_nan("")), result);
  result = hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::IsNaN(y)), hn::Add(x, y), result);
  return hn::IfThenElse(hn::Or(hn::Eq(y, zero), hn::Eq(x, one)), one, result);
}

struct CallPow {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    return PowDouble<false>(d, x, y);
  }
};

template <class D, class V>
HWY_INLINE V Pow(D d, V x, V y) {
  if constexpr (sizeof(hn::TFromD<D>) == 4)
    return ThroughDouble(d, CallPow(), x, y);
  else
    return PowDouble<true>(d, x, y);
}

// ---- atan2
// ------------------------------------------------------------------------------------------------------------

template <class D, class V>
HWY_NOINLINE V Atan2Double(D d, V y, V x) {
  const V zero = hn::Zero(d);
  const V one = Number(d, 1);
  const V infinity = Number(d, __builtin_huge_val());
  V ax = hn::Abs(x);
  V ay = hn::Abs(y);
  // Infinite operands count as 1 against 0, so that the quotient exists; huge ones are scaled, their sum
  // overflows.
  const V top = hn::Max(ax, ay);
  const auto infinite = hn::Eq(top, infinity);
  ax = hn::IfThenElse(infinite, hn::IfThenElseZero(hn::Eq(ax, infinity), one), ax);
  ay = hn::IfThenElse(infinite, hn::IfThenElseZero(hn::Eq(ay, infinity), one), ay);
  const V scale = hn::IfThenElse(hn::Gt(top, Number(d, 1e300)), Number(d, 0x1p-60), one);
  ax = hn::Mul(ax, scale);
  ay = hn::Mul(ay, scale);
  const V large = hn::Max(ax, ay);
  const V small = hn::Min(ax, ay);
  // atan(t) for t above tan(pi/8) is pi/4 + atan((t - 1) / (t + 1)); one division serves both.
  const auto upper = hn::Gt(small, hn::Mul(large, Number(d, 0.4142135623730950488)));
  const V num = hn::IfThenElse(upper, hn::Sub(small, large), small);
  const V den = hn::IfThenElse(upper, hn::Add(small, large), large);
  const V q = hn::Div(num, hn::IfThenElse(hn::Eq(den, zero), one, den));
  const V z = hn::Mul(q, q);
  const V p = Poly(d, z, -0.33333333333333333, 0.19999999999999803, -0.14285714285659327, 0.11111111105106705,
                   -0.090909087510766359, 0.076922963049744701, -0.066664236280692576, 0.058789145444006217,
                   -0.052303478730160742, 0.045511081263251719, -0.034558092551413796, 0.01627194475162406);
  // angle = base + sign * (q + q z p), with base a multiple of pi/4 in two parts and at most one rounding of
  // note.
  V angle = hn::MulAdd(hn::Mul(q, z), p, q);
  const V quarter_high = hn::IfThenElseZero(upper, Number(d, 0x1.921fb54442d18p-1));
  const V quarter_low = hn::IfThenElseZero(upper, Number(d, 0x1.1a62633145c07p-55));
  const auto steep = hn::Gt(ay, ax);
  const auto behind =
      hn::MaskFromVec(hn::BitCast(d, hn::BroadcastSignBit(hn::BitCast(hn::RebindToSigned<D>(), x))));
  const V minus = hn::SignBit(d);
  // steep: pi/2 - angle; behind: pi - that.
  V high = hn::IfThenElse(steep, hn::Sub(Number(d, 0x1.921fb54442d18p+0), quarter_high), quarter_high);
  V low = hn::IfThenElse(steep, hn::Sub(Number(d, 0x1.1a62633145c07p-54), quarter_low), quarter_low);
  angle = hn::Xor(angle, hn::IfThenElseZero(steep, minus));
  high = hn::IfThenElse(behind, hn::Sub(Number(d, 0x1.921fb54442d18p+1), high), high);
  low = hn::IfThenElse(behind, hn::Sub(Number(d, 0x1.1a62633145c07p-53), low), low);
  angle = hn::Xor(angle, hn::IfThenElseZero(behind, minus));
  const V result = hn::Add(high, hn::Add(low, angle));
  return hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::IsNaN(y)), hn::Add(x, y),
                        hn::CopySignToAbs(hn::Abs(result), y));
}

struct CallAtan2 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V y, V x) const {
    return Atan2Double(d, y, x);
  }
};

template <class D, class V>
HWY_INLINE V Atan2(D d, V y, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == 4)
    return ThroughDouble(d, CallAtan2(), y, x);
  else
    return Atan2Double(d, y, x);
}
