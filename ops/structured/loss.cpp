// nll_loss and its adjoint; the public functions of the losses over classes and the description of all
// losses. Depends on functions.hpp, kernels/loss, fmt. Invariant: the adjoint of a mean over no rows is 0.
#include <thalweg/ops/structured/loss.hpp>

#include <string>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/library.hpp>
#include <thalweg/ops/structured/loss_support.hpp>

namespace thalweg::ops {
namespace {

CrossEntropyOptions widened(const NllOptions& t) {
  return {.reduction = t.reduction, .ignore_index = t.ignore_index};
}

std::int64_t classes_of(const Dims& x) { return x[class_dim(x)]; }

/// The shape of scores with a class dim, from that of the class indices.
Dims with_classes(const Dims& rows, std::int64_t classes) {
  Dims x = rows;
  x.insert(rows.empty() ? 0 : 1, classes);
  return x;
}

struct Case {
  Dims x;
  NllOptions t;
  const char* note;
};

const Case cases[] = {
    {{3, 4}, {}, "mean"},
    {{3, 4}, {.reduction = Reduction::sum}, "sum"},
    {{3, 4}, {.reduction = Reduction::none}, "none"},
    {{2, 3, 4}, {.reduction = Reduction::none}, "positions"},
    {{5}, {}, "one row"},
    {{4, 3}, {.ignore_index = 1}, "ignored rows"},
    {{0, 3}, {.reduction = Reduction::sum}, "empty"},
};

}  // namespace

void NllLoss::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_scores(in, 0);
  check_indices(in, 1, in[0].shape);
  check_weight(in, 2, in[0].dtype, classes_of(in[0].shape));
  out.add(in[0].dtype, loss_shape(in[0].shape, t.reduction));
}

void NllLoss::run(const Ins& in, const View* out, const Attrs& t) {
  const bool good = kernels::class_loss(in[0], in[1], in[2], out[0], class_loss_of(in[0].shape, widened(t)), true);
  if (!good) check_classes(in, 1, classes_of(in[0].shape), t.ignore_index);  // to say which class it is
}

void NllLoss::vjp(Vjp& v, const Attrs& t) {
  v.set(0, apply<NllLossBackward>({.options = t, .classes = classes_of(v.in_meta(0).shape)}, v.g(), v.in(1),
                                  weight_in(v, 2)));
}

std::vector<Tensor> NllLoss::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const RowReference r{in[0], in[1], widened(t), in[2]};
  Tensor each = zeros(in[1].shape(), DType::f64);
  for_each_index(in[1].shape(), [&](const Dims& row) {
    if (r.ignored(row)) return;
    const auto c = static_cast<std::int64_t>(value_at(in[1], row));
    set_value(each, row, -r.weight_at(c) * value_at(in[0], r.at(row, c)));
  });
  return {r.reduced(each)};
}

void NllLoss::samples(SampleList& s) {
  for (const Case& c : cases) s.add({s.normal(c.x), class_cycle(c.x), Tensor()}, c.t, c.note);
  for (const Case& c : cases) s.add({s.normal(c.x), class_cycle(c.x), class_weights(s, c.x)}, c.t, weighted(c.note));
}

void NllLoss::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3}), rows = zeros({2}, DType::i64), none;
  e.add<IndexError>({x, from<std::int64_t>({0, 3}, {2}), none},
                    "nll_loss: class out of range: target at [1] is 3, wanted 0 to 2", "IndexError");
  e.add<IndexError>({x, from<std::int64_t>({INT64_MIN, 0}, {2}), none}, "target at [0]", "IndexError");
  e.add<IndexError>({x, from<std::int64_t>({0, 3}, {2}), ones({3})}, "target at [1] is 3", "IndexError");
  e.add<ShapeError>({x, zeros({3}, DType::i64), none}, "target is i64[3], wanted [2]", "ShapeError");
  e.add<ShapeError>({zeros({}), rows, none}, "no class dimension", "ShapeError");
  e.add<ShapeError>({x, rows, ones({3, 1})}, "nll_loss: not one number per class: weight is f32[3,1], wanted [3]",
                    "ShapeError");
  e.add<DTypeError>({zeros({2, 3}, DType::i32), rows, none}, "x is i32[2,3]", "DTypeError");
  e.add<DTypeError>({x, zeros({2}), none}, "target is f32[2], wanted i64 or i32", "DTypeError");
  e.add<DTypeError>({x, rows, ones({3}, DType::f64)}, "weight is f64[3], wanted f32", "DTypeError");
  e.add<ValueError>({Tensor(), rows, none}, "undefined tensor: x", "ValueError");
}

void NllLossBackward::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "g");
  require_floating(in, 0, "g");
  if (t.classes < 0)
    in.fail<ValueError>("classes", fmt::format("{}", t.classes), "0 or more", "negative number of classes");
  require_present(in, 1, "target");
  const Dims x = with_classes(in[1].shape, t.classes);
  check_indices(in, 1, x);
  check_weight(in, 2, in[0].dtype, t.classes);
  check_loss_gradient(in, x, in[0].dtype, t.options.reduction);
  out.add(in[0].dtype, x);
}

