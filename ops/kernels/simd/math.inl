// Vector exp, log, tanh, ... for float and double lanes. Included once per instruction set by lane.inl,
// inside thalweg::simd::HWY_NAMESPACE::vmath; depends on Highway only. Coefficients: fit_math.py.
// Invariant: a lane's bits depend on that lane alone. Where the target has FMA it is used here, and only here.
//
//  bound, ulp  float  double  method (the bounds are those of tests/kernels/test_simd_math.cpp)
//  exp         1      1       Cody-Waite to |r| <= ln 2 / 2, two-step scaling (denormals are right)
//  expm1       1.6    2       the same reduction, 2 (s (e^r - 1) + (s - 1/2)), s = 2^(n-1)
//  log         0.9    0.9     m in [sqrt 1/2, sqrt 2), series of atanh(f / (2 + f))
//  log1p       0.95   0.95    the same with the rounding of 1 + x put back
//  tanh        1.4    1.4     odd polynomial below 0.625, else 1 - 2 / (e^2x + 1)
//  sigmoid     2.5    2.5     e^-|x| never overflows
//  erf         1.2    1.2     odd polynomial below 0.9, else 1 - erfc
//  erfc        3      3.7     t P(t) e^(-x^2), t = m / (m + x); x^2 and t in two parts
//  sin, cos    0.51   0.9     three-part pi/2 to |x| <= 10^6, beyond by libm; float: through double
//  pow         0.51   1.25    log in two doubles; float: through double
//  atan2       0.51   2.3     |t| <= tan(pi/8); float: through double

/// Polynomial by Horner's rule, lowest power first.
template <class D, class V>
HWY_INLINE V Poly(D d, V /*x*/, double c0) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(c0));
}
template <class D, class V, class... C>
HWY_INLINE V Poly(D d, V x, double c0, double c1, C... rest) {
  return hn::MulAdd(Poly(d, x, c1, rest...), x, hn::Set(d, static_cast<hn::TFromD<D>>(c0)));
}

template <class D>
HWY_INLINE hn::Vec<D> Number(D d, double c) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(c));
}

/// What the bit tricks need to know of a format.
template <class T>
struct Format;
template <>
struct Format<float> {
  using Bits = uint32_t;
  static constexpr int mantissa = 23;
  static constexpr int bias = 127;
  static constexpr Bits sqrt_half = 0x3F3504F3;
  static constexpr Bits one = 0x3F800000;
  static constexpr Bits big_exponent = 0x4B000000;   // 2^23: a small integer or-ed in is added
  static constexpr double round_magic = 12582912.0;  // 1.5 2^23
  static constexpr double min_normal = 0x1p-126;
  static constexpr double denormal_scale = 0x1p25;
  static constexpr double denormal_exponent = 25;
  static constexpr double tiny = 0x1p-26;  // below it x and x + x^2 round alike
  static constexpr double exp_low = -104;
  static constexpr double exp_high = 89;
  static constexpr double ln2_high = 0x1.62e4p-1;
  static constexpr double ln2_low = 0x1.7f7d1cp-20;
};
template <>
struct Format<double> {
  using Bits = uint64_t;
  static constexpr int mantissa = 52;
  static constexpr int bias = 1023;
  static constexpr Bits sqrt_half = 0x3FE6A09E667F3BCD;
  static constexpr Bits one = 0x3FF0000000000000;
  static constexpr Bits big_exponent = 0x4330000000000000;
  static constexpr double round_magic = 6755399441055744.0;  // 1.5 2^52
  static constexpr double min_normal = 0x1p-1022;
  static constexpr double denormal_scale = 0x1p54;
  static constexpr double denormal_exponent = 54;
  static constexpr double tiny = 0x1p-55;
  static constexpr double exp_low = -746;
  static constexpr double exp_high = 710;
  static constexpr double ln2_high = 0x1.62e42fefa2p-1;
  static constexpr double ln2_low = 0x1.9ef35793c7673p-41;
};

template <class D>
using FormatOf = Format<hn::TFromD<D>>;
template <class D>
using BitsTag = hn::RebindToUnsigned<D>;

