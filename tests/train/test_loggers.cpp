// What a training writes: CSV, JSON lines and the progress on stderr; the history behind them.
// Depends on train, io and doctest.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <thalweg/thalweg.hpp>
#include <thalweg/train/train.hpp>

#include "io/files.hpp"
#include "small.hpp"

using namespace thalweg;
using small::complaint;
using small::says;

namespace {

std::string text_of(const std::string& path) {
  const test::Bytes bytes = test::slurp(path);
  return std::string(bytes.begin(), bytes.end());
}

std::int64_t lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

train::Logs logs(std::initializer_list<std::pair<const char*, double>> entries) {
  train::Logs l;
  for (const auto& [name, value] : entries) l.set(name, value);
  return l;
}

/// Runs what a training would tell `callback`: `before` finished epochs in the history, then one more.
void tell(train::Callback& callback, const std::vector<train::Logs>& before, const train::Logs& now) {
  nn::Sequential model = small::net();
  optim::Sgd sgd(nn::parameters(model));
  train::Training t(nn::module_ref(model), sgd);
  for (const train::Logs& l : before) t.history.append(t.epoch++, l);
  t.epochs = t.epoch + 1;
  callback.prepare(t);
  callback.on_train_begin(t);
  t.logs = now;
  callback.on_epoch_end(t);
  callback.on_train_end(t);
}

}  // namespace

TEST_CASE("JsonLogger: a line an epoch with the names that programs look for; NaN is null") {
  const train::Logs l = logs({{"loss", 0.5},
                              {"accuracy", 0.75},
                              {"val_loss", std::nan("")},
                              {"val_accuracy", 0.25},
                              {"lr", 1e-3},
                              {"seconds", 1.23456},
                              {"images_per_second", 9},
                              {"memory_live", 1},
                              {"memory_peak", 2},
                              {"mine", 7}});
  CHECK(train::epoch_json(2, l) ==
        R"({"event":"epoch","epoch":2,"train_loss":0.5,"train_accuracy":0.75,"val_loss":null,)"
        R"("val_accuracy":0.25,"lr":0.001,"seconds":1.235,"mine":7})");
  CHECK(train::json_number(0.1) == "0.1");
  CHECK(train::json_number(-std::numeric_limits<double>::infinity()) == "null");
  const test::TempDir dir;
  nn::Sequential model = small::net();
  optim::Adam adam(nn::parameters(model));
  const auto json = std::make_shared<train::JsonLogger>(dir / "x.json");
  train::fit(model, adam, cross_entropy, small::ring(20),
             {.epochs = 3, .callbacks = {json}, .progress = false});
  json->line(R"({"event":"result"})");
  const std::string text = text_of(dir / "x.json");
  CHECK(lines(text) == 4);
  CHECK(says(text,
             {R"({"event":"epoch","epoch":1,"train_loss":)", R"("lr":0.001,"seconds":)", R"("epoch":3,)"}));
}

TEST_CASE("JsonLogger, CSVLogger: a resumed run has every epoch once") {
  const test::TempDir dir;
  for (const char* name : {"a.json", "a.csv"}) test::put(dir / name, test::Bytes(1000, 'x'));
  const train::Logs l = logs({{"loss", 0.5}, {"lr", 1}});
  train::JsonLogger json(dir / "a.json");
  tell(json, {l, l}, l);
  CHECK(text_of(dir / "a.json") ==
        train::epoch_json(1, l) + "\n" + train::epoch_json(2, l) + "\n" + train::epoch_json(3, l) + "\n");
  train::CSVLogger csv(dir / "a.csv");
  tell(csv, {l, l}, logs({{"loss", std::nan("")}, {"lr", 1}, {"new", 3}}));
  CHECK(text_of(dir / "a.csv") == "epoch,loss,lr\n1,0.5,1\n2,0.5,1\n3,nan,1\n");
  train::CSVLogger more(dir / "a.csv", {.separator = ';', .append = true});
  tell(more, {l}, l);
  CHECK(text_of(dir / "a.csv") == "epoch,loss,lr\n1,0.5,1\n2,0.5,1\n3,nan,1\n2;0.5;1\n");
  train::CSVLogger fresh(dir / "new.csv", {.append = true});
  tell(fresh, {}, l);
  CHECK(text_of(dir / "new.csv") == "epoch,loss,lr\n1,0.5,1\n");
}

TEST_CASE("CSVLogger: appending, a resumed run takes out what was written after the checkpoint") {
  const test::TempDir dir;
  test::put(dir / "a.csv", test::bytes_of("epoch,loss\n1,7\n2,7\n"));  // of a run before
  const auto run = [&](const std::string& throws_at) {
    nn::Sequential model = small::net();
    optim::Adam adam(nn::parameters(model));
    small::Witness witness;  // after the line is written and before the checkpoint is saved
    witness.throws_at = throws_at;
    train::fit(model, adam, cross_entropy, small::ring(20),
               {.epochs = 3,
                .batch_size = 10,
                .callbacks = {train::CSVLogger(dir / "a.csv", {.append = true}), witness},
                .progress = false,
                .checkpoint = {.directory = dir / "c",
                               .every_steps = 1,
                               .resume = true,
                               .restored = [](const train::Restored&) {}}});
  };
  for (const char* killed_at : {"done0", "done2"}) {
    CHECK(complaint<std::runtime_error>([&] { run(killed_at); }) == "as told");
    CHECK(lines(text_of(dir / "a.csv")) == (std::string(killed_at) == "done0" ? 4 : 6));
  }
  for (int again = 0; again < 2; ++again) {  // the second one has nothing to do
    run("");
    std::istringstream text(text_of(dir / "a.csv"));
    std::string said, line;
    while (std::getline(text, line)) said += line.substr(0, line.find(',')) + " ";
    CHECK(said == "epoch 1 2 1 2 3 ");
  }
}

