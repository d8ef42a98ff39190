// The machine's limits, measured with threads of its own. Depends on limits_kernels.hpp and the library (op_seconds).
// Invariant: each figure is the best of several tries and is measured once in a run.
#include "limits.hpp"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>
#include <tuple>

#include <thalweg/thalweg.hpp>

#include "limits_kernels.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
std::atomic<double> sink{0};

/// The shortest of `tries` runs of f(thread) on all threads at once, from the common start to the last end.
template <class F>
double best_seconds(int threads, int tries, F f) {
  double best = 1e30;
  Clock::time_point start;
  std::barrier before(threads, [&]() noexcept { start = Clock::now(); });
  std::barrier after(threads, [&]() noexcept {
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  });
  const auto work = [&](int thread) {
    for (int i = 0; i < tries; ++i) {
      before.arrive_and_wait();
      f(thread);
      after.arrive_and_wait();
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (std::thread& t : others) t.join();
  return best;
}

struct Free {
  void operator()(float* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<float[], Free>;

constexpr std::size_t grain = 64;  // floats: a whole number of vectors of any width

/// Memory that is kept, since fresh pages cost more than what is measured; index 0 is read, 1 written.
float* buffer(int index, std::size_t floats) {
  static Buffer kept[2];
  static std::size_t size[2] = {0, 0};
  if (size[index] < floats) {
    kept[index].reset();
    kept[index].reset(static_cast<float*>(std::aligned_alloc(64, floats * sizeof(float))));
    std::fill_n(kept[index].get(), floats, 0.5f);
    size[index] = floats;
  }
  return kept[index].get();
}

/// The part of n floats that falls to a thread.
struct Part {
  std::size_t begin, count;
};
Part part_of(std::size_t n, int thread, int threads) {
  const std::size_t blocks = n / grain, t = static_cast<std::size_t>(thread), all = static_cast<std::size_t>(threads);
  const std::size_t from = blocks * t / all, to = blocks * (t + 1) / all;
  return {from * grain, (to - from) * grain};
}

double measured_stream(std::size_t read, std::size_t written, int threads) {
  const LimitKernels& k = limit_kernels();
  const std::size_t both = std::min(read, written);
  float* const in = buffer(0, read);
  float* const out = buffer(1, written);
  const auto run = [&](bool streaming) {
    return best_seconds(threads, 9, [&](int t) {
      const Part c = part_of(both, t, threads);
      k.copy(in + c.begin, out + c.begin, c.count, streaming);
      if (read > both) {
        const Part r = part_of(read - both, t, threads);
        sink = static_cast<double>(k.read(in + both + r.begin, r.count));
      } else if (written > both) {
        const Part w = part_of(written - both, t, threads);
        k.write(out + both + w.begin, w.count, streaming);
      }
    });
  };
  return std::min(run(true), run(false));
}

}  // namespace

double peak_flops(int threads) {
  static std::map<int, double> known;
  double& peak = known[threads];
  if (peak > 0) return peak;
  constexpr std::int64_t n = 2'000'000;
  const LimitKernels& k = limit_kernels();
  const double seconds = best_seconds(threads, 25, [&](int) { sink = k.chains(n); });
  return peak = threads * k.flops_of_chains(n) / seconds;
}

double stream_seconds(double read, double written, int threads) {
  const auto rounded = [](double bytes) { return static_cast<std::size_t>(bytes / 4) / grain * grain; };
  static std::map<std::tuple<std::size_t, std::size_t, int>, double> known;
  const std::size_t r = rounded(read), w = rounded(written);
  if (r + w == 0) return 0;
  double& seconds = known[{r, w, threads}];
  if (seconds == 0) seconds = measured_stream(r, w, threads);
  return seconds;
}

double op_seconds(bool backward) {
  static double known[2] = {0, 0};
  double& best = known[backward];
  if (best > 0) return best;
  thalweg::Tensor x = thalweg::ones({64});
  const thalweg::Tensor g = thalweg::ones({64});
  x.set_requires_grad(backward);
  constexpr int n = 2000;
  best = best_seconds(1, 25, [&](int) {
    for (int i = 0; i < n; ++i) {
      const thalweg::Tensor y = thalweg::neg(x);
      if (backward) {
        std::vector<thalweg::Tensor> seed;
        seed.push_back(g.clone());
        thalweg::backward(std::span<const thalweg::Tensor>(&y, 1), std::move(seed), false, thalweg::Loc::here());
        x.zero_grad();
      }
    }
  });
  return best /= n;
}

double limit_seconds(const Work& work, int threads) {
  if (work.overhead) return op_seconds(work.backward);
  const double compute = work.flops > 0 ? work.flops / peak_flops(threads) : 0;
  const double memory = stream_seconds(work.read, work.written, threads);
  return work.in_turn ? compute + memory : std::max(compute, memory);
}

}  // namespace bench
