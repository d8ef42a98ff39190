// Softmax, linear layers, losses and dropout. Depends on tensor, and on kernels/gemm.hpp for the names of
// activations. Invariant: a loss takes raw scores (logits) unless its name says otherwise; means are over
// what is not ignored.
#pragma once

#include <thalweg/autograd/tensor/generator.hpp>
#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/ops/kernels/gemm.hpp>

namespace thalweg {

/// y = exp(x - m) / sum exp(x - m), m the maximum along `dim`. A slice of all -inf gives NaN. Throws
/// IndexError, DTypeError.
Tensor softmax(Arg x, int dim = -1);
/// y = (x - m) - log(sum exp(x - m)).
Tensor log_softmax(Arg x, int dim = -1);
/// y = m + log(sum exp(x - m)), m = 0 where the maximum is not finite; over nothing -inf.
Tensor logsumexp(Arg x, int dim, bool keepdim = false);
/// The same over any dims, none given: all. Throws IndexError, ValueError (a dim twice), DTypeError.
Tensor logsumexp(Arg x, Over over = {});

/// none, relu, sigmoid, tanh
using Activation = kernels::Activation;

/// y = activation(x w' + b): x [.., in], w [out, in], b [out] (may be undefined), y [.., out]. One node; the
/// bits of the separate ops. Throws ShapeError, DTypeError.
Tensor linear(Arg x, Arg w, const Tensor& b = {}, Activation activation = Activation::none);

/// How the losses of single elements become the result.
enum class Reduction : std::uint8_t { mean, sum, none };

struct LossOptions {
  Reduction reduction = Reduction::mean;
};

struct CrossEntropyOptions {
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;        ///< share of the target spread evenly over all classes, in [0, 1]
  std::int64_t ignore_index = -100;  ///< rows with this class count for nothing
};

/// Cross-entropy of softmax(x) along dim 1 (dim 0 of a vector) with a target:
///  - class indices (i64 or i32), x's shape without the class dim: loss = -log softmax(x)[target];
///  - class probabilities (floating), x's shape: loss = -sum over c of target[c] log softmax(x)[c], a class
///  of
///    probability 0 counting for nothing.
/// The mean is over rows that are not ignored (none: NaN, with gradient 0). Throws ShapeError, DTypeError,
/// ValueError (smoothing), IndexError naming the position and value of a class out of range.
Tensor cross_entropy(Arg x, Arg target, CrossEntropyOptions options = {});

/// Cross-entropy of probabilities p (indices or probabilities as target): p is divided by its sum along the
/// class dim, limited to [1e-7, 1 - 1e-7], then logged; the gradient is 0 where limited. Smoothing is not
/// offered here.
Tensor cross_entropy_of_probabilities(Arg p, Arg target, CrossEntropyOptions options = {});

struct NllOptions {
  Reduction reduction = Reduction::mean;
  std::int64_t ignore_index = -100;
};

/// loss = -x[target], x log-probabilities along dim 1 (dim 0 of a vector), target class indices. Throws as
/// cross_entropy().
Tensor nll_loss(Arg x, Arg target, NllOptions options = {});

/// (x - target)^2; equal shapes. Throws ShapeError.
Tensor mse_loss(Arg x, Arg target, LossOptions options = {});
/// |x - target|, gradient 0 where equal; equal shapes. Throws ShapeError.
Tensor l1_loss(Arg x, Arg target, LossOptions options = {});
/// target (log target - x), x log-probabilities; 0 where target is 0. The mean is over elements; for the
/// divergence per row of a batch, sum and divide by the rows. Throws ShapeError.
Tensor kl_div(Arg x, Arg target, LossOptions options = {});
/// Binary cross-entropy of sigmoid(x): max(x, 0) - x target + log1p(exp(-|x|)); equal shapes. Throws
/// ShapeError.
Tensor bce_with_logits(Arg x, Arg target, LossOptions options = {});

/// x / (1 - p) where a uniform number is at least p, else exactly 0; takes one draw from the generator. p = 1
/// gives zeros. Throws ValueError unless 0 <= p <= 1, DTypeError.
Tensor dropout(Arg x, double p, Generator& generator);

}  // namespace thalweg
