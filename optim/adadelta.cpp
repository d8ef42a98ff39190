// Depends on adadelta.hpp, factories.
#include <thalweg/optim/adadelta.hpp>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim {

void AdadeltaOptions::check(const char* op, Loc loc) const {
  detail::check_option(op, "lr", lr, {}, loc);
  detail::check_option(op, "rho", rho, {.high = 1, .closed = true}, loc);
  detail::check_option(op, "eps", eps, {}, loc);
  detail::check_option(op, "weight_decay", weight_decay, {}, loc);
}

AdadeltaState::AdadeltaState(const Tensor& p, const AdadeltaOptions&)
    : square_avg(zeros(p.shape(), p.dtype())), acc_delta(zeros(p.shape(), p.dtype())) {}

void AdadeltaState::check(const char* op, std::size_t position, const Tensor& p, const AdadeltaOptions&,
                          Loc loc) {
  detail::check_state(op, position, "square_avg", square_avg, p, loc);
  detail::check_state(op, position, "acc_delta", acc_delta, p, loc);
}

void Adadelta::step(Loc loc) {
  const auto make = [&](const Tensor& p, const Tensor& g, AdadeltaState& s, const AdadeltaOptions& o) {
    ++s.step;
    const kernels::AdadeltaOptions rule{.lr = o.lr,
                                        .rho = o.rho,
                                        .epsilon = o.eps,
                                        .weight_decay = detail::added_decay(o),
                                        .decay_rate = detail::decay_rate(o)};
    return detail::update_of(name(), p, g, {&s.square_avg, &s.acc_delta}, o.maximize, rule, loc);
  };
  update_all(loc, kernels::update_adadelta, make);
}

}  // namespace thalweg::optim
