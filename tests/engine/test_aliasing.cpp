// The aliasing experiment: the tapes on which engines go wrong, each with the answer worked out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <thread>
#include <vector>

#include <thalweg/thalweg.hpp>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/autograd/graph/node.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

Tensor leaf(std::initializer_list<double> v) {
  Tensor t = tw::from<double>(v);
  t.set_requires_grad();
  return t;
}

double at(const Tensor& t, std::int64_t i = 0) { return t.contiguous().data<double>()[i]; }

}  // namespace

TEST_CASE("tanh saves its own output and nothing leaks") {
  const std::int64_t nodes = tw::live_nodes();
  const std::int64_t blocks = tw::memory_stats().live_blocks;
  {
    Tensor x = leaf({0.3, -0.7});
    Tensor y = tw::tanh(x);
    y.sum().backward();
    CHECK(at(x.grad(), 0) == doctest::Approx(1 - std::tanh(0.3) * std::tanh(0.3)).epsilon(1e-14));
    Tensor unused = tw::tanh(tw::tanh(x));  // never run backward: must go all the same
  }
  CHECK(tw::live_nodes() == nodes);
  CHECK(tw::memory_stats().live_blocks == blocks);
}

TEST_CASE("the two gradients of (a + b).sum() are two buffers") {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  (a + b).sum().backward();
  Tensor ga = a.grad();
  ga.mul_(0.5);  // clipping one
  CHECK(at(a.grad(), 0) == 0.5);
  CHECK(at(b.grad(), 0) == 1.0);
  CHECK(at(b.grad(), 1) == 1.0);
}

TEST_CASE("the base written under a live recorded view is caught") {
  Tensor p = leaf({1, 2, 3, 4});
  Tensor view = p.reshape({2, 2});
  {
    tw::NoGrad off;
    p.mul_(2.0);
  }
  CHECK_THROWS_AS(view * 3.0, tw::VersionError);
}

TEST_CASE("a saved value overwritten before backward is caught, and the message names both") {
  Tensor x = leaf({1, 2});
  Tensor w = tw::from<double>({5, 6});
  Tensor y = (x * w).sum();
  w.mutable_data<double>()[0] = 100;
  try {
    y.backward();
    FAIL("no error");
  } catch (const tw::VersionError& e) {
    const std::string text = e.what();
    CHECK(text.find("mul") != std::string::npos);
    CHECK(text.find("mutable_data") != std::string::npos);
    CHECK(text.find("test_aliasing.cpp") != std::string::npos);
    CHECK(text.find("version 1") != std::string::npos);
    CHECK(text.find("version 0") != std::string::npos);
  }
  CHECK(!x.grad().defined());
}

TEST_CASE("grad() on a side branch leaves the main branch usable and touches no leaf") {
  Tensor x = leaf({2});
  Tensor trunk = x * x;
  Tensor side = trunk * 3.0;
  Tensor main = trunk * trunk;
  Tensor g = tw::grad(side.sum(), x, {.retain_graph = true});
  CHECK(at(g) == 12.0);
  CHECK(!x.grad().defined());
  main.sum().backward();
  CHECK(at(x.grad()) == 4 * 8.0);
}

TEST_CASE("a gradient penalty: the gradient's norm is part of the loss") {
  Tensor x = leaf({1.5}), w = leaf({0.7});
  Tensor y = w * x * x * x;  // dy/dx = 3 w x^2
  Tensor gx = tw::grad(y.sum(), x, {.create_graph = true});
  Tensor loss = (gx * gx).sum();  // 9 w^2 x^4
  loss.backward();
  CHECK(at(w.grad()) == doctest::Approx(18 * 0.7 * std::pow(1.5, 4)).epsilon(1e-14));
  CHECK(at(x.grad()) == doctest::Approx(36 * 0.49 * std::pow(1.5, 3)).epsilon(1e-14));
}

TEST_CASE("alternating two optimizers on a shared layer") {
  Tensor shared = leaf({1.0}), a = leaf({2.0}), b = leaf({3.0});
  const auto step = [](Tensor& p) {
    tw::NoGrad off;
    p.sub_(p.grad() * 0.1);
    p.zero_grad();
  };
  for (int i = 0; i < 3; ++i) {
    (shared * a).sum().backward();
    step(shared);
    step(a);
    (shared * b).sum().backward();
    step(shared);
    step(b);
  }
  CHECK(std::isfinite(at(shared)));
  // the graph recorded before a step must refuse to run after it
  Tensor stale = (shared * a).sum();
  (shared * b).sum().backward();
  step(shared);
  CHECK_THROWS_AS(stale.backward(), tw::VersionError);
}

