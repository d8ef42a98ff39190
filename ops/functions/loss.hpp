// Softmax, linear layers, losses and dropout. Depends on tensor.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {}  // namespace thalweg
