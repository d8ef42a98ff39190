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

/// y = act(sum over c, i, j of w[o, c, i, j] x[n, c, oy stride - padding + i dilation, ox ..] + bias). Taps
/// that fall on padding are no terms of the sum: an infinite weight there gives no NaN. `bias` has
/// out_channels entries or is null; `act` is none or relu. Throws MemoryError only.
void conv_forward(const ConvGeometry& geometry, DType dtype, const void* x, const void* w, const void* bias,
                  Activation act, void* y);

/// dx = the gradient of sum(g y) with respect to x.
void conv_input_gradient(const ConvGeometry& geometry, DType dtype, const void* g, const void* w, void* dx);

/// dw = the gradient of sum(g y) with respect to w. Throws MemoryError only.
void conv_weight_gradient(const ConvGeometry& geometry, DType dtype, const void* g, const void* x, void* dw);

/// Which code runs. `automatic` chooses by geometry, dtype and direction; a forced path that cannot take a
/// geometry leaves it to `channels`, which takes all. For tests and the certification's paths axis.
enum class ConvPath : std::uint8_t { automatic, channels, product, planes, winograd };
inline constexpr int conv_paths = 5;
void force_conv_path(ConvPath path) noexcept;

/// Whether `automatic` may choose winograd; true at start.
void set_conv_winograd(bool on) noexcept;
bool conv_winograd() noexcept;

/// Convolutions (of any direction) computed by a path since the program began, by all threads.
std::int64_t conv_count(ConvPath path) noexcept;

}  // namespace thalweg::kernels
