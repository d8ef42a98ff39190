// The networks of `mnist`. Depends on nn.
#pragma once

#include <string>

#include <thalweg/nn/nn.hpp>

namespace mnist {

/// "mlp": 784-512-256-10 units with ReLU and dropout 0.2, on rows of 784.
/// "cnn": after LeNet: 5x5 convolutions of 20 and 50 channels, each with ReLU and 2x2 max pooling, then 500
/// units with ReLU and dropout 0.5, then 10; on [N, 1, 28, 28].
/// Both give scores (logits).
thalweg::nn::Sequential make_model(const std::string& name, thalweg::Generator& generator);

/// The shape of one image for the model of this name.
thalweg::Dims image_shape(const std::string& name);

}  // namespace mnist
