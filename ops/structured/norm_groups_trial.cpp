// Layer and group normalisation on trial: naive references, samples, bad arguments. Depends on
// norm_groups_support.hpp. Invariant: references sum piece by piece in f64 and use no kernel.
#include <cmath>
#include <string>

#include <thalweg/ops/structured/norm_groups_support.hpp>

namespace thalweg::ops {
namespace {

using kernels::GroupGeometry;

std::vector<double> flat(const Tensor& t) {
  if (!t.defined()) return {};
  const std::span<const double> s = t.span<double>();
  return {s.begin(), s.end()};
}

Tensor shaped(const std::vector<double>& v, const Dims& shape) {
  return from(std::span<const double>(v), shape);
}

/// f(element, piece, number) over all elements in order.
template <class F>
void each_element(const GroupGeometry& g, F f) {
  std::size_t i = 0;
  for (std::int64_t row = 0; row < g.rows; ++row)
    for (std::int64_t c = 0; c < g.groups * g.channels; ++c)
      for (std::int64_t s = 0; s < g.run; ++s)
        f(i++, static_cast<std::size_t>(row * g.groups + c / g.channels), static_cast<std::size_t>(c));
}

template <class Attrs>
std::vector<Tensor> forward_reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Dims& shape = in[0].shape();
  const GroupGeometry g = geometry_of(shape, t);
  const std::vector<double> x = flat(in[0]), weight = flat(in[1]), bias = flat(in[2]);
  const double n = static_cast<double>(g.piece());
  std::vector<double> mean(static_cast<std::size_t>(g.rows * g.groups)), variance = mean, y = x;
  each_element(g, [&](std::size_t i, std::size_t p, std::size_t) { mean[p] += x[i] / n; });
  each_element(g, [&](std::size_t i, std::size_t p, std::size_t) {
    variance[p] += (x[i] - mean[p]) * (x[i] - mean[p]) / n;
  });
  each_element(g, [&](std::size_t i, std::size_t p, std::size_t c) {
    const double h = (x[i] - mean[p]) / std::sqrt(variance[p] + t.eps);
    y[i] = h * (weight.empty() ? 1 : weight[c]) + (bias.empty() ? 0 : bias[c]);
  });
  return {shaped(y, shape), shaped(mean, pieces_of(shape, t)), shaped(variance, pieces_of(shape, t))};
}

template <class Attrs>
std::vector<Tensor> backward_reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Dims& shape = in[1].shape();
  const GroupGeometry g = geometry_of(shape, t);
  const std::vector<double> grad = flat(in[0]), x = flat(in[1]), mean = flat(in[2]), variance = flat(in[3]),
                            weight = flat(in[4]);
  const double n = static_cast<double>(g.piece());
  std::vector<double> dx = x;
  std::vector<long double> sums(mean.size()), products = sums;  // long, for they cancel
  std::vector<long double> dweight(static_cast<std::size_t>(g.groups * g.channels)), dbias = dweight;
  const auto h = [&](std::size_t i, std::size_t p) {
    return (x[i] - mean[p]) / std::sqrt(variance[p] + t.eps);
  };
  const auto k = [&](std::size_t i, std::size_t c) { return grad[i] * (weight.empty() ? 1 : weight[c]); };
  each_element(g, [&](std::size_t i, std::size_t p, std::size_t c) {
    sums[p] += k(i, c);
    products[p] += static_cast<long double>(k(i, c)) * h(i, p);
    dweight[c] += static_cast<long double>(grad[i]) * h(i, p);
    dbias[c] += grad[i];
  });
  each_element(g, [&](std::size_t i, std::size_t p, std::size_t c) {
    const double sum = static_cast<double>(sums[p]), product = static_cast<double>(products[p]);
    dx[i] = (k(i, c) - sum / n - h(i, p) * product / n) / std::sqrt(variance[p] + t.eps);
  });
  const auto rounded = [&](const std::vector<long double>& v) {
    return shaped(std::vector<double>(v.begin(), v.end()), numbers_of(shape, t));
  };
  return {shaped(dx, shape), rounded(dweight), rounded(dbias)};
}

struct LayerCase {
  Dims x;
  std::int64_t dims;
};
const LayerCase layers[] = {{{4, 5}, 1},  {{2, 3, 4}, 1}, {{2, 3, 4}, 2}, {{6}, 1},   {{2, 2, 3}, 3},
                            {{3, 37}, 1}, {{37, 3}, 1},   {{2, 131}, 1},  {{0, 3}, 1}};
