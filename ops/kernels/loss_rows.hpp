// The inner loops of losses against class probabilities, one table per instruction set.
// Depends on the standard library only; internal to loss.cpp. Everything runs in f64 lanes.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

/// q = keep * t + even is what is wanted of each of the `n` dense classes.
struct SoftTarget {
  double keep, even;
};

template <class T>
struct LossRows {
  /// -sum q lp; classes of q = 0 are left out, whatever lp is.
  double (*soft)(const T* lp, const T* t, std::int64_t n, SoftTarget q) = nullptr;
  /// p = factor (p sum(q) - q)
  void (*soft_backward)(T* p, const T* t, std::int64_t n, SoftTarget q, double factor) = nullptr;
};

/// The table of the instruction set in use.
template <class T>
const LossRows<T>& loss_rows() noexcept;
template <>
const LossRows<float>& loss_rows<float>() noexcept;
template <>
const LossRows<double>& loss_rows<double>() noexcept;

}  // namespace thalweg::kernels
