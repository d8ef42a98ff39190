// Sum and mean: inference, kernels, derivatives, references and samples; the family's public functions and
// description. Depends on functions.hpp, kernels/reduce. Invariant: means divide a sum that was rounded once.
#include <thalweg/ops/structured/reduce.hpp>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/reduce.hpp>
#include <thalweg/ops/structured/reduce_support.hpp>

namespace thalweg::ops {
namespace {

Over same(Over t) { return t; }

template <class To, class From>
void divide(const From* from, To* to, std::int64_t n, double by) noexcept {
  for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<To>(static_cast<double>(from[i]) / by);
}

}  // namespace

// ---- sum ----

void Sum::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  const Dims dims = resolve_dims(in, t.dims, in[0].shape.size());
  out.add(is_floating(in[0].dtype) ? in[0].dtype : DType::i64, reduced_shape(in[0].shape, dims, t.keepdim));
}

void Sum::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::reduce(kernels::ReduceKind::sum, in[0], out[0], resolved(t.dims, in[0].shape.size()));
}

void Sum::vjp(Vjp& v, const Attrs& t) {
  const Dims& shape = v.in_meta(0).shape;
  v.set(0, expand(restore_dims(v.g(), shape, t), shape));
}

std::vector<Tensor> Sum::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {fold_reference(in[0], t, 0, [](double y, double x) { return y + x; })};
}

void Sum::samples(SampleList& s) { reduction_samples(s, &SampleList::normal, &same, true); }
void Sum::errors(ErrorList& e) { reduction_errors(e, "sum", &same); }

// ---- mean ----

void Mean::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  const Dims dims = resolve_dims(in, t.dims, in[0].shape.size());
  out.add(to_floating(in[0].dtype), reduced_shape(in[0].shape, dims, t.keepdim));
}

void Mean::run(const Ins& in, const View* out, const Attrs& t) {
  const Dims dims = resolved(t.dims, in[0].shape.size());
  const double count = static_cast<double>(reduced_count(in[0].shape, dims));
  const std::int64_t n = numel(out[0]);
  if (is_floating(in[0].dtype)) {
    kernels::reduce(kernels::ReduceKind::sum, in[0], out[0], dims);
    if (out[0].dtype == DType::f32)
      divide(out[0].as<float>(), out[0].as<float>(), n, count);
    else
      divide(out[0].as<double>(), out[0].as<double>(), n, count);
    return;
  }
  const mem::Scratch<std::int64_t> total(static_cast<std::size_t>(n));
  kernels::reduce(kernels::ReduceKind::sum, in[0],
                  View{total.data(), DType::i64, out[0].shape, out[0].strides}, dims);
  divide(total.data(), out[0].as<float>(), n, count);
}

void Mean::vjp(Vjp& v, const Attrs& t) {
  const Dims& shape = v.in_meta(0).shape;
  const double count = static_cast<double>(reduced_count(shape, resolved(t.dims, shape.size())));
  v.set(0, expand(restore_dims(v.g() / count, shape, t), shape));
}

std::vector<Tensor> Mean::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const double count = static_cast<double>(reduced_count(in[0].shape(), resolved(t.dims, in[0].dim())));
  Tensor y = fold_reference(in[0], t, 0, [](double a, double x) { return a + x; });
  double* p = y.mutable_data<double>();
  for (std::int64_t i = 0; i < y.numel(); ++i) p[i] /= count;
  return {y};
}

void Mean::samples(SampleList& s) { reduction_samples(s, &SampleList::normal, &same, false); }
void Mean::errors(ErrorList& e) { reduction_errors(e, "mean", &same); }

}  // namespace thalweg::ops

namespace thalweg {

Tensor sum(Arg x, Over over) { return apply<ops::Sum>(over, x); }
Tensor mean(Arg x, Over over) { return apply<ops::Mean>(over, x); }

Tensor prod(Arg x, Over over) { return apply<ops::Prod>(over, x); }
Tensor max(Arg x, Over over) { return apply<ops::Max>(over, x); }
Tensor min(Arg x, Over over) { return apply<ops::Min>(over, x); }

namespace {

template <class Op>
ValueIndex value_and_index(const Arg& x, int dim, bool keepdim) {
  const std::vector<Tensor> both = apply_all<Op>({.dim = dim, .keepdim = keepdim}, {&x.t, 1}, x.loc);
  return {both[0], both[1]};
}

}  // namespace

ValueIndex max_with_index(Arg x, int dim, bool keepdim) {
  return value_and_index<ops::MaxWithIndex>(x, dim, keepdim);
}
ValueIndex min_with_index(Arg x, int dim, bool keepdim) {
  return value_and_index<ops::MinWithIndex>(x, dim, keepdim);
}
Tensor argmax(Arg x) { return apply<ops::Argmax>(x); }
Tensor argmin(Arg x) { return apply<ops::Argmin>(x); }
Tensor argmax(Arg x, int dim, bool keepdim) {
  return apply<ops::Argmax>({.dim = {dim}, .keepdim = keepdim}, x);
}
Tensor argmin(Arg x, int dim, bool keepdim) {
  return apply<ops::Argmin>({.dim = {dim}, .keepdim = keepdim}, x);
}
Tensor var(Arg x, VarianceOptions options) { return apply<ops::Var>(options, x); }
Tensor stddev(Arg x, VarianceOptions options) { return apply<ops::StdDev>(options, x); }
Tensor norm(Arg x, NormOptions options) { return apply<ops::Norm>(options, x); }

Tensor Tensor::sum(Over over, Loc loc) const { return apply<ops::Sum>(over, Arg(*this, loc)); }
Tensor Tensor::mean(Over over, Loc loc) const { return apply<ops::Mean>(over, Arg(*this, loc)); }

void describe_reduce(std::vector<OpInfo>& to) { describe_all(ops::ReduceOps{}, to); }

}  // namespace thalweg
