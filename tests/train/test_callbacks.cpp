// The callbacks in a training: schedules, checkpoints of the model, NaN, early stopping, and one's own.
// Depends on train, io and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <thalweg/io/safetensors.hpp>
#include <thalweg/thalweg.hpp>
#include <thalweg/train/train.hpp>

#include "io/files.hpp"
#include "small.hpp"

using namespace thalweg;
using small::complaint;
using small::says;

namespace {

/// Writes down the rate of every step.
class Rates final : public train::Callback {
 public:
  explicit Rates(std::vector<double>& to) : to_(to) {}
  std::string name() const override { return "Rates"; }
  void on_batch_end(train::Training& t) override { to_.push_back(t.optimizer().lr()); }

 private:
  std::vector<double>& to_;
};

/// Adds a number of its own to the logs.
class Planned final : public train::Callback {
 public:
  explicit Planned(std::vector<double> values) : values_(std::move(values)) {}
  std::string name() const override { return "Planned"; }
  std::vector<std::string> adds() const override { return {"planned"}; }
  void on_epoch_end(train::Training& t) override {
    t.logs.set("planned", values_.at(static_cast<std::size_t>(t.epoch)));
  }

 private:
  std::vector<double> values_;
};

struct Trial {
  nn::Sequential model = small::net();
  optim::Sgd sgd{nn::parameters(model), {.lr = 0.5}};
  data::TensorDataset data = small::ring(20);

  train::History fit(train::FitOptions options, const train::Loss& loss = cross_entropy) {
    options.batch_size = 10;
    options.progress = false;
    return train::fit(model, sgd, loss, data, std::move(options));
  }
};

}  // namespace

TEST_CASE("LearningRateScheduler: by epoch and by step of the optimizer") {
  std::vector<double> rates;
  const auto tenth = [](std::int64_t t) { return 0.1 * static_cast<double>(t + 1); };
  Trial by_epoch;
  const train::History h =
      by_epoch.fit({.epochs = 3, .callbacks = {train::LearningRateScheduler(tenth), Rates(rates)}});
  CHECK(rates == std::vector<double>{tenth(0), tenth(0), tenth(1), tenth(1), tenth(2), tenth(2)});
  CHECK(h["lr"] == std::vector<double>{tenth(0), tenth(1), tenth(2)});
  rates.clear();
  Trial by_step;
  by_step.fit({.epochs = 2,
               .callbacks = {train::LearningRateScheduler(optim::ExponentialLR{.lr = 1, .gamma = 0.5},
                                                          {.per_step = true}),
                             Rates(rates)}});
  CHECK(rates == std::vector<double>{1, 0.5, 0.25, 0.125});
  rates.clear();
  Trial grouped;
  grouped.fit({.epochs = 2,
               .callbacks = {train::LearningRateScheduler(tenth, {.per_step = true}), Rates(rates)},
               .accumulate = 2});
  CHECK(rates == std::vector<double>{tenth(0), tenth(0), tenth(1), tenth(1)});
  Trial bad;
  CHECK(says(complaint<ValueError>([&] {
               bad.fit({.epochs = 9, .callbacks = {train::LearningRateScheduler([](std::int64_t t) {
                                       return t < 3 ? 0.1 : std::nan("");
                                     })}});
             }),
             {"LearningRateScheduler: ", "schedule(3) is nan"}));
}

TEST_CASE("ModelCheckpoint: a file an epoch, or the best so far, that loads into the model") {
  const test::TempDir dir;
  Trial trial;
  const auto each = std::make_shared<train::ModelCheckpoint>(dir / "{epoch:02}-{loss:.2f}.safetensors");
  const auto best = std::make_shared<train::ModelCheckpoint>(
      dir / "best-{epoch}", train::ModelCheckpointOptions{.monitor = "planned", .save_best_only = true});
  const auto most = std::make_shared<train::ModelCheckpoint>(
      dir / "most",
      train::ModelCheckpointOptions{.monitor = "planned", .save_best_only = true, .mode = train::Mode::max});
  std::vector<double> planned{3, std::nan(""), 2, 2, 5};
  const train::History h = trial.fit({.epochs = 5, .callbacks = {Planned(planned), each, best, most}});
  CHECK(dir.entries() == 5 + 2 + 1);
  CHECK(std::filesystem::exists(dir / "best-1"));
  CHECK(best->last_path() == dir / "best-3");
  char name[64];
  std::snprintf(name, sizeof name, "05-%.2f.safetensors", h["loss"][4]);
  CHECK(each->last_path() == dir / name);
  CHECK(h["planned"][4] == 5);
  nn::Sequential other = small::net(99);
  nn::load_state_dict(other, io::load(each->last_path()));
  CHECK(train::params_hash(other) == train::params_hash(trial.model));
  CHECK(says(complaint<ValueError>([&] { trial.fit({.callbacks = {train::ModelCheckpoint("{val_loss}")}}); }),
             {"ModelCheckpoint: ", "path is '{val_loss}'", "out of epoch, loss"}));
  CHECK(says(complaint<ValueError>([&] { trial.fit({.callbacks = {train::ModelCheckpoint("{epoch")}}); }),
             {"path is '{epoch'"}));
  CHECK(says(complaint<ValueError>([] { train::ModelCheckpoint(""); }), {"nowhere to save to"}));
  CHECK_THROWS_AS(trial.fit({.callbacks = {train::ModelCheckpoint(dir / "none/x")}}), IoError);
}

