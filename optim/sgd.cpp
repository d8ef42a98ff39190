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
  if (options.momentum == 0) return;
  if (!velocity.defined()) velocity = zeros(p.shape(), p.dtype());  // momentum was switched on later
  if (!(velocity.shape() == p.shape()) || velocity.dtype() != p.dtype() || !velocity.is_contiguous())
    detail::throw_state(op, position, "velocity", velocity, p, loc);
}

void Sgd::step(Loc loc) {
  for_each_gradient("Sgd", loc, [&](Tensor& p, const Tensor& g, SgdState& s, const SgdOptions& o) {
    const bool first = s.step++ == 0;
    void* velocity = o.momentum != 0 ? detail::memory_of(s.velocity) : nullptr;
    if (velocity) s.velocity.get()->storage->bump("Sgd", loc);
    kernels::update_sgd(detail::arrays_of("Sgd", p, g, o.maximize, loc), velocity,
                        {.lr = o.lr,
                         .momentum = o.momentum,
                         .dampening = first ? 0 : o.dampening,  // PyTorch starts the velocity at g itself
                         .weight_decay = o.weight_decay,
                         .nesterov = o.nesterov,
                         .lr_in_velocity = o.lr_in_velocity});
  });
}

}  // namespace thalweg::optim
