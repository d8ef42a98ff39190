// The rounds of a row. Depends on limits.hpp, measure.hpp, par (our thread count).
// Invariant: ours and the peer's batches take turns, each after the same pause and calls that are not timed, and with the
// other's threads at rest.
#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/sample.hpp>

#include "limits.hpp"
#include "nets.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
using Run = std::function<void(std::int64_t)>;

constexpr double batch_seconds = 2e-3, warm_up_seconds = 4e-3;

double seconds_of(const Run& run, std::int64_t times) {
  const auto start = Clock::now();
  run(times);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> v) {
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

/// A side of the comparison: how often it is called in a batch so that the clock does not matter.
struct Side {
  Run run;
  std::int64_t times = 1;
  double once = 0;  ///< seconds of a call, roughly
  std::vector<double> seconds{};

  void calibrate(double batch) {
    for (times = 1;; times *= 4) {
      const double t = seconds_of(run, times);
      once = t / static_cast<double>(times);
      if (t > batch / 4) break;
    }
    times = std::max<std::int64_t>(1, std::llround(batch / once));
  }
  double batch() {
    // Caches, threads and clock awake: after a pause a pass over 16 MB needs four or five calls to reach its speed.
    if (once < 0.3) run(std::max<std::int64_t>(1, std::llround(warm_up_seconds / once)));
    return seconds_of(run, times) / static_cast<double>(times);
  }
};

/// libgomp's threads spin for some milliseconds after a parallel section and would sit on a core of ours.
void let_threads_rest(int threads) {
  if (threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(8));
}

/// Leaves the peer at the number of threads at which its best batch was shortest, and `theirs` calibrated for it. The
/// number is not changed between the rounds: OpenBLAS and libgomp need many calls to recover from that.
int choose_threads(Peer& peer, Side& theirs, int only, const Effort& effort) {
  int best = only;
  double best_time = 1e30;
  for (int threads = 1; only == 0 && threads <= effort.threads; ++threads) {
    peer.set_threads(threads);
    theirs.calibrate(batch_seconds);
    double shortest = theirs.once;
    for (int i = 0; i < (theirs.once > 0.2 ? 1 : 5); ++i) shortest = std::min(shortest, theirs.batch());
    if (shortest < best_time) {
      best_time = shortest;
      best = threads;
    }
  }
  peer.set_threads(best);
  theirs.calibrate(batch_seconds);
  for (int i = 0; i < 5 && theirs.once < 0.05; ++i) theirs.batch();
  return best;
}

/// The largest difference of two results, as a share of the larger result's size; NaN counts as equal to NaN.
double difference(const thalweg::Tensor& a, const std::vector<double>& b) {
  if (a.numel() != static_cast<std::int64_t>(b.size())) return 1e30;
  double largest = 0, size = 1e-6;
  std::size_t i = 0;
  thalweg::for_each_index(a.shape(), [&](const thalweg::Dims& index) {
    const double x = thalweg::value_at(a, index), y = b[i++];
    if (std::isnan(x) && std::isnan(y)) return;
    largest = std::max(largest, std::isnan(x) || std::isnan(y) ? 1e30 : std::fabs(x - y));
    size = std::max({size, std::fabs(x), std::fabs(y)});
  });
  return largest / size;
}

void compare(const Case& c, const Ready& ready, PeerJob& job) {
  if (!ready.results) return;
  const std::vector<thalweg::Tensor> ours = ready.results();
  const std::vector<std::vector<double>> theirs = job.results();
  if (ours.size() != theirs.size())
    throw std::runtime_error(fmt::format("{}: {} results of ours, {} of the peer's", c.name, ours.size(), theirs.size()));
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double d = difference(ours[i], theirs[i]);
    if (!(d < 1e-3)) throw std::runtime_error(fmt::format("{}: result {} differs from the peer's by {:.2g}", c.name, i, d));
  }
}

/// Ours and the peer's batches in turn, again and again.
void run_rounds(Side& ours, Side* theirs, int peer_threads, const Effort& effort) {
  const double round = std::max(ours.once, batch_seconds) + (theirs ? std::max(theirs->once, batch_seconds) : 0);
  const int rounds = effort.quick ? 1 : round > 0.1 ? 7 : round > 0.03 ? 9 : 15;
  for (int i = 0; i < rounds; ++i) {
    if (theirs) let_threads_rest(peer_threads);
    ours.seconds.push_back(ours.batch());
    if (theirs) let_threads_rest(peer_threads);  // the same pause for both
    if (theirs) theirs->seconds.push_back(theirs->batch());
  }
}

}  // namespace

Case scaling_case(std::string name, std::function<Ready()> make, double goal) {
  Case c{.group = "steps", .name = std::move(name), .goal = goal};
  c.custom = [make = std::move(make)](Row& row, Peer*) {
    const Ready ready = make();
    Side sides[2] = {{.run = ready.ours}, {.run = ready.ours}};
    for (int round = 0; round < 8; ++round)
      for (const int i : {0, 1}) {
        thalweg::par::set_num_threads(i + 1);
        if (round == 0) sides[i].calibrate(10 * batch_seconds);
        else sides[i].seconds.push_back(sides[i].batch());
      }
    row.unit = "x";
    row.more_is_better = true;
    row.median = median(sides[0].seconds) / median(sides[1].seconds);
  };
  return c;
}

Row measure(const Case& c, Peer* peer, const Effort& effort) {
  Row row{.group = c.group, .name = c.name, .goal = c.goal, .goal_text = c.goal_text, .note = c.no_peer};
  if (c.custom) {
    c.custom(row, peer);
    return row;
  }
  const Ready ready = c.make();
  row.work = ready.work;
  const int threads = c.threads > 0 ? c.threads : effort.threads;
  thalweg::par::set_num_threads(threads);
  std::unique_ptr<PeerJob> job;
  if (peer && !ready.peer.name.empty()) job = peer->make(ready.peer);
  if (job) compare(c, ready, *job);
  if (peer && !job && row.note.empty()) row.note = "no twin";

  Side ours{.run = ready.ours};
  ours.calibrate(batch_seconds);
  Side theirs{.run = [&](std::int64_t n) { job->run(n); }};
  if (job) row.peer_threads = choose_threads(*peer, theirs, c.threads, effort);
  run_rounds(ours, job ? &theirs : nullptr, row.peer_threads, effort);
  row.median = median(ours.seconds) / c.units;
  if (job) row.peer_median = median(theirs.seconds) / c.units;
  row.limit = limit_seconds(ready.work, threads) / (ready.work.overhead ? 1 : c.units);
  return row;
}

Row median_row(std::vector<Row> passes) {
  const auto key = [](const Row& r) { return r.peer_median > 0 ? r.ratio() : r.median; };
  std::ranges::sort(passes, {}, key);
  Row row = passes[passes.size() / 2];
  if (passes.size() > 1 && row.peer_median > 0)
    for (const Row& r : passes) row.ratios.push_back(r.ratio());
  return row;
}

}  // namespace bench
