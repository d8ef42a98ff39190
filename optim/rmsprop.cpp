// Depends on rmsprop.hpp, factories.
#include <thalweg/optim/rmsprop.hpp>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim {

void RmspropOptions::check(const char* op, Loc loc) const {
  detail::check_option(op, "lr", lr, {}, loc);
  detail::check_option(op, "rho", rho, {.high = 1, .closed = true}, loc);
  detail::check_option(op, "eps", eps, {}, loc);
  detail::check_option(op, "momentum", momentum, {.high = 1}, loc);
  detail::check_option(op, "weight_decay", weight_decay, {}, loc);
}

RmspropState::RmspropState(const Tensor& p, const RmspropOptions& options)
    : square_avg(zeros(p.shape(), p.dtype())) {
  if (options.centered) grad_avg = zeros(p.shape(), p.dtype());
  if (options.momentum != 0) velocity = zeros(p.shape(), p.dtype());
}

void RmspropState::check(const char* op, std::size_t position, const Tensor& p, const RmspropOptions& options,
                         Loc loc) {
  detail::check_state(op, position, "square_avg", square_avg, p, loc);
  if (options.centered) detail::check_or_add_state(op, position, "grad_avg", grad_avg, p, loc);
  if (options.momentum != 0) detail::check_or_add_state(op, position, "velocity", velocity, p, loc);
}

void Rmsprop::step(Loc loc) {
  const auto make = [&](const Tensor& p, const Tensor& g, RmspropState& s, const RmspropOptions& o) {
    ++s.step;
    const kernels::RmspropOptions rule{.lr = o.lr,
                                       .rho = o.rho,
                                       .epsilon = o.eps_in_root ? 0 : o.eps,
                                       .epsilon_in_root = o.eps_in_root ? o.eps : 0,
                                       .momentum = o.momentum,
                                       .lr_in_velocity = o.lr_in_velocity,
                                       .weight_decay = detail::added_decay(o),
                                       .decay_rate = detail::decay_rate(o)};
    return detail::update_of(
        name(), p, g,
        {&s.square_avg, o.centered ? &s.grad_avg : nullptr, o.momentum != 0 ? &s.velocity : nullptr},
        o.maximize, rule, loc);
  };
  update_all(loc, kernels::update_rmsprop, make);
}

}  // namespace thalweg::optim
