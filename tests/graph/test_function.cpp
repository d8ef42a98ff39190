// function(forward, vjp): values, gradients of every order, what is saved, ownership, and every way user code
// can be wrong.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <thread>

#include <thalweg/thalweg.hpp>

#include <thalweg/autograd/graph/graph_view.hpp>
#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/check/certify.hpp>
#include <thalweg/ops/describe.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

Tensor leaf(std::initializer_list<double> v) {
  Tensor t = tw::from<double>(v);
  t.set_requires_grad();
  return t;
}

double at(const Tensor& t, std::int64_t i = 0) { return t.contiguous().data<double>()[i]; }

tw::Function cube() {
  return tw::function(
      "cube", [](const Tensor& x) { return x * x * x; },
      [](const Tensor& g, const Tensor& x) { return 3.0 * g * x * x; });
}

/// The text of the E that `code` throws; fails when it throws something else or nothing.
template <class E, class Code>
std::string text_of(Code code) {
  try {
    code();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    FAIL("another type: " << e.what());
  }
  FAIL("nothing thrown");
  return {};
}

bool holds(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a function of one tensor: value, gradient, one node, named") {
  const Tensor x = leaf({2, -3});
  const Tensor y = cube()(x);
  CHECK(at(y, 0) == 8);
  CHECK(at(y, 1) == -27);
  const tw::graph::View view(y);
  REQUIRE(view.nodes().size() == 2);
  CHECK(view.nodes()[1].op == "cube");
  CHECK(tw::graph::line_text(view.nodes()[1].loc).starts_with("test_function.cpp:"));
  y.sum().backward();
  CHECK(at(x.grad(), 0) == 12);
  CHECK(at(x.grad(), 1) == 27);
}

TEST_CASE("its derivative can be differentiated again, through inputs and through the output") {
  const Tensor x = leaf({2});
  const Tensor g = tw::grad(cube()(x).sum(), x, {.create_graph = true});
  const Tensor gg = tw::grad(g.sum(), x, {.create_graph = true});
  CHECK(at(gg) == 12);
  CHECK(at(tw::grad(gg.sum(), x)) == 6);

  const auto exponential = tw::function(
      "exponential", [](const Tensor& v) { return tw::exp(v); },
      [](const Tensor& grad, const Tensor&, const Tensor& y) { return grad * y; });
  const Tensor e1 = tw::grad(exponential(x).sum(), x, {.create_graph = true});
  const Tensor e2 = tw::grad(e1.sum(), x);
  CHECK(at(e2) == doctest::Approx(std::exp(2.0)).epsilon(1e-13));
}

TEST_CASE("several inputs, gradients as an array; only those that are asked for are used") {
  const auto product = tw::function(
      "product", [](const Tensor& a, const Tensor& b) { return a * b; },
      [](const Tensor& g, const Tensor& a, const Tensor& b) {
        return std::array{g * b, g * a};
      });
  const Tensor a = leaf({2, 3}), b = leaf({5, 7});
  product(a, b).sum().backward();
  CHECK(at(a.grad(), 1) == 7);
  CHECK(at(b.grad(), 0) == 2);

  const auto scaled = tw::function(  // the second gradient is left out, and not needed for a constant
      "scaled", [](const Tensor& x, const Tensor& k) { return x * k; },
      [](const Tensor& g, const Tensor&, const Tensor& k) {
        return std::array{g * k, Tensor()};
      });
  const Tensor x = leaf({1, 1});
  scaled(x, tw::from<double>({3, 4})).sum().backward();
  CHECK(at(x.grad(), 1) == 4);
}

