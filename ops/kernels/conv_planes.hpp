// The convolution plane by plane, for few channels in a group (depthwise, the first layer of a network):
// pixels of a row are lanes, and the input's rows are copied once with zeros at their ends. Depends on
// conv_channels (problems); internal to the convolution. Invariant: where a zero at an end would meet
// something that is not finite, the functions decline, so that no padding is ever a term of a sum.
#pragma once

#include <thalweg/ops/kernels/conv_channels.hpp>

namespace thalweg::kernels {

/// Whether the rows that a block of the destination needs of some source channels fit on the stack.
template <class T>
bool planes_apply(const TapProblem<T>& problem) noexcept;

/// False, and nothing is written, where a weight is not finite. Throws MemoryError before dest is written.
template <class T>
bool conv_planes(const TapProblem<T>& problem);

template <class T>
bool planes_weights_apply(const ConvGeometry& geometry) noexcept;

/// False where the result holds a NaN, which may or may not come from padding.
template <class T>
bool conv_planes_weights(const ConvGeometry& geometry, const T* dy, const T* x, T* dw);

}  // namespace thalweg::kernels
