// The convolution with channels last: operands are turned so that the channels of a pixel lie together; then
// every tap of every group of positions is a small product in place, and no column matrix is ever made.
// Depends on conv_taps, conv_kernels, copy; internal to the convolution. Invariant: taps on padding are left
// out.
#pragma once

#include <cstdint>

#include <thalweg/ops/kernels/conv.hpp>
#include <thalweg/ops/kernels/conv_taps.hpp>

namespace thalweg::kernels {

/// One direction, forward or input gradient, as a sum over taps from a source map to a destination map.
template <class T>
struct TapProblem {
  std::int64_t batch = 0, groups = 1;
  std::int64_t source_channels = 0, dest_channels = 0;  ///< of one group
  std::int64_t source_size[2] = {}, dest_size[2] = {};
  std::int64_t taps[2] = {};
  TapAxis axis[2];
  bool backward = false;
  const T* source = nullptr;  ///< NCHW
  const T* weights = nullptr;
  std::int64_t weights_dest = 0, weights_source = 0, weights_group = 0;  ///< steps; a tap's is 1
  const T* bias = nullptr;
  bool relu = false;
  T* dest = nullptr;  ///< NCHW
};

template <class T>
TapProblem<T> forward_problem(const ConvGeometry& g, const T* x, const T* w, const T* bias, Activation act,
                              T* y) noexcept;
template <class T>
TapProblem<T> input_gradient_problem(const ConvGeometry& g, const T* dy, const T* w, T* dx) noexcept;

/// Throws MemoryError only, before dest is written.
template <class T>
void conv_channels(const TapProblem<T>& problem);

/// Whether the problem is a matrix product for each image, and that product. Throws MemoryError only; one
/// image whole may then be written.
template <class T>
bool product_applies(const TapProblem<T>& problem) noexcept;
template <class T>
void conv_product(const TapProblem<T>& problem);

template <class T>
void conv_channels_weights(const ConvGeometry& geometry, const T* dy, const T* x, T* dw);

/// A map of a block of images with channels last, in scratch memory: a pixel's channels are dense.
template <class T>
struct ChannelsMap {
  T* data = nullptr;
  std::int64_t image = 0, y = 0, x = 0;  ///< steps between neighbours
};

/// With enough images the same pixel of all of them lies together, else the pixels of an image do.
inline constexpr std::int64_t images_inside_from = 8;

/// Elements between two pixels of so many channels: whole cache lines, an odd number of them, so that many
/// pixels do not crowd one set of the cache.
template <class T>
std::int64_t pixel_step(std::int64_t channels) noexcept {
  constexpr std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(T));
  return ((channels + line - 1) / line | 1) * line;
}

template <class T>
ChannelsMap<T> channels_map(T* data, std::int64_t images, std::int64_t width, std::int64_t height,
                            std::int64_t step) noexcept {
  if (images >= images_inside_from) return {data, step, width * images * step, images * step};
  return {data, height * width * step, width * step, step};
}

/// How many images are turned and computed at once, so that both maps stay in the last-level cache.
std::int64_t image_block(std::int64_t batch, std::int64_t bytes_per_image) noexcept;

}  // namespace thalweg::kernels
