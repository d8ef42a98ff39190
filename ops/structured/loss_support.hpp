// What the class losses share: where the classes are, the checks of shapes and indices, naive references.
// Depends on loss.hpp, dims.hpp, kernels/loss.hpp. Invariant: references are f64 loops by the definition.
#pragma once

#include <string>
#include <vector>

#include <thalweg/ops/kernels/loss.hpp>
#include <thalweg/ops/structured/dims.hpp>
#include <thalweg/ops/structured/loss.hpp>

namespace thalweg::ops {

inline int class_dim(const Dims& x) noexcept { return x.size() == 1 ? 0 : 1; }

inline Dims without_classes(const Dims& x) {
  Dims rows = x;
  rows.erase(class_dim(x));
  return rows;
}

inline kernels::LossReduction as_kernel(Reduction r) noexcept {
  return static_cast<kernels::LossReduction>(r);
}

inline kernels::ClassLoss class_loss_of(const Dims& x, const CrossEntropyOptions& t) noexcept {
  return {class_dim(x), as_kernel(t.reduction), t.label_smoothing, t.ignore_index};
}

/// Scores at input i: present, floating, with a class dim.
void check_scores(const Ins& in, int i);
/// A number in [0, 1].
void check_smoothing(const Ins& in, double smoothing);
/// Class indices at input i for scores of shape x.
void check_indices(const Ins& in, int i, const Dims& x);
/// Class probabilities at input i for the scores at input `x`.
void check_probabilities(const Ins& in, int i, int x);
/// Throws IndexError naming position and value of a class at input i that is neither below `classes` nor
/// ignored.
void check_classes(const Ins& in, int i, std::int64_t classes, std::int64_t ignore);
/// At input i, where it may be absent: one number of this dtype for each of the classes.
void check_weight(const Ins& in, int i, DType dtype, std::int64_t classes);
/// The gradient of the loss at input 0: 0-d, or one number per row.
void check_loss_gradient(const Ins& in, const Dims& x, DType dtype, Reduction reduction);
/// Shape of the loss of scores of shape x.
Dims loss_shape(const Dims& x, Reduction reduction);

/// The weight of the classes at input i, undefined where there is none.
inline Tensor weight_in(const Vjp& v, int i) { return v.has_in(i) ? v.in(i) : Tensor(); }

/// Weights for the classes of scores of shape x, and what a sample with them is called.
inline Tensor class_weights(SampleList& s, const Dims& x) { return s.uniform({x[class_dim(x)]}, 0.5, 2); }
inline std::string weighted(const char* note) { return std::string(note) + ", weighted"; }
/// Classes 0, 1, .., C - 1, 0, .. for the rows of scores of shape x.
Tensor class_cycle(const Dims& x);

/// The weight of each row's class, 1 each where no weight is defined; 0 for ignored rows.
Tensor weight_of_rows(const Tensor& target, const Tensor& weight, std::int64_t ignore, DType dtype);

/// Rows of scores as plain numbers. f(row index without the class dim, scores, weight of each class in the
/// target).
struct RowReference {
  Tensor x, target;
  CrossEntropyOptions options;
  Tensor weight{};  ///< of classes; may be undefined

  std::int64_t classes() const { return x.shape()[class_dim(x.shape())]; }
  /// Whether targets are probabilities: they have the class dimension, class indices have not.
  bool soft() const { return target.dim() == x.dim(); }
  bool ignored(const Dims& row) const {
    return !soft() && static_cast<std::int64_t>(value_at(target, row)) == options.ignore_index;
  }
  double weight_at(std::int64_t c) const { return weight.defined() ? value_at(weight, {c}) : 1; }
  /// What a mean is divided by: rows that are not ignored, times the weights of class indices.
  double divisor() const;
  std::vector<double> scores(const Dims& row) const;
  /// log softmax of the scores.
  std::vector<double> logs(const Dims& row) const;
  /// ((1 - s) target + s / C) weight
  std::vector<double> wanted(const Dims& row) const;
  Dims at(const Dims& row, std::int64_t c) const;
  /// The loss of single rows, reduced.
  Tensor reduced(const Tensor& each) const;
  /// The cross-entropy of the rows, reduced.
  Tensor losses() const;
  /// What row's gradient is multiplied with.
  double factor(const Tensor& g, const Dims& row) const;
};

}  // namespace thalweg::ops
