// Sgd: gradient descent with momentum, Nesterov momentum and weight decay. Depends on groups.
// Invariant: an update is one fused pass over parameter, gradient and velocity.
#pragma once

#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {

/// Members at their defaults are Keras'.
struct SgdOptions {
  double lr = 0.01;
  double momentum = 0;
  double dampening = 0;  ///< share of the gradient kept out of the velocity; not for the Keras rule
  double weight_decay = 0;
  bool decoupled = true;  ///< how weight decay acts: see groups.hpp
  bool nesterov = false;
  bool maximize = false;
  /// Where the learning rate enters. Keras: v = momentum v - lr g; p += v. PyTorch: v = momentum v + (1 -
  /// dampening) g; p -= lr v. They differ once lr changes between steps.
  bool lr_in_velocity = true;

  static SgdOptions keras(double lr = 0.01) { return {.lr = lr}; }
  static SgdOptions pytorch(double lr = 1e-3) {
    return {.lr = lr, .decoupled = false, .lr_in_velocity = false};
  }

  void check(const char* op, Loc loc) const;
};

struct SgdState {
  Tensor velocity;  ///< kept from the start when momentum is not 0
  std::int64_t step = 0;

  SgdState(const Tensor& p, const SgdOptions& options);
  void check(const char* op, std::size_t position, const Tensor& p, const SgdOptions& options, Loc loc);
  void visit(io::StateVisitor& f) {
    f("velocity", velocity);
    f("step", step);
  }
};

class Sgd : public GroupedOptimizer<SgdOptions, SgdState> {
 public:
  /// Throws as groups.hpp says; ValueError for options that are NaN, infinite or out of range (lr < 0,
  /// momentum outside [0, 1), Nesterov without momentum or with dampening).
  explicit Sgd(std::vector<Tensor> parameters, SgdOptions options = {}, Loc loc = Loc::here())
      : Sgd(std::vector<Group<SgdOptions>>{{std::move(parameters), options}}, loc) {}
  explicit Sgd(std::vector<Group<SgdOptions>> groups, Loc loc = Loc::here())
      : GroupedOptimizer("Sgd", std::move(groups), loc) {}
  void step(Loc loc = Loc::here()) override;
};

}  // namespace thalweg::optim
