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

Tensor tanh(Arg x) { return apply<ops::Tanh>(x); }
Tensor sigmoid(Arg x) { return apply<ops::Sigmoid>(x); }
Tensor log_sigmoid(Arg x) { return apply<ops::LogSigmoid>(x); }
Tensor relu(Arg x) { return apply<ops::Relu>(x); }
Tensor selu(Arg x) { return apply<ops::Selu>(x); }
Tensor gelu(Arg x) { return apply<ops::Gelu>(x); }
Tensor gelu_tanh(Arg x) { return apply<ops::GeluTanh>(x); }
Tensor silu(Arg x) { return apply<ops::Silu>(x); }
Tensor softplus(Arg x) { return apply<ops::Softplus>(x); }

Tensor leaky_relu(Arg x, double slope) { return apply<ops::LeakyRelu>({.slope = slope}, x); }
Tensor elu(Arg x, double alpha) { return apply<ops::Elu>({.alpha = alpha}, x); }

Tensor hardtanh(Arg x, double low, double high) {
  if (!(low <= high)) throw_limits("hardtanh", low, high, x.loc);
  return apply<ops::Hardtanh>({.low = low, .high = high}, x);
}

void describe_activations(std::vector<OpInfo>& to) { describe_all(ops::ActivationOps{}, to); }

}  // namespace thalweg
