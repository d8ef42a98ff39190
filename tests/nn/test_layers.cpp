// The layers against formulas written out, errors that name the user's line and the layer, and the summary.
// Depends on nn and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <sstream>
#include <string>

#include <thalweg/nn/nn.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

TEST_CASE("nn: Linear is x w' + b, with and without bias, any leading dimensions") {
  Generator gen(3);
  nn::Linear layer({.in = 3, .out = 2, .init = nn::Init::pytorch, .generator = &gen, .dtype = DType::f64});
  const Tensor x = randn({4, 5, 3}, gen, DType::f64);
  const Tensor y = layer(x);
  CHECK(y.shape() == Dims{4, 5, 2});
  const double* w = layer.weight.data<double>();
  const double* b = layer.bias.data<double>();
  for (int i = 0; i < 20; ++i)
    for (int o = 0; o < 2; ++o) {
      double want = b[o];
      for (int k = 0; k < 3; ++k) want += x.data<double>()[i * 3 + k] * w[o * 3 + k];
      CHECK(y.data<double>()[i * 2 + o] == doctest::Approx(want).epsilon(1e-14));
    }
  nn::Linear plain({.in = 3, .out = 2, .bias = false, .activation = Activation::relu, .dtype = DType::f64});
  CHECK_FALSE(plain.bias.defined());
  CHECK(nn::count(plain) == 6);
  const Tensor z = plain(x);
  for (double v : z.span<double>()) CHECK(v >= 0);
}

TEST_CASE("nn: Linear refuses impossible options") {
  CHECK_THROWS_WITH_AS(nn::Linear({.in = 0, .out = 2}), doctest::Contains("Linear"), ValueError);
  CHECK_THROWS_WITH_AS(nn::Linear({.in = 2, .out = -1}), doctest::Contains("out"), ValueError);
  CHECK_THROWS_AS(nn::Linear({.in = 2, .out = 2, .dtype = DType::i32}), DTypeError);
}

TEST_CASE("nn: an error in a layer names the user's line and the layer") {
  nn::Sequential model(nn::Linear({.in = 4, .out = 3}),
                       nn::Sequential(nn::Relu{}, nn::Linear({.in = 5, .out = 2})));
  const Tensor x = ones({2, 4});
  bool thrown = false;
  int line = 0;
  try {
    line = __LINE__ + 1;
    model(x);
  } catch (const ShapeError& e) {
    thrown = true;
    CHECK(e.loc().line == line);
    CHECK(std::string(e.loc().file).find("test_layers.cpp") != std::string::npos);
    CHECK(e.op() == "linear");
    const std::string text = e.what();
    CHECK(text.find("(in layer 1, Linear(5 -> 2)) (in layer 1, Sequential)") != std::string::npos);
  }
  CHECK(thrown);
  CHECK_FALSE(thread_state.call_site);
}

