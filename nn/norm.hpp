// BatchNorm1d, BatchNorm2d: batch normalisation with running statistics; LayerNorm, GroupNorm. Depends on
// call, ops. Invariant: names are PyTorch's (weight, bias, running_mean, running_var); the running statistics
// are buffers, touched only by a call in training that went well.
#pragma once

#include <cstdint>
#include <string>

#include <thalweg/nn/call.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::nn {

struct BatchNormOptions {
  std::int64_t features = 0;
  double eps = 1e-5;
  double momentum = 0.1;  ///< the share of the new batch in the running statistics
  bool affine = true;     ///< with weight and bias
  DType dtype = DType::f32;

  /// Keras' defaults: eps 1e-3, and a momentum of 0.99, which counts the share that stays: 0.01 here.
  static BatchNormOptions keras(std::int64_t features) {
    return {.features = features, .eps = 1e-3, .momentum = 0.01};
  }
};

/// What both have: in training y = weight (x - mean) / sqrt(var + eps) + bias with the batch's statistics
/// (var of divisor n), and running = (1 - momentum) running + momentum batch (var of divisor n - 1); in
/// evaluation with the running ones.
struct BatchNorm {
  Tensor weight;  ///< [features], ones at first; or undefined
  Tensor bias;    ///< [features], zeros at first; or undefined
  Tensor running_mean;
  Tensor running_var;
  double eps;
  double momentum;
  bool training = true;

  void visit(auto& f) {
    f("weight", weight);
    f("bias", bias);
    f("running_mean", buffer(running_mean));
    f("running_var", buffer(running_var));
  }

 protected:
  /// Throws ValueError unless features >= 1, eps >= 0 and 0 <= momentum <= 1, DTypeError unless f32 or f64.
  BatchNorm(const char* layer, const BatchNormOptions& options, Loc loc);
  Tensor apply(const char* layer, Arg x, int least_rank, int most_rank);
  std::string describe(const char* layer) const;
};

/// x is [N, features] or [N, features, L].
struct BatchNorm1d : BatchNorm {
  explicit BatchNorm1d(const BatchNormOptions& options, Loc loc = Loc::here())
      : BatchNorm("BatchNorm1d", options, loc) {}
  /// Throws ShapeError, DTypeError, and in training ValueError for one value per channel.
  Tensor operator()(Arg x) { return Call(*this, x).done(apply("BatchNorm1d", x, 2, 3)); }
  std::string describe() const { return BatchNorm::describe("BatchNorm1d"); }
};

/// x is [N, features, H, W].
struct BatchNorm2d : BatchNorm {
  explicit BatchNorm2d(const BatchNormOptions& options, Loc loc = Loc::here())
      : BatchNorm("BatchNorm2d", options, loc) {}
  /// Throws ShapeError, DTypeError, and in training ValueError for one value per channel.
  Tensor operator()(Arg x) { return Call(*this, x).done(apply("BatchNorm2d", x, 4, 4)); }
  std::string describe() const { return BatchNorm::describe("BatchNorm2d"); }
};

struct LayerNormOptions {
  Dims shape{};  ///< of the trailing dimensions that are normalised together
  double eps = 1e-5;
  bool affine = true;  ///< with a weight
  bool bias = true;    ///< and a bias
  DType dtype = DType::f32;
};

/// y = weight (x - mean) / sqrt(var + eps) + bias over the trailing dimensions; the same in training and
/// evaluation.
struct LayerNorm {
  Tensor weight;  ///< [shape], ones at first; or undefined
  Tensor bias;    ///< [shape], zeros at first; or undefined
  Dims shape;
  double eps;

  /// Throws ValueError for an empty shape, a size below 1 and a bad eps, DTypeError unless f32 or f64.
  explicit LayerNorm(const LayerNormOptions& options, Loc loc = Loc::here());
  /// Throws ShapeError, DTypeError.
  Tensor operator()(Arg x) const;
  void visit(auto& f) {
    f("weight", weight);
    f("bias", bias);
  }
  std::string describe() const;
};

struct GroupNormOptions {
  std::int64_t groups = 0;
  std::int64_t features = 0;  ///< the channels, which the groups divide
  double eps = 1e-5;
  bool affine = true;  ///< with weight and bias
  DType dtype = DType::f32;
};

/// The same over the channels of a group and all positions: x is [N, features] or [N, features, ..].
struct GroupNorm {
  Tensor weight;  ///< [features], ones at first; or undefined
  Tensor bias;    ///< [features], zeros at first; or undefined
  std::int64_t groups;
  std::int64_t features;
  double eps;

  /// Throws ValueError unless the groups divide the features and eps >= 0, DTypeError unless f32 or f64.
  explicit GroupNorm(const GroupNormOptions& options, Loc loc = Loc::here());
  /// Throws ShapeError, DTypeError.
  Tensor operator()(Arg x) const;
  void visit(auto& f) {
    f("weight", weight);
    f("bias", bias);
  }
  std::string describe() const;
};

}  // namespace thalweg::nn
