// Public functions of the ops in arithmetic.inl, and their descriptions for the registry. Depends on library.hpp.
#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions/pointwise.hpp>
#include <thalweg/ops/library.hpp>

namespace thalweg {
namespace {

[[noreturn]] void throw_limits(const char* op, double low, double high, Loc loc) {
  throw_error<ValueError>({.op = op, .arg = "the limits", .given = fmt::format("[{}, {}]", low, high),
                           .wanted = "low <= high", .what = "empty interval",
                           .loc = thread_state.call_site ? thread_state.call_site : loc});
}

}  // namespace

Tensor add(Arg a, Arg b) { return apply<ops::Add>(a, b); }
Tensor sub(Arg a, Arg b) { return apply<ops::Sub>(a, b); }
Tensor mul(Arg a, Arg b) { return apply<ops::Mul>(a, b); }
Tensor div(Arg a, Arg b) { return apply<ops::Div>(a, b); }
Tensor neg(Arg x) { return apply<ops::Neg>(x); }
Tensor square(Arg x) { return apply<ops::Square>(x); }
Tensor reciprocal(Arg x) { return apply<ops::Reciprocal>(x); }
Tensor abs(Arg x) { return apply<ops::Abs>(x); }
Tensor sign(Arg x) { return apply<ops::Sign>(x); }
Tensor maximum(Arg a, Arg b) { return apply<ops::Maximum>(a, b); }
Tensor minimum(Arg a, Arg b) { return apply<ops::Minimum>(a, b); }

Tensor where(Arg condition, Arg a, Arg b) { return apply<ops::Where>(condition, a, b); }

Tensor clamp(Arg x, double low, double high) {
  if (!(low <= high)) throw_limits("clamp", low, high, x.loc);
  return apply<ops::Clamp>({.low = low, .high = high}, x);
}

Tensor like(Scalar s, const Tensor& beside) {
  const DType d = beside.dtype();
  if (is_floating(d)) return scalar(s, d);
  if (!s.integral) return scalar(s, DType::f32);
  return scalar(s, d == DType::boolean ? DType::i64 : d);
}

void describe_arithmetic(std::vector<OpInfo>& to) { describe_all(ops::ArithmeticOps{}, to); }

}  // namespace thalweg