/// The rounding error of a * b, exactly (Dekker's splitting where there is no FMA; |a|, |b| below 2^500).
template <class D, class V>
HWY_INLINE V ProductError(D d, V a, V b, V product) {
#if HWY_NATIVE_FMA
  (void)d;
  return hn::MulSub(a, b, product);
#else
  const V split = Number(d, sizeof(hn::TFromD<D>) == 4 ? 4097.0 : 134217729.0);
  const V ta = hn::Mul(split, a);
  const V tb = hn::Mul(split, b);
  const V a_high = hn::Sub(ta, hn::Sub(ta, a));
  const V b_high = hn::Sub(tb, hn::Sub(tb, b));
  const V a_low = hn::Sub(a, a_high);
  const V b_low = hn::Sub(b, b_high);
  const V e = hn::Add(hn::Add(hn::Sub(hn::Mul(a_high, b_high), product), hn::Mul(a_high, b_low)),
                      hn::Mul(a_low, b_high));
  return hn::Add(e, hn::Mul(a_low, b_low));
#endif
}

/// c - a * b, exactly where the product is c but for some rounding.
template <class D, class V>
HWY_INLINE V Remainder(D d, V c, V a, V b) {
#if HWY_NATIVE_FMA
  (void)d;
  return hn::NegMulAdd(a, b, c);
#else
  const V product = hn::Mul(a, b);
  return hn::Sub(hn::Sub(c, product), ProductError(d, a, b, product));
#endif
}

// ---- exp family
// ---------------------------------------------------------------------------------------------------

/// (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2.
template <class D, class V>
HWY_INLINE V ExpTail(D d, V r) {
  if constexpr (sizeof(hn::TFromD<D>) == 4)
    return Poly(d, r, 0.500000001, 0.166666667, 0.0416664642, 0.00833331084, 0.00139337307, 0.000198910805);
  else
    return Poly(d, r, 0.5, 0.16666666666666671, 0.04166666666666667, 0.0083333333333260831,
                0.0013888888888883711, 0.00019841269875002279, 2.4801587325677462e-5, 2.7557255170000887e-6,
                2.755727347871858e-7, 2.5105312729622102e-8, 2.0914755325893202e-9);
}

/// x = n ln 2 + r; n comes as a float and, in the low bits of `shifted`, as an integer.
template <class V>
struct ExpParts {
  V r;
  V shifted;
};
template <class D, class V>
HWY_INLINE ExpParts<V> ReduceExp(D d, V x) {
  using F = FormatOf<D>;
  const V magic = Number(d, F::round_magic);
  const V shifted = hn::MulAdd(x, Number(d, 1.4426950408889634074), magic);
  const V n = hn::Sub(shifted, magic);
  const V r = hn::NegMulAdd(n, Number(d, F::ln2_low), hn::NegMulAdd(n, Number(d, F::ln2_high), x));
  return {r, shifted};
}

/// 2^(n + offset), n in the low bits of `shifted`; the exponent must be that of a normal number.
template <class D, class V>
HWY_INLINE V PowerOfTwo(D d, V shifted, int offset) {
  using F = FormatOf<D>;
  const BitsTag<D> db;
  const auto n =
      hn::Add(hn::BitCast(db, shifted), hn::Set(db, static_cast<typename F::Bits>(F::bias + offset)));
  return hn::BitCast(d, hn::ShiftLeft<F::mantissa>(n));
}

/// p 2^n for n from far below the denormals to the overflow: two exact steps but for the last rounding.
template <class D, class V>
HWY_INLINE V ScaleByPower(D d, V p, V shifted) {
  using F = FormatOf<D>;
  using Bits = typename F::Bits;
  const BitsTag<D> db;
  constexpr Bits shift = 2048;  // keeps n positive, so that a logical shift halves it
  const auto magic_bits = hn::BitCast(db, Number(d, F::round_magic));
  const auto n = hn::Sub(hn::BitCast(db, shifted), magic_bits);
  const auto half = hn::Sub(hn::ShiftRight<1>(hn::Add(n, hn::Set(db, shift))), hn::Set(db, shift / 2));
  const auto rest = hn::Sub(n, half);
  const auto bias = hn::Set(db, static_cast<Bits>(F::bias));
  const V first = hn::BitCast(d, hn::ShiftLeft<F::mantissa>(hn::Add(half, bias)));
  const V second = hn::BitCast(d, hn::ShiftLeft<F::mantissa>(hn::Add(rest, bias)));
  return hn::Mul(hn::Mul(p, first), second);
}

