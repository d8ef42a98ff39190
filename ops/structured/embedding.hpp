// Rows of a table by indices of any shape. Depends on op.hpp, sample.hpp, functions/index.hpp. Invariant:
// composed of index_select, so that its gradient is index_add and any order of derivative exists.
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
  static Tensor compose(const Tensor* in, int n, const Attrs& t, Loc loc);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using EmbeddingOps = List<Embedding>;

}  // namespace thalweg::ops
