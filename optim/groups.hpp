// What all optimizers share: parameter groups, their checks, and the flat list of parameters with their
// state. Depends on optimizer, option and the update kernels. Invariant: a parameter is a defined, dense,
// floating leaf and stands in one group only.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <thalweg/ops/kernels/update.hpp>
#include <thalweg/optim/optimizer.hpp>
#include <thalweg/optim/option.hpp>

namespace thalweg::optim {

/// Parameters that are updated with the same options. All optimizers share these options: `lr`; `maximize`,
/// which climbs instead of descending; `weight_decay` w, which with `decoupled` (Keras' way) first multiplies
/// p by 1 - lr w, and without (PyTorch's) adds w p to the gradient.
template <class Options>
struct Group {
  std::vector<Tensor> parameters;
  Options options;
};

namespace detail {

/// Throws ValueError (undefined, given twice), GraphError (not a leaf), DTypeError, ShapeError (not dense).
/// `position` counts over all groups; `earlier` are the parameters before it.
void check_parameter(const char* op, std::size_t position, const Tensor& p,
                     const std::vector<Tensor>& earlier, Loc loc);
/// The gradient as a dense tensor; undefined when there is none.
Tensor dense_gradient(const Tensor& p, Loc loc);
/// Announces the write to the parameter and to those of `state` that are defined, and says where they lie.
template <class Options>
kernels::Update<Options> update_of(const char* op, const Tensor& p, const Tensor& gradient,
                                   std::initializer_list<const Tensor*> state, bool maximize,
                                   const Options& options, Loc loc) {
  p.get()->storage->bump(op, loc);
  kernels::Update<Options> u{.n = p.get()->numel,
                             .dtype = p.get()->dtype,
                             .parameter = p.get()->data,
                             .gradient = gradient.get()->data,
                             .maximize = maximize,
                             .options = options};
  int k = 0;
  for (const Tensor* s : state) {
    if (s && s->defined()) {
      s->get()->storage->bump(op, loc);
      u.state[k] = s->get()->data;
    }
    ++k;
  }
  return u;
}
/// Throws ValueError unless `state` is a dense tensor like `p`.
void check_state(const char* op, std::size_t position, const char* what, const Tensor& state, const Tensor& p,
                 Loc loc);
/// The same for a state that an option wants; an undefined one (the option was switched on later) becomes
/// zeros.
void check_or_add_state(const char* op, std::size_t position, const char* what, Tensor& state,
                        const Tensor& p, Loc loc);
/// What the kernels call weight_decay and decay_rate.
double added_decay(const auto& options) { return options.decoupled ? 0 : options.weight_decay; }
double decay_rate(const auto& options) { return options.decoupled ? options.lr * options.weight_decay : 0; }
/// 1 - beta^step without the cancellation that pow() would leave for a beta near 1.
double bias_correction(double beta, std::int64_t step);

}  // namespace detail

/// Base of the optimizers; `Options` and `State` are the derived class's. State is per parameter, in group
/// order: a struct with visit(StateVisitor&).
template <class Options, class State>
class GroupedOptimizer : public Optimizer {
 public:
  /// The groups; options may be changed between steps (a schedule sets `options.lr`), parameters may not.
  std::vector<Group<Options>>& groups() noexcept { return groups_; }
  const std::vector<Group<Options>>& groups() const noexcept { return groups_; }

  double lr() const override { return groups_.front().options.lr; }
  void set_lr(double lr) override {
    for (std::size_t i = 0; i < groups_.size(); ++i) groups_[i].options.lr = lr * proportions_[i];
  }
  void zero_grad() override {
    for (auto& group : groups_)
      for (Tensor& p : group.parameters) p.zero_grad();
  }
  std::vector<Tensor> parameters() const override {
    std::vector<Tensor> all;
    all.reserve(states_.size());
    for (const auto& group : groups_) all.insert(all.end(), group.parameters.begin(), group.parameters.end());
    return all;
  }
  void visit(io::StateVisitor& f) override {
    for (std::size_t i = 0; i < groups_.size(); ++i)
      f("group." + std::to_string(i) + ".lr", groups_[i].options.lr);
    for (std::size_t i = 0; i < states_.size(); ++i)
      f.scope(std::to_string(i), [&](io::StateVisitor& inner) { states_[i].visit(inner); });
  }

 protected:
  GroupedOptimizer(const char* op, std::vector<Group<Options>> groups, Loc loc)
      : Optimizer(op), groups_(std::move(groups)) {
    std::vector<Tensor> all;
    for (const auto& group : groups_) {
      group.options.check(op, loc);
      const double first = groups_.front().options.lr;
      proportions_.push_back(first > 0 ? group.options.lr / first : 1);
      for (const Tensor& p : group.parameters) {
        detail::check_parameter(op, all.size(), p, all, loc);
        all.push_back(p);
        states_.emplace_back(p, group.options);
      }
    }
    if (all.empty())
      throw_error<ValueError>({.op = op,
                               .arg = "parameters",
                               .given = "none",
                               .wanted = "one or more",
                               .what = "nothing to optimize",
                               .loc = loc});
  }

  /// Runs `kernel` once over what make(parameter, gradient, state, options) says for each parameter that has
  /// a gradient. All checks come first.
  template <class KernelOptions, class F>
  void update_all(Loc loc, void (*kernel)(std::span<kernels::Update<KernelOptions>>), F make) {
    const char* const op = name();
    std::vector<Tensor> gradients;
    gradients.reserve(states_.size());
    for (const auto& group : groups_) {
      group.options.check(op, loc);
      for (const Tensor& p : group.parameters) {
        gradients.push_back(p.requires_grad() ? detail::dense_gradient(p, loc) : Tensor());
        if (gradients.back().defined())
          states_[gradients.size() - 1].check(op, gradients.size() - 1, p, group.options, loc);
      }
    }
    std::vector<kernels::Update<KernelOptions>> updates;
    updates.reserve(states_.size());
    std::size_t i = 0;
    for (auto& group : groups_)
      for (Tensor& p : group.parameters) {
        if (gradients[i].defined()) updates.push_back(make(p, gradients[i], states_[i], group.options));
        ++i;
      }
    kernel(updates);
  }

 private:
  std::vector<Group<Options>> groups_;
  std::vector<double> proportions_;  // of the groups' first rates to the first group's
  std::vector<State> states_;
};

}  // namespace thalweg::optim
