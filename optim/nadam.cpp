// Depends on nadam.hpp, factories.
#include <thalweg/optim/nadam.hpp>

#include <cmath>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim {

void NadamOptions::check(const char* op, Loc loc) const {
  detail::check_option(op, "lr", lr, {}, loc);
  detail::check_option(op, "beta1", beta1, {.high = 1}, loc);
  detail::check_option(op, "beta2", beta2, {.high = 1}, loc);
  detail::check_option(op, "eps", eps, {}, loc);
  detail::check_option(op, "momentum_decay", momentum_decay, {}, loc);
  detail::check_option(op, "weight_decay", weight_decay, {}, loc);
}

NadamState::NadamState(const Tensor& p, const NadamOptions&)
    : exp_avg(zeros(p.shape(), p.dtype())), exp_avg_sq(zeros(p.shape(), p.dtype())) {}

void NadamState::check(const char* op, std::size_t position, const Tensor& p, const NadamOptions&, Loc loc) {
  detail::check_state(op, position, "exp_avg", exp_avg, p, loc);
  detail::check_state(op, position, "exp_avg_sq", exp_avg_sq, p, loc);
}

void Nadam::step(Loc loc) {
  const auto make = [&](const Tensor& p, const Tensor& g, NadamState& s, const NadamOptions& o) {
    const auto mu_at = [&](std::int64_t t) {
      return o.beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(t) * o.momentum_decay));
    };
    ++s.step;
    const double mu = mu_at(s.step), next = mu_at(s.step + 1);
    s.mu_product *= mu;
    const kernels::NadamOptions rule{.gradient_size = o.lr * (1 - mu) / (1 - s.mu_product),
                                     .moment_size = o.lr * next / (1 - s.mu_product * next),
                                     .root_scale = 1 / std::sqrt(detail::bias_correction(o.beta2, s.step)),
                                     .beta1 = o.beta1,
                                     .beta2 = o.beta2,
                                     .epsilon = o.eps,
                                     .weight_decay = detail::added_decay(o),
                                     .decay_rate = detail::decay_rate(o)};
    return detail::update_of(name(), p, g, {&s.exp_avg, &s.exp_avg_sq}, o.maximize, rule, loc);
  };
  update_all(loc, kernels::update_nadam, make);
}

}  // namespace thalweg::optim
