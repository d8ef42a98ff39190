// Graphs and tensors across threads and processes: built here, used and destroyed there, after the builder's
// end, inside tasks (TBB's too, which users may call) and in a forked child.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include <oneapi/tbb/parallel_for.h>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/thalweg.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool may_fork = false;
#elif defined(__has_feature)
constexpr bool may_fork = !__has_feature(thread_sanitizer);  // which ends children that start threads
#else
constexpr bool may_fork = true;
#endif

Tensor chain(const Tensor& x, int length) {
  Tensor y = x;
  for (int i = 0; i < length; ++i) y = y * 1.0;
  return y;
}

struct Threads {
  int saved = tw::par::num_threads();
  explicit Threads(int n) { tw::par::set_num_threads(n); }
  ~Threads() { tw::par::set_num_threads(saved); }
};

}  // namespace

TEST_CASE("a graph built on a thread that has ended runs backward here and is destroyed on a third") {
  const std::int64_t nodes = tw::live_nodes(), blocks = tw::memory_stats().live_blocks;
  {
    Tensor x, y;
    std::thread([&] {
      x = tw::ones({1000}).set_requires_grad();
      y = chain(x, 20'000);
    }).join();
    const Tensor other = chain(x, 20'000);  // on this thread, of the same leaf
    (y + other).sum().backward({.retain_graph = true});
    CHECK(x.grad().sum().item() == 2000);
    std::thread([y = std::move(y), x = std::move(x)]() mutable {
      y = {};
      x = {};
    }).join();
  }
  CHECK(tw::live_nodes() == nodes);
  CHECK(tw::memory_stats().live_blocks == blocks);
}

TEST_CASE("what a thread keeps to its very end is given back") {
  const std::int64_t nodes = tw::live_nodes(), blocks = tw::memory_stats().live_blocks;
  std::thread([] {
    static thread_local Tensor kept;  // destroyed after the thread's function
    kept = chain(tw::ones({1000}).set_requires_grad(), 100);
  }).join();
  CHECK(tw::live_nodes() == nodes);
  CHECK(tw::memory_stats().live_blocks == blocks);
}

TEST_CASE("threads that share parameters get their own graphs, and the leaves the sum") {
  tw::nn::Linear layer({.in = 8, .out = 4});
  const Tensor x = tw::ones({16, 8});
  constexpr int rounds = 20;
  for (int threads : {1, 2}) {
    const Threads scope(threads);
    tw::nn::zero_grad(layer);
    std::vector<std::thread> workers;
    for (int w = 0; w < 3; ++w)
      workers.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) layer(x).sum().backward();
      });
    for (std::thread& w : workers) w.join();
    CHECK((layer.bias.grad() == tw::full({4}, 3.0f * rounds * 16)).to(tw::DType::i64).sum().item() == 4);
  }
}

TEST_CASE("an error on one thread leaves the passes of the others alone") {
  Tensor w = tw::ones({1}).set_requires_grad();
  std::thread failing([&] {
    for (int i = 0; i < 50; ++i) {
      Tensor y = w * 2.0;
      y.register_hook([](const Tensor&) -> Tensor { throw std::runtime_error("here"); });
      CHECK_THROWS_WITH(y.sum().backward(), "here");
    }
  });
  for (int i = 0; i < 50; ++i) (w * 3.0).sum().backward();
  failing.join();
  CHECK(w.grad().item() == 150);
}

TEST_CASE("ops inside tasks of the user's own, of the library's and inside a chunk give the same bits") {
  const Threads scope(3);
  tw::Generator gen(5);
  const Tensor a = tw::randn({150, 150}, gen);
  const auto work = [&] {
    Tensor x = a.clone().set_requires_grad();
    (tw::matmul(x, x) * x).sum().backward();
    return x.grad();
  };
  const Tensor expected = work();
  const auto same = [&](const Tensor& g) {
    return std::equal(g.data<float>(), g.data<float>() + g.numel(), expected.data<float>());
  };
  auto task = tw::par::async(work);
  CHECK(same(task.get()));
  std::atomic<int> differ{0};
  tw::par::chunks(6, 1, [&](std::int64_t, std::int64_t) { differ += same(work()) ? 0 : 1; });
  CHECK(differ == 0);
  oneapi::tbb::parallel_for(0, 6, [&](int) { differ += same(work()) ? 0 : 1; });
  CHECK(differ == 0);
}

TEST_CASE("a forked child computes on, with the parent's threads gone") {
  if (!may_fork) return;
  const Threads scope(3);
  const Tensor a = tw::ones({200, 200});
  const double expected = tw::matmul(a, a).sum().item();  // the parent's workers have helped and wait
  for (int round = 0; round < 5; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(30);  // a child that hangs is a failure, not a wait
      bool good = true;
      for (int i = 0; i < 10; ++i) good &= tw::matmul(a, a).sum().item() == expected;
      auto task = tw::par::async([&] { return tw::matmul(a, a).sum().item(); });
      good &= task.get() == expected;
      ::_exit(good ? 0 : 1);
    }
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  CHECK(tw::matmul(a, a).sum().item() == expected);
}
