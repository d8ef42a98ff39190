// Public functions of the ops in arithmetic.inl, and their descriptions for the registry. Depends on library.hpp.
#include <cmath>
#include <cstdint>
#include <limits>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions/pointwise.hpp>
#include <thalweg/ops/library.hpp>

namespace thalweg {
namespace {

[[noreturn]] void throw_limits(const char* op, double low, double high, const char* wanted, Loc loc) {
  throw_error<ValueError>({.op = op, .arg = "the limits", .given = fmt::format("[{}, {}]", low, high),
                           .wanted = wanted, .what = "empty interval",
                           .loc = thread_state.call_site ? thread_state.call_site : loc});
}

/// Whether the integer dtype has this whole number; bool takes part in arithmetic as i64.
bool holds(DType d, Scalar s) {
  if (s.i < 0 && s.d > 0) return false;  // an unsigned one beyond i64
  if (d == DType::u8) return s.i >= 0 && s.i <= std::numeric_limits<std::uint8_t>::max();
  if (d == DType::i32) return s.i == static_cast<std::int32_t>(s.i);
  return true;
}

}  // namespace

Tensor add(Arg a, Arg b) { return apply<ops::Add>(std::move(a), std::move(b)); }
Tensor sub(Arg a, Arg b) { return apply<ops::Sub>(std::move(a), std::move(b)); }
Tensor mul(Arg a, Arg b) { return apply<ops::Mul>(std::move(a), std::move(b)); }
Tensor div(Arg a, Arg b) { return apply<ops::Div>(std::move(a), std::move(b)); }
Tensor neg(Arg x) { return apply<ops::Neg>(std::move(x)); }
Tensor square(Arg x) { return apply<ops::Square>(std::move(x)); }
Tensor reciprocal(Arg x) { return apply<ops::Reciprocal>(std::move(x)); }
Tensor abs(Arg x) { return apply<ops::Abs>(std::move(x)); }
Tensor sign(Arg x) { return apply<ops::Sign>(std::move(x)); }
Tensor maximum(Arg a, Arg b) { return apply<ops::Maximum>(std::move(a), std::move(b)); }
Tensor minimum(Arg a, Arg b) { return apply<ops::Minimum>(std::move(a), std::move(b)); }

Tensor where(Arg condition, Arg a, Arg b) { return apply<ops::Where>(condition, std::move(a), std::move(b)); }

Tensor clamp(Arg x, double low, double high) {
  if (!(low <= high)) throw_limits("clamp", low, high, "low <= high", x.loc);
  if (x.t.defined() && !is_floating(x.t.dtype())) {  // the integers inside: a bound would be truncated
    const double first = std::ceil(low), last = std::floor(high);
    if (first > last) throw_limits("clamp", low, high, "limits with an integer between them", x.loc);
    low = first, high = last;
  }
  return apply<ops::Clamp>({.low = low, .high = high}, std::move(x));
}

Tensor like(Scalar s, const Tensor& beside) {
  const DType d = beside.dtype();
  if (is_floating(d)) return scalar(s, d);
  if (!s.integral) return scalar(s, DType::f32);
  if (d != DType::boolean && holds(d, s)) return scalar(s, d);
  return scalar(s, holds(DType::i64, s) ? DType::i64 : DType::f32);
}

void describe_arithmetic(std::vector<OpInfo>& to) { describe_all(ops::ArithmeticOps{}, to); }

}  // namespace thalweg
