// Public functions of the ops in compare.inl, and their descriptions for the registry. Depends on library.hpp.
#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions/pointwise.hpp>
#include <thalweg/ops/library.hpp>

namespace thalweg {

Tensor equal(Arg a, Arg b) { return apply<ops::Equal>(a, b); }
Tensor not_equal(Arg a, Arg b) { return apply<ops::NotEqual>(a, b); }
Tensor less(Arg a, Arg b) { return apply<ops::Less>(a, b); }
Tensor less_equal(Arg a, Arg b) { return apply<ops::LessEqual>(a, b); }
Tensor greater(Arg a, Arg b) { return apply<ops::Greater>(a, b); }
Tensor greater_equal(Arg a, Arg b) { return apply<ops::GreaterEqual>(a, b); }
Tensor logical_and(Arg a, Arg b) { return apply<ops::LogicalAnd>(std::move(a), std::move(b)); }
Tensor logical_or(Arg a, Arg b) { return apply<ops::LogicalOr>(std::move(a), std::move(b)); }
Tensor logical_xor(Arg a, Arg b) { return apply<ops::LogicalXor>(std::move(a), std::move(b)); }
Tensor logical_not(Arg x) { return apply<ops::LogicalNot>(std::move(x)); }
Tensor isnan(Arg x) { return apply<ops::Isnan>(x); }
Tensor isfinite(Arg x) { return apply<ops::Isfinite>(x); }

void describe_compare(std::vector<OpInfo>& to) { describe_all(ops::CompareOps{}, to); }

}  // namespace thalweg
