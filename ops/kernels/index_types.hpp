// The C++ types behind the dtypes of indices and elements, and the two ways to combine elements. Depends on base;
// internal to the index kernels. Invariant: what only moves elements is compiled once for each size.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/dtype.hpp>

namespace thalweg::kernels {

/// Calls f(I{}) with the C++ type of the indices.
template <class F>
void with_index_type(DType d, F&& f) {
  if (d == DType::i64)
    f(std::int64_t{});
  else
    f(std::int32_t{});
}

/// Calls f(T{}) with an unsigned type of the element's size: enough where bits only move.
template <class F>
void with_bits(DType d, F&& f) {
  if (itemsize(d) == 8)
    f(std::uint64_t{});
  else if (itemsize(d) == 4)
    f(std::uint32_t{});
  else
    f(std::uint8_t{});
}

template <class F>
void with_numbers(DType d, F&& f) {
  switch (d) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i64:
      return f(std::uint64_t{});  // unsigned sums wrap, with the same bits
    case DType::i32:
      return f(std::uint32_t{});
    default:
      return f(std::uint8_t{});
  }
}

template <class T>
void put(T& to, T from) noexcept {
  to = from;
}
template <class T>
void add(T& to, T from) noexcept {
  to = static_cast<T>(to + from);
}

template <class T>
void repeat(T* dst, T value, std::int64_t n) noexcept {
  constexpr std::int64_t step = 32;
  std::int64_t i = 0;
  for (; i + step <= n; i += step)
    for (std::int64_t j = 0; j < step; ++j) dst[i + j] = value;
  for (; i < n; ++i) dst[i] = value;
}

}  // namespace thalweg::kernels
