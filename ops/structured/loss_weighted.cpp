// cross_entropy and nll_loss with a weight for each class, composed of the losses without. Depends on
// functions.hpp. Invariant: the weight is a constant; rows that are ignored get gradient 0 even where the
// mean is NaN.
#include <cmath>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/structured/loss_support.hpp>

namespace thalweg::ops {
namespace {

using Options = CrossEntropyOptions;

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

void check_weight(const Ins& in) {
  require_present(in, 2, "weight");
  if (in[2].dtype != in[0].dtype)
    in.fail<DTypeError>("weight", describe(in[2]), name(in[0].dtype),
                        "operands of different dtypes; use to()");
  const Dims wanted{in[0].shape[class_dim(in[0].shape)]};
  if (!(in[2].shape == wanted))
    in.fail<ShapeError>("weight", describe(in[2]), to_string(wanted) + " for x " + describe(in[0]),
                        "not one number per class");
}

/// The weight of each row's class; 0 for ignored rows.
Tensor weight_of_rows(const Tensor& target, const Tensor& weight, std::int64_t ignore) {
  const Tensor kept = not_equal(target, like(ignore, target));
  const Tensor classes = where(kept, target, zeros_like(target));
  return where(kept, index_select(weight, 0, classes.reshape({-1})).reshape(target.shape()), 0.0);
}

/// Single losses reduced; the mean is divided by the sum of the rows' weights.
Tensor reduced_by(const Tensor& each, const Tensor& row_weight, Reduction reduction) {
  if (reduction == Reduction::none) return each;
  if (reduction == Reduction::sum) return sum(each);
  return sum(each * (1.0 / sum(row_weight)));
}

/// A number per class beside scores of this shape.
Tensor beside_scores(const Tensor& weight, const Dims& x) {
  if (x.size() == 1) return weight;
  Dims shape = Dims::filled(x.size() - 1, 1);
  shape[0] = weight.shape()[0];
  return weight.reshape(shape);
}

/// (1 - s) target + s / C for the classes of each row, those of class indices being one-hot.
Tensor smoothed(const Tensor& target, const Dims& x, DType dtype, const Options& t) {
  const int dim = class_dim(x);
  Tensor q = target;
  if (!is_floating(target.dtype())) {
    const Tensor classes = where(not_equal(target, like(t.ignore_index, target)), target, zeros_like(target));
    q = one_hot(classes, x[dim], dtype);
    Dims order;
    for (int d = 0; d < x.size() - 1; ++d) order.push_back(d);
    order.insert(dim, x.size() - 1);
    q = permute(q, order);
  }
  if (t.label_smoothing == 0) return q;
  return q * (1 - t.label_smoothing) + t.label_smoothing / static_cast<double>(x[dim]);
}

double weight_at(const Tensor& weight, std::int64_t c) { return value_at(weight, {c}); }

}  // namespace

Tensor WeightedCrossEntropy::compose(const Tensor* in, int n, const Attrs& t, Loc loc) {
  const Seen seen(row.name, in, n, loc);
  check_scores(seen.ins, 0);
  require_present(seen.ins, 1, "target");
  check_smoothing(seen.ins, t.label_smoothing);
  const bool soft = is_floating(in[1].dtype());
  if (soft)
    check_probabilities(seen.ins, 1, 0);
  else
    check_indices(seen.ins, 1, in[0].shape());
  check_weight(seen.ins);
  const Tensor weight = in[2].detach();
  if (soft) {
    const Tensor q = smoothed(in[1], in[0].shape(), in[0].dtype(), t) * beside_scores(weight, in[0].shape());
    return cross_entropy(in[0], q, {.reduction = t.reduction});
  }
  check_classes(seen.ins, 1, weight.shape()[0], t.ignore_index);
  const Tensor of_rows = weight_of_rows(in[1], weight, t.ignore_index);
  Tensor each;
  if (t.label_smoothing == 0) {
    each =
        cross_entropy(in[0], in[1], {.reduction = Reduction::none, .ignore_index = t.ignore_index}) * of_rows;
  } else {
    const Tensor q = smoothed(in[1], in[0].shape(), in[0].dtype(), t) * beside_scores(weight, in[0].shape());
    each = where(not_equal(in[1], like(t.ignore_index, in[1])),
                 cross_entropy(in[0], q, {.reduction = Reduction::none}), 0.0);
  }
  return reduced_by(each, of_rows, t.reduction);
}

std::vector<Tensor> WeightedCrossEntropy::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const RowReference r{in[0], in[1], t};
  Tensor each = zeros(without_classes(in[0].shape()), DType::f64);
  double total = 0, weights = 0, rows = 0;
  for_each_index(each.shape(), [&](const Dims& row) {
    if (r.ignored(row)) return;
    const std::vector<double> l = r.logs(row), q = r.wanted(row);
    double loss = 0;
    for (std::size_t c = 0; c < l.size(); ++c)
      loss -= q[c] == 0 ? 0 : q[c] * weight_at(in[2], static_cast<std::int64_t>(c)) * l[c];
    set_value(each, row, loss);
    total += loss;
    rows += 1;
    if (!r.soft()) weights += weight_at(in[2], static_cast<std::int64_t>(value_at(in[1], row)));
  });
  if (t.reduction == Reduction::none) return {each};
  if (t.reduction == Reduction::mean) total /= r.soft() ? rows : weights;
  return {scalar(total, DType::f64)};
}

