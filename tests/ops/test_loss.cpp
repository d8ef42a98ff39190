// Losses and dropout: agreement with their definitions, stability, what is ignored or limited, the draws
// dropout takes. Values, derivatives and bad arguments of each op are certified from its own samples.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

std::vector<double> numbers(const Tensor& t) {
  const Tensor d = t.to(DType::f64).contiguous();
  const std::span<const double> s = d.span<double>();
  return {s.begin(), s.end()};
}

double distance(const Tensor& a, const Tensor& b) { return max(abs(a - b)).item(); }

}  // namespace

TEST_CASE("cross-entropy of indices, of one-hot rows and by hand agree, with their gradients") {
  Generator gen(1);
  Tensor x = randn({6, 4}, gen, DType::f64), z = x.clone();
  x.set_requires_grad();
  z.set_requires_grad();
  const Tensor target = from<std::int64_t>({0, 3, 1, 2, 2, 0}, {6});
  Tensor rows = zeros({6, 4}, DType::f64);
  for (int i = 0; i < 6; ++i) rows.mutable_data<double>()[i * 4 + target.data<std::int64_t>()[i]] = 1;
  const Tensor a = cross_entropy(x, target), b = cross_entropy(z, rows);
  CHECK(a.item() == doctest::Approx(b.item()).epsilon(1e-14));
  CHECK(a.item() ==
        doctest::Approx(mean(-sum(rows * log_softmax(x.detach(), 1), {.dims = {1}})).item()).epsilon(1e-14));
  a.backward();
  b.backward();
  CHECK(distance(x.grad(), (softmax(x.detach(), 1) - rows) / 6) < 1e-15);
  CHECK(distance(x.grad(), z.grad()) < 1e-15);
  CHECK(nll_loss(log_softmax(x.detach(), 1), target).item() == doctest::Approx(a.item()).epsilon(1e-14));
}

TEST_CASE("cross-entropy stays exact where softmax saturates") {
  const Tensor x = from<float>({10000, 9990, -10000}, {1, 3});
  CHECK(cross_entropy(x, from<std::int64_t>({0}, {1})).item() ==
        doctest::Approx(std::log1p(std::exp(-10.0))).epsilon(1e-6));
  CHECK(cross_entropy(x, from<std::int64_t>({2}, {1})).item() == doctest::Approx(20000));
}

TEST_CASE("a class of probability 0 counts for nothing, even at a logit of -inf") {
  const float inf = std::numeric_limits<float>::infinity();
  Tensor x = from<float>({0, 0, -inf}, {1, 3});
  x.set_requires_grad();
  const Tensor loss = cross_entropy(x, from<float>({1, 0, 0}, {1, 3}));
  CHECK(loss.item() == doctest::Approx(std::log(2.0)));
  loss.backward();
  CHECK(numbers(x.grad()) == std::vector<double>{-0.5, 0.5, 0});
}

TEST_CASE(
    "ignored rows: exact zeros in the gradient, not counted in the mean; all ignored is NaN with gradient "
    "0") {
  Tensor x = from<double>({1, 2, 3, 4, 5, 9}, {2, 3});
  x.set_requires_grad();
  const Tensor loss = cross_entropy(x, from<std::int64_t>({-100, 2}, {2}));
  CHECK(loss.item() == doctest::Approx(cross_entropy(x.detach(), from<std::int64_t>({0, 2}, {2}),
                                                     {.reduction = Reduction::none})
                                           .data<double>()[1]));
  loss.backward();
  for (int i = 0; i < 3; ++i) CHECK(x.grad().data<double>()[i] == 0);
  x.zero_grad();
  for (const bool by_hand : {false, true}) {
    const Tensor nothing = from<std::int64_t>({-100, -100}, {2});
    const Tensor none = by_hand ? nll_loss(log_softmax(x, 1), nothing) : cross_entropy(x, nothing);
    CHECK(std::isnan(none.item()));
    none.backward();
    CHECK(numbers(x.grad()) == std::vector<double>(6, 0.0));
  }
}

TEST_CASE("nll_loss with every row ignored: the gradient's own gradient is 0 too, not NaN") {
  Tensor x = zeros({2, 3}, DType::f64), seed = scalar(1.0, DType::f64);
  x.set_requires_grad();
  seed.set_requires_grad();
  const Tensor loss = nll_loss(x, from<std::int64_t>({-100, -100}, {2}));
  const Tensor g = grad({loss}, {x}, {.grad_outputs = {seed}, .create_graph = true})[0];
  CHECK(grad({sum(g)}, {seed})[0].item() == 0);
}

TEST_CASE("a class out of range names its place, its value and the user's line") {
  const Tensor x = zeros({2, 3, 2});
  const Tensor target = from<std::int64_t>({0, 1, 7, 2}, {2, 2});
  CHECK_THROWS_WITH_AS(
      cross_entropy(x, target),
      doctest::Contains("cross_entropy: class out of range: target at [1,0] is 7, wanted 0 to 2"),
      IndexError);
  CHECK_THROWS_WITH_AS(cross_entropy(x, target), doctest::Contains("test_loss.cpp"), IndexError);
  CHECK_THROWS_WITH_AS(cross_entropy_of_probabilities(x + 0.3, target),
                       doctest::Contains("target at [1,0] is 7"), IndexError);
}

