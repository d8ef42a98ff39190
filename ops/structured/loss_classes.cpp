// Cross-entropy with class indices and with class probabilities, and their backwards. Depends on
// functions.hpp, kernels/loss. Invariant: every gradient is made of ops of the registry, so it can be
// differentiated again.
#include <cmath>
#include <string>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/structured/loss_support.hpp>
#include <thalweg/ops/structured/softmax.hpp>

namespace thalweg::ops {
namespace {

using Options = CrossEntropyOptions;

/// g as the factor of each row's probabilities, with the class dim back as size 1 (0-d for mean and sum): g (divided
/// as a mean is) times the mass of what is wanted, 0 for ignored rows.
Tensor row_factors(const Tensor& g, const Tensor& x, const Tensor& target, const Tensor& weight, const Options& t) {
  const int dim = class_dim(x.shape());
  Tensor k = t.reduction == Reduction::none ? unsqueeze(g, dim) : g;
  const Tensor own = weight_of_rows(target, weight, t.ignore_index, x.dtype());
  const Tensor kept = unsqueeze(not_equal(target, like(t.ignore_index, target)), dim);
  if (t.reduction == Reduction::mean && sum(kept).item<double>() > 0) k = k / sum(own).item<double>();
  if (weight.defined()) {
    const Tensor mass = unsqueeze(own, dim) * (1 - t.label_smoothing);
    k = k * (t.label_smoothing == 0 ? mass : mass + mean(weight) * t.label_smoothing);
  }
  return where(kept, k, 0.0);
}

/// The same against probabilities, but for the mass.
Tensor soft_factors(const Tensor& g, const Tensor& x, const Options& t) {
  if (t.reduction == Reduction::none) return unsqueeze(g, class_dim(x.shape()));
  return t.reduction == Reduction::mean ? g / numel(without_classes(x.shape())) : g;
}

/// The derivative of a backward in g, whose gradient is `u`: the backward is linear in g.
template <class Backward, class... Rest>
Tensor gradient_in_g(const Tensor& u, const Tensor& x, const Dims& g_shape, const Options& t, const Rest&... rest) {
  const Tensor each = u * apply<Backward>(t, ones(g_shape, x.dtype()), x, rest...);
  if (t.reduction != Reduction::none) return sum(each);
  return sum(each, {.dims = {class_dim(x.shape())}});
}

Tensor along_classes(const Tensor& x) { return sum(x, {.dims = {class_dim(x.shape())}, .keepdim = true}); }

Tensor backward_reference(const Tensor& g, const RowReference& r) {
  Tensor dx = zeros(r.x.shape(), DType::f64);
  for_each_index(without_classes(r.x.shape()), [&](const Dims& row) {
    if (r.ignored(row)) return;
    const std::vector<double> l = r.logs(row), q = r.wanted(row);
    double mass = 0;
    for (double w : q) mass += w;
    for (std::size_t c = 0; c < l.size(); ++c)
      set_value(dx, r.at(row, static_cast<std::int64_t>(c)),
                r.factor(g, row) * (mass * std::exp(l[c]) - q[c]));
  });
  return dx;
}

struct Case {
  Dims x;
  Options t;
  const char* note;
};

const Case cases[] = {
    {{3, 4}, {}, "mean"},
    {{3, 4}, {.reduction = Reduction::sum}, "sum"},
    {{3, 4}, {.reduction = Reduction::none}, "none"},
    {{4, 3}, {.label_smoothing = 0.1}, "smoothed"},
    {{4, 3}, {.reduction = Reduction::none, .label_smoothing = 0.3}, "smoothed rows"},
    {{2, 3, 4}, {}, "positions"},
    {{2, 3, 2, 2}, {.reduction = Reduction::none, .label_smoothing = 0.2}, "positions, rows"},
    {{5}, {}, "one row"},
    {{4, 3}, {.ignore_index = 1}, "ignored rows"},
    {{4, 3}, {.reduction = Reduction::none, .ignore_index = 1}, "ignored rows, none"},
    {{0, 3}, {.reduction = Reduction::sum}, "empty"},
};

void index_errors(ErrorList& e, std::vector<Tensor> first, const char* op) {
  const auto call = [&](const Tensor& x, const Tensor& target, const Tensor& weight = {}) {
    std::vector<Tensor> in = first;
    in.insert(in.end(), {x, target, weight});
    return in;
  };
  const Tensor x = zeros({2, 3}), rows = zeros({2}, DType::i64);
  const Options t{.reduction = Reduction::sum};
  e.add<IndexError>(call(x, from<std::int64_t>({0, 3}, {2})), t,
                    std::string(op) + ": class out of range: target at [1] is 3, wanted 0 to 2",
                    "IndexError");
  e.add<IndexError>(call(x, from<std::int64_t>({INT64_MIN, 0}, {2})), t, "target at [0]", "IndexError");
  e.add<ShapeError>(call(x, zeros({3}, DType::i64)), t, "target is i64[3], wanted [2]", "ShapeError");
  e.add<ShapeError>(call(zeros({}), rows), t, "no class dimension", "ShapeError");
  e.add<DTypeError>(call(zeros({2, 3}, DType::i32), rows), t, "x is i32[2,3]", "DTypeError");
  e.add<DTypeError>(call(x, zeros({2})), t, "target is f32[2], wanted i64 or i32", "DTypeError");
  e.add<ValueError>(call(x, rows), Options{.reduction = Reduction::sum, .label_smoothing = 1.5},
                    "label_smoothing is 1.5", "ValueError");
  e.add<ValueError>(call(x, rows), Options{.reduction = Reduction::sum, .label_smoothing = std::nan("")},
                    "label_smoothing is nan", "ValueError");
  e.add<ValueError>(call(x, Tensor()), t, "undefined tensor: target", "ValueError");
  e.add<ShapeError>(call(x, rows, ones({2})), t,
                    std::string(op) + ": not one number per class: weight is f32[2], wanted [3]", "ShapeError");
  e.add<DTypeError>(call(x, rows, ones({3}, DType::f64)), t, "weight is f64[3], wanted f32", "DTypeError");
}

void probability_errors(ErrorList& e, std::vector<Tensor> first, const char* op) {
  const auto call = [&](const Tensor& x, const Tensor& target) {
    std::vector<Tensor> in = first;
    in.push_back(x);
    in.push_back(target);
    return in;
  };
  const Tensor x = zeros({2, 3});
  const Options t{.reduction = Reduction::sum};
  e.add<ShapeError>(
      call(x, zeros({2, 4})), t,
      std::string(op) + ": probabilities do not fit the scores: target is f32[2,4], wanted [2,3]",
      "ShapeError");
  e.add<DTypeError>(call(x, zeros({2, 3}, DType::f64)), t, "different dtypes", "DTypeError");
  e.add<DTypeError>(call(x, zeros({2})), t,
                    "class indices are integers; use to(): target is f32[2], wanted classes i64, i32 or u8 [2], or "
                    "probabilities f32[2,3]",
                    "DTypeError");
  e.add<ShapeError>(call(zeros({}), zeros({})), t, "no class dimension", "ShapeError");
  e.add<ValueError>(call(x, x), Options{.reduction = Reduction::sum, .label_smoothing = -0.1},
                    "label_smoothing is -0.1", "ValueError");
  e.add<ValueError>(call(x, Tensor()), t, "undefined tensor: target", "ValueError");
}

}  // namespace

// ---- class indices ----

void CrossEntropy::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_scores(in, 0);
  check_indices(in, 1, in[0].shape);
  check_weight(in, 2, in[0].dtype, in[0].shape[class_dim(in[0].shape)]);
  check_smoothing(in, t.label_smoothing);
  out.add(in[0].dtype, loss_shape(in[0].shape, t.reduction));
}

