// Adamax: Adam on the largest gradient (Kingma and Ba, ICLR 2015, section 7). Depends on groups.
// Invariant: an update is one fused pass; bias is corrected for the parameter's own number of steps.
#pragma once

#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {

/// Members at their defaults are Keras'.
struct AdamaxOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-7;
  double weight_decay = 0;
  bool decoupled = true;  ///< how weight decay acts: see groups.hpp
  bool maximize = false;
  bool eps_in_norm = false;  ///< Keras: m / (u + eps). PyTorch: u = max(beta2 u, |g| + eps).

  static AdamaxOptions keras(double lr = 1e-3) { return {.lr = lr}; }
  static AdamaxOptions pytorch(double lr = 2e-3) {
    return {.lr = lr, .eps = 1e-8, .decoupled = false, .eps_in_norm = true};
  }

  void check(const char* op, Loc loc) const;
};

struct AdamaxState {
  Tensor exp_avg;  ///< m = beta1 m + (1 - beta1) g
  Tensor exp_inf;  ///< u = max(beta2 u, |g|)
  std::int64_t step = 0;

  AdamaxState(const Tensor& p, const AdamaxOptions& options);
  void check(const char* op, std::size_t position, const Tensor& p, const AdamaxOptions& options, Loc loc);
  void visit(io::StateVisitor& f) {
    f("exp_avg", exp_avg);
    f("exp_inf", exp_inf);
    f("step", step);
  }
};

/// p = p - lr / (1 - beta1^t) m / (u + eps).
class Adamax : public GroupedOptimizer<AdamaxOptions, AdamaxState> {
 public:
  /// Throws as groups.hpp says; ValueError for options that are NaN, infinite or out of range (a beta outside
  /// [0, 1), any other below 0).
  explicit Adamax(std::vector<Tensor> parameters, AdamaxOptions options = {}, Loc loc = Loc::here())
      : Adamax(std::vector<Group<AdamaxOptions>>{{std::move(parameters), options}}, loc) {}
  explicit Adamax(std::vector<Group<AdamaxOptions>> groups, Loc loc = Loc::here())
      : GroupedOptimizer("Adamax", std::move(groups), loc) {}
  void step(Loc loc = Loc::here()) override;
};

}  // namespace thalweg::optim
