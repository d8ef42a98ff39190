// data/loader: order, batch sizes, prefetching, errors in the worker, leaving an epoch early.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/loader.hpp>
#include <thalweg/ops/kernels/par.hpp>

using namespace thalweg;
using data::Batch;
using data::DataLoader;

namespace {

using Indices = std::vector<std::int64_t>;

data::TensorDataset numbered(std::int64_t n) { return data::TensorDataset(ones({n, 2}), arange(n)); }

Indices seen(data::Epoch epoch) {
  Indices all;
  for (const Batch& b : epoch)
    for (std::int64_t v : b.y.span<std::int64_t>()) all.push_back(v);
  return all;
}

Indices counting(std::int64_t n) {
  Indices v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<std::int64_t>(i);
  return v;
}

/// Counts what is asked of it and where; can fail, be slow, or return the wrong number of rows.
struct Probe final : data::Dataset {
  struct Log {
    std::atomic<int> calls{0}, inside{0}, most_inside{0};
    std::atomic<bool> recording{false};
    std::set<std::thread::id> threads;
  };
  std::shared_ptr<Log> log = std::make_shared<Log>();
  std::int64_t n = 10, fail_at = -1, extra_rows = 0;
  int milliseconds = 0;
  std::int64_t size() const override { return n; }
  Batch batch(std::span<const std::int64_t> indices) const override {
    ++log->calls;
    log->most_inside = std::max(log->most_inside.load(), ++log->inside);
    if (grad_enabled()) log->recording = true;
    log->threads.insert(std::this_thread::get_id());
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    --log->inside;
    for (std::int64_t i : indices)
      if (i == fail_at) throw std::runtime_error("example is unreadable");
    return {zeros({static_cast<std::int64_t>(indices.size()) + extra_rows, 1}), {}};
  }
};

struct Threads {
  int saved = par::num_threads();
  explicit Threads(int n) { par::set_num_threads(n); }
  ~Threads() { par::set_num_threads(saved); }
};

}  // namespace

TEST_CASE("loader: batches cover the data in order, the last one short or left out") {
  for (bool prefetch : {false, true}) {
    DataLoader loader(numbered(10), {.batch_size = 4, .prefetch = prefetch});
    CHECK(loader.batches() == 3);
    CHECK(loader.size() == 10);
    Indices sizes;
    for (const Batch& b : loader.epoch()) sizes.push_back(b.x.size(0));
    CHECK(sizes == Indices{4, 4, 2});
    CHECK(seen(loader.epoch()) == counting(10));
    DataLoader full(numbered(10), {.batch_size = 4, .drop_last = true, .prefetch = prefetch});
    CHECK(full.batches() == 2);
    CHECK(seen(full.epoch()) == counting(8));
  }
}

TEST_CASE("loader: sizes at the edges") {
  CHECK(seen(DataLoader(numbered(0), {.batch_size = 4}).epoch()).empty());
  CHECK(seen(DataLoader(numbered(8), {.batch_size = 4}).epoch()) == counting(8));
  CHECK(DataLoader(numbered(8), {.batch_size = 4}).batches() == 2);
  CHECK(seen(DataLoader(numbered(3), {.batch_size = 4}).epoch()) == counting(3));
  CHECK(seen(DataLoader(numbered(3), {.batch_size = 4, .drop_last = true}).epoch()).empty());
  CHECK(seen(DataLoader(numbered(3), {.batch_size = INT64_MAX}).epoch()) == counting(3));
  CHECK(seen(DataLoader(numbered(3), {.batch_size = 1}).epoch()) == counting(3));
}

TEST_CASE("loader: the order is a function of seed and epoch alone") {
  const DataLoader a(numbered(1000), {.batch_size = 32, .shuffle = true, .seed = 7});
  const Indices epoch0 = seen(a.epoch(0)), epoch1 = seen(a.epoch(1));
  CHECK(epoch0 != epoch1);
  CHECK(epoch0 != counting(1000));
  CHECK(seen(a.epoch(0)) == epoch0);  // nothing is carried over
  for (bool prefetch : {false, true})
    for (int threads : {1, 2, 3}) {
      const Threads scope(threads);
      const DataLoader b(numbered(1000), {.batch_size = 7, .shuffle = true, .seed = 7, .prefetch = prefetch});
      CHECK(seen(b.epoch(1)) == epoch1);
    }
  CHECK(a.order(1) == epoch1);
  CHECK(data::shuffled(1000, 7, 1) == epoch1);
  CHECK(data::shuffled(1000, 8, 1) != epoch1);
  // The same on every machine and in every version: a run can be repeated.
  CHECK(data::shuffled(10, 42, 3) == Indices{3, 9, 2, 1, 4, 8, 0, 7, 6, 5});
}

TEST_CASE("loader: each order is a permutation, and all of them are as likely") {
  Indices sorted = data::shuffled(60000, 1, 0);
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == counting(60000));
  std::array<int, 24> count{};
  const int rounds = 24000;
  for (int e = 0; e < rounds; ++e) {
    const Indices p = data::shuffled(4, 99, static_cast<std::uint64_t>(e));
    int rank = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      int smaller = 0;
      for (std::size_t j = i + 1; j < 4; ++j) smaller += p[j] < p[i];
      rank = rank * static_cast<int>(4 - i) + smaller;
    }
    ++count[static_cast<std::size_t>(rank)];
  }
  double chi2 = 0;
  for (int c : count) chi2 += (c - 1000.0) * (c - 1000.0) / 1000.0;
  CHECK(chi2 < 49.7);  // 23 degrees of freedom: passed by chance with probability 0.999
  CHECK(data::shuffled(0, 1, 1).empty());
  CHECK(data::shuffled(1, 1, 1) == Indices{0});
}

