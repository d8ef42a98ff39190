// Row reductions in lanes; included once per instruction set by reduce_rows.cpp (so no include guard).
// Invariant: a short last vector is padded with the operation's identity and takes the same lanes.
#include <algorithm>
#include <limits>
#include <type_traits>

#include <hwy/highway.h>

#include <thalweg/ops/kernels/reduce_rows.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

// Sums and products of either type run in double lanes, four vectors side by side to hide the latency.
const hn::ScalableTag<double> wide;
const hn::Rebind<float, hn::ScalableTag<double>> narrow;
using WideLanes = hn::Vec<hn::ScalableTag<double>>;

HWY_INLINE WideLanes load_wide(const double* x) { return hn::LoadU(wide, x); }
HWY_INLINE WideLanes load_wide(const float* x) { return hn::PromoteTo(wide, hn::LoadU(narrow, x)); }

HWY_INLINE void store_narrow(WideLanes v, double* y) { hn::StoreU(v, wide, y); }
HWY_INLINE void store_narrow(WideLanes v, float* y) {
  if constexpr (hn::MaxLanes(wide) == 1) *y = static_cast<float>(hn::GetLane(v));  // its DemoteTo knows no infinity
  else hn::StoreU(hn::DemoteTo(narrow, v), narrow, y);
}

/// What is summed or multiplied: `term` of an element, joined to the accumulator.
struct SumOp {
  static constexpr double identity = 0;
  template <class V>
  static HWY_INLINE V join(V a, V b) {
    return hn::Add(a, b);
  }
  HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) const { return hn::Add(acc, x); }
};
struct ProductOp {
  static constexpr double identity = 1;
  template <class V>
  static HWY_INLINE V join(V a, V b) {
    return hn::Mul(a, b);
  }
  HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) const { return hn::Mul(acc, x); }
};
struct SquaresOp : SumOp {
  HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) const { return hn::MulAdd(x, x, acc); }
};
struct AbsolutesOp : SumOp {
  HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) const { return hn::Add(acc, hn::Abs(x)); }
};
struct DeviationsOp : SumOp {
  WideLanes from;
  HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) const { return hn::Add(acc, hn::Sub(x, from)); }
};
struct SpreadOp : SumOp {
  WideLanes from;
  HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) const {
    const WideLanes d = hn::Sub(x, from);
    return hn::MulAdd(d, d, acc);
  }
};

/// The lanes joined pairwise, halves first.
template <class Join, class D>
HWY_INLINE hn::TFromD<D> total(D, hn::Vec<D> v, [[maybe_unused]] const Join& join) {
  if constexpr (hn::MaxLanes(D()) == 1) {
    return hn::GetLane(v);
  } else {
#if HWY_TARGET != HWY_SCALAR  // which knows no halves
    const hn::Half<D> half;
    return total(half, join(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), join);
#endif
  }
}

constexpr std::int64_t long_row = 8192;  // bytes: a row that goes on with another block, or with one more row like it

/// Asks for n elements far behind x, past the end of its memory page, where the hardware stops to look ahead.
template <class T>
HWY_INLINE void ask_far(const T* x, std::int64_t n) {
  const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(x) + 12288;
  for (std::uintptr_t b = 0; b < static_cast<std::uintptr_t>(n) * sizeof(T); b += 64)
    __builtin_prefetch(reinterpret_cast<const void*>(at + b));
}

template <class Op, class T>
HWY_INLINE double wide_fold(const Op& op, const T* x, std::int64_t n, double rest) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide));
  WideLanes a = hn::Set(wide, Op::identity), b = a, c = a, d = a;
  const bool goes_on = n * static_cast<std::int64_t>(sizeof(T)) >= long_row;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    if (goes_on) ask_far(x + i, 4 * lanes);
    a = op.take(a, load_wide(x + i));
    b = op.take(b, load_wide(x + i + lanes));
    c = op.take(c, load_wide(x + i + 2 * lanes));
    d = op.take(d, load_wide(x + i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) a = op.take(a, load_wide(x + i));
  if (i < n) {
    HWY_ALIGN double last[hn::MaxLanes(wide)];
    for (std::int64_t j = 0; j < lanes; ++j) last[j] = j < n - i ? static_cast<double>(x[i + j]) : rest;
    b = op.take(b, hn::Load(wide, last));
  }
  return total(wide, Op::join(Op::join(a, b), Op::join(c, d)), [](auto lower, auto upper) { return Op::join(lower, upper); });
}

