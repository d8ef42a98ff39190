// Who owns the gradient that a caller hands to backward() or grad(): given up, it becomes the engine's own memory; held
// on to, it is neither changed nor shared.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include <thalweg/thalweg.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

Tensor leaf(tw::Dims shape) { return tw::ones(shape, tw::DType::f64).set_requires_grad(); }
double at(const Tensor& t, std::int64_t i = 0) { return t.contiguous().data<double>()[i]; }
const void* memory(const Tensor& t) { return t.data<double>(); }

Tensor counted(const tw::Dims& shape) {
  Tensor t = tw::empty(shape, tw::DType::f64);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data<double>()[i] = static_cast<double>(i + 1);
  return t;
}

/// Gives a fresh seed up to backward() of `y`; where its memory was.
const void* give_up(const Tensor& y) {
  Tensor seed = counted(y.shape());
  const void* where = memory(seed);
  std::vector<Tensor> given;
  given.push_back(std::move(seed));
  tw::backward(std::span<const Tensor>(&y, 1), std::move(given), false, tw::Loc::here());
  return where;
}

}  // namespace

TEST_CASE("a seed given up becomes the gradient of what only looks at its input") {
  Tensor x = leaf({4, 6});
  const auto stolen = [&](const Tensor& y) {
    const void* where = give_up(y);
    const Tensor g = x.grad();
    x.zero_grad();
    CHECK(g.shape() == x.shape());
    CHECK(at(g, 0) == 1.0);
    CHECK(at(g, 23) == 24.0);
    return memory(g) == where;
  };
  CHECK(stolen(tw::view(x, {24})));
  CHECK(stolen(tw::reshape(x, {2, 12})));
  CHECK(stolen(tw::flatten(x, 0, 1)));
  CHECK(stolen(tw::squeeze(tw::unsqueeze(x, 1))));
  CHECK(stolen(tw::clone(x)));
  CHECK(stolen(x + 1.0));
}

TEST_CASE("a seed given up is written over by the op that uses it last") {
  Tensor x = leaf({3});
  const void* where = give_up(tw::tanh(x));
  CHECK(memory(x.grad()) == where);
  CHECK(at(x.grad(), 2) == doctest::Approx(3 * (1 - std::tanh(1.0) * std::tanh(1.0))).epsilon(1e-14));
}

TEST_CASE("of two leaves that are due the same seed one gets its memory and the other a copy") {
  Tensor a = leaf({3}), b = leaf({3});
  const void* where = give_up(a + b);
  CHECK((memory(a.grad()) == where) != (memory(b.grad()) == where));
  Tensor ga = a.grad();
  ga.mul_(10.0);
  CHECK(at(a.grad(), 1) == 20.0);
  CHECK(at(b.grad(), 1) == 2.0);
}

TEST_CASE("the gradients of what was joined are parts of the seed, and each is its leaf's own") {
  Tensor a = leaf({2, 3}), b = leaf({3, 3});
  const auto* where = static_cast<const double*>(give_up(tw::cat({a, b}, 0)));
  CHECK(memory(a.grad()) == where);
  CHECK(memory(b.grad()) == where + 6);
  Tensor ga = a.grad();
  ga.fill_(-1.0);
  CHECK(at(b.grad(), 0) == 7.0);
  CHECK(at(b.grad(), 8) == 15.0);
  give_up(tw::cat({a, b}, 0));  // added to, and no longer parts of one block
  CHECK(at(a.grad(), 5) == 5.0);
  CHECK(at(b.grad(), 0) == 14.0);
  a.zero_grad();
  CHECK(at(b.grad(), 8) == 30.0);
}

TEST_CASE("a write to one gradient of what was joined leaves graphs that saved the other valid") {
  Tensor a = leaf({2, 3}), b = leaf({3, 3}), w = leaf({2, 3});
  const auto* where = static_cast<const double*>(give_up(tw::cat({a, b}, 0)));
  const Tensor loss = (w * a.grad()).sum();  // saves the gradient of a
  REQUIRE(memory(b.grad()) == where + 6);
  b.grad().fill_(-1.0);
  CHECK_NOTHROW(loss.backward());
  CHECK(at(w.grad(), 5) == 6.0);
  const Tensor again = (w * a.grad()).sum();
  a.grad().fill_(-1.0);
  CHECK_THROWS_AS(again.backward(), tw::VersionError);
}

TEST_CASE("a part outlives the other parts, takes what a second pass adds and gives the block back") {
  const std::int64_t before = tw::memory_stats().live_blocks;
  Tensor kept;
  {
    Tensor a = leaf({40, 300}), b = leaf({60, 300});
    const void* where = give_up(tw::cat({a, b}, 0));
    b.zero_grad();
    CHECK(at(a.grad(), 11999) == 12000.0);
    give_up(tw::cat({a, b}, 0));
    CHECK(memory(a.grad()) == where);  // added to in place
    CHECK(at(a.grad(), 11999) == 24000.0);
    CHECK(at(b.grad(), 0) == 12001.0);
    kept = a.grad();
  }
  CHECK(at(kept, 0) == 2.0);
  kept = Tensor();
  CHECK(tw::memory_stats().live_blocks == before);
}

