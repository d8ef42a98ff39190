// EmaWeights, and the hooks around validation that it hangs on. Depends on train, io and doctest.
#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <thalweg/thalweg.hpp>
#include <thalweg/train/train.hpp>

#include "io/files.hpp"
#include "small.hpp"

using namespace thalweg;

namespace {

/// 5 batches an epoch, in groups of 2.
struct Trial {
  nn::Sequential model = small::net();
  optim::Adam adam{nn::parameters(model), {.lr = 0.05}};
  train::FitOptions options{
      .epochs = 3, .batch_size = 8, .validation = small::ring(30, 6), .accumulate = 2, .progress = false};
  train::History fit() { return train::fit(model, adam, cross_entropy, small::ring(40), options); }
  std::string hash() const { return train::params_hash(model); }
  double validation_loss() { return train::evaluate(model, cross_entropy, small::ring(30, 6)).at("loss"); }
};

/// What a loop of one's own would do: an average after each step of the optimizer.
class ByHand final : public train::Callback {
 public:
  explicit ByHand(Trial& trial) : trial_(trial), ema(nn::parameters(trial.model), {.decay = 0.9}) {}
  std::string name() const override { return "ByHand"; }
  void on_batch_end(train::Training& t) override {
    if (t.step % 2 == 0 || t.step == t.steps) ema.update();
  }
  void on_epoch_end(train::Training&) override {
    ema.swap();
    losses.push_back(trial_.validation_loss());
    ema.swap();
  }

 private:
  Trial& trial_;

 public:
  optim::Ema ema;
  std::vector<double> losses;
};

class Hooks final : public train::Callback {
 public:
  std::string name() const override { return "Hooks"; }
  void on_batch_end(train::Training& t) override {
    if (t.step == t.steps) said += "step ";
  }
  void on_validation_begin(train::Training& t) override {
    said += t.logs.has("loss") && !t.logs.has("val_loss") ? "begin " : "? ";
    if (t.epoch == throws_in) throw std::runtime_error("as told");
  }
  void on_validation_end(train::Training& t) override { said += t.logs.has("val_loss") ? "end " : "? "; }
  void on_epoch_end(train::Training&) override { said += "done "; }

  std::string said;
  std::int64_t throws_in = -1;
};

}  // namespace

TEST_CASE("validation hooks: around the validation of each epoch, and none without") {
  Trial with, without;
  const auto a = std::make_shared<Hooks>(), b = std::make_shared<Hooks>();
  with.options.callbacks = {a};
  with.options.epochs = 2;
  with.fit();
  CHECK(a->said == "step begin end done step begin end done ");
  without.options.callbacks = {b};
  without.options.epochs = 1;
  without.options.validation.reset();
  without.fit();
  CHECK(b->said == "step done ");
}

TEST_CASE("EmaWeights: validation is with the averages, training with the weights") {
  Trial plain, averaged, kept;
  const auto by_hand = std::make_shared<ByHand>(plain);
  plain.options.callbacks = {by_hand};
  const train::History history = plain.fit();
  averaged.options.callbacks = {train::EmaWeights({.decay = 0.9})};
  const train::History got = averaged.fit();
  CHECK(averaged.hash() == plain.hash());
  CHECK(got["loss"] == history["loss"]);
  CHECK(got["val_loss"] != history["val_loss"]);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(got["val_loss"][i] == doctest::Approx(by_hand->losses[i]).epsilon(1e-6));
  kept.options.callbacks = {train::EmaWeights({.decay = 0.9, .keep = true})};
  kept.fit();
  by_hand->ema.copy_to();
  CHECK(kept.hash() == plain.hash());
}

TEST_CASE("EmaWeights: callbacks before it keep the averages, those after it the weights") {
  const test::TempDir dir;
  Trial best, raw, last;
  const auto stop = train::EarlyStopping({.patience = 5, .restore_best_weights = true});
  best.options.callbacks = {stop, train::ModelCheckpoint(dir / "average-{epoch}"),
                            train::EmaWeights({.decay = 0.9}),
                            train::ModelCheckpoint(dir / "weights-{epoch}")};
  const train::History history = best.fit();
  raw.fit();
  train::load_weights(last.model, dir / "weights-3");
  CHECK(last.hash() == raw.hash());
  for (int epoch = 1; epoch <= 3; ++epoch) {
    train::load_weights(last.model, dir / "average-" + std::to_string(epoch));
    CHECK(last.validation_loss() ==
          doctest::Approx(history["val_loss"][static_cast<std::size_t>(epoch - 1)]).epsilon(1e-6));
  }
  CHECK(best.validation_loss() ==
        doctest::Approx(*std::min_element(history["val_loss"].begin(), history["val_loss"].end()))
            .epsilon(1e-6));
}

TEST_CASE("EmaWeights: an error in validation leaves the trained weights") {
  Trial one, failing;
  one.options.epochs = 1;
  one.fit();
  const auto hooks = std::make_shared<Hooks>();
  hooks->throws_in = 0;
  failing.options.callbacks = {train::EmaWeights({.decay = 0.5, .keep = true}), hooks};
  CHECK(small::complaint<std::runtime_error>([&] { failing.fit(); }) == "as told");
  CHECK(failing.hash() == one.hash());
}

TEST_CASE("EmaWeights: stopped at any step and resumed, the averages are as if it had not been") {
  Trial whole;
  whole.options.callbacks = {train::EmaWeights({.decay = 0.9, .keep = true})};
  const train::History wanted = whole.fit();
  for (const int after : {1, 4, 6, 9, 12}) {
    CAPTURE(after);
    const test::TempDir dir;
    train::History got;
    for (const int batches : {after, 1000}) {
      Trial part;
      part.options.callbacks = whole.options.callbacks;
      part.options.checkpoint = {
          .directory = dir.path(), .resume = true, .restored = [](const train::Restored&) {}};
      part.options.stop = [n = 0, batches]() mutable { return ++n > batches; };
      got = part.fit();
      if (batches == 1000) CHECK(part.hash() == whole.hash());
    }
    CHECK(got["val_loss"] == wanted["val_loss"]);
  }
}
