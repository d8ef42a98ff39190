// Regularisers: penalties on the size of parameters, added to a loss: `loss(x, t) +
// nn::L2{1e-4}(parameters)`. Depends on module, ops. Invariant: by default only parameters of two or more
// dimensions count (weights, not biases and scales).
#pragma once

#include <vector>

#include <thalweg/nn/module.hpp>

namespace thalweg::nn {

/// Of a module's parameters those that penalties are meant for.
std::vector<Tensor> weights_of(const std::vector<Tensor>& parameters);

/// l1 sum |w| + l2 sum w^2 over given tensors, or over a module's parameters of two or more dimensions: a 0-d
/// tensor that can be differentiated; |w| has gradient 0 at 0. As Keras has it (no halves). Throws ValueError
/// for a strength that is negative or not finite, and for no parameter at all.
struct L1L2 {
  double l1 = 0;
  double l2 = 0;
  Tensor operator()(const std::vector<Tensor>& parameters, Loc loc = Loc::here()) const;
  template <class M>
  requires(!std::is_convertible_v<const M&, const std::vector<Tensor>&>) Tensor operator()(
      const M& module, Loc loc = Loc::here()) const {
    return (*this)(weights_of(parameters(module)), loc);
  }
};

/// strength sum |w|.
struct L1 {
  double strength = 0;
  template <class M>
  Tensor operator()(const M& of, Loc loc = Loc::here()) const {
    return L1L2{.l1 = strength}(of, loc);
  }
};

/// strength sum w^2.
struct L2 {
  double strength = 0;
  template <class M>
  Tensor operator()(const M& of, Loc loc = Loc::here()) const {
    return L1L2{.l2 = strength}(of, loc);
  }
};

}  // namespace thalweg::nn
