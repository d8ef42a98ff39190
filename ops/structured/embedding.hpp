// Rows of a table by indices of any shape. Depends on op.hpp, sample.hpp, functions/index.hpp; the kernel is
// index_select of ops/kernels/index.hpp. Invariant: the gradient is index_add, so any order of derivative exists.
#pragma once

#include <thalweg/ops/functions/index.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

/// Inputs weight, index.
struct Embedding {
  static constexpr Row row{.name = "embedding",
                           .formula = "y[..,:] = weight[index[..],:]",
                           .conditions = 2,
                           .subgradient = "0 to the row of padding_idx, by definition"};
  using Attrs = EmbeddingOptions;
  static constexpr bool linear = true;
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(1)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using EmbeddingOps = List<Embedding>;

}  // namespace thalweg::ops
