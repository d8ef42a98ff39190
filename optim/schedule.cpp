// Depends on schedule.hpp, option, fmt.
#include <thalweg/optim/schedule.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/optim/option.hpp>

namespace thalweg::optim {
namespace {

using detail::check_count;
using detail::check_option;

constexpr detail::Range unit{.high = 1, .closed = true};

double ratio(std::int64_t a, std::int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }

/// `from` at x = 0, `to` at x = 1, half a cosine between.
double cosine(double from, double to, double x) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * x)) / 2;
}

/// A call checks too: a schedule that never became a Schedule was not checked before.
template <class S>
void check_call(const S& schedule, std::int64_t t) {
  schedule.check(Loc{});
  check_count("schedule", "t", t, 0, {});
}

void check_ascending(const char* op, const std::vector<std::int64_t>& milestones, Loc loc) {
  for (std::size_t i = 0; i < milestones.size(); ++i) {
    check_count(op, "milestones", milestones[i], 0, loc);
    if (i > 0 && milestones[i] < milestones[i - 1])
      throw_error<ValueError>({.op = op,
                               .arg = fmt::format("milestones[{}]", i),
                               .given = fmt::format("{}", milestones[i]),
                               .wanted = fmt::format("{} or more", milestones[i - 1]),
                               .what = "milestones do not ascend",
                               .loc = loc});
  }
}

[[noreturn]] void throw_missing(const char* op, const char* arg, const char* wanted, Loc loc) {
  throw_error<ValueError>(
      {.op = op, .arg = arg, .given = "none", .wanted = wanted, .what = "option missing", .loc = loc});
}

}  // namespace

Schedule::Schedule(double lr, Loc loc) : rate_([lr](std::int64_t) { return lr; }) {
  check_option("Schedule", "lr", lr, {}, loc);
}

void Schedule::check(Loc loc) const {
  if (!rate_) throw_missing("Schedule", "f", "a function", loc);
}

double Schedule::operator()(std::int64_t t) const {
  check_count("Schedule", "t", t, 0, {});
  return rate_(t);
}

void ConstantLR::check(Loc loc) const {
  check_option("ConstantLR", "lr", lr, {}, loc);
  check_option("ConstantLR", "factor", factor, unit, loc);
  check_count("ConstantLR", "total_iters", total_iters, 0, loc);
}

double ConstantLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  return t < total_iters ? lr * factor : lr;
}

void LinearLR::check(Loc loc) const {
  check_option("LinearLR", "lr", lr, {}, loc);
  check_option("LinearLR", "start_factor", start_factor, unit, loc);
  check_option("LinearLR", "end_factor", end_factor, unit, loc);
  check_count("LinearLR", "total_iters", total_iters, 1, loc);
}

double LinearLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  return lr * (start_factor + (end_factor - start_factor) * ratio(std::min(t, total_iters), total_iters));
}

void StepLR::check(Loc loc) const {
  check_option("StepLR", "lr", lr, {}, loc);
  check_count("StepLR", "step_size", step_size, 1, loc);
  check_option("StepLR", "gamma", gamma, {}, loc);
}

double StepLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  return lr * std::pow(gamma, static_cast<double>(t / step_size));
}

void MultiStepLR::check(Loc loc) const {
  check_option("MultiStepLR", "lr", lr, {}, loc);
  check_option("MultiStepLR", "gamma", gamma, {}, loc);
  check_ascending("MultiStepLR", milestones, loc);
}

double MultiStepLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  const auto passed = std::upper_bound(milestones.begin(), milestones.end(), t) - milestones.begin();
  return lr * std::pow(gamma, static_cast<double>(passed));
}

void ExponentialLR::check(Loc loc) const {
  check_option("ExponentialLR", "lr", lr, {}, loc);
  check_option("ExponentialLR", "gamma", gamma, {}, loc);
  if (gamma == 0) throw_missing("ExponentialLR", "gamma", "more than 0", loc);
}

double ExponentialLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  return lr * std::pow(gamma, static_cast<double>(t));
}

void PolynomialLR::check(Loc loc) const {
  check_option("PolynomialLR", "lr", lr, {}, loc);
  check_count("PolynomialLR", "total_iters", total_iters, 1, loc);
  check_option("PolynomialLR", "power", power, {}, loc);
}

double PolynomialLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  return lr * std::pow(1 - ratio(std::min(t, total_iters), total_iters), power);
}

