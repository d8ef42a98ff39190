// Optimizer: what a training loop, a schedule and a checkpoint need to know of any optimizer.
// Depends on tensor and io (state). Invariant: only step() changes parameters, and it records nothing.
#pragma once

#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/io/state.hpp>

namespace thalweg::optim {

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Updates every parameter that has a gradient. Throws ValueError for options out of range and for a state
  /// that does not fit its parameter; then nothing has changed.
  virtual void step(Loc loc = Loc::here()) = 0;
  /// Drops the gradients of all parameters, so that the next backward pass starts afresh without a pass over
  /// memory.
  virtual void zero_grad() = 0;
  /// The learning rate of the first group.
  virtual double lr() const = 0;
  /// Sets the learning rate of the first group, and of the others in the proportion to it in which they were made, so
  /// that a schedule or a reduction scales all of them alike. step() checks the rates.
  virtual void set_lr(double lr) = 0;
  /// All parameters, group by group.
  virtual std::vector<Tensor> parameters() const = 0;
  /// Names what a resumed run continues with: "group.0.lr" for each group, then each parameter's moments and
  /// step count as "0.exp_avg", "0.step", where the number counts parameters over all groups.
  virtual void visit(io::StateVisitor& f) = 0;
  /// The name of the rule: "Adam".
  const char* name() const noexcept { return name_; }

 protected:
  explicit Optimizer(const char* name) noexcept : name_(name) {}
  Optimizer(const Optimizer&) = default;
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(const Optimizer&) = default;
  Optimizer& operator=(Optimizer&&) = default;

 private:
  const char* name_;
};

}  // namespace thalweg::optim
