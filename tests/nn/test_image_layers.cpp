// Layers of image networks: convolution, batch normalisation, pooling, and the VGG made of them.
// Depends on nn and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include <thalweg/nn/nn.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

double at(const Tensor& t, std::int64_t i) { return t.to(DType::f64).contiguous().data<double>()[i]; }

/// The network of the CIFAR-10 example: blocks of 3x3 convolutions, each with ReLU and batch normalisation.
nn::Sequential vgg() {
  nn::Sequential net;
  std::int64_t in = 3;
  const std::vector<std::vector<std::int64_t>> blocks{{64}, {128}, {256, 256}, {512, 512}, {512, 512}};
  for (const auto& block : blocks) {
    for (const std::int64_t out : block) {
      net.layers.emplace_back(nn::Conv2d(
          {.in = in, .out = out, .kernel = 3, .padding = nn::Padding::same, .activation = Activation::relu}));
      net.layers.emplace_back(nn::BatchNorm2d({.features = out}));
      in = out;
    }
    net.layers.emplace_back(nn::MaxPool2d{});
  }
  net.layers.emplace_back(nn::GlobalAveragePooling2d{});
  net.layers.emplace_back(nn::Linear({.in = in, .out = 10}));
  return net;
}

}  // namespace

TEST_CASE("nn: Conv2d is conv2d with its parameters") {
  Generator gen(5);
  nn::Conv2d layer({.in = 4,
                    .out = 6,
                    .kernel = {3, 2},
                    .stride = 2,
                    .padding = {1, 0},
                    .groups = 2,
                    .init = nn::Init::pytorch,
                    .generator = &gen,
                    .dtype = DType::f64});
  CHECK(layer.weight.shape() == Dims{6, 2, 3, 2});
  CHECK(nn::count(layer) == 6 * 2 * 6 + 6);
  const Tensor x = randn({2, 4, 5, 6}, gen, DType::f64);
  const Tensor y = layer(x);
  const Tensor want = conv2d(x, layer.weight, layer.bias, {.stride = {2, 2}, .padding = {1, 0}, .groups = 2});
  REQUIRE(y.shape() == want.shape());
  CHECK(at(max(abs(y - want)), 0) == 0);
  const double bound = 1 / std::sqrt(12.0);
  CHECK(at(max(abs(layer.weight)), 0) <= bound);
  CHECK(at(max(abs(layer.bias)), 0) <= bound);
  CHECK(layer.describe() == "Conv2d(4 -> 6, 3x2, stride 2, padding 1x0, groups 2)");
  nn::Conv2d plain({.in = 1, .out = 1, .bias = false, .activation = Activation::tanh, .dtype = DType::f64});
  CHECK(plain.describe() == "Conv2d(1 -> 1, 3x3, tanh, no bias)");
  const Tensor z = randn({1, 1, 4, 4}, gen, DType::f64);
  CHECK(at(max(abs(plain(z) - tanh(conv2d(z, plain.weight)))), 0) == 0);
}

TEST_CASE("nn: padding \"same\" keeps the size, odd zeros go below and to the right") {
  nn::Conv2d odd({.in = 1, .out = 1, .kernel = {3, 5}, .padding = nn::Padding::same, .dilation = 2});
  CHECK(odd(ones({1, 1, 9, 11})).shape() == Dims{1, 1, 9, 11});
  nn::Conv2d strided({.in = 1, .out = 1, .kernel = 3, .stride = 2, .padding = nn::Padding::same});
  CHECK(strided(ones({1, 1, 7, 8})).shape() == Dims{1, 1, 4, 4});
  nn::Conv2d even(
      {.in = 1, .out = 1, .kernel = 2, .padding = nn::Padding::same, .bias = false, .dtype = DType::f64});
  nn::init::constant(even.weight, 1);
  const Tensor y = even(ones({1, 1, 2, 2}, DType::f64));
  REQUIRE(y.shape() == Dims{1, 1, 2, 2});
  CHECK(at(y, 0) == 4);
  CHECK(at(y, 1) == 2);
  CHECK(at(y, 2) == 2);
  CHECK(at(y, 3) == 1);
}

TEST_CASE("nn: image layers refuse impossible options") {
  CHECK_THROWS_WITH_AS(nn::Conv2d({.in = 0, .out = 2}), doctest::Contains("Conv2d"), ValueError);
  CHECK_THROWS_WITH_AS(nn::Conv2d({.in = 2, .out = 2, .kernel = {3, 0}}), doctest::Contains("kernel is 0"),
                       ValueError);
  CHECK_THROWS_WITH_AS(nn::Conv2d({.in = 2, .out = 2, .padding = -1}), doctest::Contains("padding is -1"),
                       ValueError);
  CHECK_THROWS_WITH_AS(nn::Conv2d({.in = 4, .out = 6, .groups = 4}),
                       doctest::Contains("a divisor of in 4 and out 6"), ValueError);
  CHECK_THROWS_AS(nn::Conv2d({.in = 4, .out = 6, .dtype = DType::i64}), DTypeError);
  CHECK_THROWS_WITH_AS(nn::BatchNorm2d({.features = 0}), doctest::Contains("BatchNorm2d"), ValueError);
  CHECK_THROWS_WITH_AS(nn::BatchNorm1d({.features = 2, .momentum = 1.5}), doctest::Contains("momentum"),
                       ValueError);
  CHECK_THROWS_WITH_AS(nn::BatchNorm1d({.features = 2, .eps = -1}), doctest::Contains("eps"), ValueError);
  CHECK_THROWS_AS(nn::BatchNorm1d({.features = 2, .dtype = DType::u8}), DTypeError);
  nn::BatchNorm2d norm({.features = 3});
  CHECK_THROWS_WITH_AS(norm(ones({2, 4, 2, 2})), doctest::Contains("x is f32[2,4,2,2], wanted [N, 3, H, W]"),
                       ShapeError);
  nn::BatchNorm1d flat({.features = 3});
  CHECK_THROWS_WITH_AS(flat(ones({2, 3, 2, 2})), doctest::Contains("wanted [N, 3] or [N, 3, L]"), ShapeError);
  CHECK_THROWS_WITH_AS(flat(ones({1, 3})), doctest::Contains("each of the 3 channels"), ValueError);
  CHECK(at(flat.running_var, 0) == 1);  // untouched by the call that threw
  CHECK_THROWS_WITH_AS(nn::GlobalAveragePooling2d{}(ones({2, 3})), doctest::Contains("[N, C, H, W]"),
                       ShapeError);
}

