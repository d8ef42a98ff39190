// Depends on regularizers.hpp, ops, fmt.
#include <thalweg/nn/regularizers.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::nn {

std::vector<Tensor> weights_of(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> weights;
  for (const Tensor& t : parameters)
    if (t.dim() >= 2) weights.push_back(t);
  return weights;
}

Tensor L1L2::operator()(const std::vector<Tensor>& parameters, Loc loc) const {
  const CallSite site(loc);
  const auto fail = [&](const char* arg, std::string given, const char* wanted, const char* what) {
    throw_error<ValueError>(
        {.op = "L1L2", .arg = arg, .given = std::move(given), .wanted = wanted, .what = what, .loc = loc});
  };
  for (const auto& [arg, strength] : {std::pair{"l1", l1}, std::pair{"l2", l2}})
    if (!(strength >= 0 && std::isfinite(strength)))
      fail(arg, fmt::format("{}", strength), "a finite number, 0 or more", "not a strength");
  if (parameters.empty()) fail("parameters", "none", "one tensor or more", "nothing to penalise");
  Tensor total;
  const auto add = [&](Tensor term) { total = total.defined() ? total + term : std::move(term); };
  for (const Tensor& w : parameters) {
    if (l1 > 0) add(sum(abs(w)) * l1);
    if (l2 > 0) add(sum(square(w)) * l2);
  }
  return total.defined() ? total : scalar(0.0, parameters[0].dtype());
}

}  // namespace thalweg::nn
