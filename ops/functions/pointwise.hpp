// Elementwise functions and operators. All broadcast as NumPy does and promote by category; integer inputs of floating
// functions become f32. Errors: ShapeError (shapes do not broadcast), ValueError (undefined tensor).
// Depends on tensor. The op structs (formula, derivative, reference) are in ops/pointwise/*.inl.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

Tensor add(Arg a, Arg b);  ///< y = a + b
Tensor sub(Arg a, Arg b);  ///< y = a - b
Tensor mul(Arg a, Arg b);  ///< y = a b
Tensor div(Arg a, Arg b);  ///< y = a / b; integers become f32
Tensor pow(Arg a, Arg b);  ///< y = a^b; pow(0, 0) = 1 with gradient 0
Tensor atan2(Arg a, Arg b);    ///< the angle of the point (b, a)
Tensor maximum(Arg a, Arg b);  ///< NaN propagates; equal operands share the gradient
Tensor minimum(Arg a, Arg b);
Tensor neg(Arg x);
Tensor square(Arg x);
Tensor exp(Arg x);
Tensor expm1(Arg x);  ///< exp(x) - 1 without cancellation
Tensor log(Arg x);
Tensor log1p(Arg x);  ///< log(1 + x) without cancellation
Tensor sqrt(Arg x);
Tensor rsqrt(Arg x);       ///< 1 / sqrt(x)
Tensor reciprocal(Arg x);  ///< 1 / x
Tensor abs(Arg x);         ///< gradient 0 at 0
Tensor sign(Arg x);
Tensor sin(Arg x);
Tensor cos(Arg x);
Tensor tanh(Arg x);
Tensor erf(Arg x);
Tensor erfc(Arg x);  ///< 1 - erf(x) without cancellation
Tensor sigmoid(Arg x);      ///< 1 / (1 + exp(-x))
Tensor log_sigmoid(Arg x);  ///< -log(1 + exp(-x)), stable
Tensor relu(Arg x);         ///< max(x, 0); gradient 0 at 0; NaN propagates
Tensor leaky_relu(Arg x, double slope = 0.01);  ///< x > 0 ? x : slope x
Tensor elu(Arg x, double alpha = 1.0);          ///< x > 0 ? x : alpha (exp(x) - 1)
Tensor selu(Arg x);
/// x times the normal distribution function at x, exact (erf).
Tensor gelu(Arg x);
/// gelu by the tanh approximation: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
Tensor gelu_tanh(Arg x);
Tensor silu(Arg x);      ///< x sigmoid(x)
Tensor softplus(Arg x);  ///< log(1 + exp(x)), stable
Tensor hardtanh(Arg x, double low = -1, double high = 1);  ///< clamp with gradient 0 at the edges
/// x limited to [low, high], integers to the integers in it; gradient 1 at the edges; NaN propagates. Throws
/// ValueError for low > high or NaN, and where x is of integers and none is in [low, high].
Tensor clamp(Arg x, double low, double high);
/// a where the condition is not zero, else b. Selects, never multiplies.
Tensor where(Arg condition, Arg a, Arg b);

// Predicates; bool tensors without gradient.
Tensor equal(Arg a, Arg b);
Tensor not_equal(Arg a, Arg b);
Tensor less(Arg a, Arg b);
Tensor less_equal(Arg a, Arg b);
Tensor greater(Arg a, Arg b);
Tensor greater_equal(Arg a, Arg b);
Tensor logical_and(Arg a, Arg b);
Tensor logical_or(Arg a, Arg b);
Tensor logical_xor(Arg a, Arg b);
Tensor logical_not(Arg x);
Tensor isnan(Arg x);
Tensor isfinite(Arg x);

/// A number beside a tensor: it takes the tensor's dtype. Beside integers a fractional number is f32, and a
/// whole one that the dtype cannot hold is i64 (beyond that f32).
Tensor like(Scalar s, const Tensor& beside);

// Each operator with a tensor or a number on either side. A moved Arg can still be read: only what it says of its
// tensor, that this is the last use, goes on.
inline Tensor operator+(Arg a, Arg b) { return add(std::move(a), std::move(b)); }
inline Tensor operator-(Arg a, Arg b) { return sub(std::move(a), std::move(b)); }
inline Tensor operator*(Arg a, Arg b) { return mul(std::move(a), std::move(b)); }
inline Tensor operator/(Arg a, Arg b) { return div(std::move(a), std::move(b)); }
inline Tensor operator+(Arg a, Scalar b) { return add(std::move(a), {like(b, a.t), a.loc}); }
inline Tensor operator-(Arg a, Scalar b) { return sub(std::move(a), {like(b, a.t), a.loc}); }
inline Tensor operator*(Arg a, Scalar b) { return mul(std::move(a), {like(b, a.t), a.loc}); }
inline Tensor operator/(Arg a, Scalar b) { return div(std::move(a), {like(b, a.t), a.loc}); }
inline Tensor operator+(Scalar a, Arg b) { return add({like(a, b.t), b.loc}, std::move(b)); }
inline Tensor operator-(Scalar a, Arg b) { return sub({like(a, b.t), b.loc}, std::move(b)); }
inline Tensor operator*(Scalar a, Arg b) { return mul({like(a, b.t), b.loc}, std::move(b)); }
inline Tensor operator/(Scalar a, Arg b) { return div({like(a, b.t), b.loc}, std::move(b)); }
inline Tensor operator-(Arg x) { return neg(std::move(x)); }

inline Tensor operator==(Arg a, Arg b) { return equal(a, b); }
inline Tensor operator!=(Arg a, Arg b) { return not_equal(a, b); }
inline Tensor operator<(Arg a, Arg b) { return less(a, b); }
inline Tensor operator<=(Arg a, Arg b) { return less_equal(a, b); }
inline Tensor operator>(Arg a, Arg b) { return greater(a, b); }
inline Tensor operator>=(Arg a, Arg b) { return greater_equal(a, b); }
inline Tensor operator==(Arg a, Scalar b) { return equal(a, {like(b, a.t), a.loc}); }
inline Tensor operator!=(Arg a, Scalar b) { return not_equal(a, {like(b, a.t), a.loc}); }
inline Tensor operator<(Arg a, Scalar b) { return less(a, {like(b, a.t), a.loc}); }
inline Tensor operator<=(Arg a, Scalar b) { return less_equal(a, {like(b, a.t), a.loc}); }
inline Tensor operator>(Arg a, Scalar b) { return greater(a, {like(b, a.t), a.loc}); }
inline Tensor operator>=(Arg a, Scalar b) { return greater_equal(a, {like(b, a.t), a.loc}); }

inline Tensor pow(Arg a, Scalar b) { return pow(std::move(a), {like(b, a.t), a.loc}); }
inline Tensor maximum(Arg a, Scalar b) { return maximum(std::move(a), {like(b, a.t), a.loc}); }
inline Tensor minimum(Arg a, Scalar b) { return minimum(std::move(a), {like(b, a.t), a.loc}); }
inline Tensor where(Arg condition, Arg a, Scalar b) { return where(condition, std::move(a), {like(b, a.t), a.loc}); }
inline Tensor where(Arg condition, Scalar a, Arg b) { return where(condition, {like(a, b.t), b.loc}, std::move(b)); }

}  // namespace thalweg
