// Two-dimensional convolution. Depends on tensor, and on kernels/gemm.hpp for the names of activations.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/ops/functions/loss.hpp>

namespace thalweg {

/// Each of the Dims has two entries, vertical and horizontal, or one for both: `{.padding = {1}}`.
struct Conv2dOptions {
  Dims stride{1, 1};
  Dims padding{0, 0};   ///< rows and columns of nothing on either side
  Dims dilation{1, 1};  ///< distance between neighbouring taps
  std::int64_t groups = 1;
  Activation activation = Activation::none;  ///< none or relu
};

/// y[n,o,i,j] = activation(b[o] + sum over c, k, l of w[o,c,k,l] x[n, c, i stride - padding + k dilation,
/// ..]): a cross-correlation. x [batch, in, height, width], w [out, in / groups, kernel height, kernel
/// width], b [out] (may be undefined), y [batch, out, ..] with (size + 2 padding - dilation (kernel - 1) - 1)
/// / stride + 1 rows and columns, rounded down. Output channel o sees the input channels of its group. f32 or
/// f64. Throws ShapeError, DTypeError, ValueError.
Tensor conv2d(Arg x, Arg w, const Tensor& b = {}, const Conv2dOptions& options = {});

/// Whether f32 convolutions with 3x3 kernels, stride 1 and enough channels may be computed by Winograd's
/// minimal filtering, which takes less than half the time; on at start. Their results differ in the last
/// bits: errors are up to 16 eps times the largest sum of |w| |x| of the output, and a NaN or infinity
/// reaches its neighbours in a tile of 6 x 6 too. For the whole process, from the next convolution on.
void set_winograd(bool on);
bool winograd_enabled();

}  // namespace thalweg
