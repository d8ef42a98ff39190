// Public functions of the ops in math.inl, and their descriptions for the registry. Depends on library.hpp.
#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions/pointwise.hpp>
#include <thalweg/ops/library.hpp>

namespace thalweg {

Tensor pow(Arg a, Arg b) { return apply<ops::Pow>(a, b); }
Tensor exp(Arg x) { return apply<ops::Exp>(x); }
Tensor expm1(Arg x) { return apply<ops::Expm1>(x); }
Tensor log(Arg x) { return apply<ops::Log>(x); }
Tensor log1p(Arg x) { return apply<ops::Log1p>(x); }
Tensor sqrt(Arg x) { return apply<ops::Sqrt>(x); }
Tensor rsqrt(Arg x) { return apply<ops::Rsqrt>(x); }
Tensor sin(Arg x) { return apply<ops::Sin>(x); }
Tensor cos(Arg x) { return apply<ops::Cos>(x); }
Tensor erf(Arg x) { return apply<ops::Erf>(x); }
Tensor erfc(Arg x) { return apply<ops::Erfc>(x); }
Tensor atan2(Arg a, Arg b) { return apply<ops::Atan2>(a, b); }

void describe_math(std::vector<OpInfo>& to) { describe_all(ops::MathOps{}, to); }

}  // namespace thalweg
