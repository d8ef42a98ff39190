// Trial: what one axis works with, and the functions of all axes. Internal to check/.
// Depends on certify.hpp. Invariant: an axis ends at its first failure, whose input is the case last named by
// at().
#pragma once

#include <string>

#include <thalweg/check/certify.hpp>

namespace thalweg::check {

struct Failure {
  std::string message;
};
struct NotApplicable {
  std::string reason;
};

class Trial {
 public:
  Trial(const OpInfo& op_, const Options& options_, const std::vector<Case>& cases_, Axis axis)
      : op(op_),
        options(options_),
        cases(cases_),
        numbers(options_.seed + static_cast<std::uint64_t>(axis)) {}

  const OpInfo& op;
  const Options& options;
  const std::vector<Case>& cases;
  Numbers numbers;
  std::int64_t samples = 0;
  const Path* path = nullptr;  ///< the one that is forced, if any

  /// Names the call that is tried next, and counts it.
  void at(const Case& c) {
    current_ = c;
    ++samples;
  }
  /// The same call with other inputs.
  void at(const Case& c, std::vector<Tensor> in) {
    at(c);
    current_.in = std::move(in);
  }
  const Case& current() const noexcept { return current_; }
  /// Ends the axis: failed on the current case.
  [[noreturn]] void fail(const std::string& what) const;
  /// Ends the axis: it has no meaning for this op.
  [[noreturn]] void not_applicable(std::string why) const { throw NotApplicable{std::move(why)}; }
  /// Ends the axis unless the op has gradients.
  void need_gradient() const {
    if (!op.def->differentiable) not_applicable("no gradient");
  }
  /// One of three numbers, by tier.
  std::int64_t by_tier(std::int64_t quick, std::int64_t standard, std::int64_t full) const noexcept {
    return options.tier == Tier::quick ? quick : options.tier == Tier::standard ? standard : full;
  }
  bool differentiable(const Case& c) const { return c.at_kink.empty() && any_gradient(op, c.in); }

 private:
  Case current_;
};

/// Forces a path for the scope.
struct Forced {
  explicit Forced(const Path& p) : path(p) { path.force(true); }
  Forced(const Forced&) = delete;
  Forced& operator=(const Forced&) = delete;
  ~Forced() { path.force(false); }
  const Path& path;
};

/// Operands of a pointwise op of the given shapes: f64 inside the domain and away from kinks; conditions are
/// bool.
std::vector<Tensor> pointwise_operands(const OpInfo& op, const std::vector<Dims>& shapes, Numbers& numbers);
/// The same shape for all operands.
std::vector<Tensor> pointwise_operands(const OpInfo& op, const Dims& shape, Numbers& numbers);
/// One case for each set of attributes, to take attrs from.
std::vector<const Case*> variants(const std::vector<Case>& cases);
/// Floating inputs in `dtype`, the others as they are.
std::vector<Tensor> cast_floating(const std::vector<Tensor>& in, DType dtype);
/// Elements of all inputs that take a gradient.
std::int64_t gradient_elements(const OpInfo& op, const Case& c);
/// The calls of a case with much more data: every dimension above 1 grown by `factor`, elements repeated.
/// Empty where the op refuses that.
std::vector<Tensor> grown(const OpInfo& op, const Case& c, std::int64_t factor);

/// The cases of the first round with one of their sizes changed to `n` wherever it occurs, elements repeated;
/// those that the op takes and that have at most `budget` elements.
std::vector<Case> resized(const OpInfo& op, const std::vector<Case>& cases, std::int64_t n,
                          std::int64_t budget);

/// Largest |got - want| relative to the largest finite |want|, or to `scale` if that is larger; infinite
/// where NaNs or infinities differ.
double relative_error(const Tensor& got, const Tensor& want, double scale = 0);

void try_forward(Trial& t);
void try_jacobian(Trial& t);
void try_directions(Trial& t);
void try_duality(Trial& t);
void try_second_order(Trial& t);
void try_f32_gradient(Trial& t);
void try_broadcasting(Trial& t);
void try_input_layout(Trial& t);
void try_grad_layout(Trial& t);
void try_sizes(Trial& t);
void try_determinism(Trial& t);
void try_threads(Trial& t);
void try_targets(Trial& t);
void try_aliasing(Trial& t);
void try_hygiene(Trial& t);
void try_special_values(Trial& t);
void try_kinks(Trial& t);
void try_random(Trial& t);
void try_inference(Trial& t);
void try_errors(Trial& t);

}  // namespace thalweg::check
