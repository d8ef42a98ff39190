// Depends on models.hpp.
#include "models.hpp"

namespace mnist {

using namespace thalweg;

namespace {

nn::Sequential mlp(Generator& g) {
  return nn::Sequential(nn::Linear({.in = 784, .out = 512, .activation = Activation::relu, .generator = &g}),
                        nn::Dropout({.p = 0.2, .generator = &g}),
                        nn::Linear({.in = 512, .out = 256, .activation = Activation::relu, .generator = &g}),
                        nn::Dropout({.p = 0.2, .generator = &g}),
                        nn::Linear({.in = 256, .out = 10, .generator = &g}));
}

nn::Sequential cnn(Generator& g) {
  const auto relu = Activation::relu;
  return nn::Sequential(
      nn::Conv2d({.in = 1, .out = 20, .kernel = 5, .padding = nn::Padding::same, .activation = relu, .generator = &g}),
      nn::MaxPool2d{},
      nn::Conv2d({.in = 20, .out = 50, .kernel = 5, .activation = relu, .generator = &g}),  // 14x14 to 10x10
      nn::MaxPool2d{}, nn::Flatten{},
      nn::Linear({.in = 50 * 5 * 5, .out = 500, .activation = relu, .generator = &g}),
      nn::Dropout({.p = 0.5, .generator = &g}), nn::Linear({.in = 500, .out = 10, .generator = &g}));
}

}  // namespace

nn::Sequential make_model(const std::string& name, Generator& generator) {
  return name == "cnn" ? cnn(generator) : mlp(generator);
}

Dims image_shape(const std::string& name) { return name == "cnn" ? Dims{1, 28, 28} : Dims{784}; }

}  // namespace mnist
