// Calling an op through its OpInfo: forward, gradients, and its forward mode. Depends on describe.hpp,
// engine. Invariant: inputs are never written; gradients are taken on leaves that share the inputs' memory
// and layout.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <thalweg/check/values.hpp>
#include <thalweg/ops/describe.hpp>

namespace thalweg::check {

/// Any function of tensors.
using Function = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

/// The op's default attributes; null for an op without.
std::shared_ptr<const void> default_attrs(const OpDef& op);

/// The op's outputs.
std::vector<Tensor> forward(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs);
/// The same with recording off.
std::vector<Tensor> evaluate(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs);
/// The op as a function of its inputs.
Function function_of(const OpInfo& op, std::shared_ptr<const void> attrs);

/// Whether input i can have a gradient: the op is differentiable in it and it is floating.
bool takes_gradient(const OpInfo& op, const std::vector<Tensor>& in, std::size_t i);
bool any_gradient(const OpInfo& op, const std::vector<Tensor>& in);

/// `in` with a leaf in the place of every input that takes a gradient.
std::vector<Tensor> leaves(const OpInfo& op, const std::vector<Tensor>& in);
/// Random signed gradients for those outputs that are recorded; undefined for the others.
std::vector<Tensor> random_seeds(const std::vector<Tensor>& out, Numbers& numbers);
/// Gradients of the leaves among `in` (undefined for others; zeros where nothing flows) for the recorded
/// outputs `out`. An undefined seed leaves its output out.
std::vector<Tensor> pull_back(const std::vector<Tensor>& out, const std::vector<Tensor>& in,
                              const std::vector<Tensor>& seeds, bool create_graph = false,
                              bool retain = false);
/// forward and pull_back at once.
std::vector<Tensor> gradients(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs,
                              const std::vector<Tensor>& seeds, bool create_graph = false);

/// Forward mode without differencing: the outputs' derivative along `tangents` (undefined: input fixed).
/// Pointwise ops by their backward kernels, which are diagonal; linear ops by applying themselves;
/// multilinear ops by one input at a time. Empty for any other op.
std::vector<Tensor> push_forward(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs,
                                 const std::vector<Tensor>& tangents);

/// (x.., v..) -> gradients of x for output gradients v, itself differentiable. `fixed` bit i: x_i has no
/// gradient.
Function vjp_function(Function f, std::size_t n_in, std::uint64_t fixed);

/// Sum over all elements of a[i] b[i], and of their absolute values.
struct Dot {
  double value = 0;
  double magnitude = 0;
};
Dot dot(const std::vector<Tensor>& a, const std::vector<Tensor>& b);

}  // namespace thalweg::check
