// A weight for each example from the weight of its class. Depends on tensor.
#pragma once

#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg::train::detail {

/// f32, of the target's shape: class numbers (i64, i32, u8; whole numbers in floating types); or [n] for
/// one-hot rows [n, classes] (floating, 2 or more columns), whose class is the largest. Negative classes are
/// those that the loss ignores: they get 0, and the others so much more that the mean is over them alone. Throws
/// ValueError (no target), IndexError naming a class without a weight.
Tensor weights_of(const std::vector<double>& class_weights, const Tensor& target, Loc loc);

}  // namespace thalweg::train::detail
