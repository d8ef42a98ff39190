// Metric: a number that says how well predictions fit their targets, summed up over batches.
// Depends on tensor, io (state). Invariant: value() is of all that came since reset(), whatever the batches
// were; nothing is recorded.
#pragma once

#include <string>

#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/io/state.hpp>
#include <thalweg/train/shared.hpp>

namespace thalweg::train {

class Metric {
 public:
  virtual ~Metric() = default;
  /// Its name in the logs: "accuracy".
  virtual std::string name() const = 0;
  virtual void reset() = 0;
  /// Takes in a batch. Called with recording off.
  virtual void update(const Tensor& prediction, const Tensor& target) = 0;
  /// NaN over nothing.
  virtual double value() const = 0;
  virtual bool higher_is_better() const { return true; }
  /// False for what is not one number (a matrix): it is gathered, but stays out of the logs.
  virtual bool logged() const { return true; }
  /// Names what was summed up so far.
  virtual void visit(io::StateVisitor& f) = 0;

 protected:
  Metric() = default;
  Metric(const Metric&) = default;
  Metric& operator=(const Metric&) = default;
};

using MetricRef = Shared<Metric>;

}  // namespace thalweg::train
