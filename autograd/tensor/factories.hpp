// Ways to make tensors: constants, ranges, random numbers, copies of and windows on the user's memory.
// Depends on tensor. Invariant: everything made here is contiguous (but wrap) and has no history.
#pragma once

#include <functional>
#include <initializer_list>
#include <span>

#include <thalweg/autograd/tensor/generator.hpp>
#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

/// Uninitialised elements. Throws ShapeError (negative size, 2^63 bytes or more), MemoryError.
Tensor empty(const Dims& shape, DType dtype = DType::f32);
Tensor zeros(const Dims& shape, DType dtype = DType::f32);
Tensor ones(const Dims& shape, DType dtype = DType::f32);
Tensor full(const Dims& shape, Scalar value, DType dtype = DType::f32);
/// A 0-d tensor.
Tensor scalar(Scalar value, DType dtype = DType::f32);
Tensor zeros_like(const Tensor& t);
Tensor ones_like(const Tensor& t);
/// start, start + step, ... below `end` (above it for a negative step). Throws ValueError for step 0 or NaN.
Tensor arange(double start, double end, double step = 1, DType dtype = DType::f32, Loc loc = Loc::here());
/// 0, 1, ..., n - 1 as i64.
Tensor arange(std::int64_t n, Loc loc = Loc::here());
/// `steps` numbers from start to end, both included, evenly spaced. Throws ValueError for steps < 0.
Tensor linspace(double start, double end, std::int64_t steps, DType dtype = DType::f32, Loc loc = Loc::here());
/// The n x m matrix with ones on the diagonal (m = n when negative).
Tensor eye(std::int64_t n, std::int64_t m = -1, DType dtype = DType::f32);
/// Uniform in [0, 1). Bits depend on the generator's seed and offset alone.
Tensor rand(const Dims& shape, Generator& generator, DType dtype = DType::f32, Loc loc = Loc::here());
/// Standard normal (Box-Muller).
Tensor randn(const Dims& shape, Generator& generator, DType dtype = DType::f32, Loc loc = Loc::here());
/// A random order of 0 .. n-1 as i64.
Tensor randperm(std::int64_t n, Generator& generator, Loc loc = Loc::here());

/// A contiguous tensor of unspecified dtype from raw bytes laid out row by row.
Tensor from_bytes(const void* data, DType dtype, const Dims& shape);
[[noreturn]] void throw_from_count(std::size_t given, const Dims& shape, Loc loc);

/// A copy of `values`, row by row. Throws ShapeError when the counts differ.
template <class T>
Tensor from(std::span<const T> values, const Dims& shape, Loc loc = Loc::here()) {
  if (static_cast<std::int64_t>(values.size()) != checked_numel(shape, sizeof(T)))
    throw_from_count(values.size(), shape, loc);
  return from_bytes(values.data(), dtype_of<T>, shape);
}
template <class T>
  requires(!std::is_same_v<T, bool>)
Tensor from(const std::vector<T>& values, const Dims& shape, Loc loc = Loc::here()) {
  return from(std::span<const T>(values), shape, loc);
}
template <class T>
Tensor from(std::initializer_list<T> values, const Dims& shape, Loc loc = Loc::here()) {
  return from(std::span<const T>(values.begin(), values.size()), shape, loc);
}
/// A vector.
template <class T>
Tensor from(std::initializer_list<T> values) {
  return from(values, Dims{static_cast<std::int64_t>(values.size())});
}

Tensor wrap_bytes(void* data, DType dtype, const Dims& shape, const Dims& strides,
                  std::function<void(void*)> deleter, Loc loc);

/// The user's own memory as a tensor, without a copy. Strides count elements and must not be negative; `deleter`
/// (may be empty) gets the pointer when the last tensor on it is gone. Throws ShapeError, ValueError (null).
template <class T>
Tensor wrap(T* data, const Dims& shape, const Dims& strides, std::function<void(void*)> deleter = {},
            Loc loc = Loc::here()) {
  return wrap_bytes(data, dtype_of<T>, shape, strides, std::move(deleter), loc);
}
/// The same for contiguous memory.
template <class T>
Tensor wrap(T* data, const Dims& shape, Loc loc = Loc::here()) {
  return wrap_bytes(data, dtype_of<T>, shape, contiguous_strides(shape), {}, loc);
}

/// A tensor on the same storage with its own geometry and no history; `offset` in elements from t's first.
Tensor alias(const Tensor& t, std::int64_t offset, const Dims& shape, const Dims& strides);

}  // namespace thalweg