template <class Op, class T>
double wide_row(const T* x, std::int64_t n) {
  return wide_fold(Op(), x, n, Op::identity);
}

template <class Op, class T>
double wide_about(const T* x, double from, std::int64_t n) {
  Op op;
  op.from = hn::Set(wide, from);
  return wide_fold(op, x, n, from);
}

/// Rows taken together, so that an accumulator is loaded and stored once for all of them. The order stays theirs.
constexpr std::int64_t rows_at_once = 4;

template <std::int64_t R, class Op, class T>
HWY_INLINE void wide_rows_into(double* acc, const T* x, std::int64_t step, std::int64_t n) {
  const Op op;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    WideLanes a = hn::LoadU(wide, acc + i);
    for (std::int64_t r = 0; r < R; ++r) a = op.take(a, load_wide(x + r * step + i));
    hn::StoreU(a, wide, acc + i);
  }
  for (; i < n; ++i)
    for (std::int64_t r = 0; r < R; ++r)
      acc[i] = hn::GetLane(op.take(hn::Set(wide, acc[i]), hn::Set(wide, static_cast<double>(x[r * step + i]))));
}

template <class Op, class T>
void wide_into(double* acc, const T* x, std::int64_t step, std::int64_t rows, std::int64_t n) {
  for (; rows >= rows_at_once; rows -= rows_at_once, x += rows_at_once * step)
    wide_rows_into<rows_at_once, Op>(acc, x, step, n);
  for (; rows > 0; --rows, x += step) wide_rows_into<1, Op>(acc, x, step, n);
}

/// Products of what stands before, by lanes, then of what stands after, with those of the other lanes. A short last step is
/// padded with 1.
template <class T>
void product_of_others(const T* x, std::int64_t n, double outside, T* y) {
  constexpr std::int64_t chains = 4;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide)), step = chains * lanes;
  HWY_ALIGN double before[others_block + chains * hn::MaxLanes(wide)];
  HWY_ALIGN T last[chains * hn::MaxLanes(wide)];
  const std::int64_t whole = n / step * step;
  for (std::int64_t j = 0; j < step; ++j) last[j] = whole + j < n ? x[whole + j] : T{1};
  WideLanes p[chains];
  for (auto& v : p) v = hn::Set(wide, 1.0);
  for (std::int64_t i = 0; i < n; i += step)
    for (std::int64_t c = 0; c < chains; ++c) {
      hn::Store(p[c], wide, before + i + c * lanes);
      p[c] = hn::Mul(p[c], load_wide((i < whole ? x + i : last) + c * lanes));
    }
  HWY_ALIGN double of_lane[hn::MaxLanes(wide)], of_others[hn::MaxLanes(wide)];
  const WideLanes front = hn::Mul(p[0], p[1]), back = hn::Mul(p[2], p[3]);
  hn::Store(hn::Mul(front, back), wide, of_lane);
  double product = outside;
  for (std::int64_t j = 0; j < lanes; ++j) of_others[j] = product, product *= of_lane[j];
  product = 1;
  for (std::int64_t j = lanes; j-- > 0;) of_others[j] *= product, product *= of_lane[j];
  const WideLanes rest = hn::Load(wide, of_others);
  WideLanes after[chains] = {hn::Mul(rest, hn::Mul(p[1], back)), hn::Mul(rest, hn::Mul(p[0], back)),
                             hn::Mul(rest, hn::Mul(front, p[3])), hn::Mul(rest, hn::Mul(front, p[2]))};
  HWY_ALIGN T short_step[chains * hn::MaxLanes(wide)];
  for (std::int64_t i = (n - 1) / step * step; i >= 0; i -= step) {
    T* const to = i < whole ? y + i : short_step;
    for (std::int64_t c = 0; c < chains; ++c) {
      store_narrow(hn::Mul(hn::Load(wide, before + i + c * lanes), after[c]), to + c * lanes);
      after[c] = hn::Mul(after[c], load_wide((i < whole ? x + i : last) + c * lanes));
    }
  }
  std::copy_n(short_step, n - whole, y + whole);
}

