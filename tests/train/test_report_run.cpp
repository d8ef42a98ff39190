// What a report says of a run: history, predictions on examples, and the callback that writes it.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <unistd.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/data/dataset.hpp>
#include <thalweg/io/file.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/optim/sgd.hpp>
#include <thalweg/thalweg.hpp>
#include <thalweg/train/fit.hpp>
#include <thalweg/train/metrics.hpp>
#include <thalweg/train/report_run.hpp>

#include "train/markup.hpp"

namespace {

using namespace thalweg;
using namespace thalweg::train;

/// Gives each example its own pixels, flattened, as scores.
struct Echo {
  bool training = true;
  Tensor operator()(Arg x) const {
    CHECK_FALSE(training);
    return x.t.reshape({x.t.size(0), x.t.numel() / x.t.size(0)});
  }
};

/// Scores of three classes for each of five examples, as pictures [1, 1, 3].
data::DatasetRef examples(const Tensor& targets) {
  return data::TensorDataset(from({4.f, 0.f, 0.f,   // class 0
                                   0.f, 1.f, 0.f,   // class 1
                                   3.f, 0.f, 0.f,   // class 0, wrongly
                                   0.f, 0.f, 0.5f,  // class 2, wrongly
                                   0.f, 9.f, 0.f},  // class 1, wrongly
                                  {5, 1, 1, 3}),
                             targets);
}

Tensor labels(std::vector<std::int64_t> v) {
  return from(std::span<const std::int64_t>(v), {static_cast<std::int64_t>(v.size())});
}

}  // namespace

TEST_CASE("examples give the confusion matrix and the worst mistakes, worst first") {
  Echo model;
  RunReport r;
  add_examples(r, model, examples(labels({0, 1, 1, 0, 2})), {.classes = {"cat", "dog"}, .batch_size = 2});
  CHECK(model.training);
  CHECK(r.confusion.classes == std::vector<std::string>{"cat", "dog", "2"});
  CHECK(r.confusion.counts == std::vector<std::int64_t>{1, 0, 1, 1, 1, 0, 0, 1, 0});
  REQUIRE(r.mistakes.size() == 3);
  CHECK(r.mistakes[0].index == 4);
  CHECK(r.mistakes[1].index == 2);
  CHECK(r.mistakes[2].index == 3);
  const Mistake& m = r.mistakes[1];
  CHECK(m.given == "dog");
  CHECK(m.predicted == "cat");
  CHECK(m.probability == doctest::Approx(std::exp(3.0) / (std::exp(3.0) + 2)));
  CHECK(m.loss == doctest::Approx(std::log(std::exp(3.0) + 2)));
  CHECK(m.picture.channels == 1);
  CHECK(m.picture.width == 3);
  CHECK(m.picture.pixels == std::vector<std::uint8_t>{255, 0, 0});  // spread: 3 lies outside [0, 1]
  CHECK(r.mistakes[2].picture.pixels == std::vector<std::uint8_t>{0, 0, 128});

  add_examples(r, model, examples(labels({0, 1, 1, 0, 2})), {.worst = 1});
  CHECK(r.mistakes.size() == 1);
  CHECK(markup::Page(to_html(r)).error() == "");
}

TEST_CASE("targets and outputs of other forms") {
  Echo model;
  RunReport sparse, columns;
  add_examples(sparse, model, examples(labels({0, 1, -100, 0, 2}).to(DType::i32)));
  CHECK(sparse.confusion.counts == std::vector<std::int64_t>{1, 0, 1, 0, 1, 0, 0, 1, 0});  // one left out
  add_examples(
      columns, model,
      examples(from({1.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f, 1.f, 0.f, 1.f, 0.f, 0.f, 0.f, 0.f, 1.f}, {5, 3})));
  CHECK(columns.confusion.counts == std::vector<std::int64_t>{1, 0, 1, 1, 1, 0, 0, 1, 0});

  // One number an example: score of class 1, or its probability.
  const data::TensorDataset scores(from({-2.f, 0.25f, 3.f}, {3, 1}), labels({0, 0, 0}));
  RunReport r;
  add_examples(r, model, scores);
  CHECK(r.confusion.counts == std::vector<std::int64_t>{1, 2, 0, 0});
  CHECK(r.mistakes.empty());  // a single number is no picture
  add_examples(r, model, scores, {.image = Dims{1, 1, 1}});
  REQUIRE(r.mistakes.size() == 2);
  CHECK(r.mistakes[0].loss == doctest::Approx(std::log1p(std::exp(3.0))));
  const data::TensorDataset shares(from({0.2f, 0.75f}, {2, 1}), labels({0, 0}));
  add_examples(r, model, shares, {.probabilities = true, .image = Dims{1, 1, 1}});
  REQUIRE(r.mistakes.size() == 1);
  CHECK(r.mistakes[0].probability == doctest::Approx(0.75));
  CHECK(r.mistakes[0].loss == doctest::Approx(std::log(4.0)));
}

