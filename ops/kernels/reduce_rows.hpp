// The inner loops of reductions over f32 and f64 rows, one table per instruction set.
// Depends on the standard library only; internal to the kernels. Sums and products of f32 run in f64 lanes.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

/// Over one element type T: a dense row to one number, and a dense row into a row of accumulators.
template <class T>
struct ReduceRows {
  double (*sum)(const T* x, std::int64_t n) = nullptr;
  double (*product)(const T* x, std::int64_t n) = nullptr;
  double (*squares)(const T* x, std::int64_t n) = nullptr;
  double (*absolutes)(const T* x, std::int64_t n) = nullptr;
  T (*maximum)(const T* x, std::int64_t n) = nullptr;  ///< -inf of nothing; NaN if one is there
  T (*minimum)(const T* x, std::int64_t n) = nullptr;  ///< +inf of nothing
  void (*add)(double* acc, const T* x, std::int64_t n) = nullptr;
  void (*multiply)(double* acc, const T* x, std::int64_t n) = nullptr;
  void (*add_squares)(double* acc, const T* x, std::int64_t n) = nullptr;
  void (*add_absolutes)(double* acc, const T* x, std::int64_t n) = nullptr;
  void (*raise)(T* acc, const T* x, std::int64_t n) = nullptr;  ///< acc = max(acc, x)
  void (*lower)(T* acc, const T* x, std::int64_t n) = nullptr;
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
