// Embedding: a table of vectors looked up by indices. Depends on call, init, ops.
// Invariant: weight is [rows, features], as in PyTorch; the padding row starts as zeros and never gets a
// gradient.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <thalweg/nn/call.hpp>
#include <thalweg/nn/init.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::nn {

struct EmbeddingOptions {
  std::int64_t rows = 0;
  std::int64_t features = 0;
  std::optional<std::int64_t> padding_idx{};  ///< a row (negative: from the end) that stays as it is
  Init init = Init::keras;                    ///< keras: uniform on +-0.05; pytorch: standard normal
  Generator* generator = nullptr;             ///< null: nn::default_generator()
  DType dtype = DType::f32;
};

struct Embedding {
  Tensor weight;  ///< [rows, features]
  std::optional<std::int64_t> padding_idx;

  /// Throws ValueError unless rows and features are at least 1, IndexError for a padding_idx that is no row,
  /// DTypeError unless dtype is f32 or f64.
  explicit Embedding(const EmbeddingOptions& options, Loc loc = Loc::here());

  /// Indices (i64 or i32) of any shape to [.., features]. Throws IndexError naming the place of an index out
  /// of range.
  Tensor operator()(Arg index) const;
  void visit(auto& f) { f("weight", weight); }
  std::string describe() const;
};

}  // namespace thalweg::nn
