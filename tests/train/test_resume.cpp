// fit with checkpoints, within one process: what is saved when, where a resumed training goes on, what is
// refused.
#include <numeric>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/train/stopwatch.hpp>
#include <thalweg/train/train.hpp>

#include "io/files.hpp"

using namespace thalweg;
using namespace thalweg::test;
using train::Restored;

namespace {

/// 20 examples, 5 batches of 4 an epoch.
data::TensorDataset examples() {
  Generator g(1);
  return data::TensorDataset(randn({20, 3}, g), randn({20, 2}, g));
}

/// A training with all that it needs, made anew as in another process.
struct Run {
  Generator g{9};
  nn::Sequential model{nn::Linear({.in = 3, .out = 8, .activation = Activation::relu, .generator = &g}),
                       nn::Dropout({.p = 0.2, .generator = &g}),
                       nn::Linear({.in = 8, .out = 2, .generator = &g})};
  optim::Adam adam{nn::parameters(model), {.lr = 0.01}};
  train::FitOptions options{.epochs = 3, .batch_size = 4, .metrics = {train::Mae()}, .progress = false};
  Restored found{};
  std::int64_t batches = 0;  ///< that were trained on here
  std::int64_t begun = 0;    ///< epochs that were begun here

  Run() = default;
  explicit Run(const std::string& directory, bool resume = true) {
    options.checkpoint = {
        .directory = directory, .resume = resume, .restored = [this](const Restored& r) { found = r; }};
    options.stop = [this] { return ++asked_ > stop_after; };
  }
  std::int64_t stop_after = 1 << 20;  ///< batches

  train::History fit() {
    options.callbacks.push_back(Count(this));
    return train::fit(model, adam, nn::MseLoss{}, examples(), options);
  }
  std::string hash() const { return train::params_hash(model); }

 private:
  class Count final : public train::Callback {
   public:
    explicit Count(Run* run) : run_(run) {}
    std::string name() const override { return "Count"; }
    void on_epoch_begin(train::Training&) override { ++run_->begun; }
    void on_batch_begin(train::Training&) override { ++run_->batches; }

   private:
    Run* run_;
  };
  std::int64_t asked_ = 0;
};

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

std::vector<std::int64_t> steps(const std::string& directory) {
  return train::Checkpoints(directory).steps();
}

}  // namespace

TEST_CASE("resume: saving changes nothing, and there is one checkpoint an epoch") {
  TempDir dir;
  Run plain, saving(dir.path());
  const train::History a = plain.fit(), b = saving.fit();
  CHECK(plain.hash() == saving.hash());
  CHECK(a["loss"] == b["loss"]);
  CHECK(sum(b["seconds"]) <= b.seconds);
  CHECK(steps(dir.path()) == std::vector<std::int64_t>{15, 10, 5});
  CHECK_FALSE(saving.found);
  CHECK(contains(saving.found.describe(), "starting afresh"));
}

TEST_CASE(
    "resume: a training stopped within an epoch goes on at the next batch and ends with the same bits") {
  Run plain;
  const train::History wanted = plain.fit();
  // Asked before each epoch and each batch; an epoch begun without a step (1, 7) is begun again.
  for (const auto& [stop_after, begun] :
       {std::pair(1, 4), std::pair(4, 3), std::pair(7, 4), std::pair(12, 3)}) {
    CAPTURE(stop_after);
    TempDir dir;
    Run first(dir.path());
    first.stop_after = stop_after;
    const train::History part = first.fit();
    CHECK(part.stopped == "stopped on request");
    CHECK(part.epochs() == first.batches / 5);
    Run second(dir.path());
    const train::History whole = second.fit();
    CHECK(second.found.step == first.batches);
    CHECK(second.batches == 15 - first.batches);
    CHECK(first.begun + second.begun == begun);
    CHECK(second.hash() == plain.hash());
    CHECK(whole.stopped.empty());
    for (const char* name : {"loss", "mae", "lr"}) CHECK(whole[name] == wanted[name]);
    CHECK(sum(whole["seconds"]) <= whole.seconds);
  }
}

TEST_CASE("resume: a finished training is not repeated, and one of more epochs goes on from it") {
  TempDir dir;
  Run(dir.path()).fit();
  Run again(dir.path());
  const train::History same = again.fit();
  CHECK(again.batches == 0);
  CHECK(same.epochs() == 3);
  Run longer(dir.path()), plain;
  longer.options.epochs = plain.options.epochs = 5;
  const train::History a = longer.fit(), b = plain.fit();
  CHECK(longer.batches == 10);
  CHECK(longer.hash() == plain.hash());
  CHECK(a["mae"] == b["mae"]);
}

