// The one matrix product: C = act(A B + bias), packed for large shapes, direct for small ones, and a path of
// its own for one row or one column; f32 and f64. Depends on base, par, fault and simd. Invariant: every
// element of C is one chain of multiply-adds over k in rising order, cut at fixed multiples of a constant (of
// one row or column: interleaved chains, gemm_vector_kernels.hpp); so its bits depend on the shape and the
// instruction set, not on strides, tiles or threads.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/view.hpp>

namespace thalweg::kernels {

enum class Activation : std::uint8_t { none, relu, sigmoid, tanh };

/// One product. Strides count elements and may be anything on A and B (a transpose is a swap of two numbers;
/// 0 repeats). C must not overlap A, B or bias, nor itself.
struct GemmArgs {
  std::int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;  ///< [m,k]
  std::int64_t a_row = 0, a_col = 1;
  const void* b = nullptr;  ///< [k,n]
  std::int64_t b_row = 0, b_col = 1;
  void* c = nullptr;  ///< [m,n]
  std::int64_t c_row = 0, c_col = 1;
  DType dtype = DType::f32;
  const void* bias = nullptr;  ///< [n], contiguous, may be null
  Activation act = Activation::none;
  bool accumulate = false;  ///< C = act(C + A B + bias)
  bool tall =
      false;  ///< a product of a batch whose rows are meant as rows of one product: never a vector's chains
};

/// C = act(A B + bias), or with `accumulate` act(C + A B + bias). The bias is added after the sum over k and
/// the activation applied after that: the bits of the same three steps done one by one. k = 0 gives zeros
/// (plus bias). NaN and Inf propagate: no product with zero is skipped. Throws MemoryError only, before C
/// is written.
void gemm(const GemmArgs& args);

/// `args` for the first of numel(batch) products; the operands of batch index i lie at sum(i[d] *
/// *_strides[d]) elements further. A stride of 0 broadcasts (in A and B only). All stride lists have batch's
/// rank; a rank of 0 is one product.
struct GemmBatch {
  Dims batch;
  Dims a_strides, b_strides, c_strides;
};
void gemm_batched(const GemmArgs& args, const GemmBatch& batch);

/// GemmArgs from 2-d views: a [m,k], b [k,n], c [m,n], all of one dtype.
GemmArgs gemm_args(const ConstView& a, const ConstView& b, const View& c) noexcept;

/// Which code runs. `automatic` chooses by m, n and k alone. For tests and the certification's paths axis.
/// `vector` is for m = 1 or n = 1 only: forced elsewhere, the choice is automatic.
enum class GemmPath : std::uint8_t { automatic, small, packed, vector };
void force_gemm_path(GemmPath path) noexcept;
GemmPath gemm_path(std::int64_t m, std::int64_t n, std::int64_t k, bool tall = false) noexcept;

/// Products computed by each path since the program began, by all threads.
struct GemmCounts {
  std::int64_t small = 0;
  std::int64_t packed = 0;
  std::int64_t vector = 0;
};
GemmCounts gemm_counts() noexcept;

}  // namespace thalweg::kernels
