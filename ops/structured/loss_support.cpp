// See loss_support.hpp. Depends on functions.hpp, fmt.
#include <thalweg/ops/structured/loss_support.hpp>

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>

namespace thalweg::ops {

void check_scores(const Ins& in, int i) {
  require_present(in, i, "x");
  require_floating(in, i, "x");
  if (in[i].shape.empty())
    in.fail<ShapeError>("x", describe(in[i]), "[C] or [N, C, ..]", "no class dimension");
}

void check_smoothing(const Ins& in, double smoothing) {
  if (!(smoothing >= 0 && smoothing <= 1))
    in.fail<ValueError>("label_smoothing", fmt::format("{}", smoothing), "0 to 1", "not a share");
}

void check_indices(const Ins& in, int i, const Dims& x) {
  require_present(in, i, "target");
  if (in[i].dtype != DType::i64 && in[i].dtype != DType::i32)
    in.fail<DTypeError>("target", describe(in[i]), "i64 or i32", "not class indices");
  const Dims rows = without_classes(x);
  if (!(in[i].shape == rows))
    in.fail<ShapeError>("target", describe(in[i]), fmt::format("{} for x {}", to_string(rows), to_string(x)),
                        "target does not fit the rows");
}

void check_probabilities(const Ins& in, int i, int x) {
  require_present(in, i, "target");
  require_floating(in, i, "target");
  const Dims rows = without_classes(in[x].shape);
  if (in[i].shape == rows)
    in.fail<DTypeError>("target", describe(in[i]),
                        fmt::format("classes i64, i32 or u8 {}, or probabilities {}", to_string(rows),
                                    describe(in[x].dtype, in[x].shape)),
                        "class indices are integers; use to()");
  if (in[i].dtype != in[x].dtype)
    in.fail<DTypeError>("target", describe(in[i]), name(in[x].dtype),
                        "operands of different dtypes; use to()");
  if (!(in[i].shape == in[x].shape))
    in.fail<ShapeError>("target", describe(in[i]), to_string(in[x].shape),
                        "probabilities do not fit the scores");
}

void check_classes(const Ins& in, int i, std::int64_t classes, std::int64_t ignore) {
  std::int64_t value = 0;
  std::int64_t at = kernels::first_bad_class(in[i], classes, ignore, value);
  if (at < 0) return;
  Dims position = in[i].shape;
  for (int d = position.size() - 1; d >= 0; --d) {
    const std::int64_t extent = in[i].shape[d];
    position[d] = at % extent;
    at /= extent;
  }
  in.fail<IndexError>(fmt::format("target at {}", to_string(position)).c_str(), fmt::format("{}", value),
                      fmt::format("0 to {} (or {} to ignore the row)", classes - 1, ignore),
                      "class out of range");
}

void check_weight(const Ins& in, int i, DType dtype, std::int64_t classes) {
  if (!in.has(i)) return;
  if (in[i].dtype != dtype)
    in.fail<DTypeError>("weight", describe(in[i]), name(dtype), "operands of different dtypes; use to()");
  if (!(in[i].shape == Dims{classes}))
    in.fail<ShapeError>("weight", describe(in[i]), to_string(Dims{classes}), "not one number per class");
}

void check_loss_gradient(const Ins& in, const Dims& x, DType dtype, Reduction reduction) {
  require_present(in, 0, "g");
  const Dims wanted = loss_shape(x, reduction);
  if (in[0].dtype != dtype)
    in.fail<DTypeError>("g", describe(in[0]), name(dtype), "gradient of another dtype");
  if (!(in[0].shape == wanted))
    in.fail<ShapeError>("g", describe(in[0]), to_string(wanted), "gradient does not fit the loss");
}

Dims loss_shape(const Dims& x, Reduction reduction) {
  return reduction == Reduction::none ? without_classes(x) : Dims();
}

Tensor class_cycle(const Dims& x) {
  Tensor t = empty(without_classes(x), DType::i64);
  std::int64_t* p = t.mutable_data<std::int64_t>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = i % x[class_dim(x)];
  return t;
}

Tensor weight_of_rows(const Tensor& target, const Tensor& weight, std::int64_t ignore, DType dtype) {
  const Tensor kept = not_equal(target, like(ignore, target));
  if (!weight.defined()) return kept.to(dtype);
  const Tensor classes = where(kept, target, zeros_like(target));
  return where(kept, index_select(weight, 0, classes.reshape({-1})).reshape(target.shape()), 0.0);
}

// ---- references ----

double RowReference::divisor() const {
  double total = 0;
  for_each_index(without_classes(x.shape()), [&](const Dims& row) {
    if (!ignored(row)) total += soft() ? 1 : weight_at(static_cast<std::int64_t>(value_at(target, row)));
  });
  return total;
}

Dims RowReference::at(const Dims& row, std::int64_t c) const {
  Dims index = row;
  index.insert(class_dim(x.shape()), c);
  return index;
}

std::vector<double> RowReference::scores(const Dims& row) const {
  std::vector<double> s;
  for (std::int64_t c = 0; c < classes(); ++c) s.push_back(value_at(x, at(row, c)));
  return s;
}

std::vector<double> RowReference::logs(const Dims& row) const {
  std::vector<double> s = scores(row);
  double m = -std::numeric_limits<double>::infinity(), total = 0;
  for (double v : s) m = std::fmax(m, v);
  for (double v : s) total += std::exp(v - m);
  for (double& v : s) v = (v - m) - std::log(total);
  return s;
}

std::vector<double> RowReference::wanted(const Dims& row) const {
  const double n = static_cast<double>(classes());
  std::vector<double> q;
  for (std::int64_t c = 0; c < classes(); ++c) {
    const double hit = soft()                                            ? value_at(target, at(row, c))
                       : value_at(target, row) == static_cast<double>(c) ? 1
                                                                         : 0;
    const double share = (1 - options.label_smoothing) * hit + options.label_smoothing / n;
    q.push_back(share == 0 ? 0 : share * weight_at(c));
  }
  return q;
}

Tensor RowReference::reduced(const Tensor& each) const {
  if (options.reduction == Reduction::none) return each;
  double total = 0;
  for (double v : each.span<double>()) total += v;
  if (options.reduction == Reduction::mean) total /= divisor();
  return scalar(total, DType::f64);
}

Tensor RowReference::losses() const {
  Tensor each = zeros(without_classes(x.shape()), DType::f64);
  for_each_index(each.shape(), [&](const Dims& row) {
    if (ignored(row)) return;
    const std::vector<double> l = logs(row), q = wanted(row);
    double loss = 0;
    for (std::size_t c = 0; c < l.size(); ++c) loss -= q[c] == 0 ? 0 : q[c] * l[c];
    set_value(each, row, loss);
  });
  return reduced(each);
}

double RowReference::factor(const Tensor& g, const Dims& row) const {
  if (ignored(row)) return 0;
  if (options.reduction == Reduction::none) return value_at(g, row);
  const double one = value_at(g, {});
  return options.reduction == Reduction::mean ? one / divisor() : one;
}

}  // namespace thalweg::ops
