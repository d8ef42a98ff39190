// Initialisers: bounds, moments, repeatability, errors. Depends on nn and doctest.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <thalweg/nn/nn.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

struct Moments {
  double mean = 0, deviation = 0, low = 0, high = 0;
};

Moments moments(const Tensor& t) {
  Moments m{.low = t.data<float>()[0], .high = t.data<float>()[0]};
  double squares = 0;
  for (float v : t.span<float>()) {
    m.mean += v;
    squares += static_cast<double>(v) * v;
    m.low = std::min<double>(m.low, v);
    m.high = std::max<double>(m.high, v);
  }
  const double n = static_cast<double>(t.numel());
  m.mean /= n;
  m.deviation = std::sqrt(squares / n - m.mean * m.mean);
  return m;
}

/// Uniform on +-bound: never outside, nearly reached, variance bound^2 / 3.
void check_uniform(const Tensor& t, double bound) {
  const Moments m = moments(t);
  CHECK(m.low >= -bound * 1.000001);
  CHECK(m.high <= bound * 1.000001);
  CHECK(m.high > 0.99 * bound);
  CHECK(m.low < -0.99 * bound);
  CHECK(std::abs(m.mean) < 0.02 * bound);
  CHECK(m.deviation * std::sqrt(3.0) / bound == doctest::Approx(1).epsilon(0.01));
}

void check_normal(const Tensor& t, double deviation) {
  const Moments m = moments(t);
  CHECK(std::abs(m.mean) < 0.03 * deviation);
  CHECK(m.deviation / deviation == doctest::Approx(1).epsilon(0.01));
  CHECK(m.high > 3 * deviation);
}

}  // namespace

TEST_CASE("nn: Xavier and Kaiming have the spread of their papers") {
  Generator gen(1);
  Tensor w = empty({200, 300});  // in = 300, out = 200
  nn::init::xavier_uniform(w, gen);
  check_uniform(w, std::sqrt(6.0 / 500));
  nn::init::glorot_normal(w, gen, {.gain = 2});
  check_normal(w, 2 * std::sqrt(2.0 / 500));
  nn::init::kaiming_uniform(w, gen);
  check_uniform(w, std::sqrt(6.0 / 300));
  nn::init::kaiming_uniform(w, gen, {.a = std::sqrt(5.0)});
  check_uniform(w, 1 / std::sqrt(300.0));
  nn::init::he_normal(w, gen, {.fan = nn::init::Fan::out});
  check_normal(w, std::sqrt(2.0 / 200));
  const nn::init::Fans f = nn::init::fans(empty({8, 4, 3, 5}));
  CHECK(f.in == 60);
  CHECK(f.out == 120);
}

TEST_CASE("nn: a layer's defaults by name") {
  Generator gen(2);
  nn::Linear keras({.in = 300, .out = 200, .init = nn::Init::keras, .generator = &gen});
  check_uniform(keras.weight, std::sqrt(6.0 / 500));
  for (float b : keras.bias.span<float>()) CHECK(b == 0);
  nn::Linear torch({.in = 300, .out = 2000, .init = nn::Init::pytorch, .generator = &gen});
  check_uniform(torch.weight, 1 / std::sqrt(300.0));
  const Moments bias = moments(torch.bias);
  CHECK(bias.high <= 1 / std::sqrt(300.0) * 1.000001);
  CHECK(bias.deviation * std::sqrt(900.0) == doctest::Approx(1).epsilon(0.03));
}

TEST_CASE("nn: the same seed gives the same layer, explicit or default, and two layers differ") {
  const auto same = [](const nn::Linear& a, const nn::Linear& b) {
    return std::equal(a.weight.data<float>(), a.weight.data<float>() + a.weight.numel(),
                      b.weight.data<float>());
  };
  Generator a(7), b(7);
  nn::Linear first({.in = 9, .out = 9, .generator = &a}), again({.in = 9, .out = 9, .generator = &b});
  CHECK(same(first, again));
  CHECK_FALSE(same(first, nn::Linear({.in = 9, .out = 9, .generator = &a})));
  nn::seed(7);
  CHECK(same(first, nn::Linear({.in = 9, .out = 9})));
  CHECK_FALSE(same(first, nn::Linear({.in = 9, .out = 9})));
  nn::seed(0);
}

TEST_CASE("nn: initialisers refuse what they cannot fill") {
  Generator gen(1);
  Tensor vector = empty({3}), whole = empty({3, 3}, DType::i64), w = empty({3, 3});
  CHECK_THROWS_WITH_AS(nn::init::xavier_uniform(vector, gen), doctest::Contains("f32[3]"), ShapeError);
  CHECK_THROWS_AS(nn::init::normal(whole, gen), DTypeError);
  CHECK_THROWS_AS(nn::init::normal(w, gen, 0, -1), ValueError);
  CHECK_THROWS_AS(nn::init::uniform(w, gen, 1, 0), ValueError);
  CHECK_THROWS_AS(nn::init::uniform(w, gen, std::nan(""), 0), ValueError);
  CHECK_THROWS_AS(nn::init::kaiming_normal(w, gen, {.a = std::nan("")}), ValueError);
  CHECK_THROWS_AS(nn::init::xavier_normal(w, gen, {.gain = -1}), ValueError);
}

TEST_CASE("nn: writing a parameter bumps its version, so a stale graph is caught") {
  Generator gen(1);
  Tensor w = ones({2, 2}).set_requires_grad();
  const Tensor loss = (w * w).sum();
  nn::init::normal(w, gen);
  CHECK_THROWS_AS(loss.backward(), VersionError);
}
