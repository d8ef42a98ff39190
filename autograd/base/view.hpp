// View and ConstView: all that a kernel sees of a tensor. Strides count elements; 0 repeats, negative walks back.
// Depends on dtype.hpp and dims.hpp.
#pragma once

#include <string>

#include <thalweg/autograd/base/dims.hpp>
#include <thalweg/autograd/base/dtype.hpp>

namespace thalweg {

struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  Dims shape;
  Dims strides;

  template <class T>
  T* as() const noexcept { return static_cast<T*>(data); }
};

struct ConstView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  Dims shape;
  Dims strides;

  ConstView() = default;
  ConstView(const void* data_, DType dtype_, const Dims& shape_, const Dims& strides_)
      : data(data_), dtype(dtype_), shape(shape_), strides(strides_) {}
  ConstView(const View& v) : data(v.data), dtype(v.dtype), shape(v.shape), strides(v.strides) {}  // NOLINT

  template <class T>
  const T* as() const noexcept { return static_cast<const T*>(data); }
};

inline std::int64_t numel(const ConstView& v) noexcept { return numel(v.shape); }
inline bool is_contiguous(const ConstView& v) noexcept { return is_contiguous(v.shape, v.strides); }

/// "f32[4,3]".
std::string describe(DType dtype, const Dims& shape);
inline std::string describe(const ConstView& v) { return describe(v.dtype, v.shape); }

}  // namespace thalweg