TEST_CASE("two threads accumulate into one leaf") {
  Tensor w = leaf({1.0});
  constexpr int rounds = 200;
  const auto work = [&w] {
    for (int i = 0; i < rounds; ++i) (w * 2.0 + w).sum().backward();
  };
  std::thread one(work), two(work);
  one.join();
  two.join();
  CHECK(at(w.grad()) == 2 * rounds * 3.0);  // small whole numbers: exact in any order
}

TEST_CASE("backward inside a hook") {
  Tensor x = leaf({2}), z = leaf({5});
  Tensor y = x * x;
  y.register_hook([&z](const Tensor&) {
    tw::EnableGrad on;
    (z * z).sum().backward();
    return Tensor();
  });
  (y * 3.0).sum().backward();
  CHECK(at(x.grad()) == 12.0);
  CHECK(at(z.grad()) == 10.0);
}

TEST_CASE("a throw in mid-backward leaves every gradient as it was") {
  Tensor x = leaf({2}), w = leaf({3});
  (x * w).sum().backward();
  Tensor y = x * w;
  Tensor z = y * y;
  y.register_hook([](const Tensor&) -> Tensor { throw std::runtime_error("from the hook"); });
  CHECK_THROWS_WITH(z.sum().backward(), "from the hook");
  CHECK(at(x.grad()) == 3.0);
  CHECK(at(w.grad()) == 2.0);
  (x * w).sum().backward();  // the engine is not left in a bad state
  CHECK(at(x.grad()) == 6.0);
}

TEST_CASE("backward twice: an error that says so, unless retained, then exactly doubled") {
  Tensor x = leaf({0.3, 0.9});
  Tensor y = tw::tanh(x).sum();
  y.backward({.retain_graph = true});
  const double once = at(x.grad(), 1);
  y.backward();
  CHECK(at(x.grad(), 1) == 2 * once);
  try {
    y.backward();
    FAIL("no error");
  } catch (const tw::GraphError& e) {
    CHECK(std::string(e.what()).find("retain_graph") != std::string::npos);
  }
  CHECK(at(x.grad(), 1) == 2 * once);
}

TEST_CASE("a gradient held by a hook is not donated away") {
  Tensor x = leaf({1, 2});
  Tensor held;
  Tensor y = x * 2.0;
  y.register_hook([&held](const Tensor& g) {
    held = g;
    return Tensor();
  });
  (y.sum() + y.sum()).backward();
  CHECK(at(held, 0) == 2.0);
  Tensor kept;
  x.register_hook([&kept](const Tensor& g) {
    kept = g;
    return Tensor();
  });
  (x * 3.0).sum().backward();
  (x * 3.0).sum().backward();
  CHECK(at(kept, 0) == 3.0);
  CHECK(at(x.grad(), 0) == 4.0 + 6.0);
}

