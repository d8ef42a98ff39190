// Gather, scatter, select and one-hot along a dimension. Depends on tensor.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {}  // namespace thalweg
