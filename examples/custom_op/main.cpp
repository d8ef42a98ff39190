// Three ways to bring an op of your own, each certified by one call; then the same three with a mistake
// planted in the derivative, each caught with a message that says where. Exit status 0 when all of that
// happens.
//   bell    a pointwise formula       (bell.hpp)
//   decay   a structured op, own kernel (decay.hpp, decay.cpp)
//   banana  function(forward, vjp)    (below)
#include <array>
#include <cstdio>
#include <sstream>

#include <thalweg/check/certify.hpp>
#include <thalweg/ops/function.hpp>
#include <thalweg/thalweg.hpp>

#include "bell.hpp"
#include "decay.hpp"

namespace tw = thalweg;
using tw::Tensor;

namespace {

/// Rosenbrock's valley, (1 - a)^2 + 100 (b - a^2)^2, from two lambdas.
tw::Function banana() {
  return tw::function(
      "banana", [](const Tensor& a, const Tensor& b) { return square(1.0 - a) + 100.0 * square(b - a * a); },
      [](const Tensor& g, const Tensor& a, const Tensor& b) {
        const Tensor away = b - a * a;
        return std::array{g * (-2.0 * (1.0 - a) - 400.0 * a * away), g * 200.0 * away};
      });
}

void banana_samples(tw::SampleList& s) {
  s.add({s.uniform({5}, -1, 1), s.uniform({5}, -1, 1)});
  s.add({s.uniform({2, 3}, -1, 1), s.uniform({2, 3}, -1, 1)});
  s.add({s.uniform({0}, -1, 1), s.uniform({0}, -1, 1)});
}

// --- the same with a mistake in each derivative ---

/// A sign is wrong.
struct WrongBell : Bell {
  static constexpr tw::Row row{
      .name = "bell_wrong", .formula = "y = exp(-x^2)", .domain = {-2, 2}, .ulp_f32 = 6, .ulp_f64 = 6};
  template <class V>
  static V df_xy(V x, V y) {
    return 2 * (x * y);
  }
};

/// The recurrence of the gradient runs from the wrong end.
struct WrongDecay : Decay {
  static constexpr tw::Row row{.name = "decay_wrong", .formula = Decay::row.formula};
  static void vjp(tw::Vjp& v, const Attrs& t) { v.set(0, tw::apply<Decay>(t, v.g())); }
};

/// The inner derivative of a^2 is forgotten, in one of two gradients.
tw::Function wrong_banana() {
  return tw::function(
      "banana_wrong",
      [](const Tensor& a, const Tensor& b) { return square(1.0 - a) + 100.0 * square(b - a * a); },
      [](const Tensor& g, const Tensor& a, const Tensor& b) {
        const Tensor away = b - a * a;
        return std::array{g * (-2.0 * (1.0 - a) - 200.0 * a * away), g * 200.0 * away};
      });
}

// --- trials ---

bool stands(const tw::check::Report& report) {
  int passed = 0, left_out = 0;
  for (const tw::check::Axis a : tw::check::all_axes()) {
    passed += report[a].outcome == tw::check::Outcome::passed;
    left_out += report[a].outcome == tw::check::Outcome::not_applicable;
  }
  std::printf("%-13s %s: %d axes passed, %d do not apply, %lld calls, %.2f s\n", report.op.c_str(),
              report.ok() ? "certified" : "REFUSED", passed, left_out,
              static_cast<long long>(report.samples()), report.seconds);
  if (!report.ok()) std::printf("%s\n", report.failures().c_str());
  return report.ok();
}

bool is_caught(const tw::check::Report& report, const char* mistake) {
  std::printf("\n%s, planted: %s\n", report.op.c_str(), mistake);
  if (report.ok()) {
    std::printf("  NOT CAUGHT\n");
    return false;
  }
  std::istringstream lines(report.failures());
  for (std::string line; std::getline(lines, line);) std::printf("  %s\n", line.c_str());
  return true;
}

}  // namespace

int main() {
  using tw::check::certify;
  bool good = true;
  good &= stands(certify<Bell>());
  good &= stands(certify<Decay>());
  good &= stands(certify(banana().describe({.samples = &banana_samples})));

  // One failed axis is enough here.
  const tw::check::Options first{.tier = tw::check::Tier::quick, .stop_at_failure = true};
  good &= is_caught(certify<WrongBell>(first), "a wrong sign in df");
  good &= is_caught(certify<WrongDecay>(first), "the gradient runs from the wrong end");
  good &= is_caught(certify(wrong_banana().describe({.samples = &banana_samples}), first),
                    "half of the inner derivative is missing");

  std::printf("\n%s\n", good ? "Three ops certified, three mistakes caught." : "SOMETHING IS WRONG.");
  return good ? 0 : 1;
}
