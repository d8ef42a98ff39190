// Public functions of the ops in activations.inl, and their descriptions for the registry. Depends on library.hpp.
#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions/pointwise.hpp>
#include <thalweg/ops/library.hpp>

namespace thalweg {
namespace {

[[noreturn]] void throw_limits(const char* op, double low, double high, Loc loc) {
  throw_error<ValueError>({.op = op, .arg = "the limits", .given = fmt::format("[{}, {}]", low, high),
                           .wanted = "low <= high", .what = "empty interval",
                           .loc = thread_state.call_site ? thread_state.call_site : loc});
}

}  // namespace

Tensor tanh(Arg x) { return apply<ops::Tanh>(std::move(x)); }
Tensor sigmoid(Arg x) { return apply<ops::Sigmoid>(std::move(x)); }
Tensor log_sigmoid(Arg x) { return apply<ops::LogSigmoid>(std::move(x)); }
Tensor relu(Arg x) { return apply<ops::Relu>(std::move(x)); }
Tensor selu(Arg x) { return apply<ops::Selu>(std::move(x)); }
Tensor gelu(Arg x) { return apply<ops::Gelu>(std::move(x)); }
Tensor gelu_tanh(Arg x) { return apply<ops::GeluTanh>(std::move(x)); }
Tensor silu(Arg x) { return apply<ops::Silu>(std::move(x)); }
Tensor softplus(Arg x) { return apply<ops::Softplus>(std::move(x)); }

Tensor leaky_relu(Arg x, double slope) { return apply<ops::LeakyRelu>({.slope = slope}, std::move(x)); }
Tensor elu(Arg x, double alpha) { return apply<ops::Elu>({.alpha = alpha}, std::move(x)); }

Tensor hardtanh(Arg x, double low, double high) {
  if (!(low <= high)) throw_limits("hardtanh", low, high, x.loc);
  return apply<ops::Hardtanh>({.low = low, .high = high}, std::move(x));
}

void describe_activations(std::vector<OpInfo>& to) { describe_all(ops::ActivationOps{}, to); }

}  // namespace thalweg
