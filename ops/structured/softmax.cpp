// Softmax and its kin: inference, kernel calls, derivatives, references, samples. Depends on functions.hpp,
// kernels/softmax. Invariant: a dim is resolved against the rank wherever it is used.
#include <thalweg/ops/structured/softmax.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/softmax.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

int dim_of(std::int64_t dim, int rank) { return static_cast<int>(dim < 0 ? dim + rank : dim); }

Tensor sum_along(const Tensor& x, std::int64_t dim) { return sum(x, {.dims = {dim}, .keepdim = true}); }

void infer_slices(const Ins& in, std::int64_t dim, Outs& out) {
  require_present(in, 0, "x");
  require_floating(in, 0, "x");
  resolve_dim(in, dim, in[0].shape.size());
  out.add(in[0].dtype, in[0].shape);
}

void infer_backward(const Ins& in, std::int64_t dim, Outs& out) {
  require_present(in, 0, "g");
  require_present(in, 1, "y");
  require_floating(in, 0, "g");
  if (in[1].dtype != in[0].dtype)
    in.fail<DTypeError>("y", describe(in[1]), name(in[0].dtype), "operands of different dtypes");
  if (!(in[1].shape == in[0].shape))
    in.fail<ShapeError>("y", describe(in[1]), describe(in[0]), "shapes differ");
  resolve_dim(in, dim, in[0].shape.size());
  out.add(in[0].dtype, in[0].shape);
}

/// One slice along `dim` at a time as plain numbers: f(slices of the inputs, the slice of y).
template <class F>
Tensor slices_reference(const std::vector<Tensor>& in, std::int64_t dim, F f) {
  const int d = dim_of(dim, in[0].dim());
  Tensor y = zeros(in[0].shape(), DType::f64);
  const std::int64_t n = in[0].shape()[d];
  Dims starts = reduced_shape(in[0].shape(), {d}, true);
  if (n == 0) return y;
  for_each_index(starts, [&](const Dims& index) {
    std::vector<std::vector<double>> slices(in.size(), std::vector<double>(static_cast<std::size_t>(n)));
    std::vector<double> out(static_cast<std::size_t>(n));
    Dims at = index;
    for (std::int64_t i = 0; i < n; ++i) {
      at[d] = i;
      for (std::size_t k = 0; k < in.size(); ++k)
        slices[k][static_cast<std::size_t>(i)] = value_at(in[k], at);
    }
    f(slices, out);
    for (std::int64_t i = 0; i < n; ++i) {
      at[d] = i;
      set_value(y, at, out[static_cast<std::size_t>(i)]);
    }
  });
  return y;
}

double total(const std::vector<double>& x) {
  double s = 0;
  for (double v : x) s += v;
  return s;
}

double greatest(const std::vector<double>& x) {
  double m = -infinity;
  for (double v : x) m = v > m ? v : m;
  return m;
}

/// log of the sum of exp, by the definition after taking the maximum out.
double log_sum_exp(const std::vector<double>& x) {
  double m = greatest(x);
  if (!std::isfinite(m)) m = 0;
  double s = 0;
  for (double v : x) s += std::exp(v - m);
  return m + std::log(s);
}

template <class Attrs>
void slice_samples(SampleList& s) {
  s.add({s.normal({3, 5})}, Attrs{});
  s.add({s.normal({3, 5})}, Attrs{.dim = 0}, "columns");
  s.add({s.normal({2, 3, 4})}, Attrs{.dim = 1}, "middle");
  s.add({s.normal({7})}, Attrs{.dim = -1}, "vector");
  s.add({s.normal({4, 1})}, Attrs{}, "one element");
  s.add({s.normal({0, 3})}, Attrs{}, "empty");
  s.add({s.uniform({2, 3}, -100, 100)}, Attrs{}, "far apart");
  // exp() of the first row overflows in f32 unless the maximum goes first, exp() of the second is 0.
  s.add({from<double>({100, -50, 20, -120, -200, -150}, {2, 3})}, Attrs{}, "out of exp's range");
}

void backward_samples(SampleList& s) {
  s.add({s.normal({3, 5}), s.probabilities({3, 5}, 1)}, SoftmaxAttrs{});
  s.add({s.normal({3, 5}), s.probabilities({3, 5}, 0)}, SoftmaxAttrs{.dim = 0}, "columns");
  s.add({s.normal({2, 3, 4}), s.normal({2, 3, 4})}, SoftmaxAttrs{.dim = -2}, "middle");
  s.add({s.normal({0, 3}), s.normal({0, 3})}, SoftmaxAttrs{}, "empty");
}