void NllLossBackward::check(const Ins& in, const Attrs& t) {
  check_classes(in, 1, t.classes, t.options.ignore_index);
}

void NllLossBackward::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::class_loss_backward(in[0], {}, in[1], in[2], out[0],
                               class_loss_of(out[0].shape, widened(t.options)), true);
}

void NllLossBackward::vjp(Vjp& v, const Attrs& t) {
  const Tensor target = v.in(1), weight = weight_in(v, 2), u = v.g();
  if (t.options.reduction != Reduction::mean) return v.set(0, apply<NllLoss>(t.options, u, target, weight));
  // The mean over no rows is NaN as a loss, but its adjoint is 0.
  const std::int64_t ignore = t.options.ignore_index;
  const bool none = sum(not_equal(target, like(ignore, target))).item<double>() == 0;
  const double by = none ? 1 : sum(weight_of_rows(target, weight, ignore, u.dtype())).item<double>();
  v.set(0, apply<NllLoss>({.reduction = Reduction::sum, .ignore_index = ignore}, u, target, weight) / by);
}

std::vector<Tensor> NllLossBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Tensor dx = zeros(with_classes(in[1].shape(), t.classes), DType::f64);
  const RowReference r{dx, in[1], widened(t.options), in[2]};
  for_each_index(in[1].shape(), [&](const Dims& row) {
    if (r.ignored(row)) return;
    const auto c = static_cast<std::int64_t>(value_at(in[1], row));
    set_value(dx, r.at(row, c), -r.weight_at(c) * r.factor(in[0], row));
  });
  return {dx};
}

void NllLossBackward::samples(SampleList& s) {
  const auto add = [&](const Case& c, const Tensor& weight, const std::string& note) {
    s.add({s.normal(loss_shape(c.x, c.t.reduction)), class_cycle(c.x), weight},
          Attrs{.options = c.t, .classes = classes_of(c.x)}, note);
  };
  for (const Case& c : cases) add(c, Tensor(), c.note);
  for (const Case& c : cases) add(c, class_weights(s, c.x), weighted(c.note));
}

void NllLossBackward::errors(ErrorList& e) {
  const Attrs t{.options = {.reduction = Reduction::sum}, .classes = 3};
  const Tensor none;
  e.add<IndexError>({zeros({}), from<std::int64_t>({0, 3}, {2}), none}, t, "target at [1] is 3", "IndexError");
  e.add<ShapeError>({zeros({2}), zeros({2}, DType::i64), none}, t,
                    "nll_loss_backward: gradient does not fit the loss: g is f32[2]", "ShapeError");
  e.add<DTypeError>({zeros({}), zeros({2}), none}, t, "target is f32[2], wanted i64 or i32", "DTypeError");
  e.add<ValueError>({zeros({}), zeros({2}, DType::i64), none}, Attrs{.classes = -1}, "classes is -1", "ValueError");
  e.add<DTypeError>({zeros({}, DType::i64), zeros({2}, DType::i64), none}, t, "g is i64[]", "DTypeError");
  e.add<ShapeError>({zeros({}), zeros({2}, DType::i64), ones({2})}, t,
                    "nll_loss_backward: not one number per class: weight is f32[2], wanted [3]", "ShapeError");
  e.add<ValueError>({Tensor(), zeros({2}, DType::i64), none}, t, "undefined tensor: g", "ValueError");
}

}  // namespace thalweg::ops

namespace thalweg {

namespace {

/// Class indices as the kernels take them.
Arg as_classes(const Arg& target, Tensor& wide) {
  if (!target.t.defined() || target.t.dtype() != DType::u8) return target;
  wide = target.t.to(DType::i64);
  return {wide, target.loc};
}

}  // namespace

Tensor cross_entropy(Arg x, Arg target, CrossEntropyOptions options) {
  if (target.t.defined() && is_floating(target.t.dtype()))
    return apply<ops::SoftCrossEntropy>(options, x, target);
  Tensor wide;
  return apply<ops::CrossEntropy>(options, x, as_classes(target, wide), Tensor());
}
Tensor cross_entropy(Arg x, Arg target, const Tensor& weight, CrossEntropyOptions options) {
  if (target.t.defined() && is_floating(target.t.dtype()))
    return apply<ops::WeightedSoftCrossEntropy>(options, x, target, weight);
  Tensor wide;
  return apply<ops::CrossEntropy>(options, x, as_classes(target, wide), weight);
}

Tensor nll_loss(Arg x, Arg target, NllOptions options) { return nll_loss(x, target, Tensor(), options); }
Tensor nll_loss(Arg x, Arg target, const Tensor& weight, NllOptions options) {
  Tensor wide;
  return apply<ops::NllLoss>(options, x, as_classes(target, wide), weight);
}

void describe_loss(std::vector<OpInfo>& to) {
  describe_all(ops::LossOps{}, to);
  describe_all(ops::TermOps{}, to);
}

}  // namespace thalweg
