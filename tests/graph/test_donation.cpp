// The operand that a caller gives up: a pointwise op may write its result over it, and nobody may be able to tell but
// by the memory that is saved.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/op.hpp>
#include <thalweg/thalweg.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

const void* memory(const Tensor& t) { return t.get()->data; }
double at(const Tensor& t, std::int64_t i = 0) { return t.to(tw::DType::f64).contiguous().data<double>()[i]; }
Tensor numbers() { return tw::from<double>({1, 2, 3, 4, 5, 6}, {2, 3}); }
Tensor leaf() { return numbers().set_requires_grad(); }

/// Gives t to f; whether f's result lies in t's memory. What is not taken must be whole, what is taken gone.
template <class F>
bool taken(Tensor t, F f) {
  const void* where = memory(t);
  const Tensor values = t.detach().clone();
  const bool wants = t.requires_grad();
  const Tensor y = f(std::move(t));
  if (memory(y) == where) {
    CHECK_FALSE(t.defined());
    return true;
  }
  REQUIRE(t.defined());
  CHECK(t.requires_grad() == wants);
  CHECK(at((t == values).to(tw::DType::f64).sum()) == static_cast<double>(values.numel()));
  return false;
}

/// Memory that f takes at its highest, in MiB.
template <class F>
double peak_mib(F f) {
  const auto before = tw::memory_stats().live_bytes;
  tw::reset_peak_memory();
  f();
  return static_cast<double>(tw::memory_stats().peak_bytes - before) / (1 << 20);
}

Tensor swish(tw::Arg x) { return x * tw::sigmoid(x); }
Tensor twice_relu(tw::Arg x) {
  const Tensor y = tw::relu(x);
  return y + x;
}

struct Halve {
  struct Attrs {
    double by = 2;
  };
  static constexpr tw::Row row{.name = "halve", .formula = "y = x / by"};
  template <class V> static V f(V x, const Attrs& t) { return x / t.by; }
  template <class V> static V gf(V g, const Attrs& t) { return g / t.by; }
  static double ref(double x, const Attrs& t) { return x / t.by; }
};

}  // namespace

TEST_CASE("a chain of temporaries takes the memory of one tensor") {
  const Tensor x = tw::ones({1 << 18});  // 1 MiB
  Tensor w = tw::ones({1 << 18}).set_requires_grad();
  Tensor y;
  const auto chain = [&](const Tensor& t) { return peak_mib([&] { y = tw::exp(t * 2.0 + 1.0); }); };
  CHECK(chain(x) < 1.5);
  CHECK(at(y, 7) == doctest::Approx(std::exp(3.0)).epsilon(1e-6));
  y = Tensor();
  CHECK(chain(w) < 1.5);  // recorded, and nothing but exp's own result is saved
  y.sum().backward();
  CHECK(at(w.grad(), 7) == doctest::Approx(2 * std::exp(3.0)).epsilon(1e-6));
  y = Tensor();
  w.zero_grad();
  const tw::NoGrad off;
  CHECK(chain(w) < 1.5);
}

TEST_CASE("an operand given up becomes the result where nothing else holds it") {
  CHECK(taken(numbers(), [](Tensor&& t) { return tw::exp(std::move(t)); }));
  CHECK(taken(numbers(), [](Tensor&& t) { return tw::clamp(std::move(t), 2, 3); }));
  CHECK(taken(numbers(), [](Tensor&& t) { return 2.0 - std::move(t); }));
  CHECK(taken(numbers(), [](Tensor&& t) { return numbers() / std::move(t); }) == false);  // the other came first
  CHECK(taken(numbers(), [](Tensor&& t) { return tw::where(numbers() > 2.0, std::move(t), 0.0); }));
  CHECK(taken(numbers() > 2.0, [](Tensor&& t) { return tw::logical_not(std::move(t)); }));
  CHECK(taken(tw::arange(5).to(tw::DType::i32), [](Tensor&& t) { return std::move(t) + 1; }));
  CHECK(taken(numbers(), [](Tensor&& t) { return std::move(t) + tw::from<double>({10, 20, 30}); }));
  CHECK(taken(leaf() + 1.0, [](Tensor&& t) { return tw::relu(std::move(t)); }));
}

TEST_CASE("a user's op takes what it is given as the library's do") {
  CHECK(taken(leaf() + 0.0, [](Tensor&& t) { return tw::apply<Halve>(std::move(t)); }));
  CHECK(taken(numbers(), [](Tensor&& t) { return tw::apply<Halve>({.by = 4}, std::move(t)); }));
  CHECK_FALSE(taken(numbers(), [](Tensor&& t) { return tw::apply<Halve>(t); }));
}

