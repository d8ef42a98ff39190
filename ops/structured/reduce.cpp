// Reductions: inference, kernels, derivatives, references and samples. Depends on functions.hpp, kernels/reduce.
#include <thalweg/ops/structured/reduce.hpp>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/reduce.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {

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
  const Dims dims = resolved(t.dims, in[0].dim());
  Tensor y = zeros(reduced_shape(in[0].shape(), dims, true), DType::f64);
  for_each_index(in[0].shape(), [&](const Dims& index) {
    Dims to = index;
    for (std::int64_t d : dims) to[static_cast<int>(d)] = 0;
    set_value(y, to, value_at(y, to) + value_at(in[0], index));
  });
  return {y.reshape(reduced_shape(in[0].shape(), dims, t.keepdim))};
}

void Sum::samples(SampleList& s) {
  s.add({s.normal({3, 4})});
  s.add({s.normal({3, 4})}, Attrs{.dims = {0}}, "rows");
  s.add({s.normal({3, 4})}, Attrs{.dims = {-1}, .keepdim = true}, "keepdim");
  s.add({s.normal({2, 3, 4})}, Attrs{.dims = {0, 2}}, "two dims");
  s.add({s.normal({})}, Attrs{}, "0-d");
  s.add({s.normal({0, 3})}, Attrs{.dims = {0}}, "empty");
}

void Sum::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, Attrs{.dims = {2}}, "sum: dimension out of range: dims is 2, wanted -2 to 1", "IndexError");
  e.add<IndexError>({x}, Attrs{.dims = {INT64_MIN}}, "out of range", "IndexError");
  e.add<ValueError>({x}, Attrs{.dims = {0, -2}}, "twice", "ValueError");
  e.add<ValueError>({Tensor()}, "undefined tensor", "ValueError");
}

}  // namespace thalweg::ops
