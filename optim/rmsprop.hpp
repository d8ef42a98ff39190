// Rmsprop (Tieleman and Hinton, lecture 6.5, 2012; centered: Graves, 2013). Depends on groups.
// Invariant: an update is one fused pass over parameter, gradient and states.
#pragma once

#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {

/// Members at their defaults are Keras'.
struct RmspropOptions {
  double lr = 1e-3;
  double rho = 0.9;  ///< PyTorch's alpha
  double eps = 1e-7;
  double momentum = 0;
  bool centered = false;  ///< divides by the deviation of the gradient instead of its size
  double weight_decay = 0;
  bool decoupled = true;  ///< how weight decay acts: see groups.hpp
  bool maximize = false;
  bool eps_in_root = true;  ///< Keras: g / sqrt(v + eps). PyTorch: g / (sqrt(v) + eps).
  bool lr_in_velocity =
      true;  ///< Keras: b = momentum b + lr d; p -= b. PyTorch: b = momentum b + d; p -= lr b

  static RmspropOptions keras(double lr = 1e-3) { return {.lr = lr}; }
  static RmspropOptions pytorch(double lr = 1e-2) {
    return {.lr = lr,
            .rho = 0.99,
            .eps = 1e-8,
            .decoupled = false,
            .eps_in_root = false,
            .lr_in_velocity = false};
  }

  void check(const char* op, Loc loc) const;
};

struct RmspropState {
  Tensor square_avg;  ///< v = rho v + (1 - rho) g^2
  Tensor grad_avg;    ///< a = rho a + (1 - rho) g; when centered
  Tensor velocity;    ///< b; when momentum is not 0
  std::int64_t step = 0;

  RmspropState(const Tensor& p, const RmspropOptions& options);
  void check(const char* op, std::size_t position, const Tensor& p, const RmspropOptions& options, Loc loc);
  void visit(io::StateVisitor& f) {
    f("square_avg", square_avg);
    f("grad_avg", grad_avg);
    f("velocity", velocity);
    f("step", step);
  }
};

/// p = p - lr d with d = g / sqrt(v + eps); centered: v - a^2 in place of v, and never below 0.
class Rmsprop : public GroupedOptimizer<RmspropOptions, RmspropState> {
 public:
  /// Throws as groups.hpp says; ValueError for options that are NaN, infinite or out of range (rho above 1,
  /// momentum 1 or more, any below 0).
  explicit Rmsprop(std::vector<Tensor> parameters, RmspropOptions options = {}, Loc loc = Loc::here())
      : Rmsprop(std::vector<Group<RmspropOptions>>{{std::move(parameters), options}}, loc) {}
  explicit Rmsprop(std::vector<Group<RmspropOptions>> groups, Loc loc = Loc::here())
      : GroupedOptimizer("Rmsprop", std::move(groups), loc) {}
  void step(Loc loc = Loc::here()) override;
};

}  // namespace thalweg::optim
