// Sample makers. Depends on sample.hpp, kernels/random, kernels/copy.
#include <thalweg/ops/sample.hpp>

#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/random.hpp>

namespace thalweg {

Tensor SampleList::uniform(const Dims& shape, double low, double high) {
  Tensor t = empty(shape, DType::f64);
  kernels::random_uniform(t.mutable_view(), low, high, generator_.next());
  return t;
}

Tensor SampleList::normal(const Dims& shape) { return randn(shape, generator_, DType::f64); }

Tensor SampleList::distinct(const Dims& shape) {
  const std::int64_t n = numel(shape);
  const Tensor order = randperm(n, generator_);
  const Tensor jitter = uniform({n}, 0.0, 0.1);
  Tensor t = empty(shape, DType::f64);
  double* p = t.mutable_data<double>();
  for (std::int64_t i = 0; i < n; ++i)
    p[i] = (static_cast<double>(order.data<std::int64_t>()[i]) - 0.5 * static_cast<double>(n)) * 0.2 +
           jitter.data<double>()[i];
  return t;
}

Tensor SampleList::integers(const Dims& shape, std::int64_t low, std::int64_t high) {
  Tensor t = empty(shape, DType::i64);
  kernels::random_integers(t.mutable_view(), low, high, generator_.next());
  return t;
}

Tensor SampleList::probabilities(const Dims& shape, int dim) {
  Tensor t = uniform(shape, 0.1, 1.0);
  const std::int64_t step = contiguous_strides(shape)[dim];
  double* p = t.mutable_data<double>();
  for_each_index(shape, [&](const Dims& index) {
    if (index[dim] != 0) return;
    std::int64_t at = 0;
    for (int d = 0; d < shape.size(); ++d) at += index[d] * contiguous_strides(shape)[d];
    double total = 0;
    for (std::int64_t i = 0; i < shape[dim]; ++i) total += p[at + i * step];
    for (std::int64_t i = 0; i < shape[dim]; ++i) p[at + i * step] /= total;
  });
  return t;
}

double value_at(const Tensor& t, const Dims& index) {
  std::int64_t offset = 0;
  for (int d = 0; d < index.size(); ++d) offset += index[d] * t.strides()[d];
  double v = 0;
  const Dims one;
  const char* p = static_cast<const char*>(t.body().data) + offset * static_cast<std::int64_t>(itemsize(t.dtype()));
  kernels::copy(ConstView(p, t.dtype(), one, one), View{&v, DType::f64, one, one});
  return v;
}

void set_value(Tensor& t, const Dims& index, double v) {
  std::int64_t offset = 0;
  for (int d = 0; d < index.size(); ++d) offset += index[d] * t.strides()[d];
  static_cast<double*>(t.body().data)[offset] = v;
}

}  // namespace thalweg
