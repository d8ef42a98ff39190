// Graphs under misuse: hooks that remove themselves or drop the graph, passes that meet, modules and tensors
// that are gone before their graph. Nothing is lost, and an error leaves every gradient as it was.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/thalweg.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

Tensor leaf(float v) { return tw::full({1}, v).set_requires_grad(); }

}  // namespace

TEST_CASE("a hook that removes itself, adds others or drops the graph") {
  Tensor x = leaf(1);
  int calls = 0;
  SUBCASE("removes itself") {
    const Tensor y = x * 2.0;
    Tensor handle = y;
    std::uint64_t id = 0;
    id = handle.register_hook([&](const Tensor& g) {
      ++calls;
      handle.remove_hook(id);
      return g * 5.0;  // what it captured is still there
    });
    y.sum().backward({.retain_graph = true});
    y.sum().backward();
    CHECK(calls == 1);
    CHECK(x.grad().item() == 10 + 2);
  }
  SUBCASE("adds others, which run from the next pass on") {
    Tensor y = x * 2.0;
    y.register_hook([&](const Tensor&) {
      for (int i = 0; i < 100; ++i)
        y.register_hook([&](const Tensor&) {
          ++calls;
          return Tensor();
        });
      return Tensor();
    });
    y.sum().backward();
    CHECK(calls == 0);
    CHECK(x.grad().item() == 2);
  }
  SUBCASE("drops every handle on the graph that runs") {
    Tensor y = x * 2.0;
    Tensor s = (y * y).sum();
    const auto drop = [&](const Tensor&) {
      y = {};
      s = {};
      return Tensor();
    };
    s.register_hook(drop);
    const std::int64_t nodes = tw::live_nodes();
    s.backward();
    CHECK(x.grad().item() == 8);
    CHECK(tw::live_nodes() == nodes - 3);
  }
}

TEST_CASE("two passes that meet in one graph: the second is refused, the graph stays whole") {
  Tensor x = leaf(1);
  Tensor b = x * 3.0, a = x * 2.0;
  const Tensor both = (a + b).sum(), second = (b * 1.0).sum();
  a.register_hook([&](const Tensor&) {
    second.backward({.retain_graph = true});  // b waits in the outer pass for its turn
    return Tensor();
  });
  CHECK_THROWS_WITH_AS(both.backward({.retain_graph = true}), doctest::Contains("the same graph at once"),
                       tw::GraphError);
  CHECK(!x.grad().defined());
  second.backward();
  CHECK(x.grad().item() == 3);
}

TEST_CASE("a pass that ends by a throw leaves what retain_grad() keeps as it was") {
  Tensor x = leaf(1);
  Tensor y = x * 2.0;
  y.retain_grad();
  bool fail = true;
  x.register_hook([&](const Tensor&) -> Tensor {
    if (fail) throw std::runtime_error("late");
    return {};
  });
  const Tensor s = (y * 5.0).sum();
  CHECK_THROWS_WITH(s.backward({.retain_graph = true}), "late");
  CHECK(!y.grad().defined());
  CHECK(!x.grad().defined());
  fail = false;
  s.backward({.retain_graph = true});
  s.backward();
  CHECK(y.grad().item() == 10);
  CHECK(x.grad().item() == 20);
}

TEST_CASE("a graph outlives its module, and its optimizer") {
  const Tensor input = tw::ones({4, 2}).set_requires_grad();
  Tensor y;
  {
    tw::nn::Sequential model(tw::nn::Linear({.in = 2, .out = 3, .activation = tw::Activation::tanh}),
                             tw::nn::Linear({.in = 3, .out = 1}));
    const tw::optim::Sgd sgd(tw::nn::parameters(model), {.lr = 0.1});
    y = model(input).sum();
  }
  y.backward();
  CHECK(input.grad().shape() == tw::Dims{4, 2});
}

TEST_CASE("an op that throws records nothing: nodes and modes are as before") {
  const Tensor x = leaf(1);
  const std::int64_t nodes = tw::live_nodes();
  CHECK_THROWS_AS(tw::matmul(x * 2.0, tw::ones({3, 3})), tw::ShapeError);
  CHECK(tw::live_nodes() == nodes);
  Tensor target = tw::zeros({2});
  const std::vector<float> before(target.span<float>().begin(), target.span<float>().end());
  CHECK_THROWS_AS(target.add_(tw::ones({3})), tw::ShapeError);
  CHECK(std::vector<float>(target.span<float>().begin(), target.span<float>().end()) == before);
  CHECK(tw::grad_enabled());
  Tensor y = x * 2.0;
  y.register_hook([](const Tensor&) -> Tensor { throw 3; });
  CHECK_THROWS_AS(y.sum().backward(), int);
  CHECK(tw::grad_enabled());
  CHECK_FALSE(tw::thread_state.call_site);
}
