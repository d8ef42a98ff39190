// Batch normalisation. x is [N, C] or [N, C, ..], f32 or f64; statistics are over all dimensions but the
// second. weight and bias are [C] or undefined. Depends on tensor. Errors: ShapeError, DTypeError,
// ValueError.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

struct BatchNormOptions {
  double eps = 1e-5;  ///< added to the variance
};

struct BatchNormResult {
  Tensor y;
  Tensor mean;      ///< [C]
  Tensor variance;  ///< [C], of the values themselves (divisor n, not n - 1)
};
/// y = weight (x - mean) / sqrt(variance + eps) + bias with the batch's own statistics, through which the
/// gradient flows. Throws ValueError for fewer than two values per channel.
BatchNormResult batch_norm(Arg x, const Tensor& weight = {}, const Tensor& bias = {},
                           BatchNormOptions options = {});

/// The same with statistics that are given: one pass.
Tensor batch_norm_inference(Arg x, const Tensor& mean, const Tensor& variance, const Tensor& weight = {},
                            const Tensor& bias = {}, BatchNormOptions options = {});

}  // namespace thalweg
