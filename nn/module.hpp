// What can be asked of any module: its parameters, state, size and mode. All of it comes from the module's
// `visit`. Depends on visitor. Invariant: names and order are those of visit(); a tensor that is visited
// twice (tied weights) is one parameter but two entries of the state.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <thalweg/nn/visitor.hpp>

namespace thalweg::nn {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using NamedGenerators = std::vector<std::pair<std::string, Generator*>>;

/// Options of load_state_dict().
struct LoadOptions {
  bool strict = true;  ///< names missing on either side are an error; without, they are passed over
};

namespace detail {
NamedTensors named_parameters(ModuleRef m);
NamedTensors named_buffers(ModuleRef m);
NamedTensors state_dict(ModuleRef m);
NamedGenerators named_generators(ModuleRef m);
void load_state_dict(ModuleRef m, const NamedTensors& state, LoadOptions options, Loc loc);
void set_training(ModuleRef m, bool on);
void set_requires_grad(ModuleRef m, bool wanted, Loc loc);
void replace_by_copies(ModuleRef m);
std::string to_string(ModuleRef m);
std::int64_t elements(const NamedTensors& tensors);
}  // namespace detail

/// The parameters with their dotted names, each tensor once, in the order of visit().
template <class M>
NamedTensors named_parameters(const M& module) {
  return detail::named_parameters(module_ref(module));
}
/// The parameters: what an optimizer takes.
template <class M>
std::vector<Tensor> parameters(const M& module) {
  std::vector<Tensor> found;
  for (auto& [name, tensor] : named_parameters(module)) found.push_back(std::move(tensor));
  return found;
}
/// What visit() marks with buffer(): state that is not trained.
template <class M>
NamedTensors named_buffers(const M& module) {
  return detail::named_buffers(module_ref(module));
}
/// The random generators inside (of dropout, say), which a checkpoint must keep too.
template <class M>
NamedGenerators named_generators(M& module) {
  return detail::named_generators(module_ref(module));
}
/// Parameters and buffers under every name they have, without history; they share memory with the module.
template <class M>
NamedTensors state_dict(const M& module) {
  return detail::state_dict(module_ref(module));
}
/// Copies `state` into the module's tensors. All or nothing: every missing, unexpected and mis-shaped entry,
/// and different values for one tensor under two names, is listed in one ValueError and the module is as
/// before. `state` may hold the module's own tensors, and the "num_batches_tracked" of PyTorch's batch
/// normalisation, which is passed over.
template <class M>
void load_state_dict(M& module, const NamedTensors& state, LoadOptions options = {}, Loc loc = Loc::here()) {
  detail::load_state_dict(module_ref(module), state, options, loc);
}
/// Sets the mode of the module and of everything in it that has one (`bool training`, as dropout).
template <class M>
void train(M& module, bool on = true) {
  detail::set_training(module_ref(module), on);
}
template <class M>
void eval(M& module) {
  train(module, false);
}
/// Makes every parameter want a gradient, or none. Throws GraphError on a parameter that is not a leaf.
template <class M>
void set_requires_grad(M& module, bool wanted, Loc loc = Loc::here()) {
  detail::set_requires_grad(module_ref(module), wanted, loc);
}
/// The number of numbers in the parameters.
template <class M>
std::int64_t count(const M& module) {
  return detail::elements(named_parameters(module));
}
/// Drops the parameters' gradients.
template <class M>
void zero_grad(M& module) {
  for (auto& [name, tensor] : named_parameters(module)) tensor.zero_grad();
}
/// A copy that shares nothing with `module` (a plain copy of the struct shares its tensors). Tied tensors
/// stay tied, and what several std::shared_ptr lead to is copied once. Throws ValueError for a raw pointer,
/// and for a shared one to what cannot be copied whole (a type that is not copyable, a base class).
template <class M>
M clone(const M& module) {
  M copy = module;
  detail::replace_by_copies(module_ref(copy));
  return copy;
}
/// The module as a tree, a line each: "0: Linear(784 -> 512, relu)".
template <class M>
std::string describe(const M& module) {
  return detail::to_string(module_ref(module));
}

}  // namespace thalweg::nn
