// Errors of a training name the line of the user's that made the thing or asked for the name, never one of
// the library. Depends on train and doctest.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>

#include <thalweg/thalweg.hpp>
#include <thalweg/train/train.hpp>

#include "io/files.hpp"
#include "small.hpp"

using namespace thalweg;
using small::complaint;

namespace {

/// Whether `f` throws an error that ends with `line` of this file.
void names_line(int line, const std::function<void()>& f) {
  const std::string text = complaint<Error>(f);
  CAPTURE(text);
  CHECK(text.ends_with("test_locations.cpp:" + std::to_string(line) + ")"));
}

void fit_with(train::FitOptions options) {
  nn::Sequential model = small::net();
  optim::Sgd sgd(nn::parameters(model));
  options.progress = false;
  train::fit(model, sgd, cross_entropy, small::ring(8), std::move(options));
}

}  // namespace

TEST_CASE("locations: a metric that does not fit names the line that made it") {
  const Tensor scores = zeros({4, 3}), short_target = zeros({5}, DType::i64), none;
  const auto refuses = [&](train::Metric& metric, int line) {
    CAPTURE(metric.name());
    names_line(line, [&] { metric.update(scores, short_target); });
    names_line(line, [&] { metric.update(scores, none); });
    names_line(line, [&] { metric.update(none, short_target); });
  };
  // clang-format off
  train::Accuracy accuracy; refuses(accuracy, __LINE__);
  train::TopK top(2); refuses(top, __LINE__);
  train::ConfusionMatrix confusion; refuses(confusion, __LINE__);
  train::Precision precision; refuses(precision, __LINE__);
  train::Recall recall({.average = train::Average::micro}); refuses(recall, __LINE__);
  train::F1 f1; refuses(f1, __LINE__);
  train::Mse mse; refuses(mse, __LINE__);
  train::Mae mae; refuses(mae, __LINE__);
  const Tensor classes = zeros({4}, DType::i64);
  names_line(__LINE__, [&] { train::Accuracy().update(scores, zeros({4})); });
  names_line(__LINE__, [&] { train::TopK().update(scores, zeros({4})); });
  names_line(__LINE__, [&] { train::TopK(1).update(scores.to(DType::i64), classes); });
  names_line(__LINE__, [&] { train::Accuracy().update(zeros({4, 0}), zeros({4}, DType::i64)); });
  names_line(__LINE__, [&] { train::ConfusionMatrix().update(scores, full({4}, 9, DType::i64)); });
  train::ConfusionMatrix other; const int line = __LINE__;
  other.update(scores, classes);
  names_line(line, [&] { other.update(zeros({4, 2}), classes); });
  train::F1 positive({.average = train::Average::binary, .positive = 3}); const int f1_line = __LINE__;
  positive.update(scores, classes);
  names_line(f1_line, [&] { static_cast<void>(positive.value()); });
  const train::MetricRef in_fit{train::Mse()}; const int mse_line = __LINE__;
  names_line(mse_line, [&] { fit_with({.metrics = {in_fit}}); });
  // clang-format on
}

TEST_CASE("locations: a callback that cannot work names the line that made it") {
  const test::TempDir dir;
  // clang-format off
  const train::CallbackRef stop{train::EarlyStopping({.monitor = "typo"})}; const int stop_line = __LINE__;
  const train::CallbackRef reduce{train::ReduceLROnPlateau({.monitor = "typo"})}; const int reduce_line = __LINE__;
  const train::CallbackRef best{train::ModelCheckpoint(dir / "x", {.monitor = "typo", .save_best_only = true})}; const int best_line = __LINE__;
  const train::CallbackRef typo{train::ModelCheckpoint(dir / "{typo}")}; const int typo_line = __LINE__;
  const train::CallbackRef nowhere{train::ModelCheckpoint(dir / "none/x")}; const int nowhere_line = __LINE__;
  const train::CallbackRef rate{train::LearningRateScheduler([](std::int64_t) { return -1.0; })}; const int rate_line = __LINE__;
  // clang-format on
  names_line(stop_line, [&] { fit_with({.callbacks = {stop}}); });
  names_line(reduce_line, [&] { fit_with({.callbacks = {reduce}}); });
  names_line(best_line, [&] { fit_with({.callbacks = {best}}); });
  names_line(typo_line, [&] { fit_with({.callbacks = {typo}}); });
  names_line(nowhere_line, [&] { fit_with({.callbacks = {nowhere}}); });
  names_line(rate_line, [&] { fit_with({.callbacks = {rate}}); });
  names_line(__LINE__, [] { train::EmaWeights({.decay = 2}); });
  names_line(__LINE__, [] { train::CallbackRef null{std::shared_ptr<train::EarlyStopping>()}; });
}

TEST_CASE("locations: a name that is not in a history names the line that asks for it") {
  const train::History history;
  const std::string name = "typo";
  names_line(__LINE__, [&] { static_cast<void>(history["typo"]); });
  names_line(__LINE__, [&] { static_cast<void>(history[name]); });
  names_line(__LINE__, [&] { static_cast<void>(history.at("typo")); });
  names_line(__LINE__, [&] { static_cast<void>(train::Logs().at("typo")); });
}
