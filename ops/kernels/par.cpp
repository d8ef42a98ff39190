// The scheduler behind par.hpp: one TBB arena per thread count, made when first asked for and kept.
// Depends on TBB and base/error. Invariant: chunk boundaries are computed here, never by a TBB partitioner.
#include <thalweg/ops/kernels/par.hpp>

#include <array>
#include <chrono>
#include <mutex>
#include <thread>

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::par {
namespace {

constexpr int max_threads = 256;

// Never destroyed: workers may outlive static destructors.
struct Pool {
  std::mutex lock;
  std::array<std::atomic<tbb::task_arena*>, max_threads + 1> arenas{};
  std::unique_ptr<tbb::global_control> limit;
  int limit_value = 0;
  std::atomic<int> threads{tbb::info::default_concurrency()};
};

Pool& pool() noexcept {
  static Pool* const p = new Pool;
  return *p;
}

tbb::task_arena& arena_for(int n) {
  Pool& p = pool();
  auto& slot = p.arenas[static_cast<std::size_t>(n)];
  if (tbb::task_arena* a = slot.load(std::memory_order_acquire)) return *a;
  const std::lock_guard guard(p.lock);
  if (tbb::task_arena* a = slot.load(std::memory_order_acquire)) return *a;
  // An arena never gets more workers than the global limit allows, which is the core count unless raised.
  if (n > tbb::info::default_concurrency() && n > p.limit_value) {
    p.limit.reset();
    p.limit = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                    static_cast<std::size_t>(n));
    p.limit_value = n;
  }
  auto* a = new tbb::task_arena(n);
  slot.store(a, std::memory_order_release);
  return *a;
}

std::atomic<int> rendezvous_scopes{0};

struct ThreadRecord {
  std::uint64_t section = 0;  // the section this thread last counted itself in
  int last_distinct = 1;
  bool nested = false;
};
thread_local ThreadRecord record;

std::atomic<std::uint64_t> next_section{1};

struct Section {
  detail::ChunkFn fn;
  void* context;
  std::int64_t n;
  std::int64_t grain;
  std::uint64_t id;
  int wait_for;  // threads to meet at the first chunk; 0 for none
  std::atomic<int> distinct{0};

  // Counts the running thread once; in a rendezvous it then waits for the others.
  void enter() noexcept {
    if (record.section == id) return;
    record.section = id;
    distinct.fetch_add(1, std::memory_order_acq_rel);
    if (wait_for == 0) return;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    // Sleeping leaves the cores to the threads that are still on their way: there may be more threads than cores.
    while (distinct.load(std::memory_order_acquire) < wait_for && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
  }

  void run(std::int64_t chunk) {
    enter();
    const bool outer = record.nested;
    record.nested = true;
    struct Leave {
      bool outer;
      ~Leave() { record.nested = outer; }
    } const leave{outer};
    const FloatEnvironment environment;
    const std::int64_t begin = chunk * grain;
    fn(context, begin, begin + grain < n ? begin + grain : n);
  }
};

}  // namespace

void set_num_threads(int n) {
  if (n < 1 || n > max_threads)
    throw_error<ValueError>({.op = "set_num_threads",
                             .arg = "n",
                             .given = std::to_string(n),
                             .wanted = "1 to " + std::to_string(max_threads),
                             .what = "number of threads out of range"});
  pool().threads.store(n, std::memory_order_relaxed);
}

int num_threads() noexcept { return pool().threads.load(std::memory_order_relaxed); }

int last_distinct_threads() noexcept { return record.last_distinct; }

Rendezvous::Rendezvous() noexcept { rendezvous_scopes.fetch_add(1); }
Rendezvous::~Rendezvous() { rendezvous_scopes.fetch_sub(1); }

namespace detail {

void run_chunks(std::int64_t n, std::int64_t grain, ChunkFn fn, void* context) {
  const std::int64_t count = (n + grain - 1) / grain;
  const int threads = num_threads();
  const bool meet =
      rendezvous_scopes.load(std::memory_order_relaxed) > 0 && !record.nested && count >= threads;
  Section section{
      fn, context, n, grain, next_section.fetch_add(1, std::memory_order_relaxed), meet ? threads : 0};
  // A nested section must not make this thread count itself twice in the outer one.
  struct Restore {
    std::uint64_t outer;
    ~Restore() { record.section = outer; }
  } const restore{record.section};
  if (threads == 1) {
    for (std::int64_t chunk = 0; chunk < count; ++chunk) section.run(chunk);
  } else {
    arena_for(threads).execute([&] {
      // Isolated: while it waits here, this thread must not pick up a task of an unrelated caller.
      tbb::this_task_arena::isolate([&] {
        tbb::parallel_for(
            tbb::blocked_range<std::int64_t>(0, count, 1),
            [&section](const tbb::blocked_range<std::int64_t>& range) {
              for (std::int64_t chunk = range.begin(); chunk != range.end(); ++chunk) section.run(chunk);
            },
            tbb::simple_partitioner{});
      });
    });
  }
  record.last_distinct = section.distinct.load(std::memory_order_acquire);
}

void enqueue(std::shared_ptr<Job> job) {
  const int threads = num_threads();
  if (threads == 1) return;  // the caller runs it when it asks for the result
  arena_for(threads).enqueue([job = std::move(job)] {
    if (job->claim()) job->run();
  });
}

}  // namespace detail
}  // namespace thalweg::par
