// Random fills and dropout from the counter-based Philox generator.
// Depends on base, par and simd. Invariant: an element's bits depend on (seed, offset) and its row-major
// position only, not on strides, threads, size or anything drawn before.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

/// dst = low + (high - low) u, u uniform on [0, 1); f32 (24 bits) or f64 (53 bits). Never gives `high` when
/// low < high.
void random_uniform(const View& dst, double low, double high, RandomKey key) noexcept;

/// dst = mean + deviation z, z standard normal (Box-Muller); f32 or f64.
void random_normal(const View& dst, double mean, double deviation, RandomKey key) noexcept;

/// dst = 1 with probability p, else 0 (u < p with u of 24 bits); any dtype.
void random_bernoulli(const View& dst, double p, RandomKey key) noexcept;

/// dst = an integer uniform on [low, high), low < high; any dtype.
void random_integers(const View& dst, std::int64_t low, std::int64_t high, RandomKey key) noexcept;

/// dst = src * (1 / (1 - p)) where u >= p, else exactly 0 (selected, so a dropped NaN or Inf is 0); u uniform
/// of 24 bits per position. p in [0, 1]; p = 1 drops everything. The same call with g for src is its own
/// backward. f32 or f64, equal shapes; dst may be src.
void dropout(const ConstView& src, const View& dst, double p, RandomKey key) noexcept;

/// The same with one draw for each [n, c] of two or more dimensions, numbered row by row; what is dropped is mostly not read.
void dropout_channels(const ConstView& src, const View& dst, double p, RandomKey key) noexcept;

}  // namespace thalweg::kernels
