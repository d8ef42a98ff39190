// PointwiseTraits<Op>: arity, attributes, and per operand the kind of its derivative and what must be saved
// for it. Plain inclusion of traits.inl, for the tape and for users' ops. Depends on row.hpp.
#pragma once

#include <thalweg/ops/pointwise/row.hpp>

namespace thalweg::ops {
#include <thalweg/ops/pointwise/traits.inl>
}  // namespace thalweg::ops
