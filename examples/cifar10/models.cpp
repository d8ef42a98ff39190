// Depends on models.hpp.
#include "models.hpp"

#include <cstdint>
#include <vector>

namespace cifar10 {

using namespace thalweg;

namespace {

nn::Sequential vgg(Generator& g) {
  nn::Sequential net;
  const auto add = [&net](auto layer) { net.layers.emplace_back(std::move(layer)); };
  const std::vector<std::vector<std::int64_t>> blocks{{64}, {128}, {256, 256}, {512, 512}, {512, 512}};
  std::int64_t channels = 3;
  for (const auto& block : blocks) {
    for (const std::int64_t width : block) {
      add(nn::Conv2d({.in = channels,
                      .out = width,
                      .kernel = 3,
                      .padding = nn::Padding::same,
                      .activation = Activation::relu,
                      .generator = &g}));
      add(nn::BatchNorm2d({.features = width}));
      channels = width;
    }
    add(nn::MaxPool2d{});
  }
  add(nn::GlobalAveragePooling2d{});
  add(nn::Linear({.in = channels, .out = 10, .generator = &g}));
  return net;
}

nn::Sequential mlp(Generator& g) {
  return nn::Sequential(nn::Flatten{},
                        nn::Linear({.in = 3 * 32 * 32, .out = 512, .activation = Activation::relu, .generator = &g}),
                        nn::Dropout({.p = 0.2, .generator = &g}),
                        nn::Linear({.in = 512, .out = 256, .activation = Activation::relu, .generator = &g}),
                        nn::Dropout({.p = 0.2, .generator = &g}),
                        nn::Linear({.in = 256, .out = 10, .generator = &g}));
}

}  // namespace

nn::Sequential make_model(const std::string& name, Generator& generator) {
  return name == "mlp" ? mlp(generator) : vgg(generator);
}

}  // namespace cifar10
