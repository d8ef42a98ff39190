// The register tile of the convolution, one table per instruction set: a sum of small products whose operands
// lie at given places. Depends on the standard library and gemm.hpp; internal to the convolution. Invariant:
// every element of a tile is one chain of multiply-adds over segments and k in rising order from 0.
#pragma once

#include <cstdint>

#include <thalweg/ops/kernels/gemm.hpp>

namespace thalweg::kernels {

/// C (+)= sum over segments s of A_s B_s, with at most `mr` rows and `nr` columns.
template <class T>
struct ConvTile {
  const T* a = nullptr;  ///< element (i, p) of segment s at a[a_at[s] + i * a_row + p * a_col]
  std::int64_t a_row = 0, a_col = 1;
  const T* b = nullptr;  ///< element (p, j) at b[b_at[s] + p * b_row + j]
  std::int64_t b_row = 0;
  const std::int64_t* a_at = nullptr;
  const std::int64_t* b_at = nullptr;
  std::int64_t segments = 0, k = 0;
  T* c = nullptr;  ///< element (i, j) at c[i * c_row + j]; whole vectors are written, B and bias are read so
  std::int64_t c_row = 0;
  std::int64_t rows = 0, cols = 0;
  bool add = false;             ///< C += instead of C =
  const T* bias = nullptr;      ///< added to every row after the sum; null: none
  const T* row_bias = nullptr;  ///< one for each row, in place of bias
  bool relu = false;            ///< max(x, 0) after that
  bool stream = false;          ///< C is stored around the caches; whole vectors, aligned, not with add
};

/// out[i * out_step + out_at[s]] += sum over rows and columns of g_i x_s.
template <class T>
struct ConvDots {
  const T* g = nullptr;  ///< element (row, j) of map i at g[i * g_step + row * g_row + j]
  std::int64_t maps = 0, g_step = 0, g_row = 0;
  const T* x = nullptr;  ///< element (row, j) of shift s at x[x_at[s] + row * x_row + j]
  const std::int64_t* x_at = nullptr;
  std::int64_t shifts = 0, x_row = 0;
  std::int64_t rows = 0, columns = 0;  ///< columns: whole vectors
  T* out = nullptr;
  std::int64_t out_step = 0;
  const std::int64_t* out_at = nullptr;
};

template <class T>
struct ConvKernels {
  int mr = 0;  ///< rows of a tile
  int nr = 0;  ///< columns of a tile, a multiple of `lanes`
  int lanes = 0;
  void (*rows)(const ConvTile<T>&) = nullptr;     ///< a_col = 1: rows of A anywhere, each dense
  void (*columns)(const ConvTile<T>&) = nullptr;  ///< a_row = 1: mr elements of A are read at each step
  void (*dots)(const ConvDots<T>&) = nullptr;
};

/// The table of the instruction set in use.
template <class T>
const ConvKernels<T>& conv_kernels() noexcept;
template <>
const ConvKernels<float>& conv_kernels<float>() noexcept;
template <>
const ConvKernels<double>& conv_kernels<double>() noexcept;

}  // namespace thalweg::kernels
