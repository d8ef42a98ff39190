// Clipping of gradients before a step. Depends on tensor.
// Invariant: gradients are changed in place and nothing is recorded; bits do not depend on the thread count.
#pragma once

#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg::optim {

struct ClipNormOptions {
  double norm_type = 2;             ///< 2, or infinity: the largest absolute value
  bool error_if_nonfinite = false;  ///< throw when the norm is NaN or infinite, before anything is changed
};

/// Scales the gradients of `parameters`, taken together as one vector, so that its norm is at most max_norm:
/// g *= min(1, max_norm / (norm + 1e-6)), and returns the norm from before. Parameters without a gradient are
/// passed over; a gradient that several share is one part of the vector. The norm is summed in f64, where
/// squares that overflow are not lost. As in PyTorch a NaN norm makes every gradient NaN, and an infinite one
/// makes them 0 or, where they were infinite, NaN; an infinite max_norm only measures.
/// Throws ValueError for a max_norm that is negative or NaN, another norm_type, an undefined parameter, and
/// on request a norm that is not finite.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, ClipNormOptions options = {},
                      Loc loc = Loc::here());

/// g = min(max(g, -limit), limit) for every gradient; NaN stays. Throws ValueError for a limit that is
/// negative or NaN, or an undefined parameter.
void clip_grad_value(const std::vector<Tensor>& parameters, double limit, Loc loc = Loc::here());

}  // namespace thalweg::optim
