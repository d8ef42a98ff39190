// The scheduler behind par.hpp. TBB gives the threads: one arena per thread count, made when first asked for
// and kept. A worker that has helped stays at its mailbox for a moment, so that the next section costs two
// cache lines sent instead of a task. Depends on TBB and base/error. Invariant: a caller waits only for
// helpers that have begun, so a section ends however busy the workers are.
#include <thalweg/ops/kernels/par.hpp>

#include <array>
#include <chrono>
#include <mutex>
#include <thread>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::par {
namespace {

constexpr int max_threads = 256;
constexpr int max_ranges = 16;
constexpr auto stay_spinning = std::chrono::microseconds(100);  // a helper that waits for the next section
constexpr auto stay_yielding = std::chrono::milliseconds(4);  // ... and lets other programs run between looks

using Clock = std::chrono::steady_clock;

std::atomic<int> rendezvous_scopes{0};

struct ThreadRecord {
  int last_distinct = 1;
  bool nested = false;  // this thread is inside a chunk
};
thread_local ThreadRecord record;

void pause() noexcept { __builtin_ia32_pause(); }

/// One call of chunks(), on its caller's stack. Each participant starts with a stretch of its own, so that
/// the same thread tends to meet the same elements in section after section, and then takes what is left of
/// the others'.
struct Section {
  struct alignas(64) Range {
    std::int64_t next;  // accessed through atomic_ref
    std::int64_t end;
  };

  Section(detail::ChunkFn f, void* c, std::int64_t size, std::int64_t chunk, int meet) noexcept
      : fn(f), context(c), n(size), grain(chunk), wait_for(meet) {}

  const detail::ChunkFn fn;
  void* const context;
  const std::int64_t n, grain;
  const int wait_for;  // threads to meet at the first chunk; 0 for none
  int ranges = 1;
  std::atomic<int> distinct{0};
  std::atomic<int> pending{0};  // helpers that were asked and have neither finished nor been let off
  std::atomic<bool> failed{false};
  std::exception_ptr error{};
  Range range[max_ranges];  // the first `ranges` of them

  void divide(std::int64_t count, int parts) noexcept {
    ranges = parts;
    for (int r = 0; r < parts; ++r) range[r] = {count * r / parts, count * (r + 1) / parts};
  }

  // Counts the running thread; in a rendezvous it then waits for the others.
  void enter() noexcept {
    distinct.fetch_add(1, std::memory_order_acq_rel);
    if (wait_for == 0) return;
    const auto deadline = Clock::now() + std::chrono::seconds(2);
    // Sleeping leaves the cores to the threads that are still on their way: there may be more threads than
    // cores.
    while (distinct.load(std::memory_order_acquire) < wait_for && Clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
  }

  void fail() noexcept {
    if (!failed.exchange(true)) error = std::current_exception();
    for (int r = 0; r < ranges; ++r)
      std::atomic_ref(range[r].next).store(range[r].end, std::memory_order_relaxed);
  }

  /// Runs chunks until none is left or `leave()`, beginning with stretch `first`.
  template <class Leave>
  void take_part(int first, Leave leave) noexcept {
    const bool outer = std::exchange(record.nested, true);
    const FloatEnvironment environment;
    bool entered = false;
    try {
      for (int r = 0; r < ranges; ++r) {
        Range& mine = range[(first + r) % ranges];
        std::atomic_ref next(mine.next);
        while (next.load(std::memory_order_relaxed) < mine.end && !leave()) {
          const std::int64_t chunk = next.fetch_add(1, std::memory_order_relaxed);
          if (chunk >= mine.end) break;
          if (!std::exchange(entered, true)) enter();
          const std::int64_t begin = chunk * grain;
          fn(context, begin, begin + grain < n ? begin + grain : n);
        }
      }
    } catch (...) {
      fail();
    }
    record.nested = outer;
  }
};

/// The helpers of one thread count and the arena they come from.
class Crew {
 public:
  explicit Crew(int n) : n_(n), arena_(n), boxes_(new Box[static_cast<std::size_t>(n)]) {}

  void run(Section& s, std::int64_t count) {
    // With as many callers as threads nobody is asked: the callers fill the cores.
    const int others = active_.fetch_add(1, std::memory_order_relaxed);
    int wanted = n_ - 1 - others;
    if (wanted > count - 1) wanted = static_cast<int>(count - 1);
    if (wanted < 0) wanted = 0;
    s.divide(count, wanted + 1 < max_ranges ? wanted + 1 : max_ranges);
    const int asked = wanted > 0 ? ask(s, wanted) : 0;
    s.take_part(0, [] { return false; });
    if (asked > 0) finish(s);
    active_.fetch_sub(1 + asked, std::memory_order_relaxed);
  }

  void enqueue(std::shared_ptr<detail::Job> job) {
    jobs_.fetch_add(1, std::memory_order_relaxed);
    arena_.enqueue([this, job = std::move(job)] {
      jobs_.fetch_sub(1, std::memory_order_relaxed);
      if (job->claim()) job->run();
    });
  }

 private:
  /// What a mailbox holds: `away` (nobody will look), `idle` (somebody looks or is on the way), `busy`, or a
  /// section.
  using Letter = std::uintptr_t;
  static constexpr Letter away = 0, idle = 1, busy = 2;
  struct alignas(64) Box {
    std::atomic<Letter> letter{away};
  };
  static Letter letter_of(Section& s) noexcept { return reinterpret_cast<Letter>(&s); }

