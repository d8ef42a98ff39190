// Running sums, products and recurrences: inference, kernels, derivatives, references, samples. Depends on
// functions.hpp, kernels/reduce, kernels/moments.
#include <thalweg/ops/structured/scan.hpp>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/moments.hpp>
#include <thalweg/ops/kernels/reduce.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

int dim_of(std::int64_t dim, int rank) { return static_cast<int>(dim < 0 ? dim + rank : dim); }

void infer_scan(const Ins& in, std::int64_t dim, Outs& out) {
  require_present(in, 0, "x");
  resolve_dim(in, dim, in[0].shape.size());
  out.add(is_floating(in[0].dtype) ? in[0].dtype : DType::i64, in[0].shape);
}

template <class Step>
Tensor scan_reference(const Tensor& x, const ScanAttrs& t, double start, Step step) {
  const int dim = dim_of(t.dim, x.dim());
  Tensor y = zeros(x.shape(), DType::f64);
  for_each_index(x.shape(), [&](const Dims& index) {
    double value = start;
    Dims at = index;
    const std::int64_t begin = t.reverse ? index[dim] : 0, end = t.reverse ? x.shape()[dim] : index[dim] + 1;
    for (at[dim] = begin; at[dim] < end; ++at[dim]) value = step(value, value_at(x, at));
    set_value(y, index, value);
  });
  return y;
}

void scan_samples(SampleList& s) {
  s.add({s.normal({5})}, ScanAttrs{});
  s.add({s.normal({3, 4})}, ScanAttrs{.dim = 0}, "columns");
  s.add({s.normal({3, 4})}, ScanAttrs{.dim = 1, .reverse = true}, "reverse");
  s.add({s.normal({2, 3, 4})}, ScanAttrs{.dim = -2}, "middle");
  s.add({s.normal({4, 1})}, ScanAttrs{}, "one element");
  s.add({s.normal({3, 0})}, ScanAttrs{}, "empty");
  s.add({s.normal({0, 3})}, ScanAttrs{.dim = 1, .reverse = true}, "no lines");
}

void scan_errors(ErrorList& e, const char* op) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, ScanAttrs{.dim = 2},
                    std::string(op) + ": dimension out of range: dim is 2, wanted -2 to 1", "IndexError");
  e.add<IndexError>({x}, ScanAttrs{.dim = INT64_MIN}, "out of range", "IndexError");
  e.add<IndexError>({zeros({})}, ScanAttrs{}, "0-d", "IndexError");
  e.add<ValueError>({Tensor()}, ScanAttrs{}, "undefined tensor", "ValueError");
}

}  // namespace

Tensor shifted(const Tensor& x, int dim, int by, double value) {
  const std::int64_t n = x.shape()[dim];
  if (n == 0) return x;
  Dims before = Dims::filled(x.dim(), 0), after = before;
  (by > 0 ? before : after)[dim] = 1;
  return pad(by > 0 ? slice(x, dim, 0, n - 1) : slice(x, dim, 1), before, after, value);
}

// ---- cumsum ----

void CumSum::infer(const Ins& in, const Attrs& t, Outs& out) { infer_scan(in, t.dim, out); }

void CumSum::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::scan(kernels::ScanKind::sum, in[0], out[0], dim_of(t.dim, in[0].shape.size()), t.reverse);
}

void CumSum::vjp(Vjp& v, const Attrs& t) {
  v.set(0, apply<CumSum>({.dim = t.dim, .reverse = !t.reverse}, v.g()));
}

std::vector<Tensor> CumSum::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {scan_reference(in[0], t, 0, [](double a, double b) { return a + b; })};
}

void CumSum::samples(SampleList& s) { scan_samples(s); }
void CumSum::errors(ErrorList& e) { scan_errors(e, "cumsum"); }

// ---- cumprod ----

void CumProd::infer(const Ins& in, const Attrs& t, Outs& out) { infer_scan(in, t.dim, out); }

void CumProd::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::scan(kernels::ScanKind::prod, in[0], out[0], dim_of(t.dim, in[0].shape.size()), t.reverse);
}

