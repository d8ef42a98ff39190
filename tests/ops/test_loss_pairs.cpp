// Losses of pairs with options, weighted classes, and the losses of nn: against their definitions, at their
// kinks, where they are limited. Depends on the public functions and nn.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include <thalweg/nn/nn.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

std::vector<double> numbers(const Tensor& t) {
  const Tensor d = t.to(DType::f64).contiguous();
  const std::span<const double> s = d.span<double>();
  return {s.begin(), s.end()};
}

/// The gradient of the sum of a loss in its prediction.
template <class F>
std::vector<double> slope(F loss, Tensor x) {
  x.set_requires_grad();
  return numbers(grad(sum(loss(x)), {x})[0]);
}

constexpr LossOptions each{.reduction = Reduction::none};

}  // namespace

TEST_CASE("huber and smooth L1: both branches, the seam, the limits") {
  const Tensor x = from({0.0, 0.5, 2.0, 3.0, -3.0}, {5}), t = zeros({5}, DType::f64);
  CHECK(numbers(huber_loss(x, t, {.reduction = Reduction::none, .delta = 2})) ==
        std::vector<double>{0, 0.125, 2, 4, 4});
  CHECK(numbers(smooth_l1_loss(x, t, {.reduction = Reduction::none, .beta = 2})) ==
        std::vector<double>{0, 0.0625, 1, 2, 2});
  CHECK(numbers(smooth_l1_loss(x, t, {.reduction = Reduction::none, .beta = 0})) == numbers(abs(x)));
  const auto huber = [&](const Tensor& at) { return huber_loss(at, t, {.delta = 2}) * 5; };
  CHECK(slope(huber, x) == std::vector<double>{0, 0.5, 2, 2, -2});
  CHECK(std::isnan(huber_loss(from({std::nan("")}, {1}), zeros({1}, DType::f64)).item()));
  CHECK_THROWS_WITH_AS(
      huber_loss(x, t, {.delta = 0}),
      doctest::Contains("huber_loss: option outside its domain: delta is 0, wanted a finite number above 0"),
      ValueError);
  CHECK_THROWS_AS(huber_loss(x, t, {.delta = HUGE_VAL}), ValueError);
  CHECK_THROWS_WITH_AS(smooth_l1_loss(x, t, {.beta = -1}), doctest::Contains("beta is -1"), ValueError);
  CHECK_THROWS_WITH_AS(smooth_l1_loss(x, zeros({1, 5}, DType::f64)),
                       doctest::Contains("smooth_l1_loss: shapes differ"), ShapeError);
}

TEST_CASE("binary cross-entropy of probabilities: logarithms limited to -100, or p to [clip, 1 - clip]") {
  const Tensor p = from({0.0, 1.0, 0.25, 0.0}, {4}), t = from({0.0, 1.0, 1.0, 1.0}, {4});
  const auto loss = [&](const Tensor& at) { return bce_loss(at, t, {.reduction = Reduction::none}); };
  CHECK(numbers(loss(p)) == std::vector<double>{0, 0, -std::log(0.25), 100});
  const std::vector<double> g = slope(loss, p);
  CHECK(g[0] == 0);
  CHECK(g[1] == 0);
  CHECK(g[2] == doctest::Approx(-4));
  CHECK(g[3] == doctest::Approx(-1e12));
  const auto clipped = [&](const Tensor& at) {
    return bce_loss(at, t, {.reduction = Reduction::none, .clip = 1e-7});
  };
  CHECK(numbers(clipped(p))[3] == doctest::Approx(-std::log(1e-7)));
  CHECK(numbers(clipped(p))[0] == doctest::Approx(1e-7));
  CHECK(slope(clipped, p)[3] == 0);
  CHECK(std::isnan(bce_loss(from({1.5}, {1}), from({1.0}, {1})).item()));
  CHECK(bce_loss(sigmoid(from({0.3, -2.0}, {2})), from({1.0, 0.0}, {2})).item() ==
        doctest::Approx(bce_with_logits(from({0.3, -2.0}, {2}), from({1.0, 0.0}, {2})).item()));
  CHECK_THROWS_WITH_AS(bce_loss(p, t, {.clip = 0.5}), doctest::Contains("bce_loss"), ValueError);
}

