// Adam and AdamW (Kingma and Ba, ICLR 2015; Loshchilov and Hutter, ICLR 2019). Depends on groups.
// Invariant: an update is one fused pass; epsilon stands outside the root; bias is corrected for the
// parameter's own number of steps.
#pragma once

#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {

/// Members at their defaults are Keras'.
struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-7;
  double weight_decay = 0;
  bool decoupled = true;  ///< how weight decay acts: see groups.hpp
  bool amsgrad = false;   ///< divides by the largest second moment so far
  bool maximize = false;
  /// What epsilon is compared with. Keras: the root of the raw second moment, p -= lr' m / (sqrt(v) + eps)
  /// with lr' = lr sqrt(1 - beta2^t) / (1 - beta1^t). PyTorch: the root of the corrected one, sqrt(v / (1 -
  /// beta2^t)) + eps.
  bool eps_on_raw_moment = true;

  static AdamOptions keras(double lr = 1e-3) { return {.lr = lr}; }
  static AdamOptions pytorch(double lr = 1e-3) {
    return {.lr = lr, .eps = 1e-8, .decoupled = false, .eps_on_raw_moment = false};
  }

  void check(const char* op, Loc loc) const;
};

struct AdamState {
  Tensor exp_avg;         ///< m = beta1 m + (1 - beta1) g
  Tensor exp_avg_sq;      ///< v = beta2 v + (1 - beta2) g^2
  Tensor max_exp_avg_sq;  ///< with amsgrad only
  std::int64_t step = 0;

  AdamState(const Tensor& p, const AdamOptions& options);
  void check(const char* op, std::size_t position, const Tensor& p, const AdamOptions& options, Loc loc);
  void visit(io::StateVisitor& f) {
    f("exp_avg", exp_avg);
    f("exp_avg_sq", exp_avg_sq);
    f("max_exp_avg_sq", max_exp_avg_sq);
    f("step", step);
  }
};

class Adam : public GroupedOptimizer<AdamOptions, AdamState> {
 public:
  /// Throws as groups.hpp says; ValueError for options that are NaN, infinite or out of range (lr, eps or
  /// weight_decay < 0, a beta outside [0, 1)).
  explicit Adam(std::vector<Tensor> parameters, AdamOptions options = {}, Loc loc = Loc::here())
      : Adam(std::vector<Group<AdamOptions>>{{std::move(parameters), options}}, loc) {}
  explicit Adam(std::vector<Group<AdamOptions>> groups, Loc loc = Loc::here())
      : GroupedOptimizer("Adam", std::move(groups), loc) {}
  void step(Loc loc = Loc::here()) override;

 protected:
  Adam(const char* name, std::vector<Group<AdamOptions>> groups, Loc loc)
      : GroupedOptimizer(name, std::move(groups), loc) {}
};

/// Adam whose weight decay is decoupled whatever the options say.
class AdamW : public Adam {
 public:
  static AdamOptions keras(double lr = 1e-3) { return {.lr = lr, .weight_decay = 4e-3}; }
  static AdamOptions pytorch(double lr = 1e-3) {
    return {.lr = lr, .eps = 1e-8, .weight_decay = 1e-2, .eps_on_raw_moment = false};
  }
  explicit AdamW(std::vector<Tensor> parameters, AdamOptions options = keras(), Loc loc = Loc::here())
      : AdamW(std::vector<Group<AdamOptions>>{{std::move(parameters), options}}, loc) {}
  explicit AdamW(std::vector<Group<AdamOptions>> groups, Loc loc = Loc::here());
};

}  // namespace thalweg::optim
