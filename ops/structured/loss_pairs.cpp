// Losses of a prediction and a target of one shape, and cross-entropy of probabilities: public functions over
// the terms in pointwise/terms.inl. Depends on functions.hpp, library.hpp, fmt. Invariant: no loss of two
// tensors of one shape broadcasts; errors name the loss, not its parts.
#include <cmath>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/library.hpp>
#include <thalweg/ops/structured/loss_support.hpp>

namespace thalweg {
namespace {

void check_pair(const char* op, const Arg& x, const Arg& target) {
  const Loc loc = thread_state.call_site ? thread_state.call_site : x.loc;
  const Tensor* both[] = {&x.t, &target.t};
  for (int i = 0; i < 2; ++i) {
    const char* arg = i == 0 ? "x" : "target";
    if (!both[i]->defined())
      throw_error<ValueError>({.op = op,
                               .arg = arg,
                               .given = "undefined",
                               .wanted = "a tensor",
                               .what = "undefined tensor",
                               .loc = loc});
    if (!is_floating(both[i]->dtype()))
      throw_error<DTypeError>({.op = op,
                               .arg = arg,
                               .given = both[i]->describe(),
                               .wanted = "f32 or f64",
                               .what = "not a floating tensor",
                               .loc = loc});
  }
  if (!(x.t.shape() == target.t.shape()))
    throw_error<ShapeError>({.op = op,
                             .arg = "target",
                             .given = target.t.describe(),
                             .wanted = to_string(x.t.shape()),
                             .what = "shapes differ",
                             .loc = loc});
}

Tensor reduce(const Tensor& each, Reduction reduction) {
  if (reduction == Reduction::none) return each;
  return reduction == Reduction::mean ? mean(each) : sum(each);
}

/// The elementwise op of two tensors of one shape, reduced.
template <class Op>
Tensor pair_loss(const char* op, const Arg& x, const Arg& target, Reduction reduction,
                 const ops::Attributes<Op>& attrs = {}) {
  check_pair(op, x, target);
  const CallSite site(x.loc);
  return reduce(apply<Op>(attrs, x, target), reduction);
}

/// An option between two limits, the lower one allowed or not.
void check_option(const char* op, const char* arg, double value, bool fits, const char* wanted, Loc loc) {
  if (fits && std::isfinite(value)) return;
  throw_error<ValueError>({.op = op,
                           .arg = arg,
                           .given = fmt::format("{}", value),
                           .wanted = wanted,
                           .what = "option outside its domain",
                           .loc = thread_state.call_site ? thread_state.call_site : loc});
}

/// The sum over all dimensions but the first, then the mean over that.
Tensor mean_of_rows(const Tensor& each) {
  if (each.dim() == 0) return each.clone();
  return sum(each) / each.shape()[0];
}

}  // namespace

Tensor cross_entropy_of_probabilities(Arg p, Arg target, CrossEntropyOptions options) {
  constexpr double margin = 1e-7;
  const CallSite site(p.loc);
  if (!p.t.defined() || p.t.dim() == 0)
    throw_error<ShapeError>({.op = "cross_entropy_of_probabilities",
                             .arg = "p",
                             .given = p.t.defined() ? p.t.describe() : "undefined",
                             .wanted = "[C] or [N, C, ..]",
                             .what = "no class dimension",
                             .loc = thread_state.call_site});
  if (options.label_smoothing != 0)
    throw_error<ValueError>({.op = "cross_entropy_of_probabilities",
                             .arg = "label_smoothing",
                             .given = fmt::format("{}", options.label_smoothing),
                             .wanted = "0",
                             .what = "smooth the target instead",
                             .loc = thread_state.call_site});
  const int dim = ops::class_dim(p.t.shape());
  const Tensor share = p.t / sum(p, {.dims = {dim}, .keepdim = true});
  const Tensor logs = log(clamp(share, margin, 1 - margin));
  if (!target.t.defined() || !is_floating(target.t.dtype()))
    return nll_loss(logs, target, {.reduction = options.reduction, .ignore_index = options.ignore_index});
  check_pair("cross_entropy_of_probabilities", p, target);
  return reduce(-sum(target.t * logs, {.dims = {dim}}), options.reduction);
}

Tensor mse_loss(Arg x, Arg target, LossOptions options) {
  return pair_loss<ops::SquaredDifference>("mse_loss", x, target, options.reduction);
}
Tensor l1_loss(Arg x, Arg target, LossOptions options) {
  return pair_loss<ops::AbsoluteDifference>("l1_loss", x, target, options.reduction);
}

Tensor huber_loss(Arg x, Arg target, HuberOptions options) {
  check_option("huber_loss", "delta", options.delta, options.delta > 0, "a finite number above 0", x.loc);
  return pair_loss<ops::HuberTerm>("huber_loss", x, target, options.reduction,
                                   {.delta = options.delta, .slope = options.delta});
}

Tensor smooth_l1_loss(Arg x, Arg target, SmoothL1Options options) {
  check_option("smooth_l1_loss", "beta", options.beta, options.beta >= 0, "a finite number, 0 or more",
               x.loc);
  if (options.beta == 0)
    return pair_loss<ops::AbsoluteDifference>("smooth_l1_loss", x, target, options.reduction);
  return pair_loss<ops::HuberTerm>("smooth_l1_loss", x, target, options.reduction,
                                   {.delta = options.beta, .slope = 1});
}

Tensor kl_div(Arg x, Arg target, KlDivOptions options) {
  if (!options.per_row) return pair_loss<ops::KlTerm>("kl_div", x, target, options.reduction);
  const CallSite site(x.loc);
  const Tensor each = pair_loss<ops::KlTerm>("kl_div", x, target, Reduction::none);
  if (options.reduction == Reduction::mean) return mean_of_rows(each);
  if (options.reduction == Reduction::sum) return sum(each);
  return each.dim() < 2 ? each : sum(flatten(each, 1), {.dims = {1}});
}

Tensor kl_divergence(Arg p, Arg target, LossOptions options) {
  constexpr double margin = 1e-7;
  check_pair("kl_divergence", p, target);
  const CallSite site(p.loc);
  const Tensor each = apply<ops::KlTerm>(log(clamp(p, margin, 1)), clamp(target, margin, 1));
  return reduce(each.dim() == 0 ? each : sum(each, {.dims = {-1}}), options.reduction);
}

Tensor bce_with_logits(Arg x, Arg target, LossOptions options) {
  return pair_loss<ops::BceTerm>("bce_with_logits", x, target, options.reduction);
}

Tensor bce_loss(Arg p, Arg target, BceOptions options) {
  check_option("bce_loss", "clip", options.clip, options.clip >= 0 && options.clip < 0.5, "0 to below 0.5",
               p.loc);
  check_pair("bce_loss", p, target);
  const CallSite site(p.loc);
  const Tensor limited = options.clip > 0 ? clamp(p, options.clip, 1 - options.clip) : p.t;
  return pair_loss<ops::BceProbabilityTerm>("bce_loss", limited, target, options.reduction);
}

Tensor hinge_loss(Arg x, Arg target, LossOptions options) {
  check_pair("hinge_loss", x, target);
  const CallSite site(x.loc);
  const Tensor sign = where(target.t == 0, -1.0, target.t);
  return reduce(clamp(1 - sign * x.t, 0, HUGE_VAL), options.reduction);
}

}  // namespace thalweg