TEST_CASE("loader: an epoch can start at any batch, as a resumed run does") {
  const DataLoader loader(numbered(100), {.batch_size = 8, .shuffle = true, .seed = 3});
  const Indices whole = seen(loader.epoch(5));
  for (std::int64_t first = 0; first <= loader.batches(); ++first)
    CHECK(seen(loader.epoch(5, first)) ==
          Indices(whole.begin() + std::min<std::int64_t>(first * 8, 100), whole.end()));
}

TEST_CASE("loader: options and positions out of range are refused") {
  for (std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN})
    CHECK_THROWS_AS(DataLoader(numbered(3), {.batch_size = bad}), ValueError);
  const DataLoader loader(numbered(10), {.batch_size = 4});
  CHECK_THROWS_AS(loader.epoch(-1), ValueError);
  CHECK_THROWS_AS(loader.epoch(0, -1), IndexError);
  CHECK_THROWS_AS(loader.epoch(0, 4), IndexError);
}

TEST_CASE("loader: the next batch is made on another thread while this one is used") {
  const Threads scope(2);
  Probe probe;
  probe.n = 6;
  auto epoch = DataLoader(probe, {.batch_size = 1}).epoch();
  Batch b;
  REQUIRE(epoch.next(b));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (probe.log->calls < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(probe.log->calls == 2);  // one ahead, no more
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(probe.log->calls == 2);
  while (epoch.next(b)) {
  }
  CHECK_FALSE(epoch.next(b));
  CHECK(probe.log->calls == 6);
  CHECK(probe.log->most_inside == 1);
  CHECK(probe.log->threads.size() >= 2);
  CHECK_FALSE(probe.log->recording);
}

TEST_CASE("loader: without prefetch, or with one thread, nothing is made ahead or elsewhere") {
  const auto check = [](bool prefetch) {
    Probe probe;
    auto epoch = DataLoader(probe, {.batch_size = 2, .prefetch = prefetch}).epoch();
    Batch b;
    for (int taken = 1; epoch.next(b); ++taken) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // time for a worker, were there one
      CHECK(probe.log->calls == taken);
    }
    CHECK(probe.log->threads == std::set{std::this_thread::get_id()});
  };
  {
    const Threads scope(2);
    check(false);
  }
  const Threads scope(1);
  check(true);
}

TEST_CASE("loader: an error in the worker arrives at its batch and ends the epoch") {
  for (int threads : {1, 2})
    for (bool prefetch : {false, true}) {
      const Threads scope(threads);
      Probe probe;
      probe.fail_at = 5;
      auto epoch = DataLoader(probe, {.batch_size = 2, .prefetch = prefetch}).epoch();
      Batch b;
      CHECK(epoch.next(b));
      CHECK(epoch.next(b));
      CHECK_THROWS_WITH_AS(epoch.next(b), "example is unreadable", std::runtime_error);
      CHECK_FALSE(b.x.defined());
      CHECK_FALSE(epoch.next(b));
      int batches = 0;
      const auto pass = [&] {
        for (const Batch& each : DataLoader(probe, {.batch_size = 2, .prefetch = prefetch}).epoch())
          batches += each.x.defined();
      };
      CHECK_THROWS_AS(pass(), std::runtime_error);
      CHECK(batches == 2);
    }
}

TEST_CASE("loader: a data set that returns another number of rows is caught") {
  Probe probe;
  probe.extra_rows = 1;
  CHECK_THROWS_AS(DataLoader(probe).epoch().begin(), ShapeError);
}

TEST_CASE("loader: leaving an epoch early waits for the worker and leaks nothing") {
  const Threads scope(2);
  Probe probe;
  probe.milliseconds = 2;
  probe.n = 1000;
  for (int i = 0; i < 20; ++i) {
    int batches = 0;
    for (const Batch& b : DataLoader(probe, {.batch_size = 1}).epoch()) {
      batches += b.x.defined();
      if (batches == 1 + i % 3) break;
    }
    CHECK(probe.log->inside == 0);  // nobody is in the data set any more
  }
  // A task that nobody began is dropped by the worker that would have run it, a moment later.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (probe.log.use_count() > 1 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(probe.log.use_count() == 1);
}

TEST_CASE("loader: epochs outlive their loader and can be moved; several run at once") {
  const Threads scope(2);
  std::vector<data::Epoch> epochs;
  {
    const DataLoader loader(numbered(50), {.batch_size = 8, .shuffle = true, .seed = 1});
    for (int e = 0; e < 3; ++e) epochs.push_back(loader.epoch(e));
  }
  std::vector<Indices> got(3);
  Batch b;
  for (bool more = true; more;) {
    more = false;
    for (std::size_t e = 0; e < 3; ++e)
      if (epochs[e].next(b)) {
        more = true;
        for (std::int64_t v : b.y.span<std::int64_t>()) got[e].push_back(v);
      }
  }
  for (std::size_t e = 0; e < 3; ++e) CHECK(got[e] == data::shuffled(50, 1, e));
}