void CumProd::vjp(Vjp& v, const Attrs& t) {
  // dx_i = (product of what comes before i) times s_i, s_i = g_i + x_(i+1) s_(i+1): no division.
  const Tensor x = v.in(0);
  const Tensor s = recurrence(x, v.g(), {.dim = t.dim, .reverse = !t.reverse, .lagged = true});
  v.set(0, shifted(v.out(), dim_of(t.dim, x.dim()), t.reverse ? -1 : 1, 1) * s);
}

std::vector<Tensor> CumProd::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {scan_reference(in[0], t, 1, [](double a, double b) { return a * b; })};
}

void CumProd::samples(SampleList& s) {
  scan_samples(s);
  s.add({from<double>({2, 0, -3, 0.5, 0, 1.5}, {6})}, Attrs{}, "zeros");
  s.add({from<double>({2, 0, -3, 0.5, 0, 1.5}, {2, 3})}, Attrs{.dim = 1, .reverse = true}, "zeros, reverse");
}

void CumProd::errors(ErrorList& e) { scan_errors(e, "cumprod"); }

// ---- prod_others ----

void ProdOthers::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  require_floating(in, 0, "x");
  resolve_dim(in, t.dim, in[0].shape.size());
  out.add(in[0].dtype, in[0].shape);
}

void ProdOthers::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::product_of_others(in[0], out[0], dim_of(t.dim, in[0].shape.size()));
}

void ProdOthers::vjp(Vjp& v, const Attrs& t) {
  // dx_j sums g_i times the product without i and j: i before j by one recurrence, i after j by its mirror image.
  const Tensor x = v.in(0), g = v.g();
  const int dim = dim_of(t.dim, x.dim());
  const Tensor before = shifted(cumprod(x, dim), dim, 1, 1), after = shifted(cumprod(x, dim, true), dim, -1, 1);
  const Tensor left = shifted(recurrence(x, g * before, {.dim = dim}), dim, 1, 0);
  const Tensor right = shifted(recurrence(x, g * after, {.dim = dim, .reverse = true}), dim, -1, 0);
  v.set(0, left * after + before * right);
}

std::vector<Tensor> ProdOthers::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Tensor& x = in[0];
  const int dim = dim_of(t.dim, x.dim());
  Tensor y = zeros(x.shape(), DType::f64);
  for_each_index(x.shape(), [&](const Dims& index) {
    double value = 1;
    Dims at = index;
    for (at[dim] = 0; at[dim] < x.shape()[dim]; ++at[dim])
      if (at[dim] != index[dim]) value *= value_at(x, at);
    set_value(y, index, value);
  });
  return {y};
}

void ProdOthers::samples(SampleList& s) {
  s.add({s.normal({5})}, Attrs{});
  s.add({s.normal({3, 4})}, Attrs{.dim = 0}, "columns");
  s.add({s.normal({2, 3, 4})}, Attrs{.dim = -2}, "middle");
  s.add({s.normal({2, 2, 2})}, Attrs{.dim = 1}, "cube");
  s.add({s.normal({4, 1})}, Attrs{}, "one element");
  s.add({s.normal({3, 0})}, Attrs{}, "empty");
  s.add({s.normal({0, 3})}, Attrs{.dim = 1}, "no lines");
  s.add({from<double>({2, 0, 3, 0.5, 0, 0, 1, 2, -3}, {3, 3})}, Attrs{}, "one zero, two and none");
}

void ProdOthers::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, Attrs{.dim = 2}, "prod_others: dimension out of range: dim is 2, wanted -2 to 1", "IndexError");
  e.add<IndexError>({x}, Attrs{.dim = INT64_MIN}, "out of range", "IndexError");
  e.add<IndexError>({zeros({})}, Attrs{}, "0-d", "IndexError");
  e.add<DTypeError>({zeros({2}, DType::i64)}, Attrs{}, "not a floating", "DTypeError");
  e.add<ValueError>({Tensor()}, Attrs{}, "undefined tensor", "ValueError");
}