template <class Attrs>
void slice_errors(ErrorList& e, const char* op) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, Attrs{.dim = 2},
                    std::string(op) + ": dimension out of range: dim is 2, wanted -2 to 1", "IndexError");
  e.add<IndexError>({x}, Attrs{.dim = INT64_MIN}, "out of range", "IndexError");
  e.add<IndexError>({zeros({})}, Attrs{}, "0-d", "IndexError");
  e.add<DTypeError>({zeros({2, 3}, DType::i64)}, Attrs{}, "not a floating tensor: x is i64[2,3]",
                    "DTypeError");
  e.add<ValueError>({Tensor()}, Attrs{}, "undefined tensor", "ValueError");
}

void backward_errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<ShapeError>({x, zeros({3, 2})}, SoftmaxAttrs{}, "shapes differ: y is f32[3,2], wanted f32[2,3]",
                    "ShapeError");
  e.add<DTypeError>({x, zeros({2, 3}, DType::f64)}, SoftmaxAttrs{}, "different dtypes", "DTypeError");
  e.add<IndexError>({x, x}, SoftmaxAttrs{.dim = -3}, "out of range", "IndexError");
  e.add<ValueError>({x, Tensor()}, SoftmaxAttrs{}, "undefined tensor", "ValueError");
}

}  // namespace

// ---- softmax ----

void Softmax::infer(const Ins& in, const Attrs& t, Outs& out) { infer_slices(in, t.dim, out); }

void Softmax::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::softmax(in[0], out[0], dim_of(t.dim, in[0].shape.size()));
}

void Softmax::vjp(Vjp& v, const Attrs& t) { v.set(0, apply<SoftmaxBackward>(t, v.g(), v.out())); }

std::vector<Tensor> Softmax::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {slices_reference(in, t.dim, [](const auto& x, std::vector<double>& y) {
    const double m = greatest(x[0]);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::exp(x[0][i] - m);
    const double s = total(y);
    for (double& v : y) v /= s;
  })};
}

void Softmax::samples(SampleList& s) { slice_samples<Attrs>(s); }
void Softmax::errors(ErrorList& e) { slice_errors<Attrs>(e, "softmax"); }

void SoftmaxBackward::infer(const Ins& in, const Attrs& t, Outs& out) { infer_backward(in, t.dim, out); }

void SoftmaxBackward::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::softmax_backward(in[0], in[1], out[0], dim_of(t.dim, in[0].shape.size()));
}

void SoftmaxBackward::vjp(Vjp& v, const Attrs& t) {
  const Tensor u = v.g(), y = v.in(1);
  if (v.needs(0)) v.set(0, apply<SoftmaxBackward>(t, u, y));
  if (v.needs(1)) {
    const Tensor g = v.in(0);
    v.set(1, u * (g - sum_along(g * y, t.dim)) - g * sum_along(u * y, t.dim));
  }
}

std::vector<Tensor> SoftmaxBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {slices_reference(in, t.dim, [](const auto& x, std::vector<double>& dx) {
    double s = 0;
    for (std::size_t i = 0; i < dx.size(); ++i) s += x[0][i] * x[1][i];
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] = x[1][i] * (x[0][i] - s);
  })};
}

void SoftmaxBackward::samples(SampleList& s) { backward_samples(s); }
void SoftmaxBackward::errors(ErrorList& e) { backward_errors(e); }

// ---- log_softmax ----

void LogSoftmax::infer(const Ins& in, const Attrs& t, Outs& out) { infer_slices(in, t.dim, out); }

void LogSoftmax::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::log_softmax(in[0], out[0], dim_of(t.dim, in[0].shape.size()));
}

void LogSoftmax::vjp(Vjp& v, const Attrs& t) { v.set(0, apply<LogSoftmaxBackward>(t, v.g(), v.out())); }

std::vector<Tensor> LogSoftmax::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {slices_reference(in, t.dim, [](const auto& x, std::vector<double>& y) {
    const double m = greatest(x[0]);
    double s = 0;
    for (double v : x[0]) s += std::exp(v - m);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = (x[0][i] - m) - std::log(s);
  })};
}

void LogSoftmax::samples(SampleList& s) { slice_samples<Attrs>(s); }
void LogSoftmax::errors(ErrorList& e) { slice_errors<Attrs>(e, "log_softmax"); }

void LogSoftmaxBackward::infer(const Ins& in, const Attrs& t, Outs& out) { infer_backward(in, t.dim, out); }

void LogSoftmaxBackward::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::log_softmax_backward(in[0], in[1], out[0], dim_of(t.dim, in[0].shape.size()));
}

