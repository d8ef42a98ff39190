// evaluate, predict and Loss: the same numbers as by hand, whatever the batches; modes; errors.
// Depends on train and doctest.
#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <thalweg/thalweg.hpp>
#include <thalweg/train/train.hpp>

#include "small.hpp"

using namespace thalweg;
using small::complaint;
using small::says;

namespace {

data::Batch whole(const data::TensorDataset& data) {
  std::vector<std::int64_t> every(static_cast<std::size_t>(data.size()));
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::int64_t>(i);
  return data.batch(every);
}

/// A model that is no layer: any struct that is called with a tensor.
struct Double {
  bool training = true;
  int calls = 0;
  Tensor operator()(const Tensor& x) {
    ++calls;
    return 2 * x;
  }
};

}  // namespace

TEST_CASE("evaluate: the mean over examples, whatever the batches are") {
  const data::TensorDataset data = small::ring(23);
  nn::Sequential model = small::net();
  const auto matrix = std::make_shared<train::ConfusionMatrix>();
  const train::Logs one =
      train::evaluate(model, cross_entropy, data, {.batch_size = 23, .metrics = {train::Accuracy(), matrix}});
  CHECK(one.names() == "loss, accuracy");
  CHECK(matrix->value() == one.at("accuracy"));
  nn::eval(model);
  const data::Batch all = whole(data);
  CHECK(one.at("loss") == cross_entropy(model(all.x), all.y).item());
  nn::train(model);
  for (const std::int64_t n : {1, 5, 22, 100}) {
    const train::Logs parts =
        train::evaluate(model, cross_entropy, data, {.batch_size = n, .metrics = {train::Accuracy()}});
    CHECK(parts.at("loss") == doctest::Approx(one.at("loss")).epsilon(1e-6));
    CHECK(parts.at("accuracy") == one.at("accuracy"));
  }
}

TEST_CASE("predict: a row for each example, in their order") {
  const data::TensorDataset data = small::ring(23);
  Double model;
  const Tensor x = whole(data).x;
  for (const std::int64_t n : {1, 5, 23, 100}) {
    const Tensor y = train::predict(model, data, {.batch_size = n});
    CHECK(y.shape() == x.shape());
    CHECK((y == 2 * x).sum().item<std::int64_t>() == 46);
    CHECK_FALSE(y.requires_grad());
  }
  model.calls = 0;
  CHECK((train::predict(model, x, {.batch_size = 10}) == 2 * x).sum().item<std::int64_t>() == 46);
  CHECK(model.calls == 3);
  CHECK(model.training);
  const auto transposed = [](const Tensor& t) { return t.t().contiguous().t(); };
  CHECK((train::predict(transposed, x, {.batch_size = 7}) == x).sum().item<std::int64_t>() == 46);
}

TEST_CASE("evaluate, predict: modes and recording are as before, also after an exception") {
  const data::TensorDataset data = small::ring(8);
  Double model;
  std::string seen;
  const auto loss = [&](const Tensor& p, const Tensor&) {
    seen += model.training ? 't' : 'e';
    seen += grad_enabled() ? 'r' : '-';
    if (seen.size() > 2) throw std::runtime_error("as told");
    return p.mean();
  };
  train::evaluate(model, loss, data);
  CHECK(seen == "e-");
  CHECK(model.training);
  CHECK_THROWS_AS(train::evaluate(model, loss, data), std::runtime_error);
  CHECK(model.training);
  CHECK(grad_enabled());
  model.training = false;
  train::predict(model, data);
  CHECK_FALSE(model.training);
}