/// e^x for x that is not NaN.
template <class D, class V>
HWY_INLINE V ExpNumber(D d, V x) {
  using F = FormatOf<D>;
  x = hn::Min(hn::Max(x, Number(d, F::exp_low)), Number(d, F::exp_high));
  const ExpParts<V> parts = ReduceExp(d, x);
  const V r = parts.r;
  const V p = hn::Add(hn::MulAdd(hn::Mul(r, r), ExpTail(d, r), r), Number(d, 1));
  return ScaleByPower(d, p, parts.shifted);
}

template <class D, class V>
HWY_NOINLINE V Exp(D d, V x) {
  return hn::IfThenElse(hn::IsNaN(x), x, ExpNumber(d, x));
}

template <class D, class V>
HWY_NOINLINE V Expm1(D d, V x) {
  using F = FormatOf<D>;
  const V low = Number(d, sizeof(hn::TFromD<D>) == 4 ? -20 : -40);
  const V c = hn::Min(hn::Max(x, low), Number(d, F::exp_high));
  const ExpParts<V> parts = ReduceExp(d, c);
  const V r = parts.r;
  const V p = hn::MulAdd(hn::Mul(r, r), ExpTail(d, r), r);
  const V s = PowerOfTwo(d, parts.shifted, -1);
  const V y = hn::MulAdd(s, p, hn::Sub(s, Number(d, 0.5)));
  // Tiny arguments keep their sign and all their bits; NaN fails the comparison and is kept too.
  return hn::IfThenElse(hn::Ge(hn::Abs(x), Number(d, F::tiny)), hn::Add(y, y), x);
}

/// e^-|x| <= 1 without the NaN test (the caller has one).
template <class D, class V>
HWY_INLINE V ExpOfMinusAbs(D d, V x) {
  return ExpNumber(d, hn::Neg(hn::Abs(x)));
}

template <class D, class V>
HWY_NOINLINE V Sigmoid(D d, V x) {
  const V one = Number(d, 1);
  const V e = ExpOfMinusAbs(d, x);
  const V y = hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

template <class D, class V>
HWY_NOINLINE V Tanh(D d, V x) {
  const V a = hn::Abs(x);
  const V z = hn::Mul(a, a);
  V t;
  if constexpr (sizeof(hn::TFromD<D>) == 4)
    t = Poly(d, z, -0.333333332, 0.133333034, -0.0539592286, 0.0217686663, -0.00834311964, 0.00229180942);
  else
    t = Poly(d, z, -0.33333333333333333, 0.13333333333333039, -0.053968253967893843, 0.021869488518873556,
             -0.008863235100297064, 0.0035921217137875548, -0.0014557751173983799, 0.00058965917043080336,
             -0.00023758584039791724, 9.2561530365167443e-5, -3.1190227437815513e-5, 6.4798729189511097e-6);
  const V small = hn::MulAdd(hn::Mul(a, z), t, a);
  const V one = Number(d, 1);
  const V limit = Number(d, sizeof(hn::TFromD<D>) == 4 ? 20 : 40);  // 2 x from where tanh rounds to 1
  const ExpParts<V> parts = ReduceExp(d, hn::Min(hn::Add(a, a), limit));
  const V p = hn::Add(hn::MulAdd(hn::Mul(parts.r, parts.r), ExpTail(d, parts.r), parts.r), one);
  const V e = hn::Mul(p, PowerOfTwo(d, parts.shifted, 0));
  const V large = hn::Sub(one, hn::Div(Number(d, 2), hn::Add(e, one)));
  const V y = hn::IfThenElse(hn::Lt(a, Number(d, 0.625)), small, large);
  return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySignToAbs(y, x));
}

// ---- log family
// ---------------------------------------------------------------------------------------------------