TEST_CASE("a span of inputs, their number given") {
  const tw::Function total(
      "total", 3, [](std::span<const Tensor> in) { return in[0] + in[1] * in[2]; },
      [](const Tensor& g, std::span<const Tensor> in, const Tensor&) {
        return std::vector<Tensor>{g, g * in[2], g * in[1]};
      });
  const Tensor a = leaf({1}), b = leaf({2}), c = leaf({3});
  total(a, b, c).sum().backward();
  CHECK(at(a.grad()) == 1);
  CHECK(at(b.grad()) == 3);
  CHECK(at(c.grad()) == 2);
  CHECK(holds(text_of<tw::ValueError>([&] { total(a, b); }), "total: wrong number of inputs"));
}

TEST_CASE("what vjp does not take is not saved") {
  const auto twice = tw::function(
      "twice", [](const Tensor& x) { return 2.0 * x; }, [](const Tensor& g) { return 2.0 * g; });
  const Tensor x = leaf({1, 2});
  const Tensor y = twice(x);
  CHECK(tw::graph::View(y).saved_bytes() == 0);
  CHECK(tw::graph::View(cube()(x)).saved_bytes() == 16);
  y.sum().backward();
  CHECK(at(x.grad(), 1) == 2);
}

TEST_CASE("nothing is recorded without need, and the forward is never recorded") {
  const std::int64_t before = tw::live_nodes();
  const Tensor plain = tw::from<double>({2});
  CHECK(!cube()(plain).requires_grad());
  const Tensor x = leaf({2});
  {
    tw::NoGrad off;
    CHECK(!cube()(x).requires_grad());
  }
  const Tensor y = cube()(x);
  CHECK(tw::live_nodes() == before + 2);
  std::int64_t inside = -1;
  const auto counting = tw::function(
      "counting",
      [&inside](const Tensor& t) {
        const Tensor twice = t * 2.0;
        inside = tw::live_nodes();
        return twice * t;
      },
      [](const Tensor& g) { return g; });
  counting(x);
  CHECK(inside == before + 2);
}

TEST_CASE("the graph owns the function") {
  const std::int64_t before = tw::live_nodes();
  auto alive = std::make_shared<int>(1);
  {
    const Tensor x = leaf({2});
    Tensor y;
    {
      const auto f = tw::function(
          "held", [alive](const Tensor& t) { return t * t; },
          [alive](const Tensor& g, const Tensor& t) { return 2.0 * g * t; });
      y = f(x);
    }
    CHECK(alive.use_count() == 3);
    y.sum().backward();
    CHECK(at(x.grad()) == 4);
  }
  CHECK(alive.use_count() == 1);
  CHECK(tw::live_nodes() == before);
}

TEST_CASE("a forward that returns its input, a view of it, or a captive gives a tensor of its own") {
  const auto identity = tw::function(
      "identity", [](const Tensor& x) { return x; }, [](const Tensor& g) { return g; });
  const Tensor x = leaf({1, 2});
  const Tensor y = identity(x);
  CHECK(x.is_leaf());
  CHECK(!y.is_leaf());
  y.sum().backward();
  CHECK(at(x.grad(), 1) == 1);

  const auto reshaped = tw::function(
      "reshaped",
      [](const Tensor& t) {
        return t.reshape({1, 2});
      },
      [](const Tensor& g) { return g.reshape({2}); });
  const Tensor z = reshaped(x);
  CHECK(z.get()->storage.get() != x.get()->storage.get());

  Tensor captive = leaf({5, 6});
  const auto constant = tw::function(
      "constant", [captive](const Tensor&) { return captive; }, [](const Tensor& g) { return 0.0 * g; });
  const Tensor c = constant(x);
  CHECK(captive.is_leaf());
  c.sum().backward();
  CHECK(!captive.grad().defined());
}