TEST_CASE("an operand that looks different from the result is left whole") {
  CHECK_FALSE(taken(tw::from<double>({1, 2, 3}), [](Tensor&& t) { return std::move(t) + numbers(); }));
  CHECK_FALSE(taken(numbers().to(tw::DType::f32), [](Tensor&& t) { return std::move(t) + numbers(); }));
  CHECK_FALSE(taken(tw::arange(5), [](Tensor&& t) { return tw::exp(std::move(t)); }));
  CHECK_FALSE(taken(numbers(), [](Tensor&& t) { return std::move(t) > 2.0; }));
  CHECK_FALSE(taken(tw::ones({4, 4}).t(), [](Tensor&& t) { return tw::exp(std::move(t)); }));
}

TEST_CASE("an operand that something else holds is left whole") {
  const auto relu = [](Tensor&& t) { return tw::relu(std::move(t)); };
  Tensor t = numbers();
  CHECK_FALSE(taken(t, relu));                            // another handle
  CHECK_FALSE(taken(t.detach(), relu));                   // the same memory under another body
  CHECK_FALSE(taken(tw::view(t, {6}), relu));             // a view of what lives
  CHECK_FALSE(taken(leaf(), relu));                       // a leaf that wants a gradient
  CHECK_FALSE(taken(tw::exp(leaf()), relu));              // the graph, as the result that exp saves
  CHECK(at(t, 5) == 6.0);

  double mine[3] = {-1, 2, -3};
  CHECK_FALSE(taken(tw::wrap(mine, {3}), relu));
  CHECK(mine[0] == -1);
}

TEST_CASE("a view of memory that it alone holds is left whole: its strides are not a result's") {
  const auto relu = [](Tensor&& t) { return tw::relu(std::move(t)); };
  Tensor row = tw::ones({1, 4}).t();  // its base is gone
  CHECK_FALSE(taken(std::move(row), relu));
  Tensor part = tw::slice(numbers(), 0, 0, 1);
  CHECK_FALSE(taken(std::move(part), relu));
}

TEST_CASE("an operand that the derivative needs is left whole") {
  Tensor w = leaf();
  CHECK_FALSE(taken(numbers(), [&](Tensor&& t) { return std::move(t) * w; }));  // w's gradient is t
  CHECK(taken(numbers(), [&](Tensor&& t) { return std::move(t) + w; }));
  CHECK_FALSE(taken(w * 1.0, [](Tensor&& t) { return tw::square(std::move(t)); }));
  Tensor y = (numbers() * w) * w;
  y.sum().backward();
  CHECK(at(w.grad(), 2) == 2 * 3 * 3.0);
  const tw::NoGrad off;
  CHECK(taken(numbers(), [&](Tensor&& t) { return std::move(t) * w; }));
}

TEST_CASE("an operand that comes twice in a call is left whole") {
  Tensor t = numbers();
  const Tensor sum = tw::add(std::move(t), std::move(t));
  REQUIRE(t.defined());
  CHECK(at(t, 1) == 2.0);
  CHECK(at(sum, 1) == 4.0);
  const Tensor product = tw::mul(std::move(t), t);
  REQUIRE(t.defined());
  CHECK(memory(product) != memory(t));
  Tensor u = numbers();
  const Tensor both = tw::add(std::move(t), std::move(u));  // of two, one
  CHECK(t.defined() != u.defined());
  CHECK(at(both, 5) == 12.0);
}

TEST_CASE("a call that throws leaves what it was given whole") {
  Tensor t = numbers();
  CHECK_THROWS_AS(tw::add(std::move(t), tw::ones({7})), tw::ShapeError);
  CHECK_THROWS_AS(tw::clamp(std::move(t), 2, 1), tw::ValueError);
  CHECK_THROWS_AS(tw::mul(std::move(t), Tensor()), tw::ValueError);
  REQUIRE(t.defined());
  CHECK(at(t, 5) == 6.0);
  Tensor a = leaf() + 0.0;
  const Tensor beside = a.detach();
  beside.get()->storage->bump("a test", {});
  const void* where = memory(a);
  CHECK_THROWS_AS(tw::relu(std::move(a)), tw::VersionError);
  REQUIRE(a.defined());
  CHECK(memory(a) == where);
}

