// Softmax and its relatives over dense rows, one table per instruction set.
// Depends on the standard library only; internal to softmax.cpp.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

/// Each works on `rows` rows of `n` >= 1 dense elements that follow one another; y may be x (or g).
template <class T>
struct SoftmaxRows {
  using Unary = void (*)(const T* x, T* y, std::int64_t rows, std::int64_t n);
  using Backward = void (*)(const T* g, const T* y, T* out, std::int64_t rows, std::int64_t n);
  using Columns = void (*)(const T* x, T* y, std::int64_t outer, std::int64_t n, std::int64_t inner);
  Unary softmax = nullptr;
  Unary log_softmax = nullptr;
  Unary logsumexp = nullptr;  ///< y has one element a row
  Backward softmax_backward = nullptr;
  Backward log_softmax_backward = nullptr;
  Columns softmax_columns = nullptr;  ///< down the columns of `outer` dense [n, inner] matrices
  Columns log_softmax_columns = nullptr;
};

/// The table of the instruction set in use.
template <class T>
const SoftmaxRows<T>& softmax_rows() noexcept;
template <>
const SoftmaxRows<float>& softmax_rows<float>() noexcept;
template <>
const SoftmaxRows<double>& softmax_rows<double>() noexcept;

}  // namespace thalweg::kernels