TEST_CASE("hinge: targets -1 and 1, or 0 and 1; -target at the hinge") {
  const Tensor x = from({0.5, 2.0, -0.5, 1.0}, {4}), t = from({1.0, 1.0, -1.0, 1.0}, {4});
  CHECK(numbers(hinge_loss(x, t, each)) == std::vector<double>{0.5, 0, 0.5, 0});
  CHECK(numbers(hinge_loss(x, from({1.0, 1.0, 0.0, 1.0}, {4}), each)) == std::vector<double>{0.5, 0, 0.5, 0});
  CHECK(slope([&](const Tensor& at) { return hinge_loss(at, t, each); }, x) ==
        std::vector<double>{-1, 0, 1, -1});
  CHECK_THROWS_WITH_AS(hinge_loss(x, zeros({3}, DType::f64)), doctest::Contains("hinge_loss: shapes differ"),
                       ShapeError);
}

TEST_CASE("divergences: per row, and of probabilities with both sides limited") {
  const Tensor p = from({0.25, 0.75, 0.5, 0.5}, {2, 2}), t = from({0.5, 0.5, 1.0, 0.0}, {2, 2});
  const double first = 0.5 * std::log(2.0) + 0.5 * std::log(0.5 / 0.75), second = std::log(2.0);
  CHECK(kl_div(log(p), t, {.per_row = true}).item() == doctest::Approx((first + second) / 2));
  CHECK(kl_div(log(p), t).item() == doctest::Approx((first + second) / 4));
  CHECK(kl_div(log(p), t, {.reduction = Reduction::sum, .per_row = true}).item() == doctest::Approx(first + second));
  const std::vector<double> own = numbers(kl_div(log(p), t, {.reduction = Reduction::none, .per_row = true}));
  REQUIRE(own.size() == 2);
  CHECK(own[0] == doctest::Approx(first));
  CHECK(own[1] == doctest::Approx(second));
  const std::vector<double> rows = numbers(kl_divergence(p, t, each));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0] == doctest::Approx(first));
  CHECK(rows[1] == doctest::Approx(second + 1e-7 * std::log(1e-7 / 0.5)));
  CHECK(kl_divergence(p, t).item() == doctest::Approx((rows[0] + rows[1]) / 2));
}

TEST_CASE("weighted classes: ignored rows weigh nothing, their gradient is 0 even where all are ignored") {
  const Tensor w = from({1.0, 2.0, 4.0}, {3});
  Tensor x = from({0.1, 0.2, 0.3, 1.0, -1.0, 0.5}, {2, 3});
  const Tensor target = from<std::int64_t>({-100, 2}, {2}), none = from<std::int64_t>({-100, -100}, {2});
  const std::vector<double> single = numbers(cross_entropy(x, target, {.reduction = Reduction::none}));
  CHECK(cross_entropy(x, target, w, {.reduction = Reduction::sum}).item() == doctest::Approx(4 * single[1]));
  CHECK(cross_entropy(x, target, w).item() == doctest::Approx(single[1]));  // 4 l / 4
  for (const double smoothing : {0.0, 0.2}) {
    const auto loss = [&](const Tensor& at) {
      return cross_entropy(at, none, w, {.label_smoothing = smoothing});
    };
    CHECK(std::isnan(loss(x).item()));
    CHECK(slope(loss, x) == std::vector<double>(6, 0.0));
  }
  const auto likely = [&](const Tensor& at) { return nll_loss(at, none, w); };
  CHECK(std::isnan(likely(x).item()));
  CHECK(slope(likely, x) == std::vector<double>(6, 0.0));
}

TEST_CASE("weighted classes: weights far from 1, and classes that weigh nothing") {
  const Tensor rows = from<std::int64_t>({0, 1}, {2});
  for (const double weight : {1e-35, 1e35}) {
    const Tensor w = full({2}, weight, DType::f32);
    Tensor x = from<float>({1, 2, 3, 1}, {2, 2});
    const auto plain = [&](const Tensor& at) { return cross_entropy(at, rows) * 1e4; };
    const auto weighed = [&](const Tensor& at) { return cross_entropy(at, rows, w) * 1e4; };
    const auto wanted = slope(plain, x), got = slope(weighed, x);
    for (std::size_t i = 0; i < 4; ++i) CHECK(got[i] == doctest::Approx(wanted[i]).epsilon(1e-5));
    const auto likely = slope([&](const Tensor& at) { return nll_loss(at, rows, w) * 1e4; }, x);
    CHECK(likely == slope([&](const Tensor& at) { return nll_loss(at, rows) * 1e4; }, x));
  }
  const Tensor impossible = from<float>({0, -std::numeric_limits<float>::infinity()}, {1, 2});
  const Tensor one = from<std::int64_t>({1}, {1}), none = from<float>({1, 0}, {2});
  CHECK(cross_entropy(impossible, one, none, {.reduction = Reduction::sum}).item() == 0);
  CHECK(cross_entropy(impossible, from<std::int64_t>({0}, {1}), none, {.label_smoothing = 0.5}).item() == 0);
}