void CrossEntropy::run(const Ins& in, const View* out, const Attrs& t) {
  const bool good = kernels::class_loss(in[0], in[1], in[2], out[0], class_loss_of(in[0].shape, t), false);
  if (!good) check_classes(in, 1, in[0].shape[class_dim(in[0].shape)], t.ignore_index);  // to say which class it is
}

void CrossEntropy::vjp(Vjp& v, const Attrs& t) {
  v.set(0, apply<CrossEntropyBackward>(t, v.g(), v.in(0), v.in(1), weight_in(v, 2)));
}

std::vector<Tensor> CrossEntropy::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {RowReference{in[0], in[1], t, in[2]}.losses()};
}

void CrossEntropy::samples(SampleList& s) {
  for (const Case& c : cases) s.add({s.normal(c.x), class_cycle(c.x), Tensor()}, c.t, c.note);
  for (const Case& c : cases) s.add({s.normal(c.x), class_cycle(c.x), class_weights(s, c.x)}, c.t, weighted(c.note));
}

void CrossEntropy::errors(ErrorList& e) { index_errors(e, {}, "cross_entropy"); }

void CrossEntropyBackward::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_scores(in, 1);
  check_indices(in, 2, in[1].shape);
  check_weight(in, 3, in[1].dtype, in[1].shape[class_dim(in[1].shape)]);
  check_smoothing(in, t.label_smoothing);
  check_loss_gradient(in, in[1].shape, in[1].dtype, t.reduction);
  out.add(in[1].dtype, in[1].shape);
}

void CrossEntropyBackward::check(const Ins& in, const Attrs& t) {
  check_classes(in, 2, in[1].shape[class_dim(in[1].shape)], t.ignore_index);
}

void CrossEntropyBackward::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::class_loss_backward(in[0], in[1], in[2], in[3], out[0], class_loss_of(in[1].shape, t), false);
}

