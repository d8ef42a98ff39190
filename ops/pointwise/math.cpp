// Public functions of the ops in math.inl, and their descriptions for the registry. Depends on library.hpp.
#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions/pointwise.hpp>
#include <thalweg/ops/library.hpp>

namespace thalweg {

Tensor pow(Arg a, Arg b) { return apply<ops::Pow>(std::move(a), std::move(b)); }
Tensor exp(Arg x) { return apply<ops::Exp>(std::move(x)); }
Tensor expm1(Arg x) { return apply<ops::Expm1>(std::move(x)); }
Tensor log(Arg x) { return apply<ops::Log>(std::move(x)); }
Tensor log1p(Arg x) { return apply<ops::Log1p>(std::move(x)); }
Tensor sqrt(Arg x) { return apply<ops::Sqrt>(std::move(x)); }
Tensor rsqrt(Arg x) { return apply<ops::Rsqrt>(std::move(x)); }
Tensor sin(Arg x) { return apply<ops::Sin>(std::move(x)); }
Tensor cos(Arg x) { return apply<ops::Cos>(std::move(x)); }
Tensor erf(Arg x) { return apply<ops::Erf>(std::move(x)); }
Tensor erfc(Arg x) { return apply<ops::Erfc>(std::move(x)); }
Tensor atan2(Arg a, Arg b) { return apply<ops::Atan2>(std::move(a), std::move(b)); }

void describe_math(std::vector<OpInfo>& to) { describe_all(ops::MathOps{}, to); }

}  // namespace thalweg