// ---- recurrence ----

void Recurrence::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "a");
  require_present(in, 1, "b");
  require_floating(in, 0, "a");
  if (in[1].dtype != in[0].dtype)
    in.fail<DTypeError>("b", describe(in[1]), name(in[0].dtype), "operands of different dtypes; use to()");
  if (!(in[1].shape == in[0].shape))
    in.fail<ShapeError>("b", describe(in[1]), describe(in[0]), "shapes differ");
  resolve_dim(in, t.dim, in[0].shape.size());
  out.add(in[0].dtype, in[0].shape);
}

void Recurrence::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::recurrence(in[0], in[1], out[0], dim_of(t.dim, in[0].shape.size()), t.reverse, t.lagged);
}

void Recurrence::vjp(Vjp& v, const Attrs& t) {
  // The adjoint in b runs the other way, where "one's own coefficient" and "the one beside the earlier y"
  // change places.
  const Tensor a = v.in(0);
  const Tensor s = recurrence(a, v.g(), {.dim = t.dim, .reverse = !t.reverse, .lagged = !t.lagged});
  if (v.needs(1)) v.set(1, s);
  if (!v.needs(0)) return;
  const int dim = dim_of(t.dim, a.dim()), onward = t.reverse ? -1 : 1;
  if (t.lagged)
    v.set(0, shifted(s, dim, -onward, 0) * v.out());
  else
    v.set(0, s * shifted(v.out(), dim, onward, 0));
}

std::vector<Tensor> Recurrence::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Tensor &a = in[0], &b = in[1];
  const int dim = dim_of(t.dim, a.dim());
  const std::int64_t n = a.shape()[dim];
  Tensor y = zeros(a.shape(), DType::f64);
  for_each_index(a.shape(), [&](const Dims& index) {
    Dims at = index;
    const std::int64_t step = t.reverse ? -1 : 1;
    double value = 0;
    for (std::int64_t i = t.reverse ? n - 1 : 0; i != index[dim] + step; i += step) {
      at[dim] = t.lagged ? i - step : i;
      const bool first = i == (t.reverse ? n - 1 : 0);
      const double carried = first ? 0 : value_at(a, at) * value;
      at[dim] = i;
      value = value_at(b, at) + carried;
    }
    set_value(y, index, value);
  });
  return {y};
}

void Recurrence::samples(SampleList& s) {
  for (const bool reverse : {false, true})
    for (const bool lagged : {false, true})
      s.add({s.normal({2, 4}), s.normal({2, 4})}, Attrs{.reverse = reverse, .lagged = lagged}, "directions");
  s.add({s.normal({4, 3}), s.normal({4, 3})}, Attrs{.dim = 0}, "columns");
  s.add({s.normal({2, 0}), s.normal({2, 0})}, Attrs{}, "empty");
}

void Recurrence::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<ShapeError>({x, zeros({3})}, "recurrence: shapes differ: b is f32[3], wanted f32[2,3]", "ShapeError");
  e.add<DTypeError>({x, zeros({2, 3}, DType::f64)}, "different dtypes", "DTypeError");
  e.add<DTypeError>({zeros({2}, DType::i64), zeros({2}, DType::i64)}, "not a floating", "DTypeError");
  e.add<IndexError>({x, x}, Attrs{.dim = 2}, "dim is 2", "IndexError");
  e.add<ValueError>({x, Tensor()}, "undefined tensor: b", "ValueError");
}

}  // namespace thalweg::ops

namespace thalweg {

Tensor cumsum(Arg x, int dim, bool reverse) {
  return apply<ops::CumSum>({.dim = dim, .reverse = reverse}, x);
}
Tensor cumprod(Arg x, int dim, bool reverse) {
  return apply<ops::CumProd>({.dim = dim, .reverse = reverse}, x);
}
Tensor recurrence(Arg a, Arg b, RecurrenceOptions options) { return apply<ops::Recurrence>(options, a, b); }

void describe_scan(std::vector<OpInfo>& to) { describe_all(ops::ScanOps{}, to); }

}  // namespace thalweg
