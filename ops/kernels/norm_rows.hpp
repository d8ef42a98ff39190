// Passes over the channels of an array, one table per instruction set. Depends on the standard library only;
// internal to norm.cpp.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

/// `rows` pieces of `length` elements, `step` apart: the elements of one channel (functions that take
/// numbers), or the columns of several, each with numbers of its own (functions that take arrays).
struct Pieces {
  std::int64_t rows = 0, length = 0, step = 0;
};

template <class T>
struct NormPasses {
  /// sums[0] = sum (x - shift), sums[1] = sum (x - shift)^2.
  void (*moments)(const T* x, Pieces p, T shift, double* sums) = nullptr;
  /// sums[0] = sum g, sums[1] = sum g (x - mean).
  void (*products)(const T* g, const T* x, Pieces p, T mean, double* sums) = nullptr;
  /// y = (x - mean) scale + shift; `stream` when y is not to stay in the cache.
  void (*normalise)(const T* x, T* y, Pieces p, T mean, T scale, T shift, bool stream) = nullptr;
  /// dx = ((g - k1) - (x - mean) k2) scale.
  void (*gradient)(const T* g, const T* x, T* dx, Pieces p, T mean, T k1, T scale, T k2,
                   bool stream) = nullptr;

  /// The same for `p.rows` pieces one after the other, the first of channel `first`, of `channels` in turn.
  void (*normalise_in_turn)(const T* x, T* y, Pieces p, std::int64_t first, std::int64_t channels,
                            const T* mean, const T* scale, const T* shift, bool stream) = nullptr;

  // The same for columns: one number (and one sum) per column.
  void (*column_moments)(const T* x, Pieces p, const T* shift, double* first, double* second) = nullptr;
  void (*column_products)(const T* g, const T* x, Pieces p, const T* mean, double* first,
                          double* second) = nullptr;
  void (*column_normalise)(const T* x, T* y, Pieces p, const T* mean, const T* scale, const T* shift,
                           bool stream) = nullptr;
  void (*column_gradient)(const T* g, const T* x, T* dx, Pieces p, const T* mean, const T* k1, const T* scale,
                          const T* k2, bool stream) = nullptr;
};

/// The table of the instruction set in use.
template <class T>
const NormPasses<T>& norm_passes() noexcept;
template <>
const NormPasses<float>& norm_passes<float>() noexcept;
template <>
const NormPasses<double>& norm_passes<double>() noexcept;

}  // namespace thalweg::kernels