  int ask(Section& s, int wanted) {
    int asked = 0;
    active_.fetch_add(wanted, std::memory_order_relaxed);
    s.pending.store(wanted, std::memory_order_relaxed);  // before anybody can finish
    for (int h = 0; h + 1 < n_ && asked < wanted; ++h) {
      std::atomic<Letter>& letter = boxes_[static_cast<std::size_t>(h)].letter;
      Letter seen = letter.load(std::memory_order_relaxed);
      if (seen > idle || !letter.compare_exchange_strong(seen, letter_of(s), std::memory_order_acq_rel))
        continue;
      ++asked;
      if (seen == away) arena_.enqueue([this, h] { help(h); });
    }
    if (asked < wanted) {
      s.pending.fetch_sub(wanted - asked, std::memory_order_relaxed);
      active_.fetch_sub(wanted - asked, std::memory_order_relaxed);
    }
    return asked;
  }

  /// Lets off the helpers that have not begun and waits for the others.
  void finish(Section& s) noexcept {
    for (int h = 0; h + 1 < n_ && s.pending.load(std::memory_order_acquire) > 0; ++h) {
      Letter mine = letter_of(s);
      std::atomic<Letter>& letter = boxes_[static_cast<std::size_t>(h)].letter;
      if (letter.load(std::memory_order_relaxed) == mine &&
          letter.compare_exchange_strong(mine, idle, std::memory_order_acq_rel))
        s.pending.fetch_sub(1, std::memory_order_relaxed);
    }
    for (int looks = 0; s.pending.load(std::memory_order_acquire) > 0; ++looks)
      if (looks < 4096)
        pause();
      else
        std::this_thread::yield();
  }

  /// Life of a helper: works for whoever writes, and leaves when nobody has for a while or a job waits for a
  /// thread.
  void help(int h) {
    std::atomic<Letter>& letter = boxes_[static_cast<std::size_t>(h)].letter;
    auto since = Clock::now();
    for (unsigned looks = 1;; ++looks) {
      Letter seen = letter.load(std::memory_order_acquire);
      if (seen != idle) {
        if (!letter.compare_exchange_strong(seen, busy, std::memory_order_acq_rel)) continue;  // let off
        Section& s = *reinterpret_cast<Section*>(seen);
        s.take_part(h + 1, [this] { return active_.load(std::memory_order_relaxed) > n_; });
        const bool leave = jobs_.load(std::memory_order_relaxed) > 0;
        letter.store(leave ? away : idle, std::memory_order_release);
        s.pending.fetch_sub(1, std::memory_order_release);  // the section may be gone from here on
        if (leave) return;
        since = Clock::now();
        continue;
      }
      pause();
      if (looks % 64 != 0) continue;
      const auto waited = Clock::now() - since;
      if (waited > stay_yielding || jobs_.load(std::memory_order_relaxed) > 0) {
        if (letter.compare_exchange_strong(seen, away, std::memory_order_acq_rel)) return;
      } else if (waited > stay_spinning) {
        std::this_thread::yield();
      }
    }
  }

  const int n_;
  tbb::task_arena arena_;
  const std::unique_ptr<Box[]> boxes_;
  alignas(64) std::atomic<int> active_{0};  // callers inside a section, and the helpers they asked
  alignas(64) std::atomic<int> jobs_{0};    // asynchronous calls that no thread has taken up
};

// Never destroyed: workers may outlive static destructors.
struct Pool {
  std::mutex lock;
  std::array<std::atomic<Crew*>, max_threads + 1> crews{};
  std::unique_ptr<tbb::global_control> limit;
  int limit_value = 0;
  std::atomic<int> threads{tbb::info::default_concurrency()};
};

Pool& pool() noexcept {
  static Pool* const p = new Pool;
  return *p;
}

Crew& crew_of(int n) {
  Pool& p = pool();
  auto& slot = p.crews[static_cast<std::size_t>(n)];
  if (Crew* c = slot.load(std::memory_order_acquire)) return *c;
  const std::lock_guard guard(p.lock);
  if (Crew* c = slot.load(std::memory_order_acquire)) return *c;
  // An arena never gets more workers than the global limit allows, which is the core count unless raised.
  if (n > tbb::info::default_concurrency() && n > p.limit_value) {
    p.limit.reset();
    p.limit = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                    static_cast<std::size_t>(n));
    p.limit_value = n;
  }
  auto* c = new Crew(n);
  slot.store(c, std::memory_order_release);
  return *c;
}

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
  const int threads = record.nested ? 1 : num_threads();  // the outer section has the threads already
  const bool meet = threads > 1 && rendezvous_scopes.load(std::memory_order_relaxed) > 0 && count >= threads;
  Section section(fn, context, n, grain, meet ? threads : 0);
  if (threads == 1) {
    section.divide(count, 1);
    section.take_part(0, [] { return false; });
  } else {
    crew_of(threads).run(section, count);
  }
  record.last_distinct = section.distinct.load(std::memory_order_relaxed);
  if (section.failed.load(std::memory_order_relaxed)) std::rethrow_exception(section.error);
}

void enqueue(std::shared_ptr<Job> job) {
  const int threads = num_threads();
  if (threads == 1) return;  // the caller runs it when it asks for the result
  crew_of(threads).enqueue(std::move(job));
}

}  // namespace detail
}  // namespace thalweg::par
