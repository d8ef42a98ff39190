// Ema: an exponential moving average of parameters, which often does better than the parameters themselves
// (Polyak and Juditsky, 1992). Depends on tensor and io (state).
// Invariant: the averages are tensors of their own; parameters change in copy_to() and swap() only.
#pragma once

#include <cstdint>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/io/state.hpp>

namespace thalweg::optim {

struct EmaOptions {
  double decay = 0.999;
  /// Starts with a short memory: after t updates the decay is min(decay, (1 + t) / (10 + t)), as TensorFlow's
  /// average with a step count does.
  bool warm_up = false;

  void check(Loc loc) const;
};

class Ema {
 public:
  /// The averages start as copies of `parameters`, which may hold buffers too: any defined, dense, floating
  /// leaves. Throws what an optimizer does for its parameters, ValueError for a decay outside [0, 1].
  explicit Ema(std::vector<Tensor> parameters, EmaOptions options = {}, Loc loc = Loc::here());

  /// average = decay average + (1 - decay) parameter, after an optimizer's step. Throws ValueError while the
  /// averages are swapped in, and for a loaded average that does not fit its parameter.
  void update(Loc loc = Loc::here());
  /// Overwrites the parameters with their averages. Nothing is recorded. Throws ValueError as update().
  void copy_to(Loc loc = Loc::here());
  /// Exchanges parameters and averages: once before an evaluation, once after it.
  void swap(Loc loc = Loc::here());

  bool swapped() const noexcept { return swapped_; }
  std::int64_t updates() const noexcept { return updates_; }
  /// In the order of the parameters. While swapped they hold the parameters.
  const std::vector<Tensor>& averages() const noexcept { return averages_; }
  /// "0.average", "1.average", ..., "updates", "swapped".
  void visit(io::StateVisitor& f);

 private:
  void check(const char* op, bool may_be_swapped, Loc loc) const;

  std::vector<Tensor> parameters_;
  std::vector<Tensor> averages_;
  EmaOptions options_;
  std::int64_t updates_ = 0;
  bool swapped_ = false;
};

}  // namespace thalweg::optim
