// Depends on groups.hpp, factories, ops (contiguous), fmt.
#include <thalweg/optim/groups.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim::detail {

void check_parameter(const char* op, std::size_t position, const Tensor& p,
                     const std::vector<Tensor>& earlier, Loc loc) {
  const std::string arg = fmt::format("parameter {}", position);
  if (!p.defined())
    throw_error<ValueError>({.op = op,
                             .arg = arg,
                             .given = "undefined",
                             .wanted = "a tensor",
                             .what = "undefined parameter",
                             .loc = loc});
  if (!p.is_leaf())
    throw_error<GraphError>({.op = op,
                             .arg = arg,
                             .given = p.describe() + " made by an op",
                             .wanted = "a leaf",
                             .what = "only leaves keep gradients and can be optimized",
                             .loc = loc});
  if (!is_floating(p.dtype()))
    throw_error<DTypeError>({.op = op,
                             .arg = arg,
                             .given = p.describe(),
                             .wanted = "f32 or f64",
                             .what = "only floating parameters can be optimized",
                             .loc = loc});
  if (!p.is_contiguous())
    throw_error<ShapeError>({.op = op,
                             .arg = arg,
                             .given = p.describe() + " with strides " + to_string(p.strides()),
                             .wanted = "a contiguous tensor",
                             .what = "parameters lie densely in memory",
                             .loc = loc});
  for (const Tensor& other : earlier)
    if (other.get() == p.get())
      throw_error<ValueError>({.op = op,
                               .arg = arg,
                               .given = p.describe(),
                               .wanted = "each parameter once",
                               .what = "the same parameter is given twice",
                               .loc = loc});
}

Tensor dense_gradient(const Tensor& p, Loc loc) {
  const Tensor g = p.grad();
  if (!g.defined() || g.is_contiguous()) return g;
  const NoGrad guard;
  return g.contiguous(loc);
}

void check_state(const char* op, std::size_t position, const char* what, const Tensor& state, const Tensor& p,
                 Loc loc) {
  if (state.defined() && state.shape() == p.shape() && state.dtype() == p.dtype() && state.is_contiguous())
    return;
  throw_error<ValueError>({.op = op,
                           .arg = fmt::format("state {}.{}", position, what),
                           .given = state.describe(),
                           .wanted = "contiguous " + p.describe(),
                           .what = "state does not fit its parameter",
                           .loc = loc});
}

void check_or_add_state(const char* op, std::size_t position, const char* what, Tensor& state,
                        const Tensor& p, Loc loc) {
  if (!state.defined()) state = zeros(p.shape(), p.dtype());
  check_state(op, position, what, state, p, loc);
}

double bias_correction(double beta, std::int64_t step) {
  return beta == 0 ? 1 : -std::expm1(static_cast<double>(step) * std::log(beta));
}

}  // namespace thalweg::optim::detail
