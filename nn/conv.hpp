// Conv2d: convolution of images with its activation. Depends on call, init, pair, ops.
// Invariant: weight is [out, in / groups, height, width], as in PyTorch, so state dictionaries can be
// exchanged.
#pragma once

#include <cstdint>
#include <string>

#include <thalweg/nn/call.hpp>
#include <thalweg/nn/init.hpp>
#include <thalweg/nn/pair.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::nn {

struct Conv2dOptions {
  std::int64_t in = 0;
  std::int64_t out = 0;
  Pair kernel = 3;
  Pair stride = 1;
  Padding padding = 0;
  Pair dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  Activation activation = Activation::none;  ///< none and relu are part of the convolution
  Init init = Init::keras;
  Generator* generator = nullptr;  ///< null: nn::default_generator()
  DType dtype = DType::f32;
};

struct Conv2d {
  Tensor weight;  ///< [out, in / groups, kernel height, kernel width]
  Tensor bias;    ///< [out], or undefined
  Pair stride = 1;
  Padding padding = 0;
  Pair dilation = 1;
  std::int64_t groups = 1;
  Activation activation = Activation::none;

  /// Throws ValueError for sizes below 1, padding below 0 and groups that do not divide both channel numbers,
  /// DTypeError unless dtype is f32 or f64.
  explicit Conv2d(const Conv2dOptions& options, Loc loc = Loc::here());

  /// x [N, in, H, W] to [N, out, ..]. Throws ShapeError, DTypeError.
  Tensor operator()(Arg x) const;
  void visit(auto& f) {
    f("weight", weight);
    f("bias", bias);
  }
  std::string describe() const;
};

}  // namespace thalweg::nn