void CrossEntropyBackward::vjp(Vjp& v, const Attrs& t) {
  const Tensor u = v.g(), x = v.in(1), target = v.in(2), weight = weight_in(v, 3);
  if (v.needs(0)) v.set(0, gradient_in_g<CrossEntropyBackward>(u, x, v.in_meta(0).shape, t, target, weight));
  if (v.needs(1)) {
    const int dim = class_dim(x.shape());
    v.set(1, row_factors(v.in(0), x, target, weight, t) * apply<SoftmaxBackward>({.dim = dim}, u, softmax(x, dim)));
  }
}

std::vector<Tensor> CrossEntropyBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {backward_reference(in[0], {in[1], in[2], t, in[3]})};
}

void CrossEntropyBackward::samples(SampleList& s) {
  const auto g = [&](const Case& c) { return s.normal(loss_shape(c.x, c.t.reduction)); };
  for (const Case& c : cases) s.add({g(c), s.normal(c.x), class_cycle(c.x), Tensor()}, c.t, c.note);
  for (const Case& c : cases) s.add({g(c), s.normal(c.x), class_cycle(c.x), class_weights(s, c.x)}, c.t, weighted(c.note));
}

void CrossEntropyBackward::errors(ErrorList& e) {
  index_errors(e, {zeros({})}, "cross_entropy_backward");
  e.add<ShapeError>({zeros({2}), zeros({2, 3}), zeros({2}, DType::i64), Tensor()}, Attrs{}, "g is f32[2], wanted []",
                    "ShapeError");
}

// ---- class probabilities ----

void SoftCrossEntropy::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_scores(in, 0);
  check_probabilities(in, 1, 0);
  check_smoothing(in, t.label_smoothing);
  out.add(in[0].dtype, loss_shape(in[0].shape, t.reduction));
}

void SoftCrossEntropy::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::soft_loss(in[0], in[1], out[0], class_loss_of(in[0].shape, t));
}

void SoftCrossEntropy::vjp(Vjp& v, const Attrs& t) {
  const Tensor x = v.in(0);
  if (v.needs(0)) v.set(0, apply<SoftCrossEntropyBackward>(t, v.g(), x, v.in(1)));
  if (v.needs(1)) {
    const Tensor k = soft_factors(v.g(), x, t);
    v.set(1, -(k * (1 - t.label_smoothing)) * log_softmax(x, class_dim(x.shape())));
  }
}

std::vector<Tensor> SoftCrossEntropy::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {RowReference{in[0], in[1], t}.losses()};
}

void SoftCrossEntropy::samples(SampleList& s) {
  for (const Case& c : cases) s.add({s.normal(c.x), s.probabilities(c.x, class_dim(c.x))}, c.t, c.note);
}

void SoftCrossEntropy::errors(ErrorList& e) { probability_errors(e, {}, "cross_entropy_soft"); }

void SoftCrossEntropyBackward::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_scores(in, 1);
  check_probabilities(in, 2, 1);
  check_smoothing(in, t.label_smoothing);
  check_loss_gradient(in, in[1].shape, in[1].dtype, t.reduction);
  out.add(in[1].dtype, in[1].shape);
}

void SoftCrossEntropyBackward::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::soft_loss_backward(in[0], in[1], in[2], out[0], class_loss_of(in[1].shape, t));
}

void SoftCrossEntropyBackward::vjp(Vjp& v, const Attrs& t) {
  const Tensor u = v.g(), x = v.in(1);
  const int dim = class_dim(x.shape());
  if (v.needs(0)) v.set(0, gradient_in_g<SoftCrossEntropyBackward>(u, x, v.in_meta(0).shape, t, v.in(2)));
  if (!v.needs(1) && !v.needs(2)) return;
  const Tensor k = soft_factors(v.in(0), x, t), p = softmax(x, dim);
  if (v.needs(1)) {
    const Tensor mass = along_classes(v.in(2)) * (1 - t.label_smoothing) + t.label_smoothing;
    v.set(1, k * mass * apply<SoftmaxBackward>({.dim = dim}, u, p));
  }
  if (v.needs(2)) v.set(2, k * (1 - t.label_smoothing) * (along_classes(u * p) - u));
}

std::vector<Tensor> SoftCrossEntropyBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {backward_reference(in[0], {in[1], in[2], t})};
}

void SoftCrossEntropyBackward::samples(SampleList& s) {
  for (const Case& c : cases)
    s.add({s.normal(loss_shape(c.x, c.t.reduction)), s.normal(c.x), s.probabilities(c.x, class_dim(c.x))},
          c.t, c.note);
}

void SoftCrossEntropyBackward::errors(ErrorList& e) {
  probability_errors(e, {zeros({})}, "cross_entropy_soft_backward");
  e.add<ShapeError>({zeros({2}), zeros({2, 3}), zeros({2, 3})}, Attrs{}, "g is f32[2], wanted []",
                    "ShapeError");
}

}  // namespace thalweg::ops
