// TensorLane's operators: literals are folded or turned into 0-d tensors, the rest are public ops.
// Depends on functions.hpp.
#include <thalweg/ops/tensor_lane.hpp>

#include <cmath>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg {
namespace {

/// The lane as a tensor; a literal takes the dtype of `beside`.
Tensor as_tensor(const TensorLane& v, const TensorLane& beside) {
  if (!v.is_literal()) return v.tensor();
  return like(v.literal(), beside.tensor());
}

TensorLane binary(const TensorLane& a, const TensorLane& b, Tensor (*op)(Arg, Arg), double (*fold)(double, double)) {
  if (a.is_literal() && b.is_literal()) return TensorLane(fold(a.literal(), b.literal()));
  return TensorLane(op(as_tensor(a, b), as_tensor(b, a)));
}

TensorLane unary(const TensorLane& a, Tensor (*op)(Arg), double (*fold)(double)) {
  if (a.is_literal()) return TensorLane(fold(a.literal()));
  return TensorLane(op(a.tensor()));
}

TensorMask compare(const TensorLane& a, const TensorLane& b, Tensor (*op)(Arg, Arg)) {
  const Tensor x = as_tensor(a, b), y = as_tensor(b, a);
  return {op(x, y), promote(x.dtype(), y.dtype())};
}

double fold_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double fold_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

}  // namespace

TensorLane operator+(const TensorLane& a, const TensorLane& b) {
  return binary(a, b, &add, [](double x, double y) { return x + y; });
}
TensorLane operator-(const TensorLane& a, const TensorLane& b) {
  return binary(a, b, &sub, [](double x, double y) { return x - y; });
}
TensorLane operator*(const TensorLane& a, const TensorLane& b) {
  return binary(a, b, &mul, [](double x, double y) { return x * y; });
}
TensorLane operator/(const TensorLane& a, const TensorLane& b) {
  return binary(a, b, &div, [](double x, double y) { return x / y; });
}
TensorLane pow(const TensorLane& a, const TensorLane& b) {
  return binary(a, b, &pow, [](double x, double y) { return std::pow(x, y); });
}
TensorLane atan2(const TensorLane& a, const TensorLane& b) {
  return binary(a, b, &atan2, [](double x, double y) { return std::atan2(x, y); });
}
TensorLane maximum(const TensorLane& a, const TensorLane& b) {
  return binary(a, b, &maximum, [](double x, double y) { return x > y ? x : y; });
}
TensorLane minimum(const TensorLane& a, const TensorLane& b) {
  return binary(a, b, &minimum, [](double x, double y) { return x < y ? x : y; });
}

TensorLane operator-(const TensorLane& a) { return unary(a, &neg, [](double x) { return -x; }); }
TensorLane abs(const TensorLane& a) { return unary(a, &abs, [](double x) { return std::fabs(x); }); }
TensorLane sign(const TensorLane& a) { return unary(a, &sign, &fold_sign); }
TensorLane sqrt(const TensorLane& a) { return unary(a, &sqrt, [](double x) { return std::sqrt(x); }); }
TensorLane exp(const TensorLane& a) { return unary(a, &exp, [](double x) { return std::exp(x); }); }
TensorLane log(const TensorLane& a) { return unary(a, &log, [](double x) { return std::log(x); }); }
TensorLane log1p(const TensorLane& a) { return unary(a, &log1p, [](double x) { return std::log1p(x); }); }
TensorLane expm1(const TensorLane& a) { return unary(a, &expm1, [](double x) { return std::expm1(x); }); }
TensorLane tanh(const TensorLane& a) { return unary(a, &tanh, [](double x) { return std::tanh(x); }); }
TensorLane sigmoid(const TensorLane& a) { return unary(a, &sigmoid, &fold_sigmoid); }
TensorLane erf(const TensorLane& a) { return unary(a, &erf, [](double x) { return std::erf(x); }); }
TensorLane erfc(const TensorLane& a) { return unary(a, &erfc, [](double x) { return std::erfc(x); }); }
TensorLane sin(const TensorLane& a) { return unary(a, &sin, [](double x) { return std::sin(x); }); }
TensorLane cos(const TensorLane& a) { return unary(a, &cos, [](double x) { return std::cos(x); }); }

TensorMask operator<(const TensorLane& a, const TensorLane& b) { return compare(a, b, &less); }
TensorMask operator<=(const TensorLane& a, const TensorLane& b) { return compare(a, b, &less_equal); }
TensorMask operator>(const TensorLane& a, const TensorLane& b) { return compare(a, b, &greater); }
TensorMask operator>=(const TensorLane& a, const TensorLane& b) { return compare(a, b, &greater_equal); }
TensorMask operator==(const TensorLane& a, const TensorLane& b) { return compare(a, b, &equal); }
TensorMask operator!=(const TensorLane& a, const TensorLane& b) { return compare(a, b, &not_equal); }
TensorMask operator&(const TensorMask& a, const TensorMask& b) { return {logical_and(a.t, b.t), a.dtype}; }
TensorMask operator|(const TensorMask& a, const TensorMask& b) { return {logical_or(a.t, b.t), a.dtype}; }
TensorMask operator!(const TensorMask& a) { return {logical_not(a.t), a.dtype}; }
TensorMask isnan(const TensorLane& a) { return {isnan(a.tensor()), a.tensor().dtype()}; }
TensorMask isfinite(const TensorLane& a) { return {isfinite(a.tensor()), a.tensor().dtype()}; }

TensorLane select(const TensorMask& m, const TensorLane& a, const TensorLane& b) {
  if (!a.is_literal()) return TensorLane(where(m.t, a.tensor(), as_tensor(b, a)));
  if (!b.is_literal()) return TensorLane(where(m.t, as_tensor(a, b), b.tensor()));
  const Tensor x = scalar(a.literal(), m.dtype), y = scalar(b.literal(), m.dtype);
  return TensorLane(where(m.t, x, y));
}

}  // namespace thalweg
