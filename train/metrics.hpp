// The metrics. Depends on train/metric, ops (argmax). Invariant: a class is the first largest score along
// dim 1 (a NaN counts as largest), as argmax has it; counts are whole numbers, so no order of batches
// matters. Errors of update() name the line that made the metric.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <thalweg/train/metric.hpp>

namespace thalweg::train {

/// How predictions and targets say which class is meant.
enum class Labels : std::uint8_t {
  automatic,    ///< from the shapes, as said below
  sparse,       ///< scores [n, classes, ..], target class numbers [n, ..] (i64, i32, u8)
  categorical,  ///< scores [n, classes, ..], target of the same shape, its class the largest
  binary,  ///< one score an example, at or below `threshold` class 0; target 0 or 1 (or -1 and 1) of as many
           ///< elements
};
// automatic: target of the prediction's shape with 2 or more columns: categorical; target without the
// prediction's dim 1: sparse; else, as many elements in both: binary.

struct AccuracyOptions {
  Labels labels = Labels::automatic;
  double threshold = 0.5;            ///< for binary; 0 where the model gives logits
  std::int64_t ignore_index = -100;  ///< examples of this class count for nothing
  std::string name = "accuracy";
};

/// Share of examples whose class is right. Throws ShapeError, DTypeError, as every update().
class Accuracy final : public Metric {
 public:
  explicit Accuracy(AccuracyOptions options = {}, Loc loc = Loc::here())
      : options_(std::move(options)), loc_(loc) {}
  std::string name() const override { return options_.name; }
  void reset() override { hits_ = seen_ = 0; }
  void update(const Tensor& prediction, const Tensor& target) override;
  double value() const override;
  void visit(io::StateVisitor& f) override;

 private:
  AccuracyOptions options_;
  Loc loc_;
  std::int64_t hits_ = 0, seen_ = 0;
};

/// Share of examples whose class is among the k highest scores; of equal scores the earlier class stands
/// higher.
class TopK final : public Metric {
 public:
  /// Called "top_k_accuracy" with k's number. Throws ValueError unless k >= 1.
  explicit TopK(std::int64_t k = 5, std::int64_t ignore_index = -100, Loc loc = Loc::here());
  std::string name() const override;
  void reset() override { hits_ = seen_ = 0; }
  void update(const Tensor& prediction, const Tensor& target) override;
  double value() const override;
  void visit(io::StateVisitor& f) override;

 private:
  std::int64_t k_, ignore_index_, hits_ = 0, seen_ = 0;
  Loc loc_;
};

struct ConfusionOptions {
  Labels labels = Labels::automatic;
  double threshold = 0.5;
  std::int64_t ignore_index = -100;
};

/// How often class t was taken for class p.
class ConfusionMatrix final : public Metric {
 public:
  explicit ConfusionMatrix(ConfusionOptions options = {}, Loc loc = Loc::here())
      : options_(options), loc_(loc) {}
  std::string name() const override { return "confusion_matrix"; }
  void reset() override { counts_.clear(), classes_ = 0; }
  /// Throws IndexError for a target that is not a class.
  void update(const Tensor& prediction, const Tensor& target) override;
  /// The share on the diagonal: accuracy.
  double value() const override;
  bool logged() const override { return false; }
  void visit(io::StateVisitor& f) override;

  std::int64_t classes() const noexcept { return classes_; }
  /// Whether the examples came with one score each.
  bool binary() const noexcept { return binary_; }
  std::int64_t count(std::int64_t truth, std::int64_t predicted) const {
    return counts_.at(static_cast<std::size_t>(truth * classes_ + predicted));
  }
  /// i64 [classes, classes], a row for each true class; [0, 0] before the first batch.
  Tensor matrix() const;

 private:
  ConfusionOptions options_;
  Loc loc_;
  std::int64_t classes_ = 0;
  bool binary_ = false;
  std::vector<std::int64_t> counts_;
};

/// How the classes' figures become one.
enum class Average : std::uint8_t {
  automatic,  ///< binary for one score an example (Labels::binary), else macro
  macro,      ///< mean over the classes that occur as target or prediction
  micro,      ///< of all decisions together: accuracy, for single labels
  binary,     ///< of one class, `positive`
};

struct ClassScoreOptions {
  Average average = Average::automatic;
  std::int64_t positive = 1;
  ConfusionOptions confusion{};
  std::string name{};  ///< in the logs; empty: "precision", "recall" or "f1"
};

/// What precision, recall and F1 share: they are read off a confusion matrix. 0 / 0 is 0.
class ClassScore : public Metric {
 public:
  std::string name() const override { return options_.name; }
  void reset() override { confusion_.reset(); }
  void update(const Tensor& prediction, const Tensor& target) override {
    confusion_.update(prediction, target);
  }
  double value() const override;
  void visit(io::StateVisitor& f) override { confusion_.visit(f); }
  /// A value for each class.
  std::vector<double> per_class() const;
  const ConfusionMatrix& confusion() const noexcept { return confusion_; }

 protected:
  ClassScore(const char* name, ClassScoreOptions options, Loc loc)
      : options_(std::move(options)), loc_(loc), confusion_(options_.confusion, loc) {
    if (options_.name.empty()) options_.name = name;
  }
  /// Of one class: how often it was found rightly, how often predicted, how often true.
  virtual double score(double hits, double predicted, double truth) const = 0;

 private:
  ClassScoreOptions options_;
  Loc loc_;
  ConfusionMatrix confusion_;
};

/// Of those predicted to be of a class, the share that is: hits / predicted.
class Precision final : public ClassScore {
 public:
  explicit Precision(ClassScoreOptions options = {}, Loc loc = Loc::here())
      : ClassScore("precision", std::move(options), loc) {}

 private:
  double score(double hits, double predicted, double truth) const override;
};

/// Of those of a class, the share predicted to be: hits / true.
class Recall final : public ClassScore {
 public:
  explicit Recall(ClassScoreOptions options = {}, Loc loc = Loc::here())
      : ClassScore("recall", std::move(options), loc) {}

 private:
  double score(double hits, double predicted, double truth) const override;
};

/// The harmonic mean of precision and recall: 2 hits / (predicted + true).
class F1 final : public ClassScore {
 public:
  explicit F1(ClassScoreOptions options = {}, Loc loc = Loc::here())
      : ClassScore("f1", std::move(options), loc) {}

 private:
  double score(double hits, double predicted, double truth) const override;
};

/// What the mean errors share: prediction and target of one shape.
class MeanError : public Metric {
 public:
  std::string name() const override { return name_; }
  void reset() override { sum_ = 0, seen_ = 0; }
  void update(const Tensor& prediction, const Tensor& target) override;
  double value() const override;
  bool higher_is_better() const override { return false; }
  void visit(io::StateVisitor& f) override;

 protected:
  MeanError(const char* name, bool squared, Loc loc) : name_(name), squared_(squared), loc_(loc) {}

 private:
  const char* name_;
  bool squared_;
  Loc loc_;
  double sum_ = 0;
  std::int64_t seen_ = 0;
};

/// Mean of (prediction - target)^2 over all elements.
class Mse final : public MeanError {
 public:
  explicit Mse(Loc loc = Loc::here()) : MeanError("mse", true, loc) {}
};

/// Mean of |prediction - target| over all elements.
class Mae final : public MeanError {
 public:
  explicit Mae(Loc loc = Loc::here()) : MeanError("mae", false, loc) {}
};

}  // namespace thalweg::train
