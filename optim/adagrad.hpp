// Adagrad (Duchi, Hazan and Singer, JMLR 2011). Depends on groups.
// Invariant: an update is one fused pass; the sum of squares only grows.
#pragma once

#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {

/// Members at their defaults are Keras'.
struct AdagradOptions {
  double lr = 1e-3;
  double lr_decay = 0;  ///< step t = 1, 2, ... has the rate lr / (1 + (t - 1) lr_decay)
  double initial_accumulator = 0.1;
  double eps = 1e-7;
  double weight_decay = 0;
  bool decoupled = true;  ///< how weight decay acts: see groups.hpp
  bool maximize = false;
  bool eps_in_root = true;  ///< Keras: g / sqrt(v + eps). PyTorch: g / (sqrt(v) + eps).

  static AdagradOptions keras(double lr = 1e-3) { return {.lr = lr}; }
  static AdagradOptions pytorch(double lr = 1e-2) {
    return {.lr = lr, .initial_accumulator = 0, .eps = 1e-10, .decoupled = false, .eps_in_root = false};
  }

  void check(const char* op, Loc loc) const;
};

struct AdagradState {
  Tensor sum;  ///< v = v + g^2, from the initial accumulator on
  std::int64_t step = 0;

  AdagradState(const Tensor& p, const AdagradOptions& options);
  void check(const char* op, std::size_t position, const Tensor& p, const AdagradOptions& options, Loc loc);
  void visit(io::StateVisitor& f) {
    f("sum", sum);
    f("step", step);
  }
};

/// p = p - lr g / sqrt(v + eps), v the sum of all g^2 so far.
class Adagrad : public GroupedOptimizer<AdagradOptions, AdagradState> {
 public:
  /// Throws as groups.hpp says; ValueError for options that are NaN, infinite or negative.
  explicit Adagrad(std::vector<Tensor> parameters, AdagradOptions options = {}, Loc loc = Loc::here())
      : Adagrad(std::vector<Group<AdagradOptions>>{{std::move(parameters), options}}, loc) {}
  explicit Adagrad(std::vector<Group<AdagradOptions>> groups, Loc loc = Loc::here())
      : GroupedOptimizer("Adagrad", std::move(groups), loc) {}
  void step(Loc loc = Loc::here()) override;
};

}  // namespace thalweg::optim
