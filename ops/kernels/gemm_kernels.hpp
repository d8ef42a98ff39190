// The register tile of the matrix product, one table per instruction set.
// Depends on the standard library only; internal to the kernels (convolution may use it).
// Invariant: every element of a tile is one chain of multiply-adds over k in rising order from 0.
#pragma once

#include <cstdint>

#include <thalweg/ops/kernels/gemm.hpp>

namespace thalweg::kernels {

/// C (+)= A B for one tile of at most `mr` rows and `nr` columns.
template <class T>
struct GemmTile {
  std::int64_t k = 0;
  const T* a = nullptr;  ///< element (i, p) at a[i * a_row + p * a_col]
  std::int64_t a_row = 0, a_col = 0;
  const T* b = nullptr;  ///< element (p, j) at b[p * b_row + j]; whole vectors of `lanes` columns are read
  std::int64_t b_row = 0;
  T* c = nullptr;
  std::int64_t c_row = 0, c_col = 0;
  std::int64_t rows = 0, cols = 0;
  bool add = false;      ///< C += A B instead of C = A B
  bool b_exact = false;  ///< only `cols` columns of B are there to be read; needs `reads_part`, and `strided`
};

inline constexpr std::int64_t gemm_row_block = 128;  // about so many rows of A stay in the second-level cache

template <class T>
struct GemmKernels {
  int mr = 0;  ///< rows of a tile
  int nr = 0;  ///< columns of a tile, a multiple of `lanes`
  int lanes = 0;
  void (*packed)(const GemmTile<T>& tile) = nullptr;  ///< A a panel: a_row = 1, a_col = mr, padded to mr rows
  void (*strided)(const GemmTile<T>& tile) = nullptr;  ///< A of any strides
  /// c[j] = act(c[j] + bias[j]) over n dense elements; no bias when null.
  void (*finish)(T* c, const T* bias, std::int64_t n, Activation act) = nullptr;
  bool reads_part = false;  ///< whether `strided` may be given exact columns of B
  int row_block = 0;        ///< gemm_row_block in whole tiles
};

/// The table of the instruction set in use.
template <class T>
const GemmKernels<T>& gemm_kernels() noexcept;
template <>
const GemmKernels<float>& gemm_kernels<float>() noexcept;
template <>
const GemmKernels<double>& gemm_kernels<double>() noexcept;

/// The largest panels of any instruction set, in bytes of width: for buffers on the stack.
inline constexpr std::int64_t gemm_widest_panel = 192;

}  // namespace thalweg::kernels
