// What the pooling ops share: the window with its defaults filled in, its geometry over an image, the checks.
// Depends on pool.hpp, dims.hpp, kernels/pool.hpp. Invariant: geometry_of() needs a window that was checked.
#pragma once

#include <thalweg/ops/kernels/pool.hpp>
#include <thalweg/ops/structured/dims.hpp>
#include <thalweg/ops/structured/pool.hpp>

namespace thalweg::ops {

/// A window in full.
struct Window {
  Dims kernel, stride, padding, dilation;  ///< two numbers each
  bool ceil_mode;
};
Window window_of(const MaxPoolOptions& t);
Window window_of(const AvgPoolOptions& t);

/// The sizes of a pooling of `planes` images.
kernels::PoolGeometry geometry_of(const Window& w, std::int64_t planes, std::int64_t height,
                                  std::int64_t width);
/// The same for an image tensor [.., H, W].
kernels::PoolGeometry geometry_of(const Window& w, const Dims& image);

/// `shape` with other last two sizes.
Dims with_plane(const Dims& shape, const std::int64_t* plane);

/// Input i as an image that the options fit, called `arg`. Throws ShapeError, ValueError, DTypeError.
void check_pool(const Ins& in, int i, const char* arg, const MaxPoolOptions& t);
void check_pool(const Ins& in, int i, const char* arg, const AvgPoolOptions& t);
/// Options and size of an image that an attribute gives, and input 0 as a gradient [.., out, out] of it.
void check_pool_gradient(const Ins& in, const MaxPoolOptions& t, std::int64_t height, std::int64_t width);
void check_pool_gradient(const Ins& in, const AvgPoolOptions& t, std::int64_t height, std::int64_t width);
/// Positions at input 1, of the shape of the pooled image.
void check_positions(const Ins& in, const Dims& pooled, const kernels::PoolGeometry& g);

}  // namespace thalweg::ops