TEST_CASE(
    "wrong gradients are refused by name: too few, too many, shape, dtype, none; nothing is committed") {
  const Tensor x = leaf({1, 2}), w = leaf({3, 4});
  const auto with = [&](auto vjp) {
    const auto f = tw::function(
        "wrong", [](const Tensor& a, const Tensor& b) { return a * b; }, vjp);
    return text_of<tw::GraphError>([&] { f(x, w).sum().backward(); });
  };
  using List = std::vector<Tensor>;
  const std::string few = with([](const Tensor& g) { return List{g}; });
  CHECK(holds(few, "wrong: wrong number of gradients"));
  CHECK(holds(few, "is 1, wanted 2"));
  CHECK(holds(few, "test_function.cpp:"));
  CHECK(holds(with([](const Tensor& g) { return List{g, g, g}; }), "is 3, wanted 2"));
  const std::string shape = with([](const Tensor& g) { return List{g, g.sum()}; });
  CHECK(holds(shape, "the gradient of argument 2 is f64[], wanted f64[2]"));
  CHECK(holds(with([](const Tensor& g) {
                return List{g.to(tw::DType::f32), g};
              }),
              "is f32[2], wanted f64[2]"));
  CHECK(holds(with([](const Tensor& g) { return List{g, Tensor()}; }), "left out a gradient"));
  CHECK(!x.grad().defined());
  CHECK(!w.grad().defined());
}

TEST_CASE("what the lambdas throw keeps its type and gains the function's name") {
  const Tensor x = leaf({1, 2});
  const auto keep = [](const Tensor& g) { return g; };
  const auto mismatch = tw::function(
      "mismatch", [](const Tensor& t) { return t + tw::ones({3}, tw::DType::f64); }, keep);
  const std::string text = text_of<tw::ShapeError>([&] { mismatch(x); });
  CHECK(holds(text, "mismatch: in its forward: add: "));

  const auto foreign = tw::function(
      "foreign", [](const Tensor&) -> Tensor { throw std::out_of_range("far"); }, keep);
  CHECK(holds(text_of<tw::GraphError>([&] { foreign(x); }), "foreign: its forward threw an exception: far"));
  try {
    foreign(x);
  } catch (const std::exception& e) {
    CHECK_THROWS_AS(std::rethrow_if_nested(e), std::out_of_range);
  }
  const auto odd = tw::function(
      "odd", [](const Tensor&) -> Tensor { throw 7; }, keep);
  CHECK(holds(text_of<tw::GraphError>([&] { odd(x); }), "odd: its forward threw something"));

  const auto late = tw::function(
      "late", [](const Tensor& t) { return t * 1.0; },
      [](const Tensor&) -> Tensor { throw std::runtime_error("later"); });
  const Tensor y = late(x).sum();
  CHECK(holds(text_of<tw::GraphError>([&] { y.backward(); }), "late: its vjp threw an exception: later"));
  CHECK(!x.grad().defined());

  const auto memory = tw::function(
      "memory", [](const Tensor&) -> Tensor { throw std::bad_alloc(); }, keep);
  CHECK_THROWS_AS(memory(x), std::bad_alloc);
}

TEST_CASE(
    "a forward that returns nothing or writes to its argument is refused; so is an undefined argument") {
  const auto keep = [](const Tensor& g) { return g; };
  const Tensor x = leaf({1, 2});
  const auto nothing = tw::function(
      "nothing", [](const Tensor&) { return Tensor(); }, keep);
  CHECK(holds(text_of<tw::GraphError>([&] { nothing(x); }), "nothing: its forward returned nothing"));
  const auto writes = tw::function(
      "writes", [](const Tensor& t) { return Tensor(t).mul_(2.0); }, keep);
  CHECK(holds(text_of<tw::GraphError>([&] { writes(tw::from<double>({1})); }),
              "writes: its forward wrote to its argument"));
  CHECK(holds(text_of<tw::ValueError>([&] { cube()(Tensor()); }), "cube: undefined tensor: argument 1"));
}

TEST_CASE("a saved input overwritten before backward is caught") {
  const Tensor x = leaf({2});
  const Tensor k = tw::from<double>({3});
  const auto product = tw::function(
      "product", [](const Tensor& a, const Tensor& b) { return a * b; },
      [](const Tensor& g, const Tensor& a, const Tensor& b) {
        return std::array{g * b, g * a};
      });
  const Tensor y = product(x, k);
  Tensor(k).mutable_data<double>()[0] = 4;
  CHECK(holds(text_of<tw::VersionError>([&] { y.sum().backward(); }), "product"));
}

