// The three verbs of arithmetic that the engine needs: add, add into, fit. Depends on the op library and its
// kernels. Invariant: add and add_into give the same bits, so how a gradient is accumulated does not show.
#include <thalweg/autograd/engine/engine.hpp>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/library.hpp>
#include <thalweg/ops/structured/shape.hpp>

namespace thalweg::engine {

Tensor add(const Tensor& a, const Tensor& b) { return thalweg::add({a, Loc{}}, {b, Loc{}}); }

void add_into(Tensor& a, const Tensor& b) {
  const ConstView src[] = {a.view(), broadcast_view(b.view(), a.shape())};
  const kernels::PointwiseFn fn = ops::op_def<ops::Add>().kernels().forward[kernel_index(a.dtype())];
  kernels::pointwise(fn, a.dtype(), src, 2, a.mutable_view(), nullptr);
}

Tensor fit(const Tensor& g, DType dtype, const Dims& shape) {
  Tensor r = g;
  if (!(g.shape() == shape)) {
    bool repeats = g.dim() >= shape.size();
    for (int d = 1; repeats && d <= shape.size(); ++d)
      repeats = shape[shape.size() - d] == 1 || shape[shape.size() - d] == g.shape()[g.dim() - d];
    if (!repeats)
      throw_error<GraphError>({.op = "backward",
                               .arg = "a gradient",
                               .given = g.describe(),
                               .wanted = describe(dtype, shape),
                               .what = "the gradient's shape does not broadcast from its tensor's",
                               .loc = thread_state.call_site});
    const Dims repeated = ops::repeated_dims(shape, g.shape());
    if (kernels::fault::is(kernels::Fault::unbroadcast)) [[unlikely]] {
      for (std::int64_t d : repeated)  // the planted fault: the first of the copies instead of their sum
        if (r.shape()[static_cast<int>(d)] > 0) r = slice(r, static_cast<int>(d), 0, 1);
    }
    if (!repeated.empty()) r = sum(r, {.dims = repeated, .keepdim = true});
    if (!(r.shape() == shape)) r = reshape(r, shape);
  }
  return cast(r, dtype);
}

}  // namespace thalweg::engine
