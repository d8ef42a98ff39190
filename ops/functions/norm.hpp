// Normalisation: batch, layer, group; f32 or f64. Of batch_norm x is [N, C] or [N, C, ..] and statistics are
// over all dimensions but the second; weight and bias are [C] or undefined. Depends on tensor. Errors:
// ShapeError, DTypeError, ValueError.
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

struct LayerNormOptions {
  double eps = 1e-5;  ///< added to the variance
};
/// y = weight (x - mean) / sqrt(variance + eps) + bias, mean and variance (divisor n) over the trailing
/// dimensions, whose sizes are `shape`; weight and bias have that shape, or are undefined. Ba, Kiros and
/// Hinton, 2016. Throws ShapeError, DTypeError, ValueError (no values, eps).
Tensor layer_norm(Arg x, const Dims& shape, const Tensor& weight = {}, const Tensor& bias = {},
                  LayerNormOptions options = {});

struct GroupNormOptions {
  double eps = 1e-5;  ///< added to the variance
};
/// The same over the channels of each of `groups` groups and all that follows, x being [N, C] or [N, C, ..]
/// and weight and bias [C]. Wu and He, ECCV 2018. Throws ValueError too where the groups do not divide C.
Tensor group_norm(Arg x, std::int64_t groups, const Tensor& weight = {}, const Tensor& bias = {},
                  GroupNormOptions options = {});

}  // namespace thalweg