struct GroupCase {
  Dims x;
  std::int64_t groups;
};
const GroupCase groups[] = {{{3, 4}, 2},       {{2, 6, 3}, 3}, {{2, 4, 2, 3}, 2}, {{2, 2, 4, 5}, 1},
                            {{2, 4, 5, 7}, 2}, {{1, 3, 2}, 3}, {{9, 4, 17}, 4},   {{3, 2, 2, 2, 5}, 2},
                            {{0, 4, 2}, 2},    {{35, 4, 2}, 2}};

Tensor spread(SampleList& s, const Dims& shape) { return s.uniform(shape, 0.5, 2); }

template <class Attrs>
void add_forward(SampleList& s, const Dims& x, const Attrs& t, bool weight = true, bool bias = true,
                 const char* note = "") {
  const Dims numbers = numbers_of(x, t);
  s.add({s.normal(x), weight ? spread(s, numbers) : Tensor(), bias ? s.normal(numbers) : Tensor()}, t, note);
}

template <class Attrs>
void add_backward(SampleList& s, const Dims& x, const Attrs& t, bool weight = true, const char* note = "") {
  const Dims pieces = pieces_of(x, t), numbers = numbers_of(x, t);
  s.add(
      {s.normal(x), s.normal(x), s.normal(pieces), spread(s, pieces), weight ? spread(s, numbers) : Tensor()},
      t, note);
}

/// Errors of the vectors: `attrs` fits x, whose weight is to be `wanted`, which `other` is not.
template <class Attrs>
void forward_errors(ErrorList& e, const Tensor& x, const Attrs& attrs, const std::string& wanted) {
  e.add<ShapeError>({x, zeros({7}), Tensor()}, attrs,
                    "shape does not fit: weight is f32[7], wanted " + wanted + " for x " + x.describe(),
                    "ShapeError");
  e.add<ShapeError>({x, Tensor(), zeros({1, 7})}, attrs, "bias is f32[1,7], wanted " + wanted, "ShapeError");
  e.add<DTypeError>({x, zeros(numbers_of(x.shape(), attrs), DType::f64), Tensor()}, attrs, "weight is f64",
                    "DTypeError");
  e.add<DTypeError>({zeros(x.shape(), DType::i64), Tensor(), Tensor()}, attrs, "not a floating tensor",
                    "DTypeError");
  e.add<ValueError>({Tensor(), Tensor(), Tensor()}, attrs, "undefined tensor: x", "ValueError");
  for (const double eps : {-1.0, std::nan(""), HUGE_VAL}) {
    Attrs bad = attrs;
    bad.eps = eps;
    e.add<ValueError>({x, Tensor(), Tensor()}, bad, "not an offset of a variance: eps is", "ValueError");
  }
}

template <class Attrs>
void backward_errors(ErrorList& e, const Tensor& x, const Attrs& attrs) {
  const Tensor none, pieces = ones(pieces_of(x.shape(), attrs));
  e.add<ShapeError>({zeros({2, 2}), x, pieces, pieces, none}, attrs, "shape does not fit: g is f32[2,2]",
                    "ShapeError");
  e.add<ShapeError>({x, x, zeros({9}), pieces, none}, attrs, "mean is f32[9]", "ShapeError");
  e.add<ShapeError>({x, x, pieces, zeros({9}), none}, attrs, "variance is f32[9]", "ShapeError");
  e.add<ShapeError>({x, x, pieces, pieces, zeros({7})}, attrs, "weight is f32[7]", "ShapeError");
  e.add<DTypeError>({zeros(x.shape(), DType::f64), x, pieces, pieces, none}, attrs, "g is f64", "DTypeError");
  e.add<ValueError>({none, x, pieces, pieces, none}, attrs, "undefined tensor: g", "ValueError");
  e.add<ValueError>({x, none, pieces, pieces, none}, attrs, "undefined tensor: x", "ValueError");
  e.add<ValueError>({x, x, none, pieces, none}, attrs, "undefined tensor: mean", "ValueError");
  e.add<ValueError>({x, x, pieces, none, none}, attrs, "undefined tensor: variance", "ValueError");
  Attrs bad = attrs;
  bad.eps = -1;
  e.add<ValueError>({x, x, pieces, pieces, none}, bad, "eps is -1", "ValueError");
}

/// A call's inputs: x between those before it and those after it.
std::vector<Tensor> joined(std::vector<Tensor> in, const Tensor& x, const std::vector<Tensor>& after) {
  in.push_back(x);
  in.insert(in.end(), after.begin(), after.end());
  return in;
}

