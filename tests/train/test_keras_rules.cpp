// EarlyStopping and ReduceLROnPlateau on recorded sequences of val_loss, against Keras' rules. The rows come
// from keras_rules.py beside this file, which states those rules independently. Depends on train and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/nn/linear.hpp>
#include <thalweg/nn/module.hpp>
#include <thalweg/optim/sgd.hpp>
#include <thalweg/train/callbacks.hpp>

using namespace thalweg;
using train::Mode;

namespace {

constexpr double NaN = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr std::optional<double> none = std::nullopt;

struct EarlyRow {
  std::vector<double> values;
  std::int64_t patience;
  double min_delta;
  std::int64_t start_from_epoch;
  std::optional<double> baseline;
  Mode mode;
  std::int64_t stopped, best;
};

struct PlateauRow {
  std::vector<double> values;
  double factor;
  std::int64_t patience;
  double min_delta;
  std::int64_t cooldown;
  double min_lr;
  Mode mode;
  std::vector<double> rates;
};

// clang-format off
const std::vector<EarlyRow> early_rows = {
{{NaN, NaN, 1.0},
 0, 0, 0, none, Mode::min, 1, 0},
{{NaN, NaN, NaN, NaN, NaN, NaN},
 2, 0, 2, none, Mode::min, 3, 2},
{{1.9, 1.5, 1.7, 1.3, 0.9, 0.9, 1.1, 1.1, 1.15, 1.05, 1.15, 1.15, 1.05, 0.95},
 2, 0.05, 2, none, Mode::min, 6, 4},
{{2.2, 1.8, 1.7, 1.6, inf, 1.2, 1.2, 1.3, 1.35, 1.45, 1.55, 1.45, 1.55, 1.45},
 0, 0, 5, none, Mode::min, 6, 5},
{{1.9, 1.5, inf, 1.6, 1.8, 1.4, 1.3, 1.4, 1.3, 1.2, 1.25, 1.3, 1.2, 1.1},
 4, 0, 2, none, Mode::min, -1, 13},
{{-2.1, -2.2, -2.1, -2.0, -1.9, -1.8, -1.9, -1.9, -1.95, -1.85, -1.9, -1.95, NaN, -1.95},
 2, 0.1, 5, none, Mode::max, 7, 5},
{{1.6, 1.5, 1.1, 1.3, 1.5, 1.5, 1.4, NaN, 1.3, 1.4, 1.3, 1.35, NaN, 1.55},
 4, 0.1, 5, 1.2, Mode::min, 9, 8},
{{1.6, 1.7, 1.8, 1.7, 1.7, NaN, 1.5, NaN, 1.65, 1.65, 1.55, 1.6, inf, 1.7},
 3, 0.1, 2, 1.2, Mode::min, 4, 2},
{{2.2, 1.8, 1.8, 1.7, 1.6, 1.6, 1.6, 1.6, 1.5, 1.4, 1.45, 1.5, 1.5, 1.5},
 0, 0, 0, 1.2, Mode::min, 2, 1},
{{-2.0, -2.0, -2.0, -1.9, -1.5, -inf, -1.8, -1.7, -1.7, -1.75, -1.85, -1.85, -1.95, -1.95},
 2, 0, 0, -1.7, Mode::max, 1, 0},
{{2.1, 2.1, 1.7, 1.6, 1.5, 1.6, 1.2, 1.2, 1.2, 1.25, inf, 1.25, 1.25, 1.25},
 4, 0, 0, 1.2, Mode::min, 5, 4},
{{2.1, 1.7, 1.9, 2.0, 1.6, 1.5, 1.1, 1.15, 1.2, 1.1, 1.2, 1.2, 1.2, 1.3},
 0, 0.05, 0, 1.2, Mode::min, 2, 1},
{{2.0, 2.0, 2.1, 1.7, NaN, 1.6, 1.2, 1.3, 1.2, 1.2, 1.3, 1.4, 1.45, 1.55},
 4, 0, 0, 1.2, Mode::min, 4, 3},
{{-1.9, -1.8, -1.4, -1.3, -1.5, -1.6, -1.8, -1.8, NaN, -1.8, -1.8, -1.85, -1.9, -1.9},
 2, 0.1, 0, none, Mode::max, 4, 2},
{{1.6, 1.8, 1.8, 1.8, 1.4, 1.0, 1.0, 1.1, NaN, inf, 1.15, 1.2, 1.3, inf},
 0, 0.05, 0, none, Mode::min, 1, 0},
{{1.6, 1.2, 0.8, 0.4, 0.0, -0.4, -0.5, -0.45, -0.55, -0.65, -0.65, -0.6, -0.5, -0.6},
 3, 0, 0, none, Mode::min, 12, 9},
{{2.2, 2.1, 2.3, 2.2, inf, 2.4, 2.6, 2.65, 2.55, 2.45, 2.45, 2.45, NaN, 2.5},
 0, 0, 0, none, Mode::min, 2, 1},
{{-1.6, -1.8, -1.4, -1.3, -1.3, -1.3, -0.9, -0.9, -0.9, -1.0, -1.05, -1.15, -1.05, -1.15},
 4, 0, 5, -1.2, Mode::max, 10, 6},
{{1.6, NaN, 1.3, 0.9, 1.0, 1.2, 1.2, 1.25, 1.25, NaN, 1.35, 1.4, 1.45, 1.35},
 3, 0, 2, none, Mode::min, 6, 3},
{{1.6, NaN, 1.1, 0.7, 0.7, 0.8, 0.7, 0.8, 0.85, 0.85, 0.9, 1.0, 1.1, 1.1},
 4, 0, 2, none, Mode::min, 7, 3},
{{2.2, NaN, 2.1, 2.2, 2.1, 2.1, 2.3, 2.2, 2.2, 2.3, 2.3, 2.2, 2.2, 2.1},
 3, 0.1, 5, 1.7, Mode::min, 7, 5},
{{-1.9, -2.1, -2.2, -2.4, -2.6, -inf, -2.7, -2.75, -2.65, -2.7, NaN, NaN, -2.65, -2.7},
 3, 0, 0, none, Mode::max, 3, 0},
{{1.9, 2.1, 2.2, 1.8, 1.9, 1.5, 1.6, 1.5, 1.6, 1.6, 1.7, 1.7, 1.7, 1.75},
 4, 0.05, 0, none, Mode::min, 9, 5},
{{2.1, inf, 2.5, 2.7, 2.9, 2.8, 3.0, 3.0, 3.1, 3.2, 3.1, 3.1, 3.1, 3.1},
 2, 0.05, 2, none, Mode::min, 4, 2},
{{2.1, 2.1, 2.0, 1.6, 1.7, 1.8, 2.0, 2.05, 2.1, 2.15, 2.25, 2.15, 2.05, 2.15},
 2, 0.1, 0, 1.7, Mode::min, 1, 0},
{{-1.6, -1.2, -1.2, -0.8, -0.8, -0.4, -0.4, -0.3, NaN, -0.4, -0.4, -0.4, -0.3, -0.2},
 1, 0, 0, -1.2, Mode::max, 2, 1},
};

const std::vector<PlateauRow> plateau_rows = {
{{2.0, 1.6, 1.8, 1.4, 1.0, 0.6, NaN, 0.8, 0.8, 0.7, 0.75, inf, 0.9, 0.95},
 0.5, 3, 0, 0, 0, Mode::min,
 {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025}},
{{1.9, 1.8, 1.9, 1.9, NaN, 1.9, 2.1, 2.15, 2.25, 2.3, 2.3, 2.4, 2.45, 2.35},
 0.5, 1, 0.0001, 3, 0.03, Mode::min,
 {0.1, 0.1, 0.05, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{2.0, 2.0, 1.9, 2.1, 2.2, 2.3, 2.4, 2.45, 2.5, 2.4, inf, 2.5, 2.6, 2.6},
 0.1, 1, 0.0001, 1, 0.03, Mode::min,
 {0.1, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{-2.0, -1.9, -2.1, -2.1, -2.3, -1.9, -2.0, -2.0, -1.9, -2.0, NaN, -2.15, -2.25, -2.3},
 0.1, 3, 0.1, 0, 0, Mode::max,
 {0.1, 0.1, 0.1, 0.010000000000000002, 0.010000000000000002, 0.010000000000000002, 0.0010000000000000002,
0.0010000000000000002, 0.0010000000000000002, 0.00010000000000000003, 0.00010000000000000003,
0.00010000000000000003, 1.0000000000000004e-05, 1.0000000000000004e-05}},
{{2.0, 2.1, 1.7, 1.6, 1.7, 1.3, 1.4, 1.3, 1.35, 1.4, 1.5, 1.55, 1.6, 1.7},
 0.5, 1, 0.0001, 0, 0, Mode::min,
 {0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.00625, 0.003125, 0.0015625, 0.00078125, 0.000390625,
0.0001953125, 9.765625e-05}},
{{2.1, 2.3, 2.5, 2.5, 2.5, 2.6, 2.8, 2.7, 2.8, 2.7, 2.75, 2.75, 2.65, 2.65},
 0.5, 1, 0, 0, 0.03, Mode::min,
 {0.1, 0.05, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{2.2, inf, 2.2, 1.8, 1.9, 2.0, 2.2, 2.1, 2.15, 2.2, 2.3, 2.35, 2.45, 2.45},
 0.5, 2, 0, 0, 0, Mode::min,
 {0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.00625, 0.00625, 0.003125, 0.003125,
0.0015625}},
{{-1.9, -1.9, -2.1, -1.7, -1.8, -1.4, -1.3, -1.2, -1.25, -1.25, -1.25, -1.35, -1.45, -inf},
 0.1, 1, 0, 0, 0, Mode::max,
 {0.1, 0.010000000000000002, 0.0010000000000000002, 0.0010000000000000002, 0.00010000000000000003,
0.00010000000000000003, 0.00010000000000000003, 0.00010000000000000003, 1.0000000000000004e-05,
1.0000000000000004e-06, 1.0000000000000005e-07, 1.0000000000000005e-08, 1.0000000000000005e-09,
1.0000000000000006e-10}},
{{2.2, 2.1, 2.3, 2.5, 2.6, 2.2, 2.1, 2.1, 2.2, 2.2, NaN, 2.25, 2.35, 2.35},
 0.1, 2, 0.1, 1, 0, Mode::min,
 {0.1, 0.1, 0.010000000000000002, 0.010000000000000002, 0.0010000000000000002, 0.0010000000000000002,
0.00010000000000000003, 0.00010000000000000003, 1.0000000000000004e-05, 1.0000000000000004e-05,
1.0000000000000004e-06, 1.0000000000000004e-06, 1.0000000000000005e-07, 1.0000000000000005e-07}},
{{1.6, 1.8, 2.0, 1.6, 1.5, NaN, 1.0, 1.05, 1.15, 1.25, 1.25, 1.15, 1.05, NaN},
 0.1, 2, 0.0001, 1, 0, Mode::min,
 {0.1, 0.1, 0.010000000000000002, 0.010000000000000002, 0.010000000000000002, 0.010000000000000002,
0.010000000000000002, 0.010000000000000002, 0.0010000000000000002, 0.0010000000000000002,
0.00010000000000000003, 0.00010000000000000003, 1.0000000000000004e-05, 1.0000000000000004e-05}},
{{1.6, 1.7, 1.7, 1.6, 1.5, 1.4, 1.5, 1.55, 1.65, NaN, 1.85, 1.75, 1.75, 1.85},
 0.5, 1, 0, 3, 0.03, Mode::min,
 {0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{-1.9, -1.9, -1.5, -1.4, -1.3, -1.4, -1.5, -1.55, -1.65, -1.75, -1.8, -1.8, -1.8, -1.7},
 0.1, 3, 0, 1, 0.03, Mode::max,
 {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{2.0, 2.2, 2.1, 2.2, 1.8, 1.7, 1.7, 1.8, 1.85, 1.75, 1.8, 1.85, 1.95, 1.95},
 0.1, 2, 0, 0, 0.03, Mode::min,
 {0.1, 0.1, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{1.6, 1.7, 1.7, 1.7, 1.3, 1.2, 1.3, 1.3, 1.2, 1.2, NaN, 1.35, 1.25, 1.25},
 0.5, 2, 0, 3, 0, Mode::min,
 {0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025, 0.0125, 0.0125, 0.0125}},
{{2.0, 2.1, 2.0, NaN, NaN, NaN, 1.8, 1.8, 1.8, 1.9, 2.0, 1.9, 1.9, 1.9},
 0.1, 3, 0.1, 3, 0, Mode::min,
 {0.1, 0.1, 0.1, 0.010000000000000002, 0.010000000000000002, 0.010000000000000002, 0.010000000000000002,
0.010000000000000002, 0.010000000000000002, 0.0010000000000000002, 0.0010000000000000002,
0.0010000000000000002, 0.0010000000000000002, 0.0010000000000000002}},
{{-2.1, -2.0, -2.1, -2.2, -1.8, -2.0, -2.0, -2.05, -2.15, -2.25, -2.15, -2.2, -2.25, -2.15},
 0.1, 3, 0.0001, 0, 0.03, Mode::max,
 {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{2.1, 2.2, 2.4, 2.4, 2.6, 2.7, 2.9, 2.95, 2.95, 3.05, 3.15, 3.05, 2.95, 2.85},
 0.5, 2, 0.0001, 1, 0.03, Mode::min,
 {0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{1.9, 2.0, 1.9, 1.8, 1.9, 2.0, 1.6, 1.6, 1.5, 1.5, 1.5, 1.55, 1.45, 1.35},
 0.1, 1, 0, 0, 0.03, Mode::min,
 {0.1, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
{{2.1, 2.2, 2.1, 1.7, 1.8, 1.7, 1.8, 1.8, 1.8, 1.8, 1.9, 1.95, 1.95, 2.0},
 0.5, 2, 0, 0, 0, Mode::min,
 {0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.00625, 0.00625, 0.003125, 0.003125,
0.0015625}},
{{-1.9, -2.0, -1.9, -1.8, NaN, -1.0, -0.9, -0.8, -0.7, -0.7, -0.8, -0.9, -0.9, -0.9},
 0.5, 1, 0, 1, 0.03, Mode::max,
 {0.1, 0.05, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
};
// clang-format on

/// A training that only hears of val_loss: runs `callback` over `values` and calls each(epoch) after each.
template <class F>
void feed(train::Callback& callback, const std::vector<double>& values, optim::Optimizer& optimizer,
          nn::Linear& model, F each) {
  train::Training t(nn::module_ref(model), optimizer);
  t.log_names = {"loss", "val_loss"};
  t.epochs = static_cast<std::int64_t>(values.size());
  callback.prepare(t);
  callback.on_train_begin(t);
  for (; t.epoch < t.epochs && !t.stopping(); ++t.epoch) {
    // the weights say which epoch they are of
    const NoGrad guard;
    model.weight.fill_(static_cast<double>(t.epoch));
    t.logs.set("val_loss", values[static_cast<std::size_t>(t.epoch)]);
    callback.on_epoch_end(t);
    each(t.epoch);
  }
  callback.on_train_end(t);
}

}  // namespace

TEST_CASE("EarlyStopping: stops where Keras does, and puts back the weights of Keras' best epoch") {
  Generator g(1);
  nn::Linear model({.in = 1, .out = 1, .generator = &g});
  optim::Sgd sgd(nn::parameters(model));
  std::size_t number = 0;
  for (const EarlyRow& row : early_rows) {
    CAPTURE(number++);
    train::EarlyStopping callback({.patience = row.patience,
                                   .min_delta = row.min_delta,
                                   .mode = row.mode,
                                   .restore_best_weights = true,
                                   .start_from_epoch = row.start_from_epoch,
                                   .baseline = row.baseline});
    std::int64_t last = -1;
    feed(callback, row.values, sgd, model, [&](std::int64_t epoch) { last = epoch; });
    CHECK(callback.stopped_epoch() == row.stopped);
    CHECK(last == (row.stopped < 0 ? static_cast<std::int64_t>(row.values.size()) - 1 : row.stopped));
    CHECK(callback.best_epoch() == row.best);
    CHECK(model.weight.item() == static_cast<double>(row.best));
  }
}

TEST_CASE("ReduceLROnPlateau: Keras' rates, epoch by epoch") {
  Generator g(1);
  nn::Linear model({.in = 1, .out = 1, .generator = &g});
  std::size_t number = 0;
  for (const PlateauRow& row : plateau_rows) {
    CAPTURE(number++);
    optim::Sgd sgd(nn::parameters(model), {.lr = 0.1});
    train::ReduceLROnPlateau callback({.factor = row.factor,
                                       .patience = row.patience,
                                       .min_delta = row.min_delta,
                                       .mode = row.mode,
                                       .cooldown = row.cooldown,
                                       .min_lr = row.min_lr});
    std::vector<double> rates;
    feed(callback, row.values, sgd, model, [&](std::int64_t) { rates.push_back(sgd.lr()); });
    CHECK(rates == row.rates);
  }
}

TEST_CASE("EarlyStopping, ReduceLROnPlateau: a second training starts afresh") {
  Generator g(1);
  nn::Linear model({.in = 1, .out = 1, .generator = &g});
  optim::Sgd sgd(nn::parameters(model), {.lr = 1});
  train::EarlyStopping early({.patience = 3});
  train::ReduceLROnPlateau plateau({.patience = 2});
  for (int round = 0; round < 2; ++round) {
    sgd.set_lr(1);
    feed(early, {NaN, NaN, 1, 2, 3, 2, 0}, sgd, model, [](std::int64_t) {});
    CHECK(early.stopped_epoch() == 5);
    CHECK(early.best() == 1);
    std::vector<double> rates;
    feed(plateau, {1, 2, 3, 0}, sgd, model, [&](std::int64_t) { rates.push_back(sgd.lr()); });
    CHECK(rates == std::vector<double>{1, 1, 0.1, 0.1});
  }
}