TEST_CASE("a function cannot be made of nothing") {
  const auto forward = [](std::span<const Tensor> in) { return in[0]; };
  const auto vjp = [](const Tensor& g, std::span<const Tensor>, const Tensor&) {
    return std::vector<Tensor>{g};
  };
  CHECK_THROWS_AS(tw::Function("", 1, forward, vjp), tw::ValueError);
  CHECK_THROWS_AS(tw::Function("f", 0, forward, vjp), tw::ValueError);
  CHECK_THROWS_AS(tw::Function("f", 17, forward, vjp), tw::ValueError);
  CHECK_THROWS_AS(tw::Function("f", 1, nullptr, vjp), tw::ValueError);
  CHECK_THROWS_AS(tw::Function("f", 1, forward, nullptr), tw::ValueError);
}

namespace {

void some_samples(tw::SampleList& s) {
  s.add({s.uniform({4}, -2, 2)});
  s.add({s.uniform({0, 3}, -2, 2)});
}

std::vector<Tensor> cube_reference(const std::vector<Tensor>& in, const void*) {
  Tensor y = tw::zeros(in[0].shape(), tw::DType::f64);
  tw::for_each_index(in[0].shape(),
                     [&](const tw::Dims& i) { tw::set_value(y, i, std::pow(tw::value_at(in[0], i), 3)); });
  return {y};
}

}  // namespace

TEST_CASE("a function is certified like any op; a wrong derivative and a wrong forward are caught") {
  using tw::check::Axis;
  using tw::check::Outcome;
  const tw::check::Options quick{.tier = tw::check::Tier::quick};
  const tw::Function good = cube();
  const tw::check::Report plain = tw::check::certify(good.describe({.samples = &some_samples}), quick);
  CAPTURE(plain.failures());
  CHECK(plain.ok());
  CHECK(plain[Axis::forward].outcome == Outcome::not_applicable);
  CHECK(plain[Axis::jacobian].outcome == Outcome::passed);
  CHECK(plain[Axis::second_order].outcome == Outcome::passed);
  CHECK(plain[Axis::errors].outcome == Outcome::passed);
  const tw::check::Report referred =
      tw::check::certify(good.describe({.samples = &some_samples, .reference = &cube_reference}), quick);
  CAPTURE(referred.failures());
  CHECK(referred.ok());
  CHECK(referred[Axis::forward].outcome == Outcome::passed);

  const tw::Function bad_vjp = tw::function(
      "bad_vjp", [](const Tensor& x) { return x * x * x; },
      [](const Tensor& g, const Tensor& x) { return 2.0 * g * x * x; });
  const tw::check::Report caught = tw::check::certify(bad_vjp.describe({.samples = &some_samples}), quick);
  CHECK(caught[Axis::jacobian].outcome == Outcome::failed);
  CHECK(holds(caught.failures(), "bad_vjp: jacobian"));
  const tw::Function bad_value = tw::function(
      "bad_value", [](const Tensor& x) { return x * x * x + 1.0; },
      [](const Tensor& g, const Tensor& x) { return 3.0 * g * x * x; });
  const tw::check::Report off =
      tw::check::certify(bad_value.describe({.samples = &some_samples, .reference = &cube_reference}), quick);
  CHECK(off[Axis::forward].outcome == Outcome::failed);
}

TEST_CASE("two threads use one function at once") {
  const auto f = cube();
  const Tensor x = leaf({2}), z = leaf({3});
  const auto work = [&f](const Tensor& t) {
    for (int i = 0; i < 200; ++i) f(t).sum().backward();
  };
  std::thread one(work, x), two(work, z);
  one.join();
  two.join();
  CHECK(at(x.grad()) == 200 * 12.0);
  CHECK(at(z.grad()) == 200 * 27.0);
}