TEST_CASE("parts that overlap, leave a gap or are held elsewhere are copied") {
  Tensor a = leaf({3}), b = leaf({3});
  const auto copied = [&](const Tensor& y) {
    const void* where = give_up(y);
    const bool shared = memory(a.grad()) == where;
    Tensor ga = a.grad();
    ga.fill_(-1.0);
    const double rest = b.grad().defined() ? at(b.grad(), 0) : 0;
    a.zero_grad(), b.zero_grad();
    CHECK(rest >= 0);
    return !shared;
  };
  Tensor constant = tw::ones({3}, tw::DType::f64);
  CHECK(copied(tw::cat({a, constant}, 0)));        // nobody's part
  CHECK(copied(tw::cat({a, constant, b}, 0)));     // nor this one's
  CHECK(copied(tw::cat({a, b, a}, 0)));            // summed
  CHECK(copied(tw::cat({a, b}, 0).reshape({3, 2}).t()));
  Tensor held;
  Tensor joined = tw::cat({a, b}, 0);
  joined.register_hook([&](const Tensor& g) {
    held = g;
    return Tensor();
  });
  CHECK(copied(joined));
  CHECK(at(held, 0) == 1.0);
}

TEST_CASE("of two leaves that see the same seed through views one gets a copy") {
  Tensor a = leaf({3}), b = leaf({3});
  give_up(tw::view(a, {1, 3}) + tw::view(b, {1, 3}));
  a.grad().fill_(-1.0);
  CHECK(at(b.grad(), 0) == 1.0);
  b.grad().fill_(5.0);
  CHECK(at(a.grad(), 2) == -1.0);
}

TEST_CASE("a second backward adds to what the first seed became") {
  Tensor x = leaf({3});
  const void* where = give_up(x + 1.0);
  give_up(x + 1.0);
  CHECK(memory(x.grad()) == where);
  CHECK(at(x.grad(), 2) == 6.0);
}

TEST_CASE("grad() with options given up uses their seed") {
  Tensor x = leaf({3});
  Tensor y = tw::tanh(x);
  Tensor seed = counted({3});
  const void* where = memory(seed);
  tw::GradOptions options;
  options.grad_outputs.push_back(std::move(seed));
  const Tensor g = tw::grad(y, x, std::move(options));
  CHECK(memory(g) == where);
}

TEST_CASE("a seed that the caller holds is neither changed nor shared") {
  Tensor x = leaf({4, 6});
  const auto untouched = [&](const auto& f) {
    Tensor seed = counted(f(x).shape());
    const auto check = [&](const Tensor& g) {
      REQUIRE(g.defined());
      Tensor written = g;
      written.fill_(-1.0);
      CHECK(at(seed, 0) == 1.0);
      CHECK(at(seed, seed.numel() - 1) == static_cast<double>(seed.numel()));
    };
    const auto through = [&](std::vector<Tensor> given) {
      const Tensor y = f(x);
      tw::backward(std::span<const Tensor>(&y, 1), std::move(given), false, tw::Loc::here());
      check(x.grad());
      x.zero_grad();
    };
    through({seed});
    through({tw::view(seed, seed.shape())});  // its memory through another handle
    through({seed.detach()});
    f(x).backward({.grad_output = &seed});
    check(x.grad());
    x.zero_grad();
    check(tw::grad(f(x), x, {.grad_outputs = {seed}}));
    check(tw::grad(f(x), x, {.grad_outputs = {tw::view(seed, seed.shape())}}));
  };
  untouched([](const Tensor& t) { return tw::view(t, {24}); });
  untouched([](const Tensor& t) { return tw::clone(t); });
  untouched([](const Tensor& t) { return tw::tanh(t); });
  untouched([](const Tensor& t) { return t + t; });
  untouched([](const Tensor& t) { return tw::transpose(t, 0, 1); });
  untouched([](const Tensor& t) { return tw::cat({t, t}, 0); });
}

TEST_CASE("a seed in somebody else's memory is not written over, given up or not") {
  Tensor x = leaf({3});
  double mine[3] = {1, 2, 3};
  std::vector<Tensor> given;
  given.push_back(tw::wrap(mine, {3}));
  const Tensor y = tw::tanh(x);
  tw::backward(std::span<const Tensor>(&y, 1), std::move(given), false, tw::Loc::here());
  x.grad().fill_(-1.0);
  CHECK(mine[1] == 2.0);
}

TEST_CASE("one seed named for two outputs serves both") {
  Tensor a = leaf({3}), b = leaf({3});
  const std::vector<Tensor> outputs{tw::tanh(a), tw::exp(b)};
  Tensor seed = counted({3});
  std::vector<Tensor> given{seed, seed};
  seed = Tensor();
  tw::backward(outputs, std::move(given), false, tw::Loc::here());
  CHECK(at(a.grad(), 2) == doctest::Approx(3 * (1 - std::tanh(1.0) * std::tanh(1.0))).epsilon(1e-14));
  CHECK(at(b.grad(), 2) == doctest::Approx(3 * std::exp(1.0)).epsilon(1e-14));
}

TEST_CASE("a hook keeps the seed it was shown as it was") {
  Tensor x = leaf({3});
  Tensor y = tw::tanh(x), kept;
  y.register_hook([&](const Tensor& g) {
    kept = g;
    return Tensor();
  });
  give_up(y);
  CHECK(at(kept, 2) == 3.0);
}
