// prod: its gradient by the product of all other factors. Depends on functions.hpp, scan.hpp, kernels/reduce.
// Invariant: nothing is divided, so any number of zeros is exact.
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/reduce.hpp>
#include <thalweg/ops/structured/reduce.hpp>
#include <thalweg/ops/structured/reduce_support.hpp>
#include <thalweg/ops/structured/scan.hpp>

namespace thalweg::ops {
namespace {

Over same(Over t) { return t; }

}  // namespace

void Prod::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  const Dims dims = resolve_dims(in, t.dims, in[0].shape.size());
  out.add(is_floating(in[0].dtype) ? in[0].dtype : DType::i64, reduced_shape(in[0].shape, dims, t.keepdim));
}

void Prod::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::reduce(kernels::ReduceKind::prod, in[0], out[0], resolved(t.dims, in[0].shape.size()));
}

void Prod::vjp(Vjp& v, const Attrs& t) {
  const Tensor x = v.in(0);
  const Dims dims = resolved(t.dims, x.dim());
  // The reduced dims last and as one, so that one walk along them has all the factors of a result.
  Dims order, back = Dims::filled(x.dim(), 0), rows;
  for (int d = 0; d < x.dim(); ++d)
    if (!dims.contains(d)) order.push_back(d), rows.push_back(x.shape()[d]);
  const Dims kept = rows;
  for (std::int64_t d : dims) order.push_back(d);
  for (int i = 0; i < order.size(); ++i) back[static_cast<int>(order[i])] = i;
  rows.push_back(reduced_count(x.shape(), dims));
  Dims with_one = kept;
  with_one.push_back(1);

  const Tensor moved = permute(x, order), flat = reshape(moved, rows).contiguous();
  const Tensor dx = reshape(v.g(), with_one) * apply<ProdOthers>({.dim = rows.size() - 1}, flat);
  v.set(0, permute(reshape(dx, moved.shape()), back));
}

std::vector<Tensor> Prod::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {fold_reference(in[0], t, 1, [](double y, double x) { return y * x; })};
}

void Prod::samples(SampleList& s) {
  reduction_samples(s, &SampleList::normal, &same, true);
  s.add({from<double>({2, 0, 3, 0.5, 0, 0}, {2, 3})}, Attrs{.dims = {1}}, "one zero and two");
  s.add({s.normal({2, 2, 2})}, Attrs{.dims = {0}}, "cube");  // any order of the dimensions has the same shape
}

void Prod::errors(ErrorList& e) { reduction_errors(e, "prod", &same); }

}  // namespace thalweg::ops
