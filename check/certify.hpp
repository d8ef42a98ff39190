// certify: every axis of trial for one op, from the op's own description. The same call for the library's ops
// and for a user's. Depends on gradcheck.hpp, describe.hpp. Invariant: an axis that tested nothing has
// failed, unless it gives a reason why it does not apply.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <thalweg/check/gradcheck.hpp>

namespace thalweg::check {

/// The ways an op is tried; the numbers are those of the reference page.
enum class Axis : std::uint8_t {
  forward = 1,     ///< values against a naive f64 reference, f32 and f64 (and integers)
  jacobian,        ///< reverse mode, full Jacobian on small inputs
  directions,      ///< reverse mode, random dense and sparse directions
  duality,         ///< <v, J u> = <J'v, u> without differencing
  second_order,    ///< gradients of gradients, symmetry of the Hessian, third order where smooth
  f32_gradient,    ///< the f32 gradient against the f64 one
  broadcasting,    ///< size-1, missing and 0-d dimensions on either side
  input_layout,    ///< transposed, sliced, strided, misaligned, stride 0
  grad_layout,     ///< the same of the output gradient; undefined; all zero
  sizes,           ///< 0, 1, lane and chunk edges; every code path forced
  determinism,     ///< twice the same bits
  threads,         ///< 1, 2, 3, 7 threads: the same bits
  targets,         ///< every instruction set against the scalar one
  aliasing,        ///< op(a, a), inputs untouched, in place, overwritten saved values
  hygiene,         ///< no leak, NoGrad, backward twice, create_graph against plain
  special_values,  ///< NaN, infinities, -0, denormals
  kinks,           ///< the documented subgradient at the kink itself
  random,          ///< random ops under a fixed key
  inference,       ///< announced shapes and dtypes are the real ones, without touching data
  errors,          ///< every bad argument throws the right type and says what is wrong
};
inline constexpr int axis_slots = 21;  // axis n is at [n]; 0 stays empty

/// "forward", "jacobian", ...
const char* axis_name(Axis a) noexcept;
/// The axes that certify() runs, in order.
std::span<const Axis> all_axes() noexcept;

enum class Outcome : std::uint8_t { not_run, passed, failed, not_applicable };
/// '.', 'F', '-' for the table; '?' for an axis that was not run.
char outcome_mark(Outcome o) noexcept;

enum class Tier : std::uint8_t { quick, standard, full };

struct Options {
  Tier tier = Tier::standard;
  std::uint64_t seed = 20240229;
  std::uint32_t axes = 0;        ///< bit n runs axis n; 0 runs all
  bool stop_at_failure = false;  ///< leave the axes after the first failed one out
};

struct AxisResult {
  Outcome outcome = Outcome::not_run;
  std::int64_t samples = 0;  ///< comparisons made on so many calls
  double seconds = 0;
  std::string message;  ///< failed: what, and the first failing input as C++; not applicable: why
};

struct Report {
  std::string op;
  std::array<AxisResult, axis_slots> axes{};
  double seconds = 0;

  const AxisResult& operator[](Axis a) const { return axes[static_cast<std::size_t>(a)]; }
  /// No axis failed and at least one passed.
  bool ok() const;
  std::int64_t samples() const;
  /// Every failure: "op: axis: message", one per paragraph; empty when ok.
  std::string failures() const;
};

/// Runs the axes on one op. Never throws for a fault of the op: that is a failed axis.
Report certify(const OpInfo& op, const Options& options = {});

/// The same for an op struct, the library's or your own.
template <class Op>
Report certify(const Options& options = {}) {
  return certify(describe<Op>(), options);
}

/// The outcome of a mutation run, as the certify tool prints it.
struct MutationScore {
  std::int64_t made = 0;
  std::int64_t caught = 0;
  std::vector<std::string> survivors;
};

/// One valid call of an op with everything the axes need to know of it.
struct Case {
  std::vector<Tensor> in;
  std::shared_ptr<const void> attrs;  ///< never null for an op that has attributes
  std::string note;
  int index = 0;             ///< its place in cases_of(), or that of the case it was derived from
  std::uint64_t fixed = 0;   ///< bit i: input i gets no gradient
  std::string attrs_code{};  ///< a C++ expression for attrs.get(); empty: that of cases_of(op)[index]
  std::vector<Tensor>
      at_kink{};  ///< not empty: a case at a kink, with the documented gradient for gradients of one
};

/// The calls that the axes start from: made from the row of a pointwise op, the samples of any other. f64 (or
/// integer).
std::vector<Case> cases_of(const OpInfo& op, const Options& options = {});

/// C++ that repeats a call: the inputs (values, not layouts) and the apply.
std::string code_of(const OpInfo& op, const Case& c);

/// docs/op-reference.md: name, formula, domain, subgradients, bounds and notes of every op given.
std::string op_reference(std::span<const OpInfo> ops);

}  // namespace thalweg::check
