// LayerNorm, GroupNorm, Embedding, the dropout layers, Keras' batch norm, regularisers. Depends on nn and
// doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include <thalweg/nn/nn.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

double largest(const Tensor& t) { return max(abs(t.detach())).to(DType::f64).item<double>(); }

std::vector<std::string> names(const nn::NamedTensors& all) {
  std::vector<std::string> found;
  for (const auto& [name, tensor] : all) found.push_back(name);
  return found;
}

}  // namespace

TEST_CASE(
    "nn: LayerNorm and GroupNorm are the functions with their parameters, named as PyTorch names them") {
  Generator gen(2);
  const Tensor x = randn({4, 6, 5}, gen, DType::f64);
  nn::LayerNorm rows({.shape = {6, 5}, .eps = 1e-3, .dtype = DType::f64});
  nn::init::normal(rows.weight, gen);
  nn::init::normal(rows.bias, gen);
  CHECK(largest(rows(x) - layer_norm(x, {6, 5}, rows.weight, rows.bias, {.eps = 1e-3})) == 0);
  CHECK(names(nn::state_dict(rows)) == std::vector<std::string>{"weight", "bias"});
  CHECK(nn::count(rows) == 60);
  CHECK(rows.describe() == "LayerNorm([6,5])");
  CHECK(nn::LayerNorm({.shape = {5}, .bias = false}).describe() == "LayerNorm([5], no bias)");
  CHECK(nn::count(nn::LayerNorm({.shape = {5}, .affine = false})) == 0);
  nn::GroupNorm maps({.groups = 3, .features = 6, .eps = 1e-3, .dtype = DType::f64});
  nn::init::normal(maps.weight, gen);
  nn::init::normal(maps.bias, gen);
  CHECK(largest(maps(x) - group_norm(x, 3, maps.weight, maps.bias, {.eps = 1e-3})) == 0);
  CHECK(maps.describe() == "GroupNorm(3 groups of 2)");
  CHECK(nn::count(maps) == 12);
  CHECK_THROWS_WITH_AS(
      nn::GroupNorm({.groups = 4, .features = 6}),
      doctest::Contains("GroupNorm: option outside its domain: groups is 4, wanted a divisor of the 6"),
      ValueError);
  CHECK_THROWS_WITH_AS(
      maps(zeros({2, 5}, DType::f64)),
      doctest::Contains("GroupNorm: not what this layer normalises: x is f64[2,5], wanted [N, 6]"),
      ShapeError);
  CHECK_THROWS_AS(nn::LayerNorm({}), ValueError);
  CHECK_THROWS_AS(nn::LayerNorm({.shape = {3, 0}}), ValueError);
  CHECK_THROWS_AS(nn::LayerNorm({.shape = {3}, .eps = -1}), ValueError);
  CHECK_THROWS_WITH_AS(rows(zeros({2, 5}, DType::f64)), doctest::Contains("test_training_layers.cpp"),
                       ShapeError);
}

TEST_CASE("nn: Embedding looks up rows; the padding row is zeros and never learns") {
  Generator gen(3);
  nn::Embedding table({.rows = 5, .features = 3, .padding_idx = -1, .generator = &gen, .dtype = DType::f64});
  CHECK(largest(select(table.weight.detach(), 0, 4)) == 0);
  CHECK(largest(table.weight) <= 0.05);
  const Tensor index = from<std::int64_t>({4, 0, 2, 4, 0, 1}, {2, 3});
  const Tensor y = table(index);
  CHECK(y.shape() == Dims{2, 3, 3});
  CHECK(y.detach().contiguous().data<double>()[7] == table.weight.data<double>()[7]);
  sum(y).backward();
  const double* g = table.weight.grad().data<double>();
  const double wanted[] = {2, 1, 1, 0, 0};
  for (int row = 0; row < 5; ++row)
    for (int c = 0; c < 3; ++c) CHECK(g[3 * row + c] == wanted[row]);
  CHECK(table.describe() == "Embedding(5 x 3, padding -1)");
  CHECK_THROWS_WITH_AS(table(from<std::int64_t>({0, 5}, {2})),
                       doctest::Contains("embedding: index out of range: index at [1] is 5, wanted 0 to 4"),
                       IndexError);
  CHECK_THROWS_AS(nn::Embedding({.rows = 5, .features = 3, .padding_idx = 5}), IndexError);
  CHECK_THROWS_AS(nn::Embedding({.rows = 0, .features = 3}), ValueError);
  const nn::Embedding normal({.rows = 100, .features = 50, .init = nn::Init::pytorch});
  CHECK(stddev(normal.weight.detach()).item() == doctest::Approx(1).epsilon(0.05));
}

