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
///  - class indices (i64, i32 or u8), x's shape without the class dim: loss = -log softmax(x)[target];
///  - class probabilities (floating), x's shape: loss = -sum over c of target[c] log softmax(x)[c], a class
///  of
///    probability 0 counting for nothing.
/// The mean is over rows that are not ignored (none: NaN, with gradient 0). Throws ShapeError, DTypeError,
/// ValueError (smoothing), IndexError naming the position and value of a class out of range.
Tensor cross_entropy(Arg x, Arg target, CrossEntropyOptions options = {});

/// The same with a weight [C] for each class, which has no gradient: loss = -weight[target] log
/// softmax(x)[target], the mean being divided by the sum of the weights of the rows' classes; with smoothing
/// or probabilities class c's part of the target counts weight[c] times, and the mean of probabilities is
/// over rows. As PyTorch has it. Throws ShapeError, DTypeError too.
Tensor cross_entropy(Arg x, Arg target, const Tensor& weight, CrossEntropyOptions options = {});

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
/// The same with a weight for each class; the mean is divided by the sum of the weights of the rows' classes.
Tensor nll_loss(Arg x, Arg target, const Tensor& weight, NllOptions options = {});

/// (x - target)^2; equal shapes. Throws ShapeError.
Tensor mse_loss(Arg x, Arg target, LossOptions options = {});
/// |x - target|, gradient 0 where equal; equal shapes. Throws ShapeError.
Tensor l1_loss(Arg x, Arg target, LossOptions options = {});
struct HuberOptions {
  Reduction reduction = Reduction::mean;
  double delta = 1;  ///< above 0
};
/// d^2 / 2 where |d| < delta, else delta (|d| - delta / 2), d = x - target; equal shapes. Throws ShapeError,
/// ValueError.
Tensor huber_loss(Arg x, Arg target, HuberOptions options = {});

struct SmoothL1Options {
  Reduction reduction = Reduction::mean;
  double beta = 1;  ///< 0 or more
};
/// d^2 / (2 beta) where |d| < beta, else |d| - beta / 2, d = x - target: huber_loss / beta; with beta = 0
/// l1_loss. Equal shapes. Throws ShapeError, ValueError.
Tensor smooth_l1_loss(Arg x, Arg target, SmoothL1Options options = {});

struct KlDivOptions {
  Reduction reduction = Reduction::mean;
  bool per_row = false;  ///< losses are those of rows, [n]; their mean is the sum divided by n (PyTorch's "batchmean")
};
/// target (log target - x), x log-probabilities; 0 where target is 0. The mean is over elements. Throws
/// ShapeError.
Tensor kl_div(Arg x, Arg target, KlDivOptions options = {});
/// sum over the last dim of t log(t / q), t and q being target and p (probabilities) limited to [1e-7, 1], as
/// Keras has it; the mean is over rows. Equal shapes. Throws ShapeError.
Tensor kl_divergence(Arg p, Arg target, LossOptions options = {});

/// Binary cross-entropy of sigmoid(x): max(x, 0) - x target + log1p(exp(-|x|)); equal shapes. Throws
/// ShapeError.
Tensor bce_with_logits(Arg x, Arg target, LossOptions options = {});

struct BceOptions {
  Reduction reduction = Reduction::mean;
  double clip = 0;  ///< above 0: p is first limited to [clip, 1 - clip], with gradient 0 beyond (Keras: 1e-7)
};
/// Binary cross-entropy of probabilities p: -target log p - (1 - target) log(1 - p), logarithms limited to
/// -100 as PyTorch has it, gradient (p - target) / max(p (1 - p), 1e-12); equal shapes. Throws ShapeError,
/// ValueError.
Tensor bce_loss(Arg p, Arg target, BceOptions options = {});

/// max(0, 1 - target x), targets -1 or 1, or 0 or 1 (0 counts as -1); gradient -target at the hinge; equal
/// shapes. Throws ShapeError.
Tensor hinge_loss(Arg x, Arg target, LossOptions options = {});

/// x / (1 - p) where a uniform number is at least p, else exactly 0; takes one draw from the generator. p = 1
/// gives zeros. Throws ValueError unless 0 <= p <= 1, DTypeError.
Tensor dropout(Arg x, double p, Generator& generator);
/// The same with one draw for each channel: x is [N, C] or [N, C, ..] and whole channels are dropped. Throws
/// ShapeError too.
Tensor dropout_channels(Arg x, double p, Generator& generator);
/// For networks of selu: what is dropped becomes k = -1.7580993 (selu's limit), then a y + b restores mean 0
/// and variance 1. Klambauer and others, 2017. p = 1 gives zeros. Takes one draw; throws as dropout().
Tensor alpha_dropout(Arg x, double p, Generator& generator);

}  // namespace thalweg