void dims_errors(ErrorList& e, const std::vector<Tensor>& before, const std::vector<Tensor>& after,
                 const char* op) {
  const auto call = [&](const Tensor& x) { return joined(before, x, after); };
  const Tensor x = zeros({2, 3});
  e.add<ValueError>(
      call(x), LayerNormAttrs{.dims = 3},
      std::string(op) + ": not a number of trailing dimensions: dims is 3, wanted 1 to the 2 of x",
      "ValueError");
  e.add<ValueError>(call(x), LayerNormAttrs{.dims = 0}, "dims is 0", "ValueError");
  e.add<ValueError>(call(x), LayerNormAttrs{.dims = INT64_MIN}, "trailing dimensions", "ValueError");
  e.add<ValueError>(call(zeros({2, 0})), LayerNormAttrs{}, "no values: x is f32[2,0]", "ValueError");
}

void group_errors(ErrorList& e, const std::vector<Tensor>& before, const std::vector<Tensor>& after,
                  const char* op) {
  const auto call = [&](const Tensor& x) { return joined(before, x, after); };
  const Tensor x = zeros({2, 4});
  e.add<ValueError>(
      call(x), GroupNormAttrs{.groups = 3},
      std::string(op) + ": channels cannot be split: groups is 3, wanted a divisor of the 4 channels",
      "ValueError");
  e.add<ValueError>(call(x), GroupNormAttrs{.groups = 0}, "groups is 0", "ValueError");
  e.add<ValueError>(call(x), GroupNormAttrs{.groups = INT64_MIN}, "groups is -9223372036854775808",
                    "ValueError");
  e.add<ShapeError>(call(zeros({4})), GroupNormAttrs{}, "no channel dimension: x is f32[4]", "ShapeError");
  e.add<ValueError>(call(zeros({2, 4, 0})), GroupNormAttrs{}, "no values: x is f32[2,4,0]", "ValueError");
}

const std::vector<Tensor> no_vectors{Tensor(), Tensor()};

}  // namespace

std::vector<Tensor> LayerNorm::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return forward_reference(in, t);
}
void LayerNorm::samples(SampleList& s) {
  for (const LayerCase& c : layers) add_forward(s, c.x, Attrs{.dims = c.dims});
  add_forward(s, {3, 4}, Attrs{}, false, false, "plain");
  add_forward(s, {3, 4}, Attrs{.eps = 0.1}, true, false, "no bias");
  add_forward(s, {3, 4}, Attrs{.eps = 0}, false, true, "no weight, eps 0");
}
void LayerNorm::errors(ErrorList& e) {
  forward_errors(e, zeros({2, 3, 4}), Attrs{.dims = 2}, "[3,4]");
  dims_errors(e, {}, no_vectors, "layer_norm");
}

std::vector<Tensor> LayerNormBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return backward_reference(in, t);
}
void LayerNormBackward::samples(SampleList& s) {
  for (const LayerCase& c : layers) add_backward(s, c.x, Attrs{.dims = c.dims});
  add_backward(s, {3, 4}, Attrs{.eps = 0.1}, false, "plain");
}
void LayerNormBackward::errors(ErrorList& e) {
  backward_errors(e, zeros({2, 3, 4}), Attrs{.dims = 2});
  const Tensor x = zeros({2, 3});
  dims_errors(e, {x}, {ones({2}), ones({2}), Tensor()}, "layer_norm_backward");
}

std::vector<Tensor> GroupNorm::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return forward_reference(in, t);
}
void GroupNorm::samples(SampleList& s) {
  for (const GroupCase& c : groups) add_forward(s, c.x, Attrs{.groups = c.groups});
  add_forward(s, {2, 4, 17}, Attrs{.groups = 2}, false, false, "plain");
  add_forward(s, {2, 4, 3}, Attrs{.groups = 2, .eps = 0.1}, true, false, "no bias");
  add_forward(s, {2, 4, 18}, Attrs{.groups = 2, .eps = 0}, false, true, "no weight, eps 0");
}
void GroupNorm::errors(ErrorList& e) {
  forward_errors(e, zeros({2, 4, 3}), Attrs{.groups = 2}, "[4]");
  group_errors(e, {}, no_vectors, "group_norm");
}

std::vector<Tensor> GroupNormBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return backward_reference(in, t);
}
void GroupNormBackward::samples(SampleList& s) {
  for (const GroupCase& c : groups) add_backward(s, c.x, Attrs{.groups = c.groups});
  add_backward(s, {2, 4, 17}, Attrs{.groups = 2, .eps = 0.1}, false, "plain");
}
void GroupNormBackward::errors(ErrorList& e) {
  backward_errors(e, zeros({2, 4, 3}), Attrs{.groups = 2});
  const Tensor x = zeros({2, 4});
  group_errors(e, {x}, {ones({2, 1}), ones({2, 1}), Tensor()}, "group_norm_backward");
}

}  // namespace thalweg::ops
