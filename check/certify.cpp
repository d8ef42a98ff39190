// certify(): runs the axes one after another and turns what they throw into results. Depends on axes.hpp,
// fmt. Invariant: one table of axes; the names, the order and the functions are here and nowhere else.
#include <thalweg/check/certify.hpp>

#include <chrono>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>

namespace thalweg::check {
namespace {

struct Entry {
  Axis axis;
  const char* name;
  void (*run)(Trial&);
};

constexpr Entry entries[] = {
    {Axis::forward, "forward", try_forward},
    {Axis::jacobian, "jacobian", try_jacobian},
    {Axis::directions, "directions", try_directions},
    {Axis::duality, "duality", try_duality},
    {Axis::second_order, "second_order", try_second_order},
    {Axis::f32_gradient, "f32_gradient", try_f32_gradient},
    {Axis::broadcasting, "broadcasting", try_broadcasting},
    {Axis::input_layout, "input_layout", try_input_layout},
    {Axis::grad_layout, "grad_layout", try_grad_layout},
    {Axis::sizes, "sizes", try_sizes},
    {Axis::determinism, "determinism", try_determinism},
    {Axis::threads, "threads", try_threads},
    {Axis::targets, "targets", try_targets},
    {Axis::aliasing, "aliasing", try_aliasing},
    {Axis::hygiene, "hygiene", try_hygiene},
    {Axis::special_values, "special_values", try_special_values},
    {Axis::kinks, "kinks", try_kinks},
    {Axis::random, "random", try_random},
    {Axis::inference, "inference", try_inference},
    {Axis::errors, "errors", try_errors},
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

AxisResult run_axis(const Entry& entry, const OpInfo& op, const Options& options,
                    const std::vector<Case>& cases) {
  AxisResult result;
  const auto start = std::chrono::steady_clock::now();
  Trial trial(op, options, cases, entry.axis);
  const auto failed = [&](std::string message) {
    result.outcome = Outcome::failed;
    result.message = std::move(message);
  };
  try {
    entry.run(trial);
    if (trial.samples > 0)
      result.outcome = Outcome::passed;
    else
      failed("tested nothing: no sample of this op suits this axis");
  } catch (const NotApplicable& why) {
    result.outcome = Outcome::not_applicable;
    result.message = why.reason;
  } catch (const Failure& failure) {
    failed(failure.message);
  } catch (const std::exception& error) {
    failed(fmt::format("threw \"{}\"\n{}", error.what(), code_of(op, trial.current())));
  }
  result.samples = trial.samples;
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace

void Trial::fail(const std::string& what) const {
  throw Failure{current_.in.empty() ? what : what + "\n" + code_of(op, current_)};
}

const char* axis_name(Axis a) noexcept {
  for (const Entry& e : entries)
    if (e.axis == a) return e.name;
  return "";
}

std::span<const Axis> all_axes() noexcept {
  static const std::vector<Axis> axes = [] {
    std::vector<Axis> all;
    for (const Entry& e : entries) all.push_back(e.axis);
    return all;
  }();
  return axes;
}

char outcome_mark(Outcome o) noexcept {
  constexpr char marks[] = {'?', '.', 'F', '-'};
  return marks[static_cast<int>(o)];
}

bool Report::ok() const {
  bool passed = false;
  for (const AxisResult& a : axes) {
    if (a.outcome == Outcome::failed) return false;
    passed |= a.outcome == Outcome::passed;
  }
  return passed;
}

std::int64_t Report::samples() const {
  std::int64_t n = 0;
  for (const AxisResult& a : axes) n += a.samples;
  return n;
}

std::string Report::failures() const {
  std::string text;
  for (Axis a : all_axes())
    if ((*this)[a].outcome == Outcome::failed)
      text += fmt::format("{}{}: {} (axis {}): {}\n", text.empty() ? "" : "\n", op, axis_name(a),
                          static_cast<int>(a), (*this)[a].message);
  return text;
}

Report certify(const OpInfo& op, const Options& options) {
  Report report;
  report.op = op.name();
  const auto start = std::chrono::steady_clock::now();
  std::vector<Case> cases;
  try {
    cases = cases_of(op, options);
  } catch (const std::exception& error) {
    report.axes[1].outcome = Outcome::failed;
    report.axes[1].message = fmt::format("the samples threw \"{}\"", error.what());
    return report;
  }
  for (const Entry& entry : entries) {
    const unsigned n = static_cast<unsigned>(entry.axis);
    if (options.axes != 0 && ((options.axes >> n) & 1u) == 0) continue;
    AxisResult& result = report.axes[n] = run_axis(entry, op, options, cases);
    if (result.outcome == Outcome::failed && options.stop_at_failure) break;
  }
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace thalweg::check
