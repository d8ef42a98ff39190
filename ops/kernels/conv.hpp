// Two-dimensional convolution (cross-correlation) and its two gradients on contiguous NCHW arrays; f32 and
// f64. Depends on base, gemm and winograd. Invariant: which path runs follows from the geometry alone, so
// bits do not depend on the number of threads.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/dtype.hpp>
#include <thalweg/ops/kernels/gemm.hpp>

namespace thalweg::kernels {

/// Sizes of one convolution: x [batch, in_channels, height, width], w [out_channels, in_channels / groups,
/// kernel_height, kernel_width], y [batch, out_channels, out_height, out_width]. Index 0 is vertical, 1
/// horizontal.
struct ConvGeometry {
  std::int64_t batch = 0, in_channels = 0, out_channels = 0, groups = 1;
  std::int64_t in[2] = {}, kernel[2] = {}, out[2] = {};
  std::int64_t stride[2] = {1, 1}, padding[2] = {}, dilation[2] = {1, 1};
};

}  // namespace thalweg::kernels
