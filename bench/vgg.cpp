// Rows of the VGG: train step, inference, each layer's convolution in three directions, peak memory. Depends on nn.
#include <thalweg/ops/structured/conv.hpp>
#include <thalweg/thalweg.hpp>

#include "nets.hpp"
#include "ops.hpp"

namespace bench {

using thalweg::Tensor;
namespace ops = thalweg::ops;

namespace {

constexpr double float_bytes = 4;

/// One direction of a layer's convolution: 0 forward, 1 to the input, 2 to the weights.
Ready convolution(const VggLayer& l, int direction) {
  const Tensor x = uniform({vgg_batch, l.in, l.size, l.size}), w = uniform({l.out, l.in, 3, 3}),
               y = uniform({vgg_batch, l.out, l.size, l.size}), none;
  ops::ConvAttrs attrs{.padding = {1, 1}};
  if (direction == 1) attrs.size = {l.size, l.size};
  if (direction == 2) attrs.size = {3, 3};
  const Tensor first = direction == 0 ? x : y, second = direction == 2 ? x : w, result = direction == 0 ? y : direction == 1 ? x : w;
  Ready r;
  const auto bytes = [](const Tensor& t) { return float_bytes * static_cast<double>(t.numel()); };
  r.work = {.flops = convolution_flops(l), .read = bytes(first) + bytes(second), .written = bytes(result)};
  constexpr const char* twins[] = {"convolution", "convolution to input", "convolution to weights"};
  r.peer = {.name = twins[direction], .in = {array_of(first), array_of(second)}, .numbers = {l.in, l.out, l.size}};
  r.ours = [=](std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) {
      if (direction == 0) thalweg::apply<ops::Conv2d>(attrs, first, second, none);
      else if (direction == 1) thalweg::apply<ops::Conv2dInputGradient>(attrs, first, second);
      else thalweg::apply<ops::Conv2dWeightGradient>(attrs, first, second);
    }
  };
  return r;
}

void add_convolutions(std::vector<Case>& to) {
  constexpr const char* names[] = {"forward", "to input", "to weights"};
  for (const VggLayer& l : vgg_layers)
    for (int direction = 0; direction < 3; ++direction)
      to.push_back({.group = "convolutions of the VGG, batch 128",
                    .name = "conv " + std::to_string(l.in) + " to " + std::to_string(l.out) + ", " + std::to_string(l.size) + "x" +
                            std::to_string(l.size) + ", " + names[direction],
                    .make = [&l, direction] { return convolution(l, direction); }});
}

}  // namespace

void add_vgg_cases(std::vector<Case>& to) {
  add_convolutions(to);
}

}  // namespace bench