TEST_CASE(
    "cross-entropy of probabilities renormalises, limits to [1e-7, 1 - 1e-7], and has gradient 0 where "
    "limited") {
  Tensor p = from<double>({2, 2, 4, 0, 0, 1}, {2, 3});
  p.set_requires_grad();
  const Tensor loss =
      cross_entropy_of_probabilities(p, from<std::int64_t>({2, 0}, {2}), {.reduction = Reduction::none});
  CHECK(loss.data<double>()[0] == doctest::Approx(std::log(2.0)));
  CHECK(loss.data<double>()[1] == doctest::Approx(-std::log(1e-7)));
  loss.sum().backward();
  for (int i = 3; i < 6; ++i) CHECK(p.grad().data<double>()[i] == 0);
  CHECK(p.grad().data<double>()[2] == doctest::Approx(-0.125));
  Tensor sure = from<double>({0, 0, 3}, {1, 3});
  sure.set_requires_grad();
  const Tensor least = cross_entropy_of_probabilities(sure, from<std::int64_t>({2}, {1}));
  CHECK(least.item() == doctest::Approx(1e-7).epsilon(1e-6));
  CHECK(least.item() > 0.9e-7);
  least.backward();
  CHECK(numbers(sure.grad()) == std::vector<double>{0, 0, 0});
  const Tensor rows = from<double>({0, 0, 1, 1, 0, 0}, {2, 3});
  CHECK(distance(cross_entropy_of_probabilities(p.detach(), rows, {.reduction = Reduction::none}),
                 loss.detach()) < 1e-15);
}

TEST_CASE("losses of pairs: values, reductions, and no silent broadcasting") {
  const Tensor x = from<double>({1, 2, 4}, {3}), t = from<double>({1, 4, 1}, {3});
  CHECK(mse_loss(x, t).item() == doctest::Approx(13.0 / 3));
  CHECK(mse_loss(x, t, {.reduction = Reduction::sum}).item() == 13);
  CHECK(numbers(l1_loss(x, t, {.reduction = Reduction::none})) == std::vector<double>{0, 2, 3});
  CHECK_THROWS_WITH_AS(mse_loss(zeros({3}), zeros({3, 1})),
                       doctest::Contains("mse_loss: shapes differ: target is f32[3,1], wanted [3]"),
                       ShapeError);
  CHECK_THROWS_AS(bce_with_logits(zeros({3}), Tensor()), ValueError);
  CHECK_THROWS_AS(l1_loss(zeros({3}, DType::i64), zeros({3})), DTypeError);
}

TEST_CASE("kl_div: 0 where the target is 0, whatever the prediction") {
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor x = from<double>({-inf, std::log(0.5), std::log(0.5)}, {3}),
               t = from<double>({0, 0.5, 0.5}, {3});
  CHECK(kl_div(x, t, {.reduction = Reduction::sum}).item() == doctest::Approx(0));
}

TEST_CASE("binary cross-entropy on logits keeps its small values on both sides") {
  const Tensor x = from<double>({30, -30, 800, -800}, {4}), t = from<double>({1, 0, 0, 1}, {4});
  const std::vector<double> y = numbers(bce_with_logits(x, t, {.reduction = Reduction::none}));
  CHECK(y[0] == doctest::Approx(std::exp(-30.0)).epsilon(1e-10));
  CHECK(y[1] == doctest::Approx(std::exp(-30.0)).epsilon(1e-10));
  CHECK(y[2] == 800);
  CHECK(y[3] == 800);
}

TEST_CASE("dropout: scaled or dropped, one draw a call, backward with the same draw") {
  Generator gen(5);
  Tensor x = ones({1000});
  x.set_requires_grad();
  const Tensor y = dropout(x, 0.25, gen);
  CHECK(gen.state().offset == 1);
  std::int64_t kept = 0;
  for (float v : y.detach().span<float>()) {
    CHECK((v == 0 || v == doctest::Approx(1 / 0.75)));
    kept += v != 0;
  }
  CHECK(kept > 700);
  CHECK(kept < 800);
  y.sum().backward();
  CHECK(distance(x.grad(), y.detach()) == 0);
  CHECK(distance(dropout(x.detach(), 0.25, gen), y.detach()) > 0);  // another draw
  CHECK(sum(dropout(x.detach(), 1, gen)).item() == 0);
  CHECK(distance(dropout(x.detach(), 0, gen), x.detach()) == 0);
  CHECK(gen.state().offset == 4);
  CHECK_THROWS_WITH_AS(dropout(x, 1.5, gen), doctest::Contains("dropout: not a probability: p is 1.5"),
                       ValueError);
  CHECK(gen.state().offset == 4);  // a call that throws draws nothing
}