TEST_CASE("an argument used twice by a function is given up by neither use") {
  const Tensor x = numbers();
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  CHECK(at(swish(x * 2.0), 5) == doctest::Approx(12 * sigmoid(12)).epsilon(1e-12));
  CHECK(at(twice_relu(x * 2.0), 5) == 24.0);
  CHECK(taken(numbers(), [](Tensor&& t) { return swish(std::move(t)); }) == false);
}

TEST_CASE("hooks, retained gradients and the tape know a tensor that was written over") {
  Tensor a = leaf();
  Tensor t = a * 3.0;
  double seen = 0;
  t.register_hook([&](const Tensor& g) {
    seen = at(g, 4);
    return g * 10.0;
  });
  t.retain_grad();
  const void* where = memory(t);
  Tensor y = std::move(t) + 1.0;
  CHECK(memory(y) == where);
  y.retain_grad();
  (y * 2.0).sum().backward();
  CHECK(seen == 2.0);
  CHECK(at(y.grad(), 4) == 2.0);
  CHECK(at(a.grad(), 4) == 60.0);
}

TEST_CASE("without recording the result has no history") {
  Tensor a = leaf();
  Tensor t = a * 3.0;
  const std::int64_t nodes = tw::live_nodes();
  const void* where = memory(t);
  const tw::NoGrad off;
  const Tensor y = std::move(t) + 1.0;
  CHECK(memory(y) == where);
  CHECK_FALSE(y.requires_grad());
  CHECK(tw::live_nodes() == nodes - 1);
  const Tensor whole = tw::sign(a * 1.0);
  CHECK_FALSE(whole.requires_grad());
}

TEST_CASE("a result over what was a later output of its op has one output, its own") {
  Tensor x = leaf();
  tw::BatchNormResult r = tw::batch_norm(x);
  r.y.sum().backward();  // which lets the saved mean go
  const void* where = memory(r.mean);
  Tensor t;
  {
    const tw::NoGrad off;
    t = -std::move(r.mean);
  }
  CHECK(memory(t) == where);
  t.set_requires_grad();
  (t * 2.0).sum().backward();
  CHECK(at(t.grad()) == 2.0);
}

TEST_CASE("temporaries and named tensors give the same bits, and the same gradients of gradients") {
  Tensor a = leaf(), b = leaf();
  const auto chained = [](const Tensor& x) { return tw::tanh((2.0 - tw::exp(x * 0.25 - 1.0)) * x + x) / x; };
  const auto named = [](const Tensor& x) {
    const Tensor q = x * 0.25, r = q - 1.0, e = tw::exp(r), m = 2.0 - e, p = m * x, s = p + x, h = tw::tanh(s);
    return h / x;
  };
  const auto all = [](const Tensor& y, const Tensor& x) {
    const Tensor g = tw::grad(y.sum(), x, {.create_graph = true});
    const Tensor gg = tw::grad((g * g).sum(), x, {.create_graph = true});
    return std::vector<Tensor>{y, g, gg, tw::grad(gg.sum(), x)};
  };
  const std::vector<Tensor> one = all(chained(a), a), other = all(named(b), b);
  for (std::size_t k = 0; k < one.size(); ++k)
    for (std::int64_t i = 0; i < 6; ++i) CHECK(at(one[k], i) == at(other[k], i));
}

TEST_CASE("a handle on another thread keeps its tensor") {
  for (int round = 0; round < 50; ++round) {
    Tensor t = tw::ones({2048});
    std::atomic<bool> go{false};
    std::atomic<int> wrong{0};
    std::thread reader([mine = t, &go, &wrong]() mutable {
      go = true;
      for (std::int64_t i = 0; i < mine.numel(); ++i) wrong += mine.data<float>()[i] != 1.0f;
      mine = Tensor();
    });
    while (!go) {
    }
    const Tensor y = tw::neg(std::move(t));
    reader.join();
    CHECK(wrong == 0);
    CHECK(at(y, 2047) == -1.0);
  }
}

TEST_CASE("who watches the ops sees whole operands") {
  struct Watcher : tw::ApplyHook {
    void apply(const tw::OpDef& op, const Tensor* in, int n, const void* attrs, tw::Loc loc, Tensor* out) override {
      tw::apply_unhooked(op, in, n, attrs, loc, out);
      kept = in[0];
    }
    Tensor kept;
  } watcher;
  tw::thread_state.apply_hook = &watcher;
  Tensor t = numbers();
  const Tensor y = tw::neg(std::move(t));
  tw::thread_state.apply_hook = nullptr;
  REQUIRE(t.defined());
  CHECK(at(watcher.kept, 5) == 6.0);
  CHECK(at(y, 5) == -6.0);
}