/// x = m 2^e with m in [sqrt 1/2, sqrt 2), for positive normal x.
template <class V>
struct LogParts {
  V m;
  V e;
};
template <class D, class V>
HWY_INLINE LogParts<V> SplitExponent(D d, V x) {
  using F = FormatOf<D>;
  using Bits = typename F::Bits;
  const BitsTag<D> db;
  constexpr Bits mantissa_mask = (Bits{1} << F::mantissa) - 1;
  const auto u = hn::Add(hn::BitCast(db, x), hn::Set(db, static_cast<Bits>(F::one - F::sqrt_half)));
  const auto m = hn::Add(hn::And(u, hn::Set(db, mantissa_mask)), hn::Set(db, F::sqrt_half));
  const auto e = hn::Or(hn::ShiftRight<F::mantissa>(u), hn::Set(db, F::big_exponent));
  const double big = F::mantissa == 23 ? 8388608.0 : 4503599627370496.0;
  return {hn::BitCast(d, m), hn::Sub(hn::BitCast(d, e), Number(d, big + F::bias))};
}

/// log(m) + e ln 2 + c, for a correction c that is small beside the rest.
template <class D, class V>
HWY_INLINE V LogOfParts(D d, LogParts<V> parts, V c) {
  using F = FormatOf<D>;
  const V f = hn::Sub(parts.m, Number(d, 1));
  const V s = hn::Div(f, hn::Add(f, Number(d, 2)));
  const V z = hn::Mul(s, s);
  V q;
  if constexpr (sizeof(hn::TFromD<D>) == 4)
    q = Poly(d, z, 0.666666666, 0.400001222, 0.285507786, 0.233316145);
  else
    q = Poly(d, z, 0.66666666666666666, 0.40000000000000883, 0.28571428570799785, 0.22222222392581045,
             0.18181795547521136, 0.15386244737621667, 0.13268638369266824, 0.13088034850927554);
  const V half_square = hn::Mul(hn::Mul(f, f), Number(d, 0.5));
  const V low = hn::MulAdd(parts.e, Number(d, F::ln2_low), c);
  const V inner = hn::MulAdd(s, hn::MulAdd(z, q, half_square), low);
  return hn::MulAdd(parts.e, Number(d, F::ln2_high), hn::Sub(f, hn::Sub(half_square, inner)));
}

/// The values of a logarithm at 0, below 0, at infinity and NaN. `x` is 0 at the pole.
template <class D, class V>
HWY_INLINE V LogSpecial(D d, V x, V y, V kept) {
  const V zero = hn::Zero(d);
  const V infinity = Number(d, __builtin_huge_val());
  y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), y);
  y = hn::IfThenElse(hn::Lt(x, zero), Number(d, __builtin_nan("")), y);
  return hn::IfThenElse(hn::Lt(x, infinity), y, kept);
}

template <class D, class V>
HWY_INLINE LogParts<V> SplitAny(D d, V x) {
  using F = FormatOf<D>;
  const auto denormal = hn::Lt(x, Number(d, F::min_normal));
  LogParts<V> parts = SplitExponent(d, hn::IfThenElse(denormal, hn::Mul(x, Number(d, F::denormal_scale)), x));
  parts.e = hn::Sub(parts.e, hn::IfThenElseZero(denormal, Number(d, F::denormal_exponent)));
  return parts;
}

template <class D, class V>
HWY_INLINE V LogNumber(D d, V x) {
  return LogOfParts(d, SplitAny(d, x), hn::Zero(d));
}

template <class D, class V>
HWY_NOINLINE V Log(D d, V x) {
  return LogSpecial(d, x, LogNumber(d, x), x);
}

template <class D, class V>
HWY_NOINLINE V Log1p(D d, V x) {
  using F = FormatOf<D>;
  const V one = Number(d, 1);
  const V u = hn::Add(one, x);
  // 1 + x = u + lost, exactly; log(1 + x) = log(u) + lost / u to working precision.
  const V back = hn::Sub(u, one);
  const V lost = hn::Add(hn::Sub(one, hn::Sub(u, back)), hn::Sub(x, back));
  const V y = LogOfParts(d, SplitExponent(d, u), hn::Div(lost, u));
  const V special = LogSpecial(d, u, y, x);
  return hn::IfThenElse(hn::Lt(hn::Abs(x), Number(d, F::tiny)), x, special);
}

// ---- error functions
// ------------------------------------------------------------------------------------------------

