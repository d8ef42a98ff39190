// The networks of `cifar10`. Depends on nn.
#pragma once

#include <string>

#include <thalweg/nn/nn.hpp>

namespace cifar10 {

/// "vgg": five blocks of 3x3 convolution, ReLU and batch normalisation, of 64 | 128 | 256, 256 | 512, 512 |
/// 512, 512 channels, each ended by 2x2 max pooling; then global average pooling and a linear layer of 10:
/// 9,236,618 numbers, 5,504 of them running statistics.
/// "mlp": the pixels as a row, then 512 and 256 units with ReLU and dropout 0.2, then 10.
/// Both take [N, 3, 32, 32] and give scores (logits).
thalweg::nn::Sequential make_model(const std::string& name, thalweg::Generator& generator);

}  // namespace cifar10
