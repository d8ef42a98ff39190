// Pooling of images. x is [N, C, H, W] or [C, H, W], f32 or f64; pairs are {vertical, horizontal}, one number
// stands for both. Depends on tensor. Errors: ShapeError (rank, a window larger than the padded image),
// ValueError (sizes below 1, padding above half a window, an undefined tensor), DTypeError.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

struct MaxPoolOptions {
  Dims kernel{2, 2};
  Dims stride{};  ///< none: the kernel
  Dims padding{0, 0};
  Dims dilation{1, 1};
  bool ceil_mode = false;  ///< a last window that begins inside the image but ends outside counts too
};
/// The largest element of each window. NaN propagates; the gradient goes to the first of equals, row by row.
/// Size of the result: floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.
Tensor max_pool2d(Arg x, const MaxPoolOptions& options = {});

struct AvgPoolOptions {
  Dims kernel{2, 2};
  Dims stride{};  ///< none: the kernel
  Dims padding{0, 0};
  bool ceil_mode = false;
  bool count_include_pad = true;  ///< padding counts as zeros; else it is left out of the mean
};
/// The mean of each window.
Tensor avg_pool2d(Arg x, const AvgPoolOptions& options = {});

}  // namespace thalweg