TEST_CASE("a score that is not a number is the worst mistake") {
  Echo model;
  const float bad = std::numeric_limits<float>::quiet_NaN();
  const data::TensorDataset data(from({0.f, 50.f, bad, 0.f}, {2, 1, 1, 2}), labels({0, 1}));
  RunReport r;
  add_examples(r, model, data);
  REQUIRE(r.mistakes.size() == 2);
  CHECK(r.mistakes[0].index == 1);
  CHECK(std::isnan(r.mistakes[0].loss));
  CHECK(markup::Page(to_html(r)).error() == "");
}

TEST_CASE("what is no classification is refused") {
  Echo model;
  RunReport r;
  CHECK_THROWS_AS(add_examples(r, model, examples(labels({0, 1, 3, 0, 2}))), IndexError);
  CHECK_THROWS_AS(add_examples(r, model, examples({})), ValueError);
  CHECK_THROWS_AS(add_examples(r, model, examples(zeros({5, 2}))), ShapeError);
  CHECK_THROWS_AS(add_examples(r, model, examples(labels({0, 1, 1, 0, 2})), {.worst = -1}), ValueError);
  CHECK_THROWS_AS(add_examples(r, model, data::TensorDataset(zeros({2, 3}, DType::i64), labels({0, 1}))),
                  DTypeError);
  CHECK(r.confusion.counts.empty());
}

TEST_CASE("fit writes a page with its callback") {
  const std::string path =
      std::filesystem::temp_directory_path() / ("run-" + std::to_string(getpid()) + ".html");
  Generator g(3);
  const Tensor x = rand({40, 3, 4, 4}, g);
  std::vector<std::int64_t> given;
  for (std::int64_t i = 0; i < 40; ++i) given.push_back(i * 7 % 4);
  const data::TensorDataset data(x, labels(given));
  nn::Sequential model(nn::Flatten{}, nn::Linear({.in = 48, .out = 4, .generator = &g}));
  optim::Sgd sgd(nn::parameters(model), {.lr = 0.01});
  const RunReport start{
      .title = "A run", .facts = {machine_fact()}, .model = nn::summary(model, {1, 3, 4, 4})};
  const History history = fit(model, sgd, cross_entropy, data,
                              {.epochs = 3,
                               .batch_size = 8,
                               .validation_split = 0.25,
                               .metrics = {Accuracy()},
                               .callbacks = {HtmlReport(path, {.page = start, .examples = data})},
                               .initial_epoch = 1,
                               .progress = false});
  const auto bytes = io::read_file(path, 1 << 22);
  std::filesystem::remove(path);
  const markup::Page page(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  CHECK(page.error() == "");
  CHECK(page.of("section").size() == 5);
  CHECK(page.of("figure", "chart").size() == 5);
  CHECK(page.of("table", "matrix").size() == 1);
  CHECK(!page.of("figure", "shot").empty());
  CHECK(page.of("h1").at(0)->text == "A run");
  const RunReport r = report_of(history);
  CHECK(r.first_epoch == 2);
  CHECK(r.series.size() == history.columns().size());
  CHECK(r.series.at(0).values == history.at("loss"));
  CHECK(r.seconds == history.seconds);
}

TEST_CASE("dates are in UTC") {
  CHECK(utc_text(0) == "1970-01-01 00:00 UTC");
  CHECK(utc_text(1795406400 + 5 * 60) == "2026-11-23 04:05 UTC");
}
