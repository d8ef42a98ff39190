// Depends on adagrad.hpp, factories.
#include <thalweg/optim/adagrad.hpp>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim {

void AdagradOptions::check(const char* op, Loc loc) const {
  detail::check_option(op, "lr", lr, {}, loc);
  detail::check_option(op, "lr_decay", lr_decay, {}, loc);
  detail::check_option(op, "initial_accumulator", initial_accumulator, {}, loc);
  detail::check_option(op, "eps", eps, {}, loc);
  detail::check_option(op, "weight_decay", weight_decay, {}, loc);
}

AdagradState::AdagradState(const Tensor& p, const AdagradOptions& options)
    : sum(full(p.shape(), options.initial_accumulator, p.dtype())) {}

void AdagradState::check(const char* op, std::size_t position, const Tensor& p, const AdagradOptions&,
                         Loc loc) {
  detail::check_state(op, position, "sum", sum, p, loc);
}

void Adagrad::step(Loc loc) {
  const auto make = [&](const Tensor& p, const Tensor& g, AdagradState& s, const AdagradOptions& o) {
    const kernels::AdagradOptions rule{.lr = o.lr / (1 + static_cast<double>(s.step++) * o.lr_decay),
                                       .epsilon = o.eps_in_root ? 0 : o.eps,
                                       .epsilon_in_root = o.eps_in_root ? o.eps : 0,
                                       .weight_decay = detail::added_decay(o),
                                       .decay_rate = detail::decay_rate(o)};
    return detail::update_of(name(), p, g, {&s.sum}, o.maximize, rule, loc);
  };
  update_all(loc, kernels::update_adagrad, make);
}

}  // namespace thalweg::optim