TEST_CASE("nn: Dropout drops p of the elements in training, keeps the mean, and does nothing in evaluation") {
  nn::Dropout drop({.p = 0.2});
  const Tensor x = ones({100'000});
  const Tensor y = drop(x);
  int zeros = 0;
  for (float v : y.span<float>()) {
    if (v == 0)
      ++zeros;
    else
      CHECK(v == doctest::Approx(1.25f));
  }
  CHECK(zeros == doctest::Approx(20'000).epsilon(0.04));  // six standard deviations are 760
  nn::eval(drop);
  CHECK(drop(x).get() == x.get());
  CHECK_THROWS_AS(nn::Dropout(1.5), ValueError);
  CHECK_THROWS_AS(nn::Dropout({.p = std::nan("")}), ValueError);
}

TEST_CASE("nn: two dropout layers from one generator differ; the same seed repeats") {
  Generator a(9), b(9);
  nn::Dropout first({.p = 0.5, .generator = &a}), second({.p = 0.5, .generator = &a});
  nn::Dropout again({.p = 0.5, .generator = &b});
  const Tensor x = ones({256});
  const Tensor y = first(x), z = second(x), w = again(x);
  CHECK(std::equal(y.data<float>(), y.data<float>() + 256, w.data<float>()));
  CHECK_FALSE(std::equal(y.data<float>(), y.data<float>() + 256, z.data<float>()));
}

TEST_CASE("nn: activations and Flatten") {
  const Tensor x = from({-2.0, -0.5, 0.0, 1.5}, {2, 2});
  const auto same = [&](const Tensor& y, auto f) {
    for (int i = 0; i < 4; ++i)
      CHECK(y.data<double>()[i] == doctest::Approx(f(x.data<double>()[i])).epsilon(1e-12));
  };
  same(nn::Relu{}(x), [](double v) { return v > 0 ? v : 0; });
  same(nn::LeakyRelu{.slope = 0.2}(x), [](double v) { return v > 0 ? v : 0.2 * v; });
  same(nn::Elu{}(x), [](double v) { return v > 0 ? v : std::expm1(v); });
  same(nn::Gelu{}(x), [](double v) { return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))); });
  same(nn::Silu{}(x), [](double v) { return v / (1 + std::exp(-v)); });
  same(nn::Sigmoid{}(x), [](double v) { return 1 / (1 + std::exp(-v)); });
  same(nn::Tanh{}(x), [](double v) { return std::tanh(v); });
  same(nn::Softplus{}(x), [](double v) { return std::log1p(std::exp(v)); });
  same(nn::Hardtanh{}(x), [](double v) { return std::fmin(1, std::fmax(-1, v)); });
  same(nn::Identity{}(x), [](double v) { return v; });
  const Tensor p = nn::Softmax{}(x), l = nn::LogSoftmax{}(x);
  CHECK(p.data<double>()[0] + p.data<double>()[1] == doctest::Approx(1));
  CHECK(std::exp(l.data<double>()[3]) == doctest::Approx(p.data<double>()[3]));
  CHECK(nn::Flatten{}(ones({2, 3, 4})).shape() == Dims{2, 12});
}

TEST_CASE("nn: the summary of the MNIST network") {
  nn::Sequential model(nn::Flatten{}, nn::Linear({.in = 784, .out = 512, .activation = Activation::relu}),
                       nn::Dropout(0.2), nn::Linear({.in = 512, .out = 256, .activation = Activation::relu}),
                       nn::Dropout(0.2), nn::Linear({.in = 256, .out = 10}));
  model.layers[3].get_if<nn::Linear>()->bias.set_requires_grad(false);
  const nn::Summary s = nn::summary(model, {2, 28, 28});
  CHECK(s.parameters == 535'818);
  CHECK(s.trainable == 535'818 - 256);
  CHECK(s.bytes == 4 * 535'818);
  REQUIRE(s.rows.size() == 6);
  CHECK(s.rows[0].output == Dims{2, 784});
  CHECK(s.rows[1].own == 401'920);
  CHECK(s.rows[1].name == "1");
  CHECK(s.rows[5].output == Dims{2, 10});
  CHECK(model.layers[2].get_if<nn::Dropout>()->training);  // the mode is put back
  std::ostringstream out;
  out << s;
  CHECK(out.str().find("\n1      Linear(784 -> 512, relu)  [2,512]     401,920\n") != std::string::npos);
  CHECK(out.str().find("535,818 parameters, 535,562 trainable, 2.04 MiB") != std::string::npos);
  CHECK_THROWS_AS(nn::summary(model, {2, 28, 27}), ShapeError);
  CHECK(model.layers[2].get_if<nn::Dropout>()->training);
}

TEST_CASE("nn: the summary counts a tied tensor once, and a layer as often as it stands in the model") {
  const nn::Linear shared({.in = 4, .out = 4});
  nn::Sequential model(shared, nn::Relu{}, shared);
  const nn::Summary s = nn::summary(model, {1, 4});
  CHECK(s.parameters == 20);
  CHECK(s.trainable == 20);
  CHECK(s.rows[0].own == 20);
  CHECK(s.rows[2].own == 20);
}

namespace {

struct Twice {
  nn::Dropout drop{0.5};
  Tensor operator()(Arg x) { return drop(drop(x)); }
  void visit(auto& f) {
    f("first", drop);
    f("second", drop);
  }
};

}  // namespace

TEST_CASE("nn: the summary leaves a layer that stands twice in the model in its mode") {
  Twice model;
  nn::summary(model, {2, 3});
  CHECK(model.drop.training);
}
