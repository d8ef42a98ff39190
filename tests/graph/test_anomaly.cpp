// Anomaly: the op that makes the first NaN or infinity is named, forward and backward, and nothing else is disturbed.
// Depends on the library only.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <thread>

#include <thalweg/thalweg.hpp>

#include "texts.hpp"

using namespace thalweg;
using texts::complaint, texts::says;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

Tensor leaf(std::initializer_list<double> values, const Dims& shape) {
  return from<double>(std::vector<double>(values), shape).set_requires_grad();
}

/// Element i of a vector of f64.
double at(const Tensor& t, std::size_t i) { return t.span<double>()[i]; }

}  // namespace

TEST_CASE("anomaly: the op that makes an infinity or a NaN is named, with place and line") {
  const Tensor x = from<double>({1, 2, 3, 0, 5, 6}, {2, 3});
  const Anomaly guard;
  const int line = __LINE__ + 1;
  const std::string text = complaint<ValueError>([&] { log(x); });
  CHECK(says(text, {"log: the op makes an infinity: the result at [1,0] is infinite, wanted a finite number, as all "
                    "operands are",
                    "test_anomaly.cpp:" + std::to_string(line)}));
  CHECK(says(complaint<ValueError>([&] { sqrt(-x); }), {"sqrt: the op makes a NaN: the result at [0,0] is NaN"}));
  CHECK(says(complaint<ValueError>([&] { log(x.transpose(0, 1)); }), {"the result at [0,1] is infinite"}));
  CHECK(says(complaint<ValueError>([&] { log(x.to(DType::f32)); }), {"the result at [1,0] is infinite"}));
  CHECK(at(exp(x), 3) == 1);
}

TEST_CASE("anomaly: what comes in is not what the op has made") {
  const Tensor nan = from<double>({1, NAN}, {2}), infinite = from<double>({1, -inf}, {2});
  const Anomaly guard;
  CHECK(std::isnan(sum(nan * 2.0).item()));
  CHECK(sum(infinite * 2.0).item() == -inf);
  CHECK(at(softmax(infinite), 1) == 0);
  CHECK(says(complaint<ValueError>([&] { infinite * 0.0; }), {"mul: the op makes a NaN", "no operand holds one"}));
  CHECK(says(complaint<ValueError>([&] { infinite - infinite; }), {"sub: the op makes a NaN"}));
}

TEST_CASE("anomaly: what a derivative reads of its operands is not what it has made") {
  const Tensor data = from<double>({NAN, -inf}, {2});
  Tensor w = leaf({1, 1}, {2});
  const Anomaly guard;
  sum(data * w).backward();
  CHECK(std::isnan(at(w.grad(), 0)));
  CHECK(at(w.grad(), 1) == -inf);
}

TEST_CASE("anomaly: infinities may be meant") {
  const Tensor x = from<double>({0, 1}, {2});
  const Anomaly guard({.infinity = false});
  CHECK(at(log(x), 0) == -inf);
  CHECK(says(complaint<ValueError>([&] { log(x) * 0.0; }), {"mul: the op makes a NaN"}));
}

TEST_CASE("anomaly: a derivative is named with the line that recorded its op, and no gradient is changed") {
  Tensor x = leaf({4, 0}, {2});
  const Anomaly guard;
  const int line = __LINE__ + 1;
  const Tensor root = sqrt(x);
  const Tensor loss = sum(where(x > 0.0, root, 0.0));
  const std::string text = complaint<ValueError>([&] { loss.backward(); });
  CHECK(says(text, {"sqrt: the derivative makes a NaN: the gradient of argument 1 at [1] is NaN",
                    "test_anomaly.cpp:" + std::to_string(line)}));
  CHECK(!x.grad().defined());
  CHECK(says(complaint<ValueError>([&] { grad(sum(sqrt(x)), {x}, {.create_graph = true}); }),
             {"sqrt: the derivative makes an infinity"}));
  sum(x * x).backward();
  CHECK(at(x.grad(), 0) == 8);
}

TEST_CASE("anomaly: an op made of others is looked at as a whole") {
  const Tensor x = leaf({1, 2, 3, 4}, {2, 2});
  const Anomaly guard;
  const Tensor none = from<std::int64_t>({-100, -100}, {2});
  // The mean over no rows is NaN by definition, and so named; the sum is 0, whatever it selects on its way.
  CHECK(says(complaint<ValueError>([&] { cross_entropy(x, none); }), {"cross_entropy: the op makes a NaN"}));
  CHECK(cross_entropy(x, none, {.reduction = Reduction::sum}).item() == 0);
  CHECK(says(complaint<ValueError>([&] { mean(zeros({0}, DType::f64)); }), {"mean: the op makes a NaN"}));
}

TEST_CASE("anomaly: in place, on other threads, nested, and gone") {
  const Tensor zero = zeros({2}, DType::f64);
  {
    const Anomaly guard;
    Tensor x = ones({2}, DType::f64);
    CHECK(says(complaint<ValueError>([&] { x.div_(zero); }), {"div: the op makes an infinity: the result at [0]"}));
    double elsewhere = 0;
    std::thread([&] { elsewhere = at(log(zero), 0); }).join();
    CHECK(elsewhere == -inf);
    {
      const Anomaly inner({.infinity = false});
      CHECK(at(log(zero), 0) == -inf);
    }
    CHECK(says(complaint<ValueError>([&] { log(zero); }), {"log"}));
  }
  CHECK(at(log(zero), 0) == -inf);
}

TEST_CASE("anomaly: a training has the same bits under it") {
  const auto trained = [](bool watched) {
    Generator gen(3);
    nn::Sequential net(nn::Linear({.in = 4, .out = 8, .activation = Activation::relu, .generator = &gen}),
                       nn::BatchNorm1d({.features = 8}), nn::Linear({.in = 8, .out = 3, .generator = &gen}));
    optim::Adam adam(nn::parameters(net));
    const Tensor x = randn({16, 4}, gen);
    const Tensor t = from<std::int64_t>({0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0}, {16});
    std::optional<Anomaly> guard;
    if (watched) guard.emplace();
    for (int i = 0; i < 5; ++i) {
      adam.zero_grad();
      cross_entropy(net(x), t).backward();
      adam.step();
    }
    return train::params_hash(net);
  };
  CHECK(trained(true) == trained(false));
}
