// Convolution of 3x3 kernels by Winograd's minimal filtering: f32, stride 1, padding 0 or 1, one group.
// Depends on conv.hpp (sizes), gemm_kernels, par and base/memory. Invariant: which tiles are used, and where
// sums are cut, follows from the geometry alone, so bits do not depend on the number of threads.
#pragma once

#include <thalweg/ops/kernels/conv.hpp>

namespace thalweg::kernels {

// Tiles of 4x4 outputs take 36 products for 144 (points 0, +-5/8, +-3/2, infinity), tiles of 2x2 take 16 for
// 36, and a whole map of 2x2 with padding 1 takes 9 for the 16 that do not fall on padding. The geometry
// decides: 2x2 maps, else whichever of the first two has fewer products.
//
// Error. It is that of a sum of magnitudes up to g times the direct one's, spread over a tile: by the norms
// of the transforms g <= 64, 564 and 16 (forward and input gradient, for 2x2 tiles, 4x4 tiles and 2x2 maps)
// and 36, 802 and 36 (weight gradient), the worst case of signs. Seen on normal random data, over the layers
// of a VGG net with batch 128 in all directions, in eps * sum |terms| of the element itself: 4x4 tiles at
// most 8.2, root mean square at most 0.9 (direct path: 2.4 and 0.24); 2x2 maps at most 5.1 and 0.37 (1.7 and
// 0.24). With 16 channels or more that is below K / 16 for sums of K terms. The points 1 and 2 instead of 5/8
// and 3/2 would have twice the error. Tested: 16 eps * sum |terms|, for single elements on those layers, and
// for the element of the largest sum on small ones.
//
// A NaN or Inf makes every element of the result non-finite that the direct sum makes so, and may make others
// of the same tiles so too (in the weight gradient: other taps of the same kernel); what overflows may do so
// earlier, and an element whose terms are all zero may come out as rounding errors of its neighbours.

enum class ConvDirection : std::uint8_t { forward, input_gradient, weight_gradient };

/// Whether the functions below take this geometry: kernel 3x3, stride and dilation 1, padding 0 or 1 on
/// either axis, one group, no size 0.
bool winograd_applies(const ConvGeometry& geometry) noexcept;

/// Whether it was measured to be faster than the direct path; implies winograd_applies().
bool winograd_pays(const ConvGeometry& geometry, ConvDirection direction) noexcept;

/// y = act(conv(x, w) + bias); bias [out_channels] or null. Throws MemoryError only, before y is written.
void winograd_forward(const ConvGeometry& geometry, const float* x, const float* w, const float* bias,
                      Activation act, float* y);

/// dx, the gradient of the input, from g, the gradient of y. Throws MemoryError only, before dx is
/// written.
void winograd_input_gradient(const ConvGeometry& geometry, const float* g, const float* w, float* dx);

/// dw, the gradient of the weights. Throws MemoryError only, before dw is written.
void winograd_weight_gradient(const ConvGeometry& geometry, const float* g, const float* x, float* dw);

}  // namespace thalweg::kernels
