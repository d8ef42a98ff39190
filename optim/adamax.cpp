// Depends on adamax.hpp, factories.
#include <thalweg/optim/adamax.hpp>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim {

void AdamaxOptions::check(const char* op, Loc loc) const {
  detail::check_option(op, "lr", lr, {}, loc);
  detail::check_option(op, "beta1", beta1, {.high = 1}, loc);
  detail::check_option(op, "beta2", beta2, {.high = 1}, loc);
  detail::check_option(op, "eps", eps, {}, loc);
  detail::check_option(op, "weight_decay", weight_decay, {}, loc);
}

AdamaxState::AdamaxState(const Tensor& p, const AdamaxOptions&)
    : exp_avg(zeros(p.shape(), p.dtype())), exp_inf(zeros(p.shape(), p.dtype())) {}

void AdamaxState::check(const char* op, std::size_t position, const Tensor& p, const AdamaxOptions&,
                        Loc loc) {
  detail::check_state(op, position, "exp_avg", exp_avg, p, loc);
  detail::check_state(op, position, "exp_inf", exp_inf, p, loc);
}

void Adamax::step(Loc loc) {
  const auto make = [&](const Tensor& p, const Tensor& g, AdamaxState& s, const AdamaxOptions& o) {
    ++s.step;
    const kernels::AdamaxOptions rule{.step_size = o.lr / detail::bias_correction(o.beta1, s.step),
                                      .beta1 = o.beta1,
                                      .beta2 = o.beta2,
                                      .epsilon = o.eps_in_norm ? 0 : o.eps,
                                      .epsilon_in_gradient = o.eps_in_norm ? o.eps : 0,
                                      .weight_decay = detail::added_decay(o),
                                      .decay_rate = detail::decay_rate(o)};
    return detail::update_of(name(), p, g, {&s.exp_avg, &s.exp_inf}, o.maximize, rule, loc);
  };
  update_all(loc, kernels::update_adamax, make);
}

}  // namespace thalweg::optim
