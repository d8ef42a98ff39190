// Depends on adam.hpp, factories.
#include <thalweg/optim/adam.hpp>

#include <cmath>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim {

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
  detail::check_state(op, position, "exp_avg", exp_avg, p, loc);
  detail::check_state(op, position, "exp_avg_sq", exp_avg_sq, p, loc);
  if (options.amsgrad) detail::check_or_add_state(op, position, "max_exp_avg_sq", max_exp_avg_sq, p, loc);
}

void Adam::step(Loc loc) {
  const auto make = [&](const Tensor& p, const Tensor& g, AdamState& s, const AdamOptions& o) {
    ++s.step;
    const double correction1 = detail::bias_correction(o.beta1, s.step);
    const double root2 = std::sqrt(detail::bias_correction(o.beta2, s.step));
    const kernels::AdamOptions rule{.step_size = o.lr / correction1 * (o.eps_on_raw_moment ? root2 : 1),
                                    .root_scale = o.eps_on_raw_moment ? 1 : 1 / root2,
                                    .beta1 = o.beta1,
                                    .beta2 = o.beta2,
                                    .epsilon = o.eps,
                                    .weight_decay = detail::added_decay(o),
                                    .decay_rate = detail::decay_rate(o)};
    return detail::update_of(name(), p, g,
                             {&s.exp_avg, &s.exp_avg_sq, o.amsgrad ? &s.max_exp_avg_sq : nullptr}, o.maximize,
                             rule, loc);
  };
  update_all(loc, kernels::update_adam, make);
}

AdamW::AdamW(std::vector<Group<AdamOptions>> groups, Loc loc) : Adam("AdamW", std::move(groups), loc) {
  for (auto& group : this->groups()) group.options.decoupled = true;
}

}  // namespace thalweg::optim
