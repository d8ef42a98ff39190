// par: chunk boundaries, exceptions, floating-point settings, real threads, asynchronous tasks.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/ops/kernels/par.hpp>

using namespace thalweg;

namespace {

struct Threads {
  explicit Threads(int n) : saved(par::num_threads()) { par::set_num_threads(n); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { par::set_num_threads(saved); }
  int saved;
};

}  // namespace

TEST_CASE("chunk boundaries depend on the size and the grain alone") {
  for (int threads : {1, 2, 7}) {
    const Threads scope(threads);
    for (std::int64_t n : {0, 1, 9, 10, 11, 20, 95, 100}) {
      std::mutex lock;
      std::vector<std::pair<std::int64_t, std::int64_t>> seen;
      par::chunks(n, 10, [&](std::int64_t begin, std::int64_t end) {
        const std::lock_guard guard(lock);
        seen.emplace_back(begin, end);
      });
      std::sort(seen.begin(), seen.end());
      REQUIRE(seen.size() == static_cast<std::size_t>((n + 9) / 10));
      for (std::size_t i = 0; i < seen.size(); ++i) {
        CHECK(seen[i].first == static_cast<std::int64_t>(i) * 10);
        CHECK(seen[i].second == std::min<std::int64_t>(n, static_cast<std::int64_t>(i + 1) * 10));
      }
    }
  }
}

TEST_CASE("the number of threads asked for really runs, more than cores too") {
  for (int threads : {1, 2, 3, 7, 12}) {
    const Threads scope(threads);
    const par::Rendezvous rendezvous;
    std::mutex lock;
    std::vector<std::thread::id> ids;
    par::chunks(400, 1, [&](std::int64_t, std::int64_t) {
      const std::lock_guard guard(lock);
      if (std::find(ids.begin(), ids.end(), std::this_thread::get_id()) == ids.end())
        ids.push_back(std::this_thread::get_id());
    });
    CHECK(ids.size() == static_cast<std::size_t>(threads));
    CHECK(par::last_distinct_threads() == threads);
  }
  CHECK_THROWS_AS(par::set_num_threads(0), ValueError);
  CHECK_THROWS_AS(par::set_num_threads(100000), ValueError);
}

TEST_CASE("an exception in a chunk reaches the caller, and the next section works") {
  for (int threads : {1, 3}) {
    const Threads scope(threads);
    CHECK_THROWS_WITH_AS(par::chunks(100, 1,
                                     [](std::int64_t begin, std::int64_t) {
                                       if (begin == 57) throw std::runtime_error("chunk 57");
                                     }),
                         "chunk 57", std::runtime_error);
    std::atomic<int> ran{0};
    par::chunks(100, 1, [&](std::int64_t, std::int64_t) { ++ran; });
    CHECK(ran == 100);
  }
}

TEST_CASE("sections nest, and a nested one does not count a thread twice") {
  const Threads scope(3);
  std::atomic<std::int64_t> sum{0};
  par::chunks(40, 1, [&](std::int64_t i, std::int64_t) {
    par::chunks(50, 7, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t j = begin; j < end; ++j) sum += i * j;
    });
  });
  CHECK(sum == 780 * 1225);
  CHECK(par::last_distinct_threads() <= 3);
}

TEST_CASE("a nested section runs on the thread that asks, though others are free") {
  const Threads scope(5);
  par::chunks(5, 1, [](std::int64_t, std::int64_t) {});
  std::atomic<int> elsewhere{0}, inner{0};
  par::chunks(2, 1, [&](std::int64_t, std::int64_t) {  // three of the five have nothing to do
    const auto self = std::this_thread::get_id();
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    while (std::chrono::steady_clock::now() < until)
      par::chunks(30, 1, [&](std::int64_t, std::int64_t) {
        ++inner;
        if (std::this_thread::get_id() != self) ++elsewhere;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      });
  });
  CHECK(inner >= 2 * 30);
  CHECK(elsewhere == 0);
}

