// A fingerprint of parameters, by which runs are compared. Depends on nn.
#pragma once

#include <string>
#include <vector>

#include <thalweg/nn/module.hpp>

namespace thalweg::train {

/// FNV-1a, 64 bits, over the bytes of all tensors in order, as 16 hexadecimal digits.
std::string hash_of(const std::vector<Tensor>& tensors);

/// Of a model's parameters.
template <class M>
std::string params_hash(const M& model) {
  return hash_of(nn::parameters(model));
}

}  // namespace thalweg::train
