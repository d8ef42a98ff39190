// Depends on clip.hpp, groups (dense gradients), the reduction and update kernels, ops, fmt.
#include <thalweg/optim/clip.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/reduce.hpp>
#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

void check_limit(const char* op, const char* arg, double v, Loc loc) {
  if (v >= 0) return;
  throw_error<ValueError>({.op = op,
                           .arg = arg,
                           .given = fmt::format("{}", v),
                           .wanted = "0 or more",
                           .what = "option outside its domain",
                           .loc = loc});
}

/// The gradients in the order of their parameters, each once and dense: one that is not (a broadcast view,
/// say) is replaced by a copy in its parameter.
std::vector<Tensor> gradients_of(const char* op, const std::vector<Tensor>& parameters, Loc loc) {
  std::vector<Tensor> gradients;
  gradients.reserve(parameters.size());
  std::vector<const void*> seen;
  seen.reserve(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Tensor p = parameters[i];
    if (!p.defined())
      throw_error<ValueError>({.op = op,
                               .arg = fmt::format("parameter {}", i),
                               .given = "undefined",
                               .wanted = "a tensor",
                               .what = "undefined parameter",
                               .loc = loc});
    if (!p.requires_grad() || !p.grad().defined() || p.numel() == 0) continue;
    const Tensor g = detail::dense_gradient(p, loc);
    if (g.get() != p.grad().get()) p.set_grad(g, loc);
    const auto at = std::lower_bound(seen.begin(), seen.end(), g.get()->data);
    if (at != seen.end() && *at == g.get()->data) continue;
    seen.insert(at, g.get()->data);
    gradients.push_back(g);
  }
  return gradients;
}

template <class T>
double largest(const Tensor& g) {
  T top = 0, bottom = 0;
  Dims axes;
  for (int d = 0; d < g.dim(); ++d) axes.push_back(d);
  kernels::reduce(kernels::ReduceKind::max, g.view(), View{&top, dtype_of<T>, Dims(), Dims()}, axes);
  kernels::reduce(kernels::ReduceKind::min, g.view(), View{&bottom, dtype_of<T>, Dims(), Dims()}, axes);
  return std::max(std::abs(static_cast<double>(top)), std::abs(static_cast<double>(bottom)));
}

/// The largest absolute value; NaN if there is one.
double infinity_norm(const std::vector<Tensor>& gradients) {
  double norm = 0;
  for (const Tensor& g : gradients) {
    const double m = g.dtype() == DType::f32 ? largest<float>(g) : largest<double>(g);
    if (std::isnan(m)) return m;
    norm = std::max(norm, m);
  }
  return norm;
}

double euclidean_norm(const std::vector<Tensor>& gradients) {
  double sum = 0;
  for (const Tensor& g : gradients) sum += kernels::sum_squares(g.view());
  if (sum != infinity) return std::sqrt(sum);
  const double scale = infinity_norm(gradients);  // only the squares may have overflowed
  if (!std::isfinite(scale)) return scale;
  const NoGrad guard;
  sum = 0;
  for (const Tensor& g : gradients) sum += kernels::sum_squares((g / scale).view());
  return scale * std::sqrt(sum);
}

template <class Options>
void change(const char* op, const std::vector<Tensor>& gradients, const Options& options,
            void (*kernel)(std::span<kernels::Update<Options>>), Loc loc) {
  std::vector<kernels::Update<Options>> updates;
  updates.reserve(gradients.size());
  for (const Tensor& g : gradients) updates.push_back(detail::update_of(op, g, g, {}, false, options, loc));
  kernel(updates);
}

}  // namespace

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm, ClipNormOptions options,
                      Loc loc) {
  const char* const op = "clip_grad_norm";
  check_limit(op, "max_norm", max_norm, loc);
  if (options.norm_type != 2 && options.norm_type != infinity)
    throw_error<ValueError>({.op = op,
                             .arg = "norm_type",
                             .given = fmt::format("{}", options.norm_type),
                             .wanted = "2 or infinity",
                             .what = "no such norm",
                             .loc = loc});
  const std::vector<Tensor> gradients = gradients_of(op, parameters, loc);
  const double norm = options.norm_type == 2 ? euclidean_norm(gradients) : infinity_norm(gradients);
  if (options.error_if_nonfinite && !std::isfinite(norm))
    throw_error<ValueError>({.op = op,
                             .arg = "the norm of the gradients",
                             .given = fmt::format("{}", norm),
                             .wanted = "a finite number",
                             .what = "gradients cannot be clipped",
                             .loc = loc});
  const double factor = max_norm / (norm + 1e-6);
  if (factor >= 1 || max_norm == infinity) return norm;
  change(op, gradients, kernels::ScaleOptions{.factor = factor}, kernels::update_scale, loc);
  return norm;
}

void clip_grad_value(const std::vector<Tensor>& parameters, double limit, Loc loc) {
  const char* const op = "clip_grad_value";
  check_limit(op, "limit", limit, loc);
  change(op, gradients_of(op, parameters, loc), kernels::ClampOptions{.limit = limit}, kernels::update_clamp,
         loc);
}

}  // namespace thalweg::optim