TEST_CASE("nn: BatchNorm normalises by the batch in training, by what it has seen in evaluation") {
  Generator gen(7);
  nn::BatchNorm1d layer({.features = 2, .momentum = 0.25, .dtype = DType::f64});
  const Tensor x = from({1.0, 10.0, 3.0, 30.0, 5.0, 50.0}, {3, 2});
  const Tensor y = layer(x);
  for (std::int64_t c = 0; c < 2; ++c) {
    const double scale = c == 0 ? 1 : 10, mean = 3 * scale, biased = 8.0 / 3 * scale * scale;
    for (std::int64_t i = 0; i < 3; ++i)
      CHECK(at(y, i * 2 + c) ==
            doctest::Approx((at(x, i * 2 + c) - mean) / std::sqrt(biased + 1e-5)).epsilon(1e-12));
    CHECK(at(layer.running_mean, c) == doctest::Approx(0.25 * mean).epsilon(1e-12));
    CHECK(at(layer.running_var, c) == doctest::Approx(0.75 + 0.25 * biased * 1.5).epsilon(1e-12));
  }
  CHECK_FALSE(layer.running_mean.requires_grad());
  nn::eval(layer);
  const Tensor seen = layer.running_mean.clone(), z = layer(x);
  CHECK(at(z, 0) == doctest::Approx((1 - 0.75) / std::sqrt(at(layer.running_var, 0) + 1e-5)).epsilon(1e-12));
  CHECK(at(max(abs(seen - layer.running_mean)), 0) == 0);
  const auto buffers = nn::named_buffers(layer);
  REQUIRE(buffers.size() == 2);
  CHECK(buffers[0].first == "running_mean");
  CHECK(buffers[1].first == "running_var");
  CHECK(nn::count(layer) == 4);
  nn::BatchNorm2d plain({.features = 2, .affine = false});
  CHECK(nn::count(plain) == 0);
  CHECK(plain(randn({2, 2, 3, 3}, gen)).shape() == Dims{2, 2, 3, 3});
  CHECK(plain.describe() == "BatchNorm2d(2, not affine)");
}

TEST_CASE("nn: pooling layers") {
  const Tensor x = arange(16).to(DType::f64).reshape({1, 1, 4, 4});
  CHECK(at(nn::MaxPool2d{}(x), 3) == 15);
  CHECK(at(nn::AvgPool2d{}(x), 0) == 2.5);
  CHECK(at(nn::AvgPool2d{.kernel = 3, .stride = 2, .padding = 1}(x), 0) == doctest::Approx(10.0 / 9));
  CHECK(at(nn::AvgPool2d{.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}(x), 0) == 2.5);
  CHECK(nn::MaxPool2d{.kernel = {3, 1}, .stride = {1, 2}, .dilation = {1, 1}}(x).shape() == Dims{1, 1, 2, 2});
  CHECK(nn::MaxPool2d{.kernel = 3, .ceil_mode = true}(x).shape() == Dims{1, 1, 2, 2});
  const Tensor mean = nn::GlobalAveragePooling2d{}(x);
  CHECK(mean.shape() == Dims{1, 1});
  CHECK(at(mean, 0) == 7.5);
  CHECK(nn::MaxPool2d{.kernel = 3, .stride = 2, .padding = 1}.describe() ==
        "MaxPool2d(3x3, stride 2, padding 1)");
}

TEST_CASE("nn: the VGG of the CIFAR-10 example has the numbers that Keras counts, and learns") {
  nn::Sequential net = vgg();
  std::int64_t buffers = 0;
  for (const auto& [name, tensor] : nn::named_buffers(net)) buffers += tensor.numel();
  CHECK(nn::count(net) + buffers == 9'236'618);  // Keras counts the running statistics too
  const nn::Summary s = nn::summary(net, {1, 3, 32, 32});
  CHECK(s.parameters + s.buffers == 9'236'618);
  CHECK(s.rows.front().layer == "Conv2d(3 -> 64, 3x3, same, relu)");
  CHECK(s.rows[1].layer == "BatchNorm2d(64)");
  CHECK(s.rows[2].layer == "MaxPool2d(2x2)");
  CHECK(s.rows[2].output == Dims{1, 64, 16, 16});
  CHECK(s.rows.back().output == Dims{1, 10});
  CHECK(nn::to_string(s).find("9,236,618 in all with 5,504 in buffers") != std::string::npos);

  Generator gen(1);
  const Tensor x = randn({2, 3, 32, 32}, gen), labels = from<std::int64_t>({3, 7}, {2});
  const Tensor loss = cross_entropy(net(x), labels);
  loss.backward();
  for (const auto& [name, p] : nn::named_parameters(net)) {
    REQUIRE_MESSAGE(p.grad().defined(), name);
    CHECK_MESSAGE(std::isfinite(at(sum(p.grad()), 0)), name);
  }
  CHECK(at(max(abs(net.layers[1].get_if<nn::BatchNorm2d>()->running_mean)), 0) > 0);
}