void CosineAnnealingLR::check(Loc loc) const {
  check_option("CosineAnnealingLR", "lr", lr, {}, loc);
  check_count("CosineAnnealingLR", "t_max", t_max, 1, loc);
  check_option("CosineAnnealingLR", "eta_min", eta_min, {}, loc);
}

double CosineAnnealingLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  // The period is 2 t_max; the remainder is exact, a cosine of a large angle is not.
  return cosine(lr, eta_min,
                t_max > t / 2 ? ratio(t, t_max) : ratio(t % t_max, t_max) + (t / t_max % 2 == 1));
}

void CosineAnnealingWarmRestarts::check(Loc loc) const {
  check_option("CosineAnnealingWarmRestarts", "lr", lr, {}, loc);
  check_count("CosineAnnealingWarmRestarts", "t_0", t_0, 1, loc);
  check_count("CosineAnnealingWarmRestarts", "t_mult", t_mult, 1, loc);
  check_option("CosineAnnealingWarmRestarts", "eta_min", eta_min, {}, loc);
}

double CosineAnnealingWarmRestarts::operator()(std::int64_t t) const {
  check_call(*this, t);
  std::int64_t length = t_0;
  if (t_mult == 1) {
    t %= length;
  } else {
    while (t >= length) {  // at most log2(t) cycles
      t -= length;
      // A cycle that would be longer than what is left is the last.
      if (t / t_mult < length)
        return cosine(lr, eta_min,
                      static_cast<double>(t) / (static_cast<double>(length) * static_cast<double>(t_mult)));
      length *= t_mult;
    }
  }
  return cosine(lr, eta_min, ratio(t, length));
}

void OneCycleLR::check(Loc loc) const {
  check_option("OneCycleLR", "max_lr", max_lr, {}, loc);
  check_count("OneCycleLR", "total_steps", total_steps, 1, loc);
  check_option("OneCycleLR", "pct_start", pct_start, unit, loc);
  check_option("OneCycleLR", "div_factor", div_factor, {}, loc);
  check_option("OneCycleLR", "final_div_factor", final_div_factor, {}, loc);
  if (div_factor == 0) throw_missing("OneCycleLR", "div_factor", "more than 0", loc);
  if (final_div_factor == 0) throw_missing("OneCycleLR", "final_div_factor", "more than 0", loc);
}

double OneCycleLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  const double initial = max_lr / div_factor, least = initial / final_div_factor;
  const double steps = static_cast<double>(total_steps),
               x = static_cast<double>(std::min(t, total_steps - 1));
  const double top = pct_start * steps - 1, back = three_phase ? 2 * pct_start * steps - 2 : top;
  // from .. to over begin .. end; a phase of no length is at its end
  const auto phase = [&](double from, double to, double begin, double end) {
    const double part = end == begin ? 1 : (x - begin) / (end - begin);
    return linear ? from + (to - from) * part : cosine(from, to, part);
  };
  if (x <= top) return phase(initial, max_lr, 0, top);
  if (three_phase && x <= back) return phase(max_lr, initial, top, back);
  return phase(three_phase ? initial : max_lr, least, back, steps - 1);
}

void LambdaLR::check(Loc loc) const {
  check_option("LambdaLR", "lr", lr, {}, loc);
  if (!factor) throw_missing("LambdaLR", "factor", "a function", loc);
}

double LambdaLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  return lr * factor(t);
}

void ChainedScheduler::check(Loc loc) const {
  if (schedules.empty()) throw_missing("ChainedScheduler", "schedules", "one or more", loc);
}

double ChainedScheduler::operator()(std::int64_t t) const {
  check_call(*this, t);
  double product = 1;
  for (const Schedule& s : schedules) product *= s(t);
  return product;
}

void SequentialLR::check(Loc loc) const {
  if (schedules.empty()) throw_missing("SequentialLR", "schedules", "one or more", loc);
  check_ascending("SequentialLR", milestones, loc);
  if (milestones.size() + 1 != schedules.size())
    throw_error<ValueError>({.op = "SequentialLR",
                             .arg = "milestones",
                             .given = fmt::format("{} of them", milestones.size()),
                             .wanted = fmt::format("{}, one fewer than schedules", schedules.size() - 1),
                             .what = "a milestone stands between two schedules",
                             .loc = loc});
}

double SequentialLR::operator()(std::int64_t t) const {
  check_call(*this, t);
  const auto part = std::upper_bound(milestones.begin(), milestones.end(), t) - milestones.begin();
  const auto index = static_cast<std::size_t>(part);
  return schedules[index](index == 0 ? t : t - milestones[index - 1]);
}

}  // namespace thalweg::optim
