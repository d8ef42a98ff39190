// Nadam: Adam with Nesterov momentum (Dozat, ICLR workshop 2016). Depends on groups.
// Invariant: an update is one fused pass; the momentum schedule counts the parameter's own steps.
#pragma once

#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {

/// Members at their defaults are Keras'.
struct NadamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-7;
  double momentum_decay = 1;  ///< d in mu_t = beta1 (1 - 0.96^(t d) / 2)
  double weight_decay = 0;
  bool decoupled = true;  ///< how weight decay acts: see groups.hpp
  bool maximize = false;

  static NadamOptions keras(double lr = 1e-3) { return {.lr = lr}; }
  static NadamOptions pytorch(double lr = 2e-3) {
    return {.lr = lr, .eps = 1e-8, .momentum_decay = 4e-3, .decoupled = false};
  }

  void check(const char* op, Loc loc) const;
};

struct NadamState {
  Tensor exp_avg;         ///< m = beta1 m + (1 - beta1) g
  Tensor exp_avg_sq;      ///< v = beta2 v + (1 - beta2) g^2
  double mu_product = 1;  ///< of mu_1 .. mu_t
  std::int64_t step = 0;

  NadamState(const Tensor& p, const NadamOptions& options);
  void check(const char* op, std::size_t position, const Tensor& p, const NadamOptions& options, Loc loc);
  void visit(io::StateVisitor& f) {
    f("exp_avg", exp_avg);
    f("exp_avg_sq", exp_avg_sq);
    f("mu_product", mu_product);
    f("step", step);
  }
};

/// p = p - lr (mu_(t+1) m / (1 - M mu_(t+1)) + (1 - mu_t) g / (1 - M)) / (sqrt(v / (1 - beta2^t)) + eps), M
/// the product of mu_1 .. mu_t.
class Nadam : public GroupedOptimizer<NadamOptions, NadamState> {
 public:
  /// Throws as groups.hpp says; ValueError for options that are NaN, infinite or out of range (a beta outside
  /// [0, 1), any other below 0).
  explicit Nadam(std::vector<Tensor> parameters, NadamOptions options = {}, Loc loc = Loc::here())
      : Nadam(std::vector<Group<NadamOptions>>{{std::move(parameters), options}}, loc) {}
  explicit Nadam(std::vector<Group<NadamOptions>> groups, Loc loc = Loc::here())
      : GroupedOptimizer("Nadam", std::move(groups), loc) {}
  void step(Loc loc = Loc::here()) override;
};

}  // namespace thalweg::optim