TEST_CASE("loggers: a file that cannot be written is an error, a full disk too") {
  const train::Logs l = logs({{"loss", 0.5}});
  train::JsonLogger none("/no-such-directory/x");
  CHECK(says(complaint<IoError>([&] { tell(none, {}, l); }),
             {"JsonLogger: ", "/no-such-directory/x", "No such file"}));
  train::JsonLogger full("/dev/full");
  CHECK(says(complaint<IoError>([&] { tell(full, {}, l); }), {"JsonLogger: ", "/dev/full", "No space"}));
  train::CSVLogger full_csv("/dev/full");
  CHECK(says(complaint<IoError>([&] { tell(full_csv, {}, l); }), {"CSVLogger: ", "/dev/full", "No space"}));
}

TEST_CASE("progress: fits the terminal, whatever its width") {
  const train::Logs l = logs({{"loss", 0.12345}, {"accuracy", 0.98765}});
  const train::Position at{3, 20, 50, 100};
  for (int width : {1, 10, 40, 80, 200}) {
    const std::string s = train::bar_text({.bar = true, .width = width}, at, l, 65);
    CHECK(static_cast<int>(s.size()) <= std::max(1, width - 1));
  }
  CHECK(train::bar_text({.width = 80}, at, l, 65) ==
        "epoch  3/20  [=========>        ]  50%  loss 0.1235  accuracy 0.9877  1:05 left");
  CHECK(says(train::bar_text({.width = 80}, {3, 20, 100, 100}, l, 0), {"[==================] 100%"}));
  CHECK(train::clock_text(7) == "0:07");
  CHECK(train::clock_text(3753) == "1:02:33");
  CHECK(train::clock_text(-1) == "-:--");
  CHECK(train::clock_text(std::nan("")) == "-:--");
}

TEST_CASE("progress: a line an epoch; colours only where they are wanted") {
  const train::Logs l = logs({{"loss", 0.5},
                              {"accuracy", 0.25},
                              {"val_loss", 0.75},
                              {"val_accuracy", 0.125},
                              {"lr", 1e-3},
                              {"seconds", 12.34},
                              {"memory_peak", 5}});
  const train::Position at{3, 20, 10, 10};
  CHECK(train::epoch_text({}, at, l) ==
        "epoch  3/20  loss 0.5000  accuracy 0.2500  val_loss 0.7500  val_accuracy 0.1250  12.3 s");
  CHECK(says(train::epoch_text({.color = true}, at, l),
             {"val_loss 0.7500  \x1b[1;32mval_accuracy 0.1250\x1b[0m  12.3 s"}));
}

TEST_CASE("history: columns of equal length, and what is not there is named") {
  train::History h;
  CHECK(says(complaint<IndexError>([&] { h["loss"]; }), {"history: ", "'loss'", "nothing was logged"}));
  h.append(0, logs({{"loss", 1}, {"a", 2}}));
  h.append(1, logs({{"loss", 3}, {"b", 4}}));
  CHECK(h["loss"] == std::vector<double>{1, 3});
  CHECK(h["a"][0] == 2);
  CHECK(std::isnan(h["a"][1]));
  CHECK(std::isnan(h["b"][0]));
  CHECK(h.logs(1).at("b") == 4);
  CHECK(says(complaint<IndexError>([&] { h["los"]; }), {"'los'", "loss, a, b"}));
  CHECK(says(complaint<IndexError>([&] { h.logs(2); }), {"i is 2", "below 2"}));
  CHECK(says(complaint<IndexError>([&] { h.logs(0).at("val"); }), {"logs: ", "'val'", "test_loggers.cpp"}));
}

TEST_CASE("hash: of all bytes in order, strides aside") {
  const std::string hash = train::hash_of({from({1.f, 2.f}), from({3.f})});
  CHECK(hash.size() == 16);
  CHECK(hash == train::hash_of({from({1.f, 2.f}), from({3.f})}));
  CHECK(hash != train::hash_of({from({1.f, 2.f}), from({3.0000002f})}));
  CHECK(train::hash_of({}) == "cbf29ce484222325");
  const Tensor x = from({1.f, 2.f, 3.f, 4.f}, {2, 2});
  CHECK(train::hash_of({x.t()}) == train::hash_of({from({1.f, 3.f, 2.f, 4.f})}));
  CHECK(train::hash_of({from(std::vector<std::uint8_t>{'a'}, {1})}) == "af63dc4c8601ec8c");  // FNV-1a of "a"
}
