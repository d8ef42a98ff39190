// Matrix products as ops. Depends on op.hpp and sample.hpp; the kernel is ops/kernels/gemm.hpp.
#pragma once

#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

/// Batched matrix product with NumPy's rules: the last two dims are matrices, the others broadcast; a 1-d
/// operand is a row (left) or a column (right) whose dimension is dropped from the result.
struct Matmul {
  static constexpr Row row{.name = "matmul", .formula = "y[..,i,j] = sum over k of a[..,i,k] b[..,k,j]"};
  static constexpr int n_in = 2;
  static constexpr bool broadcasts = true;
  static constexpr bool multilinear = true;
  static constexpr NeedMask needs[] = {need_input(1), need_input(0)};
  static const Path paths[3];
  static void infer(const Ins& in, const NoAttrs&, Outs& out);
  static void run(const Ins& in, const View* out, const NoAttrs&);
  static void vjp(Vjp& v, const NoAttrs&);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const NoAttrs&);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using MatmulOps = List<Matmul>;

}  // namespace thalweg::ops
