// Depends on adam.hpp, factories.
#include <thalweg/optim/adam.hpp>

#include <cmath>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim {
namespace {

/// 1 - beta^step without the cancellation that pow() would leave for a beta near 1.
double bias_correction(double beta, std::int64_t step) {
  return beta == 0 ? 1 : -std::expm1(static_cast<double>(step) * std::log(beta));
}

}  // namespace

void AdamOptions::check(const char* op, Loc loc) const {
  detail::check_option(op, "lr", lr, {}, loc);
  detail::check_option(op, "beta1", beta1, {.high = 1}, loc);
  detail::check_option(op, "beta2", beta2, {.high = 1}, loc);
  detail::check_option(op, "eps", eps, {}, loc);
  detail::check_option(op, "weight_decay", weight_decay, {}, loc);
}

AdamState::AdamState(const Tensor& p, const AdamOptions& options)
    : exp_avg(zeros(p.shape(), p.dtype())), exp_avg_sq(zeros(p.shape(), p.dtype())) {
  if (options.amsgrad) max_exp_avg_sq = zeros(p.shape(), p.dtype());
}

void AdamState::check(const char* op, std::size_t position, const Tensor& p, const AdamOptions& options,
                      Loc loc) {
  if (options.amsgrad && !max_exp_avg_sq.defined()) max_exp_avg_sq = zeros(p.shape(), p.dtype());
  const auto fits = [&](const char* what, const Tensor& s) {
    if (!s.defined() || !(s.shape() == p.shape()) || s.dtype() != p.dtype() || !s.is_contiguous())
      detail::throw_state(op, position, what, s, p, loc);
  };
  fits("exp_avg", exp_avg);
  fits("exp_avg_sq", exp_avg_sq);
  if (options.amsgrad) fits("max_exp_avg_sq", max_exp_avg_sq);
}

void Adam::step(Loc loc) {
  const auto make = [&](const Tensor& p, const Tensor& g, AdamState& s, const AdamOptions& o) {
    ++s.step;
    const double correction1 = bias_correction(o.beta1, s.step);
    const double root2 = std::sqrt(bias_correction(o.beta2, s.step));
    const kernels::AdamOptions rule{.step_size = o.lr / correction1 * (o.eps_on_raw_moment ? root2 : 1),
                                    .root_scale = o.eps_on_raw_moment ? 1 : 1 / root2,
                                    .beta1 = o.beta1,
                                    .beta2 = o.beta2,
                                    .epsilon = o.eps,
                                    .weight_decay = decoupled_ ? 0 : o.weight_decay,
                                    .decay_rate = decoupled_ ? o.lr * o.weight_decay : 0};
    return detail::update_of(name(), p, g,
                             {&s.exp_avg, &s.exp_avg_sq, o.amsgrad ? &s.max_exp_avg_sq : nullptr}, o.maximize,
                             rule, loc);
  };
  update_all(loc, kernels::update_adam, make);
}

}  // namespace thalweg::optim
