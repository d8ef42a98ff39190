// The harness must go red: each planted fault turns the axis that is there for it red, and the sound op it
// was made from stays green on all axes.
#include <doctest/doctest.h>

#include <string>

#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/registry.hpp>

#include "planted.hpp"

namespace {

using namespace planted;
using check::Axis;
using check::Outcome;
using check::Report;

template <class Op>
void expect_green() {
  const Report r = check::certify<Op>({.tier = check::Tier::quick});
  INFO(r.failures());
  CHECK(r.ok());
  CHECK(r.samples() > 20);
}

/// Only that axis is run, so that no other one gets the credit.
template <class Op>
std::string expect_red(Axis axis) {
  const Report r =
      check::certify<Op>({.tier = check::Tier::quick, .axes = 1u << static_cast<unsigned>(axis)});
  INFO(r.op, " on ", std::string(check::axis_name(axis)));
  CHECK(r[axis].outcome == Outcome::failed);
  CHECK_FALSE(r.ok());
  return r[axis].message;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("sound ops of a user's own are green on every axis") {
  expect_green<Swish>();
  expect_green<Ramp>();
  expect_green<Choose>();
  expect_green<Times>();
  expect_green<Triple>();
  expect_green<Minus>();
}

TEST_CASE("a wrong derivative is red, and the message says where") {
  const std::string message = expect_red<WrongDerivative>(Axis::jacobian);
  CHECK(has(message, "analytic"));
  CHECK(has(message, "numeric"));
  CHECK(has(message, "input 0, element ["));
  CHECK(has(message, "from<double>({"));
  CHECK(has(message, "apply(*op.def"));
  expect_red<WrongDerivative>(Axis::directions);
  expect_red<SlightlyWrongDerivative>(Axis::jacobian);
  expect_red<SlightlyWrongDerivative>(Axis::directions);
  expect_red<WrongOperand>(Axis::jacobian);
  expect_red<WrongOperand>(Axis::directions);
}

TEST_CASE("a wrong value is red") { expect_red<WrongValue>(Axis::forward); }

TEST_CASE("a vjp that is not linear in the output gradient is red") {
  expect_red<NotLinearInSeed>(Axis::jacobian);
  expect_red<NotLinearInSeed>(Axis::duality);
}

TEST_CASE("a saved value that was not asked for is an error, not a crash") {
  CHECK(has(expect_red<ForgottenSave>(Axis::jacobian), "needs"));
}

TEST_CASE("a gradient that leaves the graph is red on second order") {
  CHECK(check::certify<Undifferentiable>({.tier = check::Tier::quick, .axes = 1u << 2}).ok());
  expect_red<Undifferentiable>(Axis::second_order);
}

TEST_CASE("a dropped tail is red") {
  expect_red<DropsTail>(Axis::forward);
  expect_red<DropsTail>(Axis::sizes);
}

TEST_CASE("results that change are red on the axis of what they change with") {
  expect_red<Unsteady>(Axis::determinism);
  expect_red<DependsOnThreads>(Axis::threads);
  CHECK(has(expect_red<StaysSerial>(Axis::threads), "threads took part"));
  if (simd::is_supported(simd::Target::sse4)) expect_red<DependsOnTarget>(Axis::targets);
}

TEST_CASE("a leak is red") {
  expect_red<Leaks>(Axis::hygiene);
  Leaks::kept().clear();
}

TEST_CASE("writing an input is red") { expect_red<WritesInput>(Axis::aliasing); }

TEST_CASE("a kernel that takes memory for contiguous is red") {
  expect_red<IgnoresStrides>(Axis::input_layout);
}

TEST_CASE("wrong gradients of broadcast operands are red") {
  expect_red<WrongUnbroadcast>(Axis::broadcasting);
  CHECK(has(expect_red<ForgetsToBroadcastSample>(Axis::broadcasting), "tested nothing"));
}

TEST_CASE("a gradient at the kink other than the documented one is red") {
  CHECK(has(expect_red<WrongAtKink>(Axis::kinks), "0 at 0"));
  expect_red<UnstatedKink>(Axis::kinks);
}

TEST_CASE("special values: a swallowed NaN, a multiplied mask") {
  expect_red<SwallowsNan>(Axis::special_values);
  expect_red<MultipliesMask>(Axis::special_values);
}

TEST_CASE("inference that announces another shape is red") { expect_red<WrongShape>(Axis::inference); }

TEST_CASE("bad arguments: wrong type, wrong text, none thrown") {
  CHECK(has(expect_red<WrongErrorType>(Axis::errors), "wrong type"));
  CHECK(has(expect_red<WrongErrorText>(Axis::errors), "does not say"));
  CHECK(has(expect_red<TakesAnything>(Axis::errors), "takes a bad argument"));
}

TEST_CASE("an axis that tests nothing is red") {
  CHECK(has(expect_red<NoEmptySample>(Axis::sizes), "empty"));
  CHECK(has(expect_red<UnreachedPath>(Axis::sizes), "vectorised"));
}

TEST_CASE("faults switched on inside the library's kernels turn an axis red") {
  const auto red = [](kernels::Fault fault, const char* op, Axis axis) {
    const kernels::fault::Scope scope(fault);
    const Report r =
        check::certify(*find_op(op), {.tier = check::Tier::quick, .axes = 1u << static_cast<unsigned>(axis)});
    INFO(std::string(op), " on ", std::string(check::axis_name(axis)));
    CHECK(r[axis].outcome == Outcome::failed);
  };
  red(kernels::Fault::pointwise_tail, "tanh", Axis::sizes);
  red(kernels::Fault::pointwise_tail, "mul", Axis::sizes);
  red(kernels::Fault::gemm_k_tail, "matmul", Axis::forward);
  red(kernels::Fault::gemm_edge, "matmul", Axis::forward);
  red(kernels::Fault::reduce_block, "sum", Axis::forward);
  red(kernels::Fault::unbroadcast, "mul", Axis::broadcasting);
}

TEST_CASE("a report can be read") {
  const Report r = check::certify<WrongDerivative>({.tier = check::Tier::quick, .stop_at_failure = true});
  CHECK(has(r.failures(), "swish: jacobian (axis 2): wrong derivative"));
  CHECK(r[Axis::forward].outcome == Outcome::passed);
  CHECK(r[Axis::errors].outcome == Outcome::not_run);
  CHECK(r[Axis::forward].samples > 0);
  CHECK(check::outcome_mark(r[Axis::jacobian].outcome) == 'F');
}

TEST_CASE("the reference names every op once") {
  const std::string text = check::op_reference(registry());
  for (const OpInfo& op : registry()) CHECK(has(text, ("\n## " + std::string(op.name()) + "\n").c_str()));
}
