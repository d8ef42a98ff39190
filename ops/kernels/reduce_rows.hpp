// The inner loops of reductions over f32 and f64 rows, one table per instruction set.
// Depends on the standard library only; internal to the kernels. Sums and products of f32 run in f64 lanes.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

inline constexpr std::int64_t others_block = 2048;  // elements that others() takes at most

/// Over one element type T: a dense row to one number, and dense rows `step` apart into a row of n accumulators, one row
/// after the other.
template <class T>
struct ReduceRows {
  template <class Acc>
  using Into = void (*)(Acc* acc, const T* x, std::int64_t step, std::int64_t rows, std::int64_t n);

  double (*sum)(const T* x, std::int64_t n) = nullptr;
  double (*product)(const T* x, std::int64_t n) = nullptr;
  double (*squares)(const T* x, std::int64_t n) = nullptr;
  double (*absolutes)(const T* x, std::int64_t n) = nullptr;
  T (*maximum)(const T* x, std::int64_t n) = nullptr;  ///< -inf of nothing; NaN if one is there
  T (*minimum)(const T* x, std::int64_t n) = nullptr;  ///< +inf of nothing
  Into<double> add = nullptr;
  Into<double> multiply = nullptr;
  Into<double> add_squares = nullptr;
  Into<double> add_absolutes = nullptr;
  Into<T> raise = nullptr;  ///< acc = max(acc, x)
  Into<T> lower = nullptr;
  /// y_i = outside times the product of x_k over k != i; 1 <= n <= others_block.
  void (*others)(const T* x, std::int64_t n, double outside, T* y) = nullptr;
  double (*deviations)(const T* x, double from, std::int64_t n) = nullptr;  ///< sum of x - from
  double (*spread)(const T* x, double from, std::int64_t n) = nullptr;      ///< sum of (x - from)^2
};

/// The table of the instruction set in use.
template <class T>
const ReduceRows<T>& reduce_rows() noexcept;
template <>
const ReduceRows<float>& reduce_rows<float>() noexcept;
template <>
const ReduceRows<double>& reduce_rows<double>() noexcept;

}  // namespace thalweg::kernels