TEST_CASE("class indices may be bytes, as image files have them") {
  Generator gen(3);
  const Tensor x = randn({4, 3}, gen), t = from<std::int64_t>({0, 2, 1, 2}, {4}),
               w = from<float>({1, 2, 3}, {3});
  CHECK(cross_entropy(x, t.to(DType::u8)).item() == cross_entropy(x, t).item());
  CHECK(nll_loss(x, t.to(DType::u8)).item() == nll_loss(x, t).item());
  CHECK(cross_entropy(x, t.to(DType::u8), w).item() == cross_entropy(x, t, w).item());
}

TEST_CASE("nn: losses are the functions with their options, and take a reduction at the call") {
  Generator gen(4);
  const Tensor x = randn({4, 3}, gen, DType::f64), y = randn({4, 3}, gen, DType::f64);
  const Tensor c = from<std::int64_t>({0, 2, 1, 2}, {4}), p = softmax(x), q = softmax(y);
  const Tensor w = from({1.0, 2.0, 3.0}, {3}), signs = sign(y);
  const Reduction none = Reduction::none, total = Reduction::sum;
  const auto same = [&](const auto& loss, const Tensor& a, const Tensor& b, const Tensor& mean,
                        const Tensor& rows) {
    CHECK(loss(a, b).item() == mean.item());
    CHECK(numbers(loss(a, b, none)) == numbers(rows));
    auto summed = loss;
    summed.reduction = total;
    CHECK(summed(a, b).item() == loss(a, b, total).item());
    CHECK(summed(a, b).item() == doctest::Approx(sum(rows).item()).epsilon(1e-12));
  };
  same(nn::MseLoss{}, x, y, mse_loss(x, y), mse_loss(x, y, each));
  same(nn::L1Loss{}, x, y, l1_loss(x, y), l1_loss(x, y, each));
  same(nn::HuberLoss{.delta = 0.3}, x, y, huber_loss(x, y, {.delta = 0.3}), huber_loss(x, y, {none, 0.3}));
  same(nn::SmoothL1Loss{.beta = 0.3}, x, y, smooth_l1_loss(x, y, {.beta = 0.3}),
       smooth_l1_loss(x, y, {none, 0.3}));
  same(nn::CrossEntropyLoss{.label_smoothing = 0.1}, x, c, cross_entropy(x, c, {.label_smoothing = 0.1}),
       cross_entropy(x, c, {none, 0.1}));
  same(nn::CrossEntropyLoss{}, x, q, cross_entropy(x, q), cross_entropy(x, q, {none}));
  same(nn::CrossEntropyLoss{.weight = w, .ignore_index = 1}, x, c,
       cross_entropy(x, c, w, {.ignore_index = 1}), cross_entropy(x, c, w, {none, 0, 1}));
  same(nn::ProbabilityCrossEntropyLoss{}, p, c, cross_entropy_of_probabilities(p, c),
       cross_entropy_of_probabilities(p, c, {none}));
  same(nn::NllLoss{.weight = w}, log(p), c, nll_loss(log(p), c, w), nll_loss(log(p), c, w, {none}));
  same(nn::NllLoss{.ignore_index = 2}, x, c, nll_loss(x, c, {.ignore_index = 2}), nll_loss(x, c, {none, 2}));
  same(nn::BceLoss{.clip = 1e-7}, p, q, bce_loss(p, q, {.clip = 1e-7}), bce_loss(p, q, {none, 1e-7}));
  same(nn::BceWithLogitsLoss{}, x, q, bce_with_logits(x, q), bce_with_logits(x, q, each));
  same(nn::KlDivLoss{.per_row = true}, log(p), q, kl_div(log(p), q, {.per_row = true}),
       kl_div(log(p), q, {none, true}));
  same(nn::KlDivergenceLoss{}, p, q, kl_divergence(p, q), kl_divergence(p, q, each));
  same(nn::HingeLoss{}, x, signs, hinge_loss(x, signs), hinge_loss(x, signs, each));
}