struct MaxOp {
  template <class T>
  static constexpr T identity = -std::numeric_limits<T>::infinity();
  template <class M, class V>
  static HWY_INLINE V take(M, V acc, V x) {  // NaN wins: a NaN in acc compares false, one in x is taken
    return hn::IfThenElse(hn::Or(hn::Gt(x, acc), hn::IsNaN(x)), x, acc);
  }
  template <class V>
  static HWY_INLINE V of_numbers(V acc, V x) {
    return hn::Max(x, acc);
  }
  template <class T>
  static T join(T acc, T x) {
    return x > acc || x != x ? x : acc;
  }
};
struct MinOp {
  template <class T>
  static constexpr T identity = std::numeric_limits<T>::infinity();
  template <class M, class V>
  static HWY_INLINE V take(M, V acc, V x) {
    return hn::IfThenElse(hn::Or(hn::Lt(x, acc), hn::IsNaN(x)), x, acc);
  }
  template <class V>
  static HWY_INLINE V of_numbers(V acc, V x) {
    return hn::Min(x, acc);
  }
  template <class T>
  static T join(T acc, T x) {
    return x < acc || x != x ? x : acc;
  }
};

/// NaN is looked for on the side, as the largest of all bit patterns without sign: the comparison that would take it is a
/// long chain from one vector to the next, and masks are joined slowly.
template <class Op, class T>
T extreme_row(const T* x, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> bits;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto magnitude = [&](auto v) { return hn::BitCast(bits, hn::Abs(v)); };
  auto a = hn::Set(d, Op::template identity<T>), b = a, c = a, e = a;
  auto odd = hn::Zero(bits), even = odd;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto p = hn::LoadU(d, x + i), q = hn::LoadU(d, x + i + lanes);
    const auto r = hn::LoadU(d, x + i + 2 * lanes), s = hn::LoadU(d, x + i + 3 * lanes);
    a = Op::of_numbers(a, p), b = Op::of_numbers(b, q), c = Op::of_numbers(c, r), e = Op::of_numbers(e, s);
    odd = hn::Max(odd, hn::Max(magnitude(p), magnitude(q)));
    even = hn::Max(even, hn::Max(magnitude(r), magnitude(s)));
  }
  for (; i + lanes <= n; i += lanes) {
    const auto p = hn::LoadU(d, x + i);
    a = Op::of_numbers(a, p);
    odd = hn::Max(odd, magnitude(p));
  }
  const auto infinite = magnitude(hn::Set(d, std::numeric_limits<T>::infinity()));
  if (!hn::AllFalse(bits, hn::Gt(hn::Max(odd, even), infinite))) return std::numeric_limits<T>::quiet_NaN();
  T result = total(d, Op::of_numbers(Op::of_numbers(a, b), Op::of_numbers(c, e)),
                   [](auto lower, auto upper) { return Op::of_numbers(lower, upper); });
  for (; i < n; ++i) result = Op::join(result, x[i]);
  return result;
}

template <std::int64_t R, class Op, class T>
HWY_INLINE void extreme_rows_into(T* acc, const T* x, std::int64_t step, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto a = hn::LoadU(d, acc + i);
    for (std::int64_t r = 0; r < R; ++r) a = Op::take(d, a, hn::LoadU(d, x + r * step + i));
    hn::StoreU(a, d, acc + i);
  }
  for (; i < n; ++i)
    for (std::int64_t r = 0; r < R; ++r) acc[i] = Op::join(acc[i], x[r * step + i]);
}

template <class Op, class T>
void extreme_into(T* acc, const T* x, std::int64_t step, std::int64_t rows, std::int64_t n) {
  for (; rows >= rows_at_once; rows -= rows_at_once, x += rows_at_once * step)
    extreme_rows_into<rows_at_once, Op>(acc, x, step, n);
  for (; rows > 0; --rows, x += step) extreme_rows_into<1, Op>(acc, x, step, n);
}

template <class T>
constexpr ReduceRows<T> make_rows() {
  return {.sum = wide_row<SumOp, T>,
          .product = wide_row<ProductOp, T>,
          .squares = wide_row<SquaresOp, T>,
          .absolutes = wide_row<AbsolutesOp, T>,
          .maximum = extreme_row<MaxOp, T>,
          .minimum = extreme_row<MinOp, T>,
          .add = wide_into<SumOp, T>,
          .multiply = wide_into<ProductOp, T>,
          .add_squares = wide_into<SquaresOp, T>,
          .add_absolutes = wide_into<AbsolutesOp, T>,
          .raise = extreme_into<MaxOp, T>,
          .lower = extreme_into<MinOp, T>,
          .others = product_of_others<T>,
          .deviations = wide_about<DeviationsOp, T>,
          .spread = wide_about<SpreadOp, T>};
}

constexpr ReduceRows<float> rows_f32 = make_rows<float>();
constexpr ReduceRows<double> rows_f64 = make_rows<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