TEST_CASE("evaluate, predict: errors name what is wrong and the user's line") {
  const data::TensorDataset none(zeros({0, 2}), zeros({0}, DType::i64)), data = small::ring(8);
  nn::Sequential model = small::net();
  const auto e = [](auto f) { return complaint<Error>(f); };
  CHECK(says(e([&] { train::evaluate(model, cross_entropy, none); }),
             {"evaluate: ", "no examples", "test_evaluate.cpp"}));
  CHECK(says(e([&] { train::predict(model, none); }), {"predict: ", "no examples", "test_evaluate.cpp"}));
  CHECK(
      says(e([&] { train::evaluate(model, cross_entropy, data, {.batch_size = 0}); }), {"batch_size is 0"}));
  CHECK(says(e([&] { train::predict(model, data, {.batch_size = -1}); }), {"batch_size is -1"}));
  const auto total = [](const Tensor& x) { return x.sum(); };
  CHECK(says(e([&] { train::predict(total, data); }), {"predict: ", "f32[]", "8 rows"}));
  int calls = 0;
  const auto shrinking = [&](const Tensor& x) { return calls++ ? slice(x, 1, 0, 1) : x; };
  CHECK(says(e([&] { train::predict(shrinking, data, {.batch_size = 4}); }), {"f32[4,1]", "as in f32[8,2]"}));
  CHECK(says(e([&] { train::predict(model, zeros({3, 5})); }), {"f32[3,5]", "test_evaluate.cpp"}));
  CHECK(says(e([&] {
               train::evaluate(
                   model, [](const Tensor& p, const Tensor&) { return p; }, data);
             }),
             {"loss: ", "f32[8,2]", "one number"}));
}

TEST_CASE("Loss: of functions with options, functors, lambdas; weights per example") {
  const Tensor p = from({1.f, 2.f, 3.f, -1.f}, {2, 2}), t = from(std::vector<std::int64_t>{0, 1}, {2});
  const double plain = cross_entropy(p, t).item();
  CHECK(train::Loss(cross_entropy)(p, t).item() == plain);
  CHECK(train::Loss(cross_entropy, {.reduction = Reduction::sum})(p, t).item() == plain);
  CHECK(train::Loss(cross_entropy, {.label_smoothing = 0.1})(p, t).item() ==
        cross_entropy(p, t, CrossEntropyOptions{.label_smoothing = 0.1}).item());
  const train::Loss functor(nn::CrossEntropyLoss{.label_smoothing = 0.1});
  CHECK(functor.takes_reduction());
  CHECK(functor(p, t).item() == cross_entropy(p, t, CrossEntropyOptions{.label_smoothing = 0.1}).item());
  const train::Loss lambda([](const Tensor& x, const Tensor& y) { return cross_entropy(x, y); });
  CHECK_FALSE(lambda.takes_reduction());
  CHECK(lambda(p, t).item() == plain);
  const Tensor each = cross_entropy(p, t, CrossEntropyOptions{.reduction = Reduction::none});
  const Tensor w = from({2.f, 0.5f}, {2});
  CHECK(train::Loss(cross_entropy).weighted(p, t, w).item() == doctest::Approx((each * w).sum().item() / 2));
  // a loss of [2, 2]: a weight for each row
  const Tensor q = zeros({2, 2});
  CHECK(train::Loss(mse_loss).weighted(p, q, w).item() == doctest::Approx((2 * (1 + 4) + 0.5 * (9 + 1)) / 4));
  CHECK(says(complaint<ValueError>([&] { lambda.weighted(p, t, w); }), {"takes a Reduction"}));
  CHECK(says(complaint<ShapeError>([&] { train::Loss(cross_entropy).weighted(p, t, zeros({3})); }),
             {"f32[3]", "f32[2]"}));
  const train::Loss both =
      train::Loss(cross_entropy).with_penalty([] { return from({3.f}); }).with_penalty([] {
        return from({4.f});
      });
  CHECK(both(p, t).item() == doctest::Approx(plain + 7));
  CHECK(both.weighted(p, t, w).item() == doctest::Approx((each * w).sum().item() / 2 + 7));
  CHECK(says(complaint<ShapeError>([&] { lambda.with_penalty([] { return zeros({2}); })(p, t); }),
             {"penalty", "f32[2]"}));
}
