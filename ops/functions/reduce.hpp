// Reductions over dimensions. `Over{.dims = {..}, .keepdim = true}`; no dims: all. Running sums and products.
// Depends on tensor. Invariant: every function throws IndexError for a dim out of range, ValueError for one
// named twice.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

/// Sum; integers and bool give i64; over nothing 0.
Tensor sum(Arg x, Over over = {});
/// Arithmetic mean; integers and bool give f32; over nothing NaN.
Tensor mean(Arg x, Over over = {});
/// Product; integers and bool give i64; over nothing 1. The gradient is exact with zeros among the factors.
Tensor prod(Arg x, Over over = {});

/// Largest element; NaN propagates; ties share the gradient evenly. Throws ValueError over nothing.
Tensor max(Arg x, Over over = {});
Tensor min(Arg x, Over over = {});

struct ValueIndex {
  Tensor values;
  Tensor indices;  ///< i64
};
/// Largest element along `dim` and where it is: the first NaN, else the first of equals, which gets the whole
/// gradient.
ValueIndex max_with_index(Arg x, int dim, bool keepdim = false);
ValueIndex min_with_index(Arg x, int dim, bool keepdim = false);
/// Position of the largest element (row-major) as i64: the first NaN, else the first of equals. No gradient.
Tensor argmax(Arg x);
Tensor argmin(Arg x);
/// The same along one dimension.
Tensor argmax(Arg x, int dim, bool keepdim = false);
Tensor argmin(Arg x, int dim, bool keepdim = false);

struct VarianceOptions {
  Dims dims{};
  bool keepdim = false;
  std::int64_t correction = 1;  ///< 1: unbiased; 0: of the elements themselves
};
/// sum (x - mean)^2 / (n - correction), two-pass. Throws ValueError when n <= correction, DTypeError.
Tensor var(Arg x, VarianceOptions options = {});
/// The square root of var(); gradient 0 where it is 0.
Tensor stddev(Arg x, VarianceOptions options = {});

struct NormOptions {
  double p = 2;  ///< >= 1, or infinity
  Dims dims{};
  bool keepdim = false;
};
/// (sum |x|^p)^(1/p); for infinity max |x|; gradient 0 where it is 0. Throws ValueError (p below 1 or NaN),
/// DTypeError.
Tensor norm(Arg x, NormOptions options = {});

/// y_i = x_0 + .. + x_i along `dim` (from the end with `reverse`); integers give i64.
Tensor cumsum(Arg x, int dim, bool reverse = false);
/// y_i = x_0 .. x_i multiplied; the gradient is exact with zeros.
Tensor cumprod(Arg x, int dim, bool reverse = false);

struct RecurrenceOptions {
  std::int64_t dim = -1;
  bool reverse = false;  ///< run from the last element to the first
  bool lagged = false;   ///< multiply with the coefficient beside the earlier y instead of one's own
};
/// y_i = b_i + a_i y_(i-1) along `dim`, y_0 = b_0: a first-order linear filter. Equal shapes, f32 or f64.
/// Throws ShapeError, DTypeError.
Tensor recurrence(Arg a, Arg b, RecurrenceOptions options = {});

}  // namespace thalweg