void WeightedCrossEntropy::samples(SampleList& s) {
  const auto add = [&](const Dims& x, Attrs t, const char* note) {
    const Dims classes{x[class_dim(x)]};
    s.add({s.normal(x), class_cycle(x), s.uniform(classes, 0.5, 2)}, t, note);
    s.add({s.normal(x), s.probabilities(x, class_dim(x)), s.uniform(classes, 0.5, 2)}, t, note);
  };
  add({3, 4}, {}, "mean");
  add({3, 4}, {.reduction = Reduction::sum, .label_smoothing = 0.2}, "sum, smoothed");
  add({4, 3}, {.reduction = Reduction::none, .ignore_index = 1}, "ignored rows, none");
  add({4, 3}, {.label_smoothing = 0.1, .ignore_index = 1}, "ignored rows, smoothed");
  add({2, 3, 2}, {.label_smoothing = 0.3}, "positions");
  add({5}, {}, "one row");
  add({0, 3}, {.reduction = Reduction::sum}, "empty");
}

void WeightedCrossEntropy::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3}), rows = zeros({2}, DType::i64), w = ones({3});
  e.add<ShapeError>(
      {x, rows, ones({2})},
      "cross_entropy_weighted: not one number per class: weight is f32[2], wanted [3] for x f32[2,3]",
      "ShapeError");
  e.add<ShapeError>({x, zeros({2, 4}), w}, "probabilities do not fit the scores", "ShapeError");
  e.add<ShapeError>({x, zeros({3}, DType::i64), w}, "target is i64[3], wanted [2]", "ShapeError");
  e.add<ShapeError>({zeros({}), rows, w}, "no class dimension", "ShapeError");
  e.add<DTypeError>({x, rows, ones({3}, DType::f64)}, "weight is f64[3], wanted f32", "DTypeError");
  e.add<DTypeError>({x, zeros({2}, DType::boolean), w}, "target is bool[2]", "DTypeError");
  e.add<IndexError>({x, from<std::int64_t>({0, 3}, {2}), w},
                    "cross_entropy_weighted: class out of range: target at [1] is 3, wanted 0 to 2",
                    "IndexError");
  e.add<ValueError>({x, rows, w}, Attrs{.label_smoothing = 1.5}, "label_smoothing is 1.5", "ValueError");
  e.add<ValueError>({x, rows, Tensor()}, "undefined tensor: weight", "ValueError");
  e.add<ValueError>({x, Tensor(), w}, "undefined tensor: target", "ValueError");
}

Tensor WeightedNllLoss::compose(const Tensor* in, int n, const Attrs& t, Loc loc) {
  const Seen seen(row.name, in, n, loc);
  check_scores(seen.ins, 0);
  check_indices(seen.ins, 1, in[0].shape());
  check_weight(seen.ins);
  check_classes(seen.ins, 1, in[2].shape()[0], t.ignore_index);
  const Tensor of_rows = weight_of_rows(in[1], in[2].detach(), t.ignore_index);
  const Tensor each = nll_loss(in[0], in[1], {.reduction = Reduction::none, .ignore_index = t.ignore_index});
  return reduced_by(each * of_rows, of_rows, t.reduction);
}

std::vector<Tensor> WeightedNllLoss::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const RowReference r{in[0], in[1], {.reduction = t.reduction, .ignore_index = t.ignore_index}};
  Tensor each = zeros(in[1].shape(), DType::f64);
  double total = 0, weights = 0;
  for_each_index(in[1].shape(), [&](const Dims& row) {
    if (r.ignored(row)) return;
    const std::int64_t c = static_cast<std::int64_t>(value_at(in[1], row));
    const double loss = -weight_at(in[2], c) * value_at(in[0], r.at(row, c));
    set_value(each, row, loss);
    total += loss;
    weights += weight_at(in[2], c);
  });
  if (t.reduction == Reduction::none) return {each};
  return {scalar(t.reduction == Reduction::mean ? total / weights : total, DType::f64)};
}

void WeightedNllLoss::samples(SampleList& s) {
  const auto add = [&](const Dims& x, Attrs t, const char* note) {
    s.add({s.normal(x), class_cycle(x), s.uniform({x[class_dim(x)]}, 0.5, 2)}, t, note);
  };
  add({3, 4}, {}, "mean");
  add({3, 4}, {.reduction = Reduction::sum}, "sum");
  add({2, 3, 4}, {.reduction = Reduction::none, .ignore_index = 1}, "positions, ignored rows");
  add({4, 3}, {.ignore_index = 1}, "ignored rows");
  add({5}, {}, "one row");
  add({0, 3}, {.reduction = Reduction::sum}, "empty");
}

void WeightedNllLoss::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3}), rows = zeros({2}, DType::i64), w = ones({3});
  e.add<ShapeError>({x, rows, ones({3, 1})},
                    "nll_loss_weighted: not one number per class: weight is f32[3,1]", "ShapeError");
  e.add<ShapeError>({x, zeros({3}, DType::i64), w}, "target is i64[3], wanted [2]", "ShapeError");
  e.add<ShapeError>({zeros({}), rows, w}, "no class dimension", "ShapeError");
  e.add<DTypeError>({x, zeros({2}), w}, "target is f32[2], wanted i64 or i32", "DTypeError");
  e.add<DTypeError>({x, rows, ones({3}, DType::f64)}, "weight is f64[3], wanted f32", "DTypeError");
  e.add<IndexError>({x, from<std::int64_t>({0, 3}, {2}), w}, "target at [1] is 3, wanted 0 to 2",
                    "IndexError");
  e.add<ValueError>({x, rows, Tensor()}, "undefined tensor: weight", "ValueError");
}

}  // namespace thalweg::ops
