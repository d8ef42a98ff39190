// Convolution of 3x3 kernels by Winograd's minimal filtering: f32, stride 1, padding 0 or 1, one group.
// Depends on conv.hpp (sizes), gemm_kernels, par and base/memory. Invariant: which tiles are used, and where
// sums are cut, follows from the geometry alone, so bits do not depend on the number of threads.
#pragma once

#include <thalweg/ops/kernels/conv.hpp>

namespace thalweg::kernels {

enum class ConvDirection : std::uint8_t { forward, input_gradient, weight_gradient };

/// Whether the functions below take this geometry: kernel 3x3, stride and dilation 1, padding 0 or 1 on
/// either axis, one group, no size 0.
bool winograd_applies(const ConvGeometry& geometry) noexcept;

/// Whether it was measured to be faster than the direct path; implies winograd_applies().
bool winograd_pays(const ConvGeometry& geometry, ConvDirection direction) noexcept;

/// y = act(conv(x, w) + bias); bias [out_channels] or null. Throws std::bad_alloc only, before y is written.
void winograd_forward(const ConvGeometry& geometry, const float* x, const float* w, const float* bias,
                      Activation act, float* y);

/// dx, the gradient of the input, from g, the gradient of y. Throws std::bad_alloc only, before dx is
/// written.
void winograd_input_gradient(const ConvGeometry& geometry, const float* g, const float* w, float* dx);

/// dw, the gradient of the weights. Throws std::bad_alloc only, before dw is written.
void winograd_weight_gradient(const ConvGeometry& geometry, const float* g, const float* x, float* dw);

}  // namespace thalweg::kernels
