// DenseSource: the elements of a view row by row, where they are or in a copy made for the kernel's sake.
// Depends on base and copy; internal to kernels. Invariant: made before a kernel writes, since it may throw
// bad_alloc.
#pragma once

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/autograd/base/view.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg::kernels {

class DenseSource {
 public:
  explicit DenseSource(const ConstView& v) : data_(v.data) {
    if (v.data == nullptr || is_contiguous(v)) return;
    bytes_ = static_cast<std::size_t>(numel(v)) * itemsize(v.dtype);
    own_ = mem::allocate(bytes_);
    copy(v, View{own_, v.dtype, v.shape, contiguous_strides(v.shape)});
    data_ = own_;
  }
  DenseSource(const DenseSource&) = delete;
  DenseSource& operator=(const DenseSource&) = delete;
  ~DenseSource() {
    if (own_ != nullptr) mem::release(own_, bytes_);
  }
  template <class T>
  const T* as() const noexcept {
    return static_cast<const T*>(data_);
  }

 private:
  const void* data_;
  void* own_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace thalweg::kernels
