// Linear: y = act(x W' + b), one node of the graph. Depends on call, init, ops.
// Invariant: weight is [out, in], as in PyTorch, so state dictionaries can be exchanged.
#pragma once

#include <cstdint>
#include <string>

#include <thalweg/nn/call.hpp>
#include <thalweg/nn/init.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::nn {

/// ", relu" and the like, for descriptions; nothing for none.
const char* activation_suffix(Activation a) noexcept;

struct LinearOptions {
  std::int64_t in = 0;
  std::int64_t out = 0;
  bool bias = true;
  Activation activation = Activation::none;  ///< applied in the same pass over the output
  Init init = Init::keras;
  Generator* generator = nullptr;  ///< null: nn::default_generator()
  DType dtype = DType::f32;
};

struct Linear {
  Tensor weight;  ///< [out, in]
  Tensor bias;    ///< [out], or undefined
  Activation activation = Activation::none;

  /// Throws ValueError unless in and out are at least 1, DTypeError unless dtype is f32 or f64.
  explicit Linear(const LinearOptions& options, Loc loc = Loc::here());

  /// x [..., in] to [..., out]. Throws ShapeError, DTypeError.
  Tensor operator()(Arg x) const;
  void visit(auto& f) {
    f("weight", weight);
    f("bias", bias);
  }
  std::string describe() const;
};

}  // namespace thalweg::nn
