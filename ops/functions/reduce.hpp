// Reductions over dimensions. `Over{.dims = {..}, .keepdim = true}`; no dims: all. Depends on tensor.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

/// Sum; integers and bool give i64; over nothing 0. Throws IndexError, ValueError (a dim twice).
Tensor sum(Arg x, Over over = {});
/// Arithmetic mean; integers and bool give f32; over nothing NaN. Throws as sum().
Tensor mean(Arg x, Over over = {});

}  // namespace thalweg