TEST_CASE("many callers at once add no threads of ours") {
  const Threads scope(3);
  constexpr int callers = 6;
  std::atomic<int> ready{0}, running{0}, most{0};
  const auto section = [&](bool watched) {
    par::chunks(200, 1, [&](std::int64_t, std::int64_t) {
      const int now = ++running;
      const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
      while (std::chrono::steady_clock::now() < until) {
      }
      for (int seen = most; watched && now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      --running;
    });
  };
  section(false);  // helpers stand ready
  std::vector<std::thread> threads;
  for (int i = 0; i < callers; ++i)
    threads.emplace_back([&] {
      // From the outside in: every caller is inside a section while each of them is.
      par::chunks(2, 1, [&](std::int64_t begin, std::int64_t) {
        if (begin != 0) return;
        ++ready;
        while (ready < callers) std::this_thread::yield();
      });
      section(true);
    });
  for (auto& t : threads) t.join();
  CHECK(most <= callers);
}

TEST_CASE("an asynchronous task gets a thread while sections follow one another") {
  const Threads scope(2);
  {
    const par::Rendezvous rendezvous;
    par::chunks(2, 1,
                [](std::int64_t, std::int64_t) {});  // the one worker stands at its mailbox from here on
  }
  std::atomic<bool> ran{false};
  auto task = par::async([&] { return ran = true; });
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (!ran && std::chrono::steady_clock::now() < until)
    par::chunks(2, 1, [](std::int64_t, std::int64_t) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
      while (std::chrono::steady_clock::now() < end) {
      }
    });
  CHECK(ran);
  CHECK(task.get());
}

TEST_CASE("kernels round to nearest and keep denormals whatever the caller chose; the choice survives") {
  constexpr unsigned flush = 0x8040;  // flush to zero, denormals are zero
  const unsigned saved = __builtin_ia32_stmxcsr();
  for (int threads : {1, 3})
    for (std::int64_t n : {1, 64}) {
      const Threads scope(threads);
      std::fesetround(FE_UPWARD);
      __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | flush);
      std::atomic<int> wrong{0};
      par::chunks(n, 4, [&](std::int64_t, std::int64_t) {
        volatile float tiny = 1e-40f;
        volatile float one = 1.0f;
        const float half = tiny * 0.5f;
        if (half == 0 || one + 1e-9f != 1.0f) ++wrong;
      });
      const unsigned after = __builtin_ia32_stmxcsr();
      __builtin_ia32_ldmxcsr(saved);
      std::fesetround(FE_TONEAREST);
      CHECK(wrong == 0);
      CHECK((after & flush) == flush);
      CHECK((after & 0x6000u) == 0x4000u);
    }
}

TEST_CASE("two user threads run sections at once") {
  const Threads scope(2);
  std::atomic<std::int64_t> total{0};
  const auto work = [&] {
    for (int r = 0; r < 50; ++r)
      par::chunks(64, 1, [&](std::int64_t begin, std::int64_t) { total += begin; });
  };
  std::thread other(work);
  work();
  other.join();
  CHECK(total == 2 * 50 * 2016);
}

TEST_CASE("asynchronous tasks return results, carry exceptions, and may be dropped") {
  for (int threads : {1, 2, 3}) {
    const Threads scope(threads);
    auto answer = par::async([] { return std::string("ready"); });
    CHECK(answer.valid());
    CHECK(answer.get() == "ready");
    CHECK(!answer.valid());

    auto failing = par::async([]() -> int { throw std::runtime_error("no data"); });
    CHECK_THROWS_WITH_AS(failing.get(), "no data", std::runtime_error);

    auto parallel = par::async([] {
      std::atomic<std::int64_t> sum{0};
      par::chunks(1000, 10, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
      return sum.load();
    });
    CHECK(parallel.get() == 1000);

    std::atomic<int> finished{0};
    {
      auto dropped = par::async([&] { return ++finished; });
    }
    const int then = finished;  // after the drop it has ended or will never begin
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(finished == then);

    std::vector<decltype(par::async(std::declval<int (*)()>()))> many;
    for (int i = 0; i < 20; ++i) many.push_back(par::async(+[] { return 3; }));
    int sum = 0;
    for (auto& t : many) sum += t.get();
    CHECK(sum == 60);
  }
}
