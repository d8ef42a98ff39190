// Row reductions in lanes; included once per instruction set by reduce_rows.cpp (so no include guard).
// Invariant: a short last vector is padded with the operation's identity and takes the same lanes.
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

/// What is summed or multiplied: `term` of an element, joined to the accumulator.
struct SumOp {
  static constexpr double identity = 0;
  static HWY_INLINE WideLanes join(WideLanes a, WideLanes b) { return hn::Add(a, b); }
  HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) const { return hn::Add(acc, x); }
};
struct ProductOp {
  static constexpr double identity = 1;
  static HWY_INLINE WideLanes join(WideLanes a, WideLanes b) { return hn::Mul(a, b); }
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
template <class Op>
HWY_INLINE double total(WideLanes v) {
  HWY_ALIGN double last[hn::MaxLanes(wide)];
  hn::Store(v, wide, last);
  for (std::int64_t half = static_cast<std::int64_t>(hn::Lanes(wide)) / 2; half > 0; half /= 2)
    for (std::int64_t j = 0; j < half; ++j) {
      const WideLanes one = Op::join(hn::Set(wide, last[j]), hn::Set(wide, last[j + half]));
      last[j] = hn::GetLane(one);
    }
  return last[0];
}

template <class Op, class T>
HWY_INLINE double wide_fold(const Op& op, const T* x, std::int64_t n, double rest) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide));
  WideLanes a = hn::Set(wide, Op::identity), b = a, c = a, d = a;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
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
  return total<Op>(Op::join(Op::join(a, b), Op::join(c, d)));
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

template <class Op, class T>
void wide_into(double* acc, const T* x, std::int64_t n) {
  const Op op;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(op.take(hn::LoadU(wide, acc + i), load_wide(x + i)), wide, acc + i);
  for (; i < n; ++i)
    acc[i] = hn::GetLane(op.take(hn::Set(wide, acc[i]), hn::Set(wide, static_cast<double>(x[i]))));
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

/// NaN is looked for on the side: the comparison that would take it is a long chain from one vector to the next.
template <class Op, class T>
T extreme_row(const T* x, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto a = hn::Set(d, Op::template identity<T>), b = a, c = a, e = a;
  auto odd = hn::IsNaN(a);
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto p = hn::LoadU(d, x + i), q = hn::LoadU(d, x + i + lanes);
    const auto r = hn::LoadU(d, x + i + 2 * lanes), s = hn::LoadU(d, x + i + 3 * lanes);
    a = Op::of_numbers(a, p), b = Op::of_numbers(b, q), c = Op::of_numbers(c, r), e = Op::of_numbers(e, s);
    odd = hn::Or(odd, hn::Or(hn::Or(hn::IsNaN(p), hn::IsNaN(q)), hn::Or(hn::IsNaN(r), hn::IsNaN(s))));
  }
  for (; i + lanes <= n; i += lanes) {
    const auto p = hn::LoadU(d, x + i);
    a = Op::of_numbers(a, p);
    odd = hn::Or(odd, hn::IsNaN(p));
  }
  if (!hn::AllFalse(d, odd)) return std::numeric_limits<T>::quiet_NaN();
  HWY_ALIGN T last[hn::MaxLanes(d)];
  hn::Store(Op::of_numbers(Op::of_numbers(a, b), Op::of_numbers(c, e)), d, last);
  T result = last[0];
  for (std::int64_t j = 1; j < lanes; ++j) result = Op::join(result, last[j]);
  for (; i < n; ++i) result = Op::join(result, x[i]);
  return result;
}

template <class Op, class T>
void extreme_into(T* acc, const T* x, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(Op::take(d, hn::LoadU(d, acc + i), hn::LoadU(d, x + i)), d, acc + i);
  for (; i < n; ++i) acc[i] = Op::join(acc[i], x[i]);
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
          .deviations = wide_about<DeviationsOp, T>,
          .spread = wide_about<SpreadOp, T>};
}

constexpr ReduceRows<float> rows_f32 = make_rows<float>();
constexpr ReduceRows<double> rows_f64 = make_rows<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
