// ReduceOnPlateau: when to lower the learning rate because a watched value has stopped improving, by Keras'
// rules. Depends on io (state). Invariant: pure logic; it knows no optimizer and no callback.
#pragma once

#include <cstdint>
#include <limits>

#include <thalweg/autograd/base/loc.hpp>
#include <thalweg/io/state.hpp>

namespace thalweg::optim {

enum class Better { lower, higher };

struct PlateauOptions {
  Better better = Better::lower;  ///< Keras' modes "min" and "max"
  double factor = 0.1;            ///< the new rate is this times the old one; 0 or more, below 1
  std::int64_t patience = 10;     ///< observations without improvement before the rate is lowered
  std::int64_t cooldown = 0;      ///< observations after that which are not counted
  double min_delta = 1e-4;        ///< an improvement is larger than this
  double min_lr = 0;

  void check(Loc loc = Loc::here()) const;
};

class ReduceOnPlateau {
 public:
  /// Throws ValueError for options that are NaN, infinite or out of range.
  explicit ReduceOnPlateau(PlateauOptions options = {}, Loc loc = Loc::here());

  /// Takes the value after an epoch and the rate in use; returns the rate to go on with, max(lr factor,
  /// min_lr) or `lr` itself. NaN is no improvement. While the cooldown lasts, values can improve the best one
  /// but nothing is counted. A rate that has reached min_lr stays.
  double observe(double value, double lr);
  /// Forgets all that was observed.
  void reset();

  const PlateauOptions& options() const noexcept { return options_; }
  /// The best value so far; the worst infinity before the first.
  double best() const noexcept { return best_; }
  /// Observations since the last improvement, reduction or cooldown.
  std::int64_t wait() const noexcept { return wait_; }
  bool in_cooldown() const noexcept { return cooldown_ > 0; }
  void visit(io::StateVisitor& f);

 private:
  PlateauOptions options_;
  double best_ = std::numeric_limits<double>::infinity();
  std::int64_t wait_ = 0;
  std::int64_t cooldown_ = 0;
};

}  // namespace thalweg::optim