TEST_CASE("a gradient that somebody holds is not written over by the next op's") {
  Tensor x = leaf({0.3, -0.8});
  const auto gradient_of_tanh = [&](int i) { return 1 - std::pow(std::tanh(at(x, i)), 2); };
  SUBCASE("by a hook, on the way of several ops") {
    Tensor held;
    Tensor y = tw::tanh(x) * 5.0;
    y.register_hook([&held](const Tensor& g) {
      held = g;
      return Tensor();
    });
    (y * 2.0).sum().backward();
    CHECK(at(held, 0) == 2.0);
    CHECK(at(held, 1) == 2.0);
  }
  SUBCASE("by a hook that returned it") {
    Tensor replaced = tw::from<double>({2, 2});
    Tensor y = tw::tanh(x);
    y.register_hook([&replaced](const Tensor&) { return replaced; });
    (y * 10.0).sum().backward();
    CHECK(at(replaced, 0) == 2.0);
    CHECK(at(x.grad(), 1) == doctest::Approx(2 * gradient_of_tanh(1)).epsilon(1e-14));
  }
  SUBCASE("by retain_grad") {
    Tensor y = tw::tanh(x);
    y.retain_grad();
    (y * 2.0).sum().backward();
    CHECK(at(y.grad(), 0) == 2.0);
    CHECK(at(x.grad(), 0) == doctest::Approx(2 * gradient_of_tanh(0)).epsilon(1e-14));
  }
  SUBCASE("as the caller's grad_output") {
    Tensor given = tw::from<double>({3, 4});
    tw::tanh(x).backward({.grad_output = &given});
    CHECK(at(given, 0) == 3.0);
    CHECK(at(given, 1) == 4.0);
    CHECK(at(x.grad(), 1) == doctest::Approx(4 * gradient_of_tanh(1)).epsilon(1e-14));
  }
  SUBCASE("as a result of grad()") {
    Tensor y = tw::tanh(x);
    Tensor z = (y * 2.0).sum();
    const Tensor inputs[] = {x, y};
    const std::vector<Tensor> g = tw::grad(z, inputs);
    CHECK(at(g[1], 0) == 2.0);
    CHECK(at(g[0], 0) == 2 * gradient_of_tanh(0));
  }
  SUBCASE("as the other branch's gradient") {
    Tensor other = leaf({1, 1});
    (tw::tanh(x) + tw::exp(other)).sum().backward();
    CHECK(at(x.grad(), 0) == doctest::Approx(gradient_of_tanh(0)).epsilon(1e-14));
    CHECK(at(other.grad(), 0) == doctest::Approx(std::exp(1.0)).epsilon(1e-14));
  }
  SUBCASE("as the first of two gradients of one op") {
    Tensor w = leaf({2, 3});
    (tw::tanh(x) * tw::exp(w)).sum().backward();
    CHECK(at(x.grad(), 0) == doctest::Approx(std::exp(2.0) * gradient_of_tanh(0)).epsilon(1e-14));
    CHECK(at(w.grad(), 1) == doctest::Approx(std::exp(3.0) * std::tanh(-0.8)).epsilon(1e-14));
  }
  SUBCASE("as the gradient of a transposed view") {
    Tensor m = tw::from<double>({1, 2, 3, 4}).reshape({2, 2}).detach();
    m.set_requires_grad();
    Tensor weights = tw::from<double>({10, 20, 30, 40}).reshape({2, 2});
    (tw::exp(m).t() * weights).sum().backward();
    CHECK(at(m.grad(), 1) == doctest::Approx(30 * std::exp(2.0)).epsilon(1e-14));
    CHECK(at(weights, 1) == 20.0);
  }
}

TEST_CASE("a chain of ops passes its gradient along in one buffer") {
  constexpr std::int64_t n = 1 << 18;
  tw::Generator generator(3);
  Tensor x = tw::rand({n}, generator, tw::DType::f64);
  x.set_requires_grad();
  Tensor y = x;
  for (int i = 0; i < 10; ++i) y = tw::tanh(y);
  const Tensor seed = tw::ones({n}, tw::DType::f64);
  Tensor z = y * 1.0;
  tw::reset_peak_memory();
  const std::int64_t before = tw::memory_stats().live_bytes;
  z.backward({.grad_output = &seed});
  CHECK(tw::memory_stats().peak_bytes - before < 3 * n * 8 / 2);  // two at a time without it
}

TEST_CASE("a saved operand that is also the result of another branch") {
  Tensor a = leaf({2.0});
  Tensor y = a * a * a;
  Tensor s = y + y * a;
  s.sum().backward();
  CHECK(at(a.grad()) == 3 * 4.0 + 4 * 8.0);
}

TEST_CASE("a gradient that the engine alone holds reaches the leaf through views without a copy") {
  Tensor x = tw::ones({4, 6}).set_requires_grad();
  const auto reaches = [&](auto view) {
    Tensor y = view(x);
    const void* memory = nullptr;
    y.register_hook([&](const Tensor& g) {
      memory = g.data<float>();
      return Tensor();
    });
    (y * tw::ones(y.shape())).sum().backward();
    const bool same = x.grad().data<float>() == memory;
    x.set_grad({});
    return same;
  };
  CHECK(reaches([](const Tensor& t) { return t.reshape({24}); }));
  CHECK(reaches([](const Tensor& t) { return tw::view(t, {2, 12}); }));
  CHECK(reaches([](const Tensor& t) { return tw::flatten(t, 0, 1); }));
  CHECK(reaches([](const Tensor& t) { return tw::squeeze(tw::unsqueeze(t, 1)); }));
  CHECK(reaches([](const Tensor& t) { return tw::clone(t); }));
  CHECK(!reaches([](const Tensor& t) { return tw::transpose(t, 0, 1); }));  // a gradient is dense
}
