// Adadelta (Zeiler, 2012). Depends on groups.
// Invariant: an update is one fused pass; epsilon stands inside both roots, as in the paper.
#pragma once

#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {

/// Members at their defaults are Keras'; the paper's rate is 1.
struct AdadeltaOptions {
  double lr = 1e-3;
  double rho = 0.95;
  double eps = 1e-7;
  double weight_decay = 0;
  bool decoupled = true;  ///< how weight decay acts: see groups.hpp
  bool maximize = false;

  static AdadeltaOptions keras(double lr = 1e-3) { return {.lr = lr}; }
  static AdadeltaOptions pytorch(double lr = 1) {
    return {.lr = lr, .rho = 0.9, .eps = 1e-6, .decoupled = false};
  }

  void check(const char* op, Loc loc) const;
};

struct AdadeltaState {
  Tensor square_avg;  ///< v = rho v + (1 - rho) g^2
  Tensor acc_delta;   ///< u = rho u + (1 - rho) d^2
  std::int64_t step = 0;

  AdadeltaState(const Tensor& p, const AdadeltaOptions& options);
  void check(const char* op, std::size_t position, const Tensor& p, const AdadeltaOptions& options, Loc loc);
  void visit(io::StateVisitor& f) {
    f("square_avg", square_avg);
    f("acc_delta", acc_delta);
    f("step", step);
  }
};

/// p = p - lr d with d = g sqrt(u + eps) / sqrt(v + eps), u from the steps before this one.
class Adadelta : public GroupedOptimizer<AdadeltaOptions, AdadeltaState> {
 public:
  /// Throws as groups.hpp says; ValueError for options that are NaN, infinite or out of range (rho above 1,
  /// any below 0).
  explicit Adadelta(std::vector<Tensor> parameters, AdadeltaOptions options = {}, Loc loc = Loc::here())
      : Adadelta(std::vector<Group<AdadeltaOptions>>{{std::move(parameters), options}}, loc) {}
  explicit Adadelta(std::vector<Group<AdadeltaOptions>> groups, Loc loc = Loc::here())
      : GroupedOptimizer("Adadelta", std::move(groups), loc) {}
  void step(Loc loc = Loc::here()) override;
};

}  // namespace thalweg::optim
