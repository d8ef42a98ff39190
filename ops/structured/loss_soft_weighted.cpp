// cross_entropy of probabilities with a weight for each class, composed of the one without. Depends on functions.hpp.
// Invariant: the weight is a constant.
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/structured/loss_support.hpp>

namespace thalweg::ops {
namespace {

/// The inputs of a composite as infer sees those of other ops.
struct Seen {
  ConstView views[3];
  Ins ins;
  Seen(const char* op, const Tensor* in, int n, Loc loc) : ins{op, loc, n, views, 0} {
    for (int i = 0; i < n; ++i) {
      if (!in[i].defined()) continue;
      views[i] = in[i].view();
      ins.present |= std::uint64_t{1} << i;
    }
  }
};

}  // namespace

Tensor WeightedSoftCrossEntropy::compose(const Tensor* in, int n, const Attrs& t, Loc loc) {
  const Seen seen(row.name, in, n, loc);
  check_scores(seen.ins, 0);
  check_probabilities(seen.ins, 1, 0);
  check_smoothing(seen.ins, t.label_smoothing);
  require_present(seen.ins, 2, "weight");
  const Dims& x = in[0].shape();
  const int dim = class_dim(x);
  check_weight(seen.ins, 2, in[0].dtype(), x[dim]);
  Dims beside_scores = Dims::filled(x.size() - dim, 1);
  beside_scores[0] = x[dim];
  const Tensor weight = in[2].detach().reshape(beside_scores);
  const Tensor q = t.label_smoothing == 0 ? in[1] * weight
                                          : (in[1] * (1 - t.label_smoothing) +
                                             t.label_smoothing / static_cast<double>(x[dim])) * weight;
  return cross_entropy({in[0], loc}, q, {.reduction = t.reduction});
}

std::vector<Tensor> WeightedSoftCrossEntropy::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {RowReference{in[0], in[1], t, in[2]}.losses()};
}

void WeightedSoftCrossEntropy::samples(SampleList& s) {
  const auto add = [&](const Dims& x, Attrs t, const char* note) {
    const int dim = class_dim(x);
    s.add({s.normal(x), s.probabilities(x, dim), s.uniform({x[dim]}, 0.5, 2)}, t, note);
  };
  add({3, 4}, {}, "mean");
  add({3, 4}, {.reduction = Reduction::sum, .label_smoothing = 0.2}, "sum, smoothed");
  add({4, 3}, {.reduction = Reduction::none}, "none");
  add({2, 3, 2}, {.label_smoothing = 0.3}, "positions");
  add({5}, {}, "one row");
  add({0, 3}, {.reduction = Reduction::sum}, "empty");
}

void WeightedSoftCrossEntropy::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3}), w = ones({3});
  e.add<ShapeError>({x, x, ones({2})},
                    "cross_entropy_soft_weighted: not one number per class: weight is f32[2], wanted [3]",
                    "ShapeError");
  e.add<ShapeError>({x, zeros({2, 4}), w}, "probabilities do not fit the scores", "ShapeError");
  e.add<ShapeError>({zeros({}), zeros({}), w}, "no class dimension", "ShapeError");
  e.add<DTypeError>({x, x, ones({3}, DType::f64)}, "weight is f64[3], wanted f32", "DTypeError");
  e.add<DTypeError>({x, zeros({2, 3}, DType::f64), w}, "different dtypes", "DTypeError");
  e.add<ValueError>({x, x, w}, Attrs{.label_smoothing = 1.5}, "label_smoothing is 1.5", "ValueError");
  e.add<ValueError>({x, x, Tensor()}, "undefined tensor: weight", "ValueError");
  e.add<ValueError>({x, Tensor(), w}, "undefined tensor: target", "ValueError");
}

}  // namespace thalweg::ops
