// What the reductions share: counting, naive references, and the samples and errors every one of them must
// pass. Depends on dims.hpp and sample.hpp. Invariant: references are plain f64 loops that use no kernel.
#pragma once

#include <functional>

#include <thalweg/ops/sample.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {

/// How many elements of `shape` fall into one result when `dims` (resolved) are reduced.
inline std::int64_t reduced_count(const Dims& shape, const Dims& dims) {
  std::int64_t n = 1;
  for (std::int64_t d : dims) n *= shape[static_cast<int>(d)];
  return n;
}

/// y = fold of x over dims, element by element in row-major order: y starts as `start`, then y = step(y, x).
template <class Step>
Tensor fold_reference(const Tensor& x, const Over& over, double start, Step step) {
  const Dims dims = resolved(over.dims, x.dim());
  Tensor y = full(reduced_shape(x.shape(), dims, true), start, DType::f64);
  for_each_index(x.shape(), [&](const Dims& index) {
    Dims to = index;
    for (std::int64_t d : dims) to[static_cast<int>(d)] = 0;
    set_value(y, to, step(value_at(y, to), value_at(x, index)));
  });
  return y.reshape(reduced_shape(x.shape(), dims, over.keepdim));
}

/// The samples of a reduction: inputs from source(s, shape), attributes from make(Over).
template <class Draw, class Make>
void reduction_samples(SampleList& s, Draw source, Make make, bool empty) {
  const auto draw = [&](const Dims& shape) -> Tensor { return std::invoke(source, s, shape); };
  s.add({draw({3, 4})}, make(Over{}));
  s.add({draw({3, 4})}, make(Over{.dims = {0}}), "rows");
  s.add({draw({3, 4})}, make(Over{.dims = {-1}, .keepdim = true}), "keepdim");
  s.add({draw({2, 3, 4})}, make(Over{.dims = {0, 2}}), "two dims");
  s.add({draw({2, 3, 4})}, make(Over{.dims = {-2}}), "inner dim");
  s.add({draw({})}, make(Over{}), "0-d");
  s.add({draw({3, 0})}, make(Over{.dims = {0}}), "empty result");
  if (empty) s.add({draw({0, 3})}, make(Over{.dims = {0}}), "over nothing");
}

/// The bad arguments of every reduction.
template <class Make>
void reduction_errors(ErrorList& e, const char* op, Make make) {
  const Tensor x = zeros({2, 3});
  e.add<IndexError>({x}, make(Over{.dims = {2}}),
                    std::string(op) + ": dimension out of range: dims is 2, wanted -2 to 1", "IndexError");
  e.add<IndexError>({x}, make(Over{.dims = {INT64_MIN}}), "out of range", "IndexError");
  e.add<ValueError>({x}, make(Over{.dims = {0, -2}}), "twice", "ValueError");
  e.add<ValueError>({Tensor()}, make(Over{}), "undefined tensor", "ValueError");
}

}  // namespace thalweg::ops