TEST_CASE("TerminateOnNaN: ends at the batch, and says where") {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Trial trial;
    int calls = 0;
    const auto loss = [&](const Tensor& p, const Tensor& t) {
      const Tensor l = cross_entropy(p, t);
      return ++calls == 4 ? l * bad : l;
    };
    const train::History h = trial.fit({.epochs = 5, .callbacks = {train::TerminateOnNaN()}}, loss);
    CHECK(calls == 4);
    CHECK(h.epochs() == 1);
    CHECK(says(h.stopped, {"TerminateOnNaN", "at step 2 of epoch 2", std::isnan(bad) ? "is nan" : "is inf"}));
  }
}

TEST_CASE("EarlyStopping: in a training, of a metric that is better when it is larger") {
  Trial trial;
  // accuracy falls as the labels' part of class 1 does not: watch both ways of finding out which is better
  const auto of_accuracy = std::make_shared<train::EarlyStopping>(
      train::EarlyStoppingOptions{.monitor = "val_accuracy", .patience = 2, .restore_best_weights = true});
  const auto hash_at = std::make_shared<std::vector<std::string>>();
  class Hashes final : public train::Callback {
   public:
    Hashes(std::shared_ptr<std::vector<std::string>> to, nn::Sequential& m) : to_(std::move(to)), m_(m) {}
    std::string name() const override { return "Hashes"; }
    void on_epoch_end(train::Training&) override { to_->push_back(train::params_hash(m_)); }

   private:
    std::shared_ptr<std::vector<std::string>> to_;
    nn::Sequential& m_;
  };
  const train::History h = trial.fit({.epochs = 60,
                                      .validation_split = 0.5,
                                      .metrics = {train::Accuracy()},
                                      .callbacks = {Hashes(hash_at, trial.model), of_accuracy}});
  REQUIRE(of_accuracy->stopped_epoch() > 0);
  const auto best = static_cast<std::size_t>(of_accuracy->best_epoch());
  for (const double v : h["val_accuracy"]) CHECK(v <= h["val_accuracy"][best]);
  CHECK(h.epochs() == of_accuracy->best_epoch() + 3);
  CHECK(train::params_hash(trial.model) == hash_at->at(best));
  CHECK(hash_at->at(best) != hash_at->back());
  CHECK(says(h.stopped, {"EarlyStopping", "val_accuracy", "2 epochs"}));
}

TEST_CASE("Training: the first reason to stop is the one that is told") {
  Trial trial;
  train::Training t(nn::module_ref(trial.model), trial.sgd);
  CHECK_FALSE(t.stopping());
  t.stop("one");
  t.stop("two");
  CHECK(t.stopping());
  CHECK(t.why() == "one");
}

TEST_CASE("callbacks: options that make no sense are refused") {
  CHECK(says(complaint<ValueError>([] { train::EarlyStopping({.patience = -1}); }),
             {"EarlyStopping: ", "patience is -1", "0 or more", "test_callbacks.cpp"}));
  CHECK(says(complaint<ValueError>([] { train::EarlyStopping({.start_from_epoch = -1}); }),
             {"start_from_epoch"}));
  CHECK(says(complaint<ValueError>([] { train::EarlyStopping({.min_delta = std::nan("")}); }),
             {"min_delta is nan"}));
  CHECK(says(complaint<ValueError>([] { train::EarlyStopping({.baseline = std::nan("")}); }),
             {"baseline is nan"}));
  CHECK(says(complaint<ValueError>([] { train::ReduceLROnPlateau({.factor = 1}); }), {"factor"}));
  CHECK(says(complaint<ValueError>([] { train::CallbackRef none{std::shared_ptr<train::TerminateOnNaN>()}; }),
             {"null"}));
  Trial trial;
  CHECK(says(complaint<ValueError>([&] {
               trial.fit({.callbacks = {Planned({1}), Planned({1})}});
             }),
             {"'planned' twice"}));
}
