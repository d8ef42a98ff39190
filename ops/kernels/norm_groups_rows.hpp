// Passes over normalised pieces, one table per instruction set. Depends on the standard library only;
// internal to norm_groups.cpp.
#pragma once

#include <cmath>
#include <cstdint>

namespace thalweg::kernels {

/// `count` pieces of n elements, one after the other, the first of group `first` of `groups` in turn.
struct GroupPieces {
  std::int64_t count = 0, n = 0, first = 0, groups = 1;
};

/// A number near the mean of n elements, from a few spread over them; the element itself if all are equal, 0
/// if it is not finite.
template <class T>
T near_mean(const T* x, std::int64_t n) {
  T sum = 0;
  if (n < 8) {
    for (std::int64_t i = 1; i < n; ++i) sum += x[i] - x[0];
    sum /= static_cast<T>(n);
  } else {
    for (std::int64_t i = 1; i < 8; ++i) sum += x[(i * n) >> 3] - x[0];
    sum *= T{0.125};
  }
  const T near = x[0] + sum;
  return std::isfinite(near) ? near : T{0};
}

/// Mean and variance from the sums of x - near and of its square.
template <class T>
void finish_statistics(T near, double first, double second, std::int64_t n, T* mean, T* variance) {
  const double count = static_cast<double>(n), square = (second - first * (first / count)) / count;
  *mean = static_cast<T>(static_cast<double>(near) + first / count);
  *variance = static_cast<T>(square < 0 ? 0 : square);
}

template <class T>
double inverse_deviation(T variance, double eps) {
  return 1 / std::sqrt(static_cast<double>(variance) + eps);
}

/// What the gradient of a piece is made with.
template <class T>
struct PieceNumbers {
  T mean, r, k1, k2;
};

template <class T>
struct GroupPasses {
  /// Statistics and y of each piece; weight and bias have a number for each of groups * n places.
  void (*normalise)(const T* x, const T* weight, const T* bias, GroupPieces p, double eps, T* y, T* mean,
                    T* variance, bool stream) = nullptr;
  /// dx of each piece, and sums over the pieces of each group, added to dweight and dbias [groups * n].
  void (*gradient)(const T* g, const T* x, const T* weight, const T* mean, const T* variance, GroupPieces p,
                   double eps, T* dx, T* dweight, T* dbias, bool stream) = nullptr;

  // Parts of pieces, whose statistics are known: n elements side by side.
  /// sums[0] = sum (x - shift), sums[1] = sum (x - shift)^2.
  void (*moments)(const T* x, std::int64_t n, T shift, double* sums) = nullptr;
  /// sums[0] = sum h, sums[1] = sum h (x - mean), h = g weight, or g where weight is null.
  void (*products)(const T* g, const T* x, const T* weight, std::int64_t n, T mean, double* sums) = nullptr;
  /// y = (x - mean) r weight + bias.
  void (*normalise_part)(const T* x, const T* weight, const T* bias, std::int64_t n, T mean, T r, T* y,
                         bool stream) = nullptr;
  /// dx = (g weight - k1 - (x - mean) k2) r, and dweight += g (x - mean) r, dbias += g.
  void (*gradient_part)(const T* g, const T* x, const T* weight, std::int64_t n, PieceNumbers<T> of, T* dx,
                        T* dweight, T* dbias, bool stream) = nullptr;
  // The same with one weight and bias for all; nothing is summed.
  void (*normalise_run)(const T* x, std::int64_t n, T mean, T scale, T shift, T* y, bool stream) = nullptr;
  void (*gradient_run)(const T* g, const T* x, T weight, std::int64_t n, PieceNumbers<T> of, T* dx,
                       bool stream) = nullptr;

  /// to[i] += x[i]
  void (*add)(const T* x, std::int64_t n, double* to) = nullptr;
};

/// The table of the instruction set in use.
template <class T>
const GroupPasses<T>& group_passes() noexcept;
template <>
const GroupPasses<float>& group_passes<float>() noexcept;
template <>
const GroupPasses<double>& group_passes<double>() noexcept;

}  // namespace thalweg::kernels