/// erf on [0, 1].
template <class D, class V>
HWY_INLINE V ErfSmall(D d, V a) {
  const V z = hn::Mul(a, a);
  V p;
  if constexpr (sizeof(hn::TFromD<D>) == 4)
    p = Poly(d, z, 0.128379166, -0.376126267, 0.112835947, -0.026854212, 0.00518908742, -0.000801686429,
             7.87587506e-5);
  else
    p = Poly(d, z, 0.12837916709551257, -0.3761263890318354, 0.11283791670945006, -0.02686617064323777,
             0.0052239776071164227, -0.00085483259753896921, 0.00012055294904839708, -1.492473690741966e-5,
             1.6447424703317362e-6, -1.6208483801871706e-7, 1.3720064546777686e-8, -7.7958988270021422e-10);
  return hn::MulAdd(a, p, a);
}

/// erfc on [1/2, 28], in f32 on [0, 28]; larger arguments are cut to 28, where it is 0.
template <class D, class V>
HWY_INLINE V ErfcLarge(D d, V a) {
  constexpr bool is_float = sizeof(hn::TFromD<D>) == 4;
  a = hn::Min(a, Number(d, 28));
  const V middle = Number(d, is_float ? 3 : 2);
  const V den = hn::Add(middle, a);
  const V t = hn::Div(middle, den);
  const V q = hn::Sub(Number(d, 1), hn::Add(t, t));
  V p;
  if constexpr (is_float)
    p = Poly(d, q, 0.358002302, -0.29446482, 0.196742808, -0.103488869, 0.0398424074, -0.0089455588,
             -0.000405654812, 0.00102602781, -0.00016635708, -0.000111274841);
  else
    p = Poly(d, q, 0.51079135262101149, -0.34358034220690529, 0.1397360462780274, -0.018221115753439868,
             -0.010755330944749049, 0.0032395925338938877, 0.0015453060298994513, -0.00041864803193438712,
             -0.00033153675904615381, 1.7185729107339822e-5, 7.223544393868261e-5, 1.7074335106863318e-5,
             -1.0848544134872088e-5, -8.0596736878492559e-6, -5.6119326764210881e-7, 1.8182299439917996e-6,
             9.9777174394561339e-7, 1.2288522264778279e-8, -2.8358728162542308e-7, -1.8406484310994169e-7,
             3.69338115954702e-9, 7.980697646956395e-8, 1.592779474666555e-8, -1.8156996128693295e-8);
  // t (1 + lost) is the quotient, den_low what the sum has lost; erfcx takes up its share of that (1.3 to 3.4
  // times in f32, 1.1 to 2.1 in f64), and everything small goes through the exponential.
  const V den_low = hn::Sub(a, hn::Sub(den, middle));
  const V lost = hn::NegMulAdd(t, den_low, Remainder(d, middle, t, den));
  const V share = hn::MulAdd(t, Number(d, is_float ? 2.82 / 3 : 1.45 / 2), Number(d, is_float ? 0.51 / 3 : 0.945 / 2));
  const V square = hn::Mul(a, a);
  const V small = hn::MulSub(lost, share, ProductError(d, a, a, square));
  const ExpParts<V> parts = ReduceExp(d, hn::Max(hn::Neg(square), Number(d, FormatOf<D>::exp_low)));
  const V r = hn::Add(parts.r, small);
  const V m = hn::MulAdd(hn::Mul(r, r), ExpTail(d, r), r);
  const V w = hn::Mul(t, p);
  return ScaleByPower(d, hn::MulAdd(w, m, w), parts.shifted);
}

template <class D, class V>
HWY_NOINLINE V Erf(D d, V x) {
  const V limit = Number(d, 0.9);
  const V a = hn::Abs(x);
  const V large = hn::Sub(Number(d, 1), ErfcLarge(d, hn::Max(a, limit)));
  const V y = hn::IfThenElse(hn::Lt(a, limit), ErfSmall(d, hn::Min(a, limit)), large);
  return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySignToAbs(y, x));
}

template <class D, class V>
HWY_NOINLINE V Erfc(D d, V x) {
  const V a = hn::Abs(x);
  V y;
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    const V large = ErfcLarge(d, a);
    y = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(Number(d, 2), large), large);
  } else {
    const V half = Number(d, 0.5);
    const V one = Number(d, 1);
    const V small = hn::Sub(one, hn::CopySignToAbs(ErfSmall(d, hn::Min(a, one)), x));
    const V large = ErfcLarge(d, hn::Max(a, half));
    y = hn::IfThenElse(hn::Lt(a, half), small,
                       hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(Number(d, 2), large), large));
  }
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}