TEST_CASE("resume: without it a training begins anew and sets aside the checkpoints of the one before") {
  TempDir dir;
  Run(dir.path()).fit();
  Run anew(dir.path(), false);
  anew.options.epochs = 1;
  anew.fit();
  CHECK(anew.batches == 5);
  CHECK(steps(dir.path()) == std::vector<std::int64_t>{5});
  CHECK(dir.entries() == 4);
}

TEST_CASE("resume: every_steps saves within an epoch") {
  TempDir dir;
  Run a(dir.path());
  a.options.epochs = 1;
  a.options.checkpoint.every_steps = 2;
  a.fit();
  CHECK(steps(dir.path()) == std::vector<std::int64_t>{5, 4, 2});
}

namespace {

/// Saving that takes at least 100 ms, so that the next is not due before 5 s.
const io::FileOps& slow_files() {
  static const io::FileOps ops = [] {
    io::FileOps t = io::system_file_ops();
    t.fsync = [](int fd) { return ::usleep(50'000), io::system_file_ops().fsync(fd); };
    return t;
  }();
  return ops;
}

/// Steps that take 51 times what came between them, which is the saving.
class Slow final : public train::Callback {
 public:
  std::string name() const override { return "Slow"; }
  void on_batch_begin(train::Training& t) override {
    if (t.step > 0) ::usleep(static_cast<useconds_t>(51e6 * between_.seconds()));
  }
  void on_batch_end(train::Training&) override { between_ = train::Stopwatch(); }

 private:
  train::Stopwatch between_;
};

}  // namespace

TEST_CASE("resume: every_seconds saves no more often than a fiftieth of the time allows") {
  TempDir dir;
  Run quick(dir / "quick"), slow(dir / "slow"), plain;
  for (Run* run : {&quick, &slow, &plain}) run->options.epochs = 1;
  for (Run* run : {&quick, &slow}) {
    run->options.checkpoint.every_seconds = 1e-9;
    run->options.checkpoint.keep = 10;
  }
  slow.options.callbacks.push_back(Slow());
  {
    const io::ScopedFileOps scoped(slow_files());
    quick.fit();
  }
  slow.fit();
  plain.fit();
  CHECK(steps(dir / "quick") == std::vector<std::int64_t>{5, 1});
  CHECK(steps(dir / "slow") == std::vector<std::int64_t>{5, 4, 3, 2, 1});
  for (const Run* run : {&quick, &slow}) CHECK(run->hash() == plain.hash());
}

TEST_CASE(
    "resume: what a callback ends within an epoch is not saved, and no epoch counts the time of another") {
  class Ends final : public train::Callback {
   public:
    std::string name() const override { return "Ends"; }
    void on_batch_end(train::Training& t) override {
      if (t.epoch == 0 && t.step == 2) ::usleep(400'000);
      if (t.epoch == 2 && t.step == 3) t.stop("enough");
    }
  };
  TempDir dir;
  Run run(dir.path());
  run.options.checkpoint.every_steps = 1;
  run.options.callbacks.push_back(Ends());
  const train::History history = run.fit();
  CHECK(history.stopped == "enough");
  CHECK(steps(dir.path()) == std::vector<std::int64_t>{12, 11, 10});
  CHECK(history["seconds"].at(0) >= 0.4);
  CHECK(history["seconds"].at(1) < history["seconds"].at(0));
}

TEST_CASE("resume: a damaged checkpoint is told, and the training goes on from the one before") {
  TempDir dir;
  Run plain;
  plain.fit();
  Run(dir.path()).fit();
  put(train::Checkpoints(dir.path()).path_of(15), bytes_of("damaged"));
  Run second(dir.path());
  second.fit();
  CHECK(second.found.step == 10);
  REQUIRE(second.found.skipped.size() == 1);
  CHECK(contains(second.found.describe(), "skipped " + second.found.skipped[0].path));
  CHECK(second.batches == 5);
  CHECK(second.hash() == plain.hash());
}

TEST_CASE("resume: other settings, another optimizer and another model are refused, and nothing is changed") {
  TempDir dir;
  Run(dir.path()).fit();
  Run other(dir.path());
  other.options.batch_size = 5;
  other.options.seed = 1;
  const std::string before = other.hash();
  const auto e = thrown<ValueError>([&] { other.fit(); });
  CHECK(e.given == "batch_size 4, seed 0");
  CHECK(e.wanted == "batch_size 5, seed 1");
  CHECK(other.hash() == before);
  CHECK(other.batches == 0);

  Run sgd(dir.path());
  optim::Sgd plain_sgd(nn::parameters(sgd.model), {.lr = 0.1});
  CHECK(contains(thrown<ValueError>([&] {
                   train::fit(sgd.model, plain_sgd, nn::MseLoss{}, examples(), sgd.options);
                 }).what,
                 "optimizer Adam, wanted optimizer"));
  Run more(dir.path());
  more.options.callbacks.push_back(train::ReduceLROnPlateau({.monitor = "loss"}));
  CHECK(contains(thrown<ValueError>([&] { more.fit(); }).what, "ReduceLROnPlateau"));
}

TEST_CASE("resume: other data, another transform and other settings of one's own are refused by name") {
  class Add final : public data::Transform {
   public:
    Add(float at_first, float later) : at_first_(at_first), later_(later) {}
    Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                      std::uint64_t epoch) const override {
      CHECK(indices.size() == static_cast<std::size_t>(x.size(0)));
      return x + (epoch == 0 ? at_first_ : later_);
    }

   private:
    float at_first_, later_;
  };
  TempDir dir;
  const auto refused = [&](auto change) {
    Run other(dir.path());
    other.options.transform = std::make_shared<const Add>(0.5f, 0.5f);
    other.options.checkpoint.settings = {{"--lr", "0.1"}};
    data::TensorDataset data = examples();
    change(other, data);
    const std::string before = other.hash();
    try {
      train::fit(other.model, other.adam, nn::MseLoss{}, data, other.options);
    } catch (const ValueError& e) {
      CHECK(contains(e.what(), "other settings; nothing was loaded"));
      CHECK(other.hash() == before);
      return e.given();
    }
    return std::string("nothing");
  };
  const auto no_change = [](Run&, data::TensorDataset&) {};
  CHECK(refused(no_change) == "nothing");
  CHECK(refused(no_change) == "nothing");
  CHECK(refused([](Run& r, auto&) { r.options.checkpoint.settings = {{"--lr", "0.2"}}; }) == "--lr 0.1");
  CHECK(refused([](Run& r, auto&) { r.options.checkpoint.settings = {}; }) == "--lr 0.1");
  CHECK(refused([](Run& r, auto&) { r.options.checkpoint.settings = {{"--lr", "0.1"}, {"seed", "7"}}; }) ==
        "seed none");
  for (const auto& other :
       {std::make_shared<const Add>(0.25f, 0.5f), std::make_shared<const Add>(0.5f, 0.25f)})
    CHECK(refused([&](Run& r, auto&) { r.options.transform = other; }).starts_with("transform_hash "));
  CHECK(refused([](Run& r, auto&) { r.options.transform = nullptr; }).starts_with("transform_hash "));
  CHECK(contains(refused([](Run& r, auto&) { r.options.validation_split = 0.5; }), "examples 20, "));
  const data::Batch all = examples().batch(
      std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19});
  CHECK(refused([&](Run&, auto& data) {
          data = data::TensorDataset(all.x + 1, all.y);
        }).starts_with("data_hash "));
  const std::string y = refused([&](Run&, auto& data) { data = data::TensorDataset(all.x, all.y + 1); });
  CHECK((y.starts_with("data_hash ") && !contains(y, "transform")));
}

TEST_CASE("resume: other validation data are refused") {
  TempDir dir;
  Generator g(2);
  const Tensor x = randn({6, 3}, g), y = randn({6, 2}, g);
  Run run(dir.path()), other(dir.path());
  run.options.validation = data::TensorDataset(x, y);
  run.fit();
  other.options.validation = data::TensorDataset(x, y + 1);
  CHECK(thrown<ValueError>([&] { other.fit(); }).given.starts_with("validation_hash "));
}

TEST_CASE(
    "resume: whatever call fails, the training ends with an error or with the right bits, and can be "
    "resumed") {
  Run plain;
  plain.fit();
  int errors = 0;
  for (int n = 0;; n += 3) {
    CAPTURE(n);
    TempDir dir;
    Run first(dir.path());
    first.stop_after = 6;
    first.fit();
    Run second(dir.path());
    bool failed = false;
    {
      FaultyFiles faults({.fail_at = n, .error = ENOSPC});
      try {
        second.fit();
      } catch (const IoError& e) {
        failed = true;
        CHECK(contains(e.what(), "No space left"));
        CHECK_FALSE(nn::parameters(second.model)[0].grad().defined());
      }
    }
    if (!failed) CHECK(second.hash() == plain.hash());
    errors += failed ? 1 : 0;
    Run third(dir.path());
    third.fit();
    CHECK(third.found.skipped.empty());
    CHECK(third.found.step >= 5);
    CHECK(third.hash() == plain.hash());
    if (FaultyFiles::failed().empty()) break;
  }
  CHECK(errors >= 5);
}

TEST_CASE("resume: options that make no sense") {
  TempDir dir;
  Run a(dir.path()), b(dir.path()), c(dir.path());
  a.options.checkpoint.every_steps = -1;
  CHECK(contains(thrown<ValueError>([&] { a.fit(); }).what, "checkpoint.every_steps"));
  b.options.checkpoint.every_seconds = -1;
  CHECK(contains(thrown<ValueError>([&] { b.fit(); }).what, "checkpoint.every_seconds"));
  c.options.checkpoint.keep = 0;
  CHECK(contains(thrown<ValueError>([&] { c.fit(); }).what, "keep"));
}