TEST_CASE("nn: Dropout1d and Dropout2d drop whole channels; evaluation changes nothing") {
  Generator gen(4);
  nn::Dropout2d images({.p = 0.25, .generator = &gen});
  const Tensor y = images(ones({50, 40, 3, 2}));
  int dropped = 0;
  for (int c = 0; c < 2000; ++c) {
    const float* at = y.data<float>() + 6 * c;
    for (int i = 0; i < 6; ++i) CHECK(at[i] == at[0]);
    CHECK((at[0] == 0 || at[0] == doctest::Approx(1 / 0.75f)));
    dropped += at[0] == 0;
  }
  CHECK(dropped == doctest::Approx(500).epsilon(0.25));
  nn::Dropout1d sequences({.p = 1});
  CHECK(largest(sequences(full({2, 3, 4}, std::nan(""), DType::f32))) == 0);
  CHECK_THROWS_WITH_AS(
      sequences(ones({2, 3})),
      doctest::Contains("Dropout1d: not what this layer takes: x is f32[2,3], wanted [N, C, L]"), ShapeError);
  CHECK_THROWS_AS(images(ones({2, 3, 4})), ShapeError);
  CHECK_THROWS_WITH_AS(nn::Dropout2d(1.5), doctest::Contains("Dropout2d"), ValueError);
  nn::eval(images);
  const Tensor x = ones({1, 2, 2, 2});
  CHECK(images(x).get() == x.get());
  CHECK(images.describe() == "Dropout2d(0.25)");
}

TEST_CASE("nn: AlphaDropout keeps mean 0 and variance 1 of standard normal numbers") {
  Generator gen(5);
  nn::AlphaDropout drop({.p = 0.3, .generator = &gen});
  const Tensor y = drop(randn({200'000}, gen, DType::f64));
  CHECK(std::fabs(mean(y).item()) < 0.02);
  CHECK(var(y).item() == doctest::Approx(1).epsilon(0.02));
  CHECK(largest(nn::AlphaDropout(1.0)(ones({5}))) == 0);
  CHECK(nn::named_generators(drop).size() == 1);
}

TEST_CASE("nn: batch norm with Keras' defaults keeps 99 % of the running statistics") {
  nn::BatchNorm1d layer(nn::BatchNormOptions::keras(2));
  CHECK(layer.eps == 1e-3);
  layer(from<float>({1, 2, 3, 6}, {2, 2}));
  CHECK(layer.running_mean.data<float>()[1] == doctest::Approx(0.04));
  CHECK(layer.running_var.data<float>()[0] == doctest::Approx(0.99 + 0.01 * 2));
}

TEST_CASE("nn: penalties count weights, not biases, and pull at them") {
  Generator gen(6);
  nn::Sequential model(nn::Linear({.in = 3, .out = 2, .generator = &gen, .dtype = DType::f64}),
                       nn::BatchNorm1d({.features = 2, .dtype = DType::f64}));
  Tensor& w = model.layers[0].get_if<nn::Linear>()->weight;
  nn::init::constant(model.layers[0].get_if<nn::Linear>()->bias, 7);
  const Tensor penalty = nn::L1L2{.l1 = 0.5, .l2 = 0.25}(model);
  CHECK(penalty.item() == doctest::Approx(sum(abs(w) * 0.5 + w * w * 0.25).item()).epsilon(1e-14));
  CHECK(largest(grad(penalty, {w})[0] - (sign(w) * 0.5 + w * 0.5)) < 1e-15);
  CHECK(nn::L1{0.5}(model).item() == doctest::Approx(sum(abs(w)).item() * 0.5));
  CHECK(nn::L2{0.5}(std::vector<Tensor>{w}).item() == doctest::Approx(sum(w * w).item() * 0.5));
  CHECK(nn::L2{0}(model).item() == 0);
  CHECK_THROWS_WITH_AS(nn::L2{-1}(model), doctest::Contains("l2 is -1"), ValueError);
  CHECK_THROWS_WITH_AS(nn::L1{1}(nn::Relu{}), doctest::Contains("nothing to penalise"), ValueError);
}