void LogSoftmaxBackward::vjp(Vjp& v, const Attrs& t) {
  const Tensor u = v.g(), p = exp(v.in(1));
  if (v.needs(0)) v.set(0, u - sum_along(u * p, t.dim));
  if (v.needs(1)) v.set(1, -(u * p * sum_along(v.in(0), t.dim)));
}

std::vector<Tensor> LogSoftmaxBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {slices_reference(in, t.dim, [](const auto& x, std::vector<double>& dx) {
    const double s = total(x[0]);
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] = x[0][i] - std::exp(x[1][i]) * s;
  })};
}

void LogSoftmaxBackward::samples(SampleList& s) { backward_samples(s); }
void LogSoftmaxBackward::errors(ErrorList& e) { backward_errors(e); }

// ---- logsumexp ----

void LogSumExp::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  require_floating(in, 0, "x");
  const int dim = resolve_dim(in, t.dim, in[0].shape.size());
  out.add(in[0].dtype, reduced_shape(in[0].shape, {dim}, t.keepdim));
}

void LogSumExp::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::logsumexp(in[0], out[0], dim_of(t.dim, in[0].shape.size()));
}

void LogSumExp::vjp(Vjp& v, const Attrs& t) {
  const Tensor x = v.in(0);
  const int dim = dim_of(t.dim, x.dim());
  Tensor y = v.out(), g = v.g();
  if (!t.keepdim) {
    y = unsqueeze(y, dim);
    g = unsqueeze(g, dim);
  }
  // Where nothing contributed, x - y would be NaN; with 0 for y the weights are exp(-inf) = 0.
  v.set(0, g * exp(x - where(y == -infinity, 0.0, y)));
}

std::vector<Tensor> LogSumExp::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const int dim = dim_of(t.dim, in[0].dim());
  const Dims& shape = in[0].shape();
  Tensor y = zeros(reduced_shape(shape, {dim}, true), DType::f64);
  for_each_index(y.shape(), [&](const Dims& index) {
    std::vector<double> slice;
    Dims at = index;
    for (std::int64_t i = 0; i < shape[dim]; ++i) {
      at[dim] = i;
      slice.push_back(value_at(in[0], at));
    }
    set_value(y, index, log_sum_exp(slice));
  });
  return {y.reshape(reduced_shape(shape, {dim}, t.keepdim))};
}

void LogSumExp::samples(SampleList& s) {
  slice_samples<Attrs>(s);
  s.add({s.normal({3, 4})}, Attrs{.dim = 0, .keepdim = true}, "keepdim");
  s.add({s.normal({3, 0})}, Attrs{}, "over nothing");
  s.add_kink({full({2, 3}, -infinity, DType::f64)}, Attrs{}, {zeros({2, 3}, DType::f64)}, "all -inf");
}

void LogSumExp::errors(ErrorList& e) { slice_errors<Attrs>(e, "logsumexp"); }

}  // namespace thalweg::ops

namespace thalweg {

Tensor softmax(Arg x, int dim) { return apply<ops::Softmax>({.dim = dim}, x); }
Tensor log_softmax(Arg x, int dim) { return apply<ops::LogSoftmax>({.dim = dim}, x); }
Tensor logsumexp(Arg x, int dim, bool keepdim) {
  return apply<ops::LogSumExp>({.dim = dim, .keepdim = keepdim}, x);
}

Tensor logsumexp(Arg x, Over over) {
  if (!x.t.defined()) return logsumexp(x, -1);  // which says so
  const ConstView view = x.t.view();
  const Ins in{"logsumexp", thread_state.call_site ? thread_state.call_site : x.loc, 1, &view, 1};
  ops::require_floating(in, 0, "x");
  const Dims& shape = view.shape;
  const Dims dims = ops::resolve_dims(in, over.dims, shape.size());
  if (dims.size() == 1) return logsumexp(x, static_cast<int>(dims[0]), over.keepdim);
  // The reduced dims go last and become one.
  Dims order, rows;
  std::int64_t n = 1;
  for (int d = 0; d < shape.size(); ++d)
    if (std::find(dims.begin(), dims.end(), d) == dims.end()) {
      order.push_back(d);
      rows.push_back(shape[d]);
    }
  for (const std::int64_t d : dims) {
    order.push_back(d);
    n *= shape[static_cast<int>(d)];
  }
  rows.push_back(n);
  const Tensor y = logsumexp({reshape({permute(x, order), x.loc}, rows), x.loc}, -1);
  return reshape({y, x.loc}, ops::reduced_shape(shape, dims, over.keepdim));
}

void describe_softmax(std::vector<OpInfo>& to) { describe_all(ops::SoftmaxOps{}, to); }

}  // namespace thalweg
