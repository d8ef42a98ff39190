// par: the only door to threads. Splits work into chunks whose boundaries depend on sizes alone, so that no
// result depends on how many threads there are. TBB is hidden in par.cpp; depends on the standard library
// only. Invariant: an exception from a chunk reaches the caller; chunks and tasks run with the default
// floating-point settings.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace thalweg::par {

/// Bounds every parallel section that starts later to `n` threads, the caller included; more threads than
/// cores are really started. Throws ValueError unless 1 <= n <= 256. Not to be called inside a parallel
/// section.
void set_num_threads(int n);

/// The bound; at start the number of cores this process may use.
int num_threads() noexcept;

/// How many distinct threads ran a chunk of this thread's last parallel section; 1 when it ran serially.
int last_distinct_threads() noexcept;

/// For tests: in the scope, each section of at least num_threads() chunks makes its threads wait for one
/// another at their first chunk (two seconds at most), so that all of them really take part, however short
/// the work.
class Rendezvous {
 public:
  Rendezvous() noexcept;
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;
  ~Rendezvous();
};

/// Sets rounding to nearest with denormals kept for the scope, whatever the calling thread had chosen. A read
/// of the control word is all it costs where nothing had been changed.
class FloatEnvironment {
 public:
  FloatEnvironment() noexcept : saved_(__builtin_ia32_stmxcsr()) {
    if ((saved_ & control_bits) != standard) __builtin_ia32_ldmxcsr(standard);
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;
  ~FloatEnvironment() {
    if ((saved_ & control_bits) != standard) __builtin_ia32_ldmxcsr(saved_);
  }

 private:
  static constexpr unsigned control_bits = 0xFFC0;  // the low six bits only report what happened
  static constexpr unsigned standard = 0x1F80;      // all exceptions masked, to nearest, no flush to zero
  unsigned saved_;
};

namespace detail {
using ChunkFn = void (*)(void* context, std::int64_t begin, std::int64_t end);
void run_chunks(std::int64_t n, std::int64_t grain, ChunkFn fn, void* context);

/// One asynchronous call. Whoever claims it runs it: a worker, or the thread that needs the result.
class Job {
 public:
  virtual ~Job() = default;
  bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }
  void run() noexcept {
    const FloatEnvironment environment;
    call();
    done_.store(true, std::memory_order_release);
    done_.notify_all();
  }
  void finish() noexcept {
    if (claim()) run();
    done_.wait(false, std::memory_order_acquire);
  }
  /// Leaves the job undone if nobody began it, else waits for its end.
  void abandon() noexcept {
    if (!claim()) done_.wait(false, std::memory_order_acquire);
  }

 protected:
  virtual void call() noexcept = 0;

 private:
  std::atomic<bool> claimed_{false};
  std::atomic<bool> done_{false};
};

template <class F>
class JobOf final : public Job {
 public:
  using Result = std::invoke_result_t<F&>;
  static_assert(!std::is_void_v<Result>, "par::async: the callable must return its result");
  explicit JobOf(F f) : f_(std::move(f)) {}
  Result take() {
    if (error_) std::rethrow_exception(error_);
    return std::move(*result_);
  }

 private:
  void call() noexcept override {
    try {
      result_.emplace(f_());
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  F f_;
  std::optional<Result> result_;
  std::exception_ptr error_;
};

void enqueue(std::shared_ptr<Job> job);
}  // namespace detail

/// Calls f(begin, end) for the chunks of exactly `grain` (the last may be shorter) that cover [0, n), in
/// parallel and in no order. Serial, as one call f(0, n), when n <= grain; nothing at all when n <= 0. Inside a chunk
/// of another section the chunks run one after the other on the thread that asks.
template <class F>
void chunks(std::int64_t n, std::int64_t grain, F&& f) {
  if (n <= grain) {
    if (n <= 0) return;
    const FloatEnvironment environment;
    f(std::int64_t{0}, n);
    return;
  }
  using Fn = std::remove_reference_t<F>;
  detail::run_chunks(
      n, grain,
      [](void* context, std::int64_t begin, std::int64_t end) { (*static_cast<Fn*>(context))(begin, end); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

/// The result of async(): get() returns it once or rethrows; destruction waits for a call that has begun.
template <class F>
class Task {
 public:
  using Result = typename detail::JobOf<F>::Result;
  Task() = default;
  explicit Task(std::shared_ptr<detail::JobOf<F>> job) : job_(std::move(job)) {}
  Task(Task&& o) noexcept : job_(std::move(o.job_)) {}
  Task& operator=(Task&& o) noexcept {
    if (job_) job_->abandon();
    job_ = std::move(o.job_);
    return *this;
  }
  ~Task() {
    if (job_) job_->abandon();
  }
  bool valid() const noexcept { return job_ != nullptr; }
  Result get() {
    const std::shared_ptr<detail::JobOf<F>> job = std::move(job_);
    job->finish();
    return job->take();
  }

 private:
  std::shared_ptr<detail::JobOf<F>> job_;
};

/// Starts f() on a worker and returns at once. With one thread the call happens inside get(), on the caller.
template <class F>
Task<std::decay_t<F>> async(F&& f) {
  auto job = std::make_shared<detail::JobOf<std::decay_t<F>>>(std::forward<F>(f));
  detail::enqueue(job);
  return Task<std::decay_t<F>>(std::move(job));
}

}  // namespace thalweg::par
