// The update formulas over dense arrays, one table per instruction set.
// Depends on update.hpp; internal to update.cpp.
#pragma once

#include <thalweg/ops/kernels/update.hpp>

namespace thalweg::kernels {

/// One stretch of parameters with its gradient and up to three state arrays (null where unused).
template <class T>
struct UpdateSlice {
  std::int64_t n = 0;
  T* p = nullptr;
  const T* g = nullptr;
  T* state[3] = {nullptr, nullptr, nullptr};
  bool maximize = false;
};

template <class T>
struct UpdateLoops {
  void (*sgd)(const UpdateSlice<T>& s, const SgdOptions& o) = nullptr;
  void (*adam)(const UpdateSlice<T>& s, const AdamOptions& o) = nullptr;
  void (*nadam)(const UpdateSlice<T>& s, const NadamOptions& o) = nullptr;
  void (*adamax)(const UpdateSlice<T>& s, const AdamaxOptions& o) = nullptr;
  void (*rmsprop)(const UpdateSlice<T>& s, const RmspropOptions& o) = nullptr;
  void (*adagrad)(const UpdateSlice<T>& s, const AdagradOptions& o) = nullptr;
  void (*adadelta)(const UpdateSlice<T>& s, const AdadeltaOptions& o) = nullptr;
  void (*scale)(const UpdateSlice<T>& s, const ScaleOptions& o) = nullptr;
  void (*clamp)(const UpdateSlice<T>& s, const ClampOptions& o) = nullptr;
  void (*average)(const UpdateSlice<T>& s, const AverageOptions& o) = nullptr;
};

/// The table of the instruction set in use.
template <class T>
const UpdateLoops<T>& update_loops() noexcept;
template <>
const UpdateLoops<float>& update_loops<float>() noexcept;
template <>
const UpdateLoops<double>& update_loops<double>() noexcept;

}  // namespace thalweg::kernels
