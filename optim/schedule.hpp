// Learning-rate schedules: values that give the rate at step (or epoch) t = 0, 1, 2, ...; names and closed
// forms are PyTorch's. Depends on base. Invariant: a schedule has no memory: the rate depends on t alone, so
// a resumed run needs nothing but t.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include <thalweg/autograd/base/loc.hpp>

namespace thalweg::optim {

/// Any schedule: one of those below, a lambda `double(std::int64_t t)`, or a number (a constant rate).
/// Construction throws ValueError for a schedule whose options are out of range; a call for a negative t.
class Schedule {
 public:
  Schedule(double lr, Loc loc = Loc::here());  // NOLINT(google-explicit-constructor)
  template <class F>
  requires(!std::same_as<std::decay_t<F>, Schedule> && !std::is_arithmetic_v<std::decay_t<F>> &&
           std::is_invocable_r_v<double, F&, std::int64_t>)
      Schedule(F f, Loc loc = Loc::here()) {  // NOLINT(google-explicit-constructor)
    if constexpr (requires { f.check(loc); }) f.check(loc);
    rate_ = std::move(f);
    check(loc);
  }
  /// The learning rate at step t.
  double operator()(std::int64_t t) const;

 private:
  void check(Loc loc) const;

  std::function<double(std::int64_t)> rate_;
};

// In all of them `lr` is the base rate; left at 1 the schedule is a factor, as ChainedScheduler wants.
// check() throws ValueError for options out of range, as does a call.

/// lr * factor before step total_iters, lr from there on.
struct ConstantLR {
  double lr = 1;
  double factor = 1.0 / 3;
  std::int64_t total_iters = 5;
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// Linear warm-up: lr * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters).
struct LinearLR {
  double lr = 1;
  double start_factor = 1.0 / 3;
  double end_factor = 1;
  std::int64_t total_iters = 5;
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// lr * gamma^floor(t / step_size).
struct StepLR {
  double lr = 1;
  std::int64_t step_size = 0;  ///< must be given
  double gamma = 0.1;
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// lr * gamma^(number of milestones <= t). The milestones ascend; one that stands twice counts twice.
struct MultiStepLR {
  double lr = 1;
  std::vector<std::int64_t> milestones{};
  double gamma = 0.1;
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// lr * gamma^t.
struct ExponentialLR {
  double lr = 1;
  double gamma = 0;  ///< must be given; more than 0
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// lr * (1 - min(t, total_iters) / total_iters)^power.
struct PolynomialLR {
  double lr = 1;
  std::int64_t total_iters = 5;
  double power = 1;
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// eta_min + (lr - eta_min) (1 + cos(pi t / t_max)) / 2: down to eta_min at t_max, then up again
/// (Loshchilov and Hutter, ICLR 2017, without restarts).
struct CosineAnnealingLR {
  double lr = 1;
  std::int64_t t_max = 0;  ///< must be given
  double eta_min = 0;
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// The same with restarts from lr (ibid.): the first cycle lasts t_0 steps, each further one t_mult times as
/// long as the one before it.
struct CosineAnnealingWarmRestarts {
  double lr = 1;
  std::int64_t t_0 = 0;  ///< must be given
  std::int64_t t_mult = 1;
  double eta_min = 0;
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// One cycle (Smith and Topin, 2018): from max_lr / div_factor up to max_lr at step pct_start total_steps -
/// 1, then down to max_lr / (div_factor final_div_factor) at step total_steps - 1, where it stays. With
/// three_phase it first comes down to the initial rate as fast as it went up. The momentum is left alone.
struct OneCycleLR {
  double max_lr = 1;
  std::int64_t total_steps = 0;  ///< must be given
  double pct_start = 0.3;
  bool linear = false;  ///< straight lines in place of half cosines
  double div_factor = 25;
  double final_div_factor = 1e4;
  bool three_phase = false;
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// lr * factor(t).
struct LambdaLR {
  double lr = 1;
  std::function<double(std::int64_t)> factor{};  ///< must be given
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// The product of its parts: one holds the base rate, the others are factors (their lr left at 1). For the
/// schedules that multiply the base rate this is what PyTorch's ChainedScheduler does.
struct ChainedScheduler {
  std::vector<Schedule> schedules{};
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

/// One after the other: schedules[0] until milestones[0], then schedules[1] counting from there, and so on.
struct SequentialLR {
  std::vector<Schedule> schedules{};
  std::vector<std::int64_t> milestones{};  ///< ascending, one fewer than schedules
  double operator()(std::int64_t t) const;
  void check(Loc loc = Loc::here()) const;
};

}  // namespace thalweg::optim
