// Depends on sgd.hpp, factories.
#include <thalweg/optim/sgd.hpp>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::optim {

void SgdOptions::check(const char* op, Loc loc) const {
  detail::check_option(op, "lr", lr, {}, loc);
  detail::check_option(op, "momentum", momentum, {.high = 1}, loc);
  detail::check_option(op, "dampening", dampening, {.high = 1, .closed = true}, loc);
  detail::check_option(op, "weight_decay", weight_decay, {}, loc);
  const bool rule_has_none = nesterov || lr_in_velocity;
  if (nesterov && momentum == 0)
    throw_error<ValueError>({.op = op,
                             .arg = "momentum",
                             .given = "0",
                             .wanted = "more than 0",
                             .what = "Nesterov's rule needs momentum",
                             .loc = loc});
  if (rule_has_none && dampening != 0)
    throw_error<ValueError>(
        {.op = op,
         .arg = "dampening",
         .given = std::to_string(dampening),
         .wanted = "0",
         .what = nesterov ? "Nesterov's rule has no dampening" : "Keras' rule has no dampening",
         .loc = loc});
}

SgdState::SgdState(const Tensor& p, const SgdOptions& options) {
  if (options.momentum != 0) velocity = zeros(p.shape(), p.dtype());
}

void SgdState::check(const char* op, std::size_t position, const Tensor& p, const SgdOptions& options,
                     Loc loc) {
  if (options.momentum != 0) detail::check_or_add_state(op, position, "velocity", velocity, p, loc);
}

void Sgd::step(Loc loc) {
  const auto make = [&](const Tensor& p, const Tensor& g, SgdState& s, const SgdOptions& o) {
    const bool first = s.step++ == 0;
    const kernels::SgdOptions rule{.lr = o.lr,
                                   .momentum = o.momentum,
                                   // PyTorch starts the velocity at g itself
                                   .dampening = first ? 0 : o.dampening,
                                   .weight_decay = detail::added_decay(o),
                                   .decay_rate = detail::decay_rate(o),
                                   .nesterov = o.nesterov,
                                   .lr_in_velocity = o.lr_in_velocity};
    return detail::update_of(name(), p, g, {o.momentum != 0 ? &s.velocity : nullptr}, o.maximize, rule, loc);
  };
  update_all(loc, kernels::update_sgd, make);
}

}  // namespace thalweg::optim
