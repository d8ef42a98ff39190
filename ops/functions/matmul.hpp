// Matrix products. Depends on tensor.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

/// y[..,i,j] = sum over k of a[..,i,k] b[..,k,j]; batch dims broadcast; a 1-d operand is a row (left) or a
/// column (right) and its dimension is dropped. f32 or f64. Throws ShapeError, DTypeError.
Tensor matmul(Arg a, Arg b);

}  // namespace thalweg
