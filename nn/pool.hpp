// Pooling layers: MaxPool2d, AvgPool2d, GlobalAveragePooling2d. Depends on call, pair, ops.
// Invariant: each is one op of the graph; windows are checked when an image comes.
#pragma once

#include <string>

#include <thalweg/nn/call.hpp>
#include <thalweg/nn/pair.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::nn {

/// The largest element of each window: `MaxPool2d{.kernel = 3, .stride = 2}`.
struct MaxPool2d {
  Pair kernel = 2;
  Pair stride = 0;  ///< 0: the kernel
  Pair padding = 0;
  Pair dilation = 1;
  bool ceil_mode = false;
  /// x [N, C, H, W] or [C, H, W]. Throws ShapeError, ValueError, DTypeError.
  Tensor operator()(Arg x) const;
  std::string describe() const;
};

/// The mean of each window.
struct AvgPool2d {
  Pair kernel = 2;
  Pair stride = 0;  ///< 0: the kernel
  Pair padding = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
  Tensor operator()(Arg x) const;
  std::string describe() const;
};

/// The mean of each map: [N, C, H, W] to [N, C]. Throws ShapeError for other ranks.
struct GlobalAveragePooling2d {
  Tensor operator()(Arg x) const;
};

}  // namespace thalweg::nn
