// How a product is cut into blocks and tiles: the packed driver and the small one. Depends on gemm_kernels
// and gemm_pack; internal to the kernels. Invariant: k is cut at places that follow from k alone; an
// element's bits are those of its chain over these blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include <thalweg/ops/kernels/gemm_kernels.hpp>
#include <thalweg/ops/kernels/gemm_pack.hpp>

namespace thalweg::kernels {

inline constexpr std::int64_t gemm_k_block = 384;  // longest stretch of k between two visits to C

inline constexpr std::int64_t gemm_shallow =
    16;  // up to this k a product is bound by writing C, and not packed

/// Block number b of k: [begin, begin + size). All blocks but the last are of one size, at most gemm_k_block.
struct GemmKBlocks {
  std::int64_t count, size, k;
  explicit GemmKBlocks(std::int64_t k_) noexcept
      : count((k_ + gemm_k_block - 1) / gemm_k_block),
        size(count > 1 ? (k_ + count - 1) / count : k_),
        k(k_) {}
  std::int64_t begin(std::int64_t b) const noexcept { return b * size; }
  std::int64_t length(std::int64_t b) const noexcept { return std::min(size, k - b * size); }
};

/// C = act((accumulate ? C : 0) + A B + bias), element (i, j) of C at c[i * c_row + j * c_col].
template <class T>
struct GemmProblem {
  std::int64_t m = 0, n = 0, k = 0;
  T* c = nullptr;
  std::int64_t c_row = 0, c_col = 1;
  const T* bias = nullptr;
  bool bias_by_row = false;  ///< bias has m entries instead of n
  Activation act = Activation::none;
  bool accumulate = false;
  bool aside = false;  ///< C takes one block of k alone, whatever came before it: of the direct path only
};

/// Packs A and B block by block into scratch memory; parallel. Throws MemoryError only, before C is
/// written. k >= 1.
template <class T>
void gemm_packed(const GemmProblem<T>& problem, const GemmOperand<T>& a, const GemmOperand<T>& b);

/// Reads A where it lies, and B too where its columns are dense; allocates nothing. Parallel unless `serial`.
/// k >= 1.
template <class T>
void gemm_small(const GemmProblem<T>& problem, const GemmOperand<T>& a, const GemmOperand<T>& b,
                bool serial) noexcept;

/// Few elements and a long k: threads share out the blocks of k, whose sums are laid aside and then added to
/// C in rising order, so with the bits of every other path. Throws MemoryError only, before C is written.
template <class T>
void gemm_long(const GemmProblem<T>& problem, const GemmOperand<T>& a, const GemmOperand<T>& b);

/// Whether gemm_long is worth it.
bool gemm_is_long(std::int64_t m, std::int64_t n, std::int64_t k) noexcept;

/// Bias and activation over all of C, as the drivers apply them: for k = 0.
template <class T>
void gemm_finish(const GemmProblem<T>& problem, std::int64_t row, std::int64_t rows, std::int64_t col,
                 std::int64_t cols) noexcept;

}  // namespace thalweg::kernels
