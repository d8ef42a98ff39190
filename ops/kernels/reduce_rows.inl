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

struct SumOp {
  static constexpr double identity = 0;
  static HWY_INLINE WideLanes join(WideLanes a, WideLanes b) { return hn::Add(a, b); }
  static HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) { return hn::Add(acc, x); }
  static double join(double a, double b) { return a + b; }
};
struct ProductOp {
  static constexpr double identity = 1;
  static HWY_INLINE WideLanes join(WideLanes a, WideLanes b) { return hn::Mul(a, b); }
  static HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) { return hn::Mul(acc, x); }
  static double join(double a, double b) { return a * b; }
};
struct SquaresOp {
  static constexpr double identity = 0;
  static HWY_INLINE WideLanes join(WideLanes a, WideLanes b) { return hn::Add(a, b); }
  static HWY_INLINE WideLanes take(WideLanes acc, WideLanes x) { return hn::MulAdd(x, x, acc); }
  static double join(double a, double b) { return a + b; }
};

template <class Op, class T>
double wide_row(const T* x, std::int64_t n) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide));
  WideLanes a = hn::Set(wide, Op::identity), b = a, c = a, d = a;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a = Op::take(a, load_wide(x + i));
    b = Op::take(b, load_wide(x + i + lanes));
    c = Op::take(c, load_wide(x + i + 2 * lanes));
    d = Op::take(d, load_wide(x + i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) a = Op::take(a, load_wide(x + i));
  HWY_ALIGN double last[hn::MaxLanes(wide)];
  if (i < n) {
    for (std::int64_t j = 0; j < lanes; ++j)
      last[j] = j < n - i ? static_cast<double>(x[i + j]) : Op::identity;
    b = Op::take(b, hn::Load(wide, last));
  }
  hn::Store(Op::join(Op::join(a, b), Op::join(c, d)), wide, last);
  for (std::int64_t half = lanes / 2; half > 0; half /= 2)
    for (std::int64_t j = 0; j < half; ++j) last[j] = Op::join(last[j], last[j + half]);
  return last[0];
}

template <class Op, class T>
void wide_into(double* acc, const T* x, std::int64_t n) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(wide));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(Op::take(hn::LoadU(wide, acc + i), load_wide(x + i)), wide, acc + i);
  for (; i < n; ++i) acc[i] = Op::join(acc[i], static_cast<double>(x[i]));
}

struct MaxOp {
  template <class T>
  static constexpr T identity = -std::numeric_limits<T>::infinity();
  template <class M, class V>
  static HWY_INLINE V take(M, V acc, V x) {  // NaN wins: a NaN in acc compares false, one in x is taken
    return hn::IfThenElse(hn::Or(hn::Gt(x, acc), hn::IsNaN(x)), x, acc);
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
  template <class T>
  static T join(T acc, T x) {
    return x < acc || x != x ? x : acc;
  }
};

template <class Op, class T>
T extreme_row(const T* x, std::int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto a = hn::Set(d, Op::template identity<T>), b = a;
  std::int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    a = Op::take(d, a, hn::LoadU(d, x + i));
    b = Op::take(d, b, hn::LoadU(d, x + i + lanes));
  }
  for (; i + lanes <= n; i += lanes) a = Op::take(d, a, hn::LoadU(d, x + i));
  HWY_ALIGN T last[hn::MaxLanes(d)];
  hn::Store(Op::take(d, a, b), d, last);
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
  return {wide_row<SumOp, T>,      wide_row<ProductOp, T>, wide_row<SquaresOp, T>,
          extreme_row<MaxOp, T>,   extreme_row<MinOp, T>,  wide_into<SumOp, T>,
          wide_into<ProductOp, T>, extreme_into<MaxOp, T>, extreme_into<MinOp, T>};
}

constexpr ReduceRows<float> rows_f32 = make_rows<float>();
constexpr ReduceRows<double> rows_f64 = make_rows<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
