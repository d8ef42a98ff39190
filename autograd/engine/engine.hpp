// Reverse mode: backward(), grad(), hooks. Depends on graph. The three verbs of arithmetic that the engine needs are
// declared here and defined in ops/. Invariant: a node runs when everything that can feed it has run, because the heap
// pops the highest rank first and an input's rank is always lower.
#pragma once

#include <span>
#include <vector>

#include <thalweg/autograd/graph/node.hpp>

namespace thalweg {

struct GradOptions {
  std::vector<Tensor> grad_outputs{};  ///< one per output; may be empty when every output has one element. Moved in and
                                       ///< held by nobody else, one is used up instead of copied
  bool retain_graph = false;           ///< keep the graph for another pass
  bool create_graph = false;           ///< record the gradient computation too (implies retain_graph)
  bool allow_unused = false;           ///< an input that no output depends on gets an undefined gradient
};

/// d(sum of outputs * grad_outputs) / d(inputs), without touching any .grad(). Only what leads to the inputs is
/// computed. Throws GraphError (unused input, spent graph, no history), ShapeError, VersionError.
std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs, GradOptions options = {},
                         Loc loc = Loc::here());
std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs, GradOptions options = {},
                         Loc loc = Loc::here());
std::vector<Tensor> grad(const Tensor& output, std::initializer_list<Tensor> inputs, GradOptions options = {},
                         Loc loc = Loc::here());
/// One output, one input.
Tensor grad(const Tensor& output, const Tensor& input, GradOptions options = {}, Loc loc = Loc::here());

/// Accumulates the gradients of all outputs' sum into the leaves' grad(). A backward that throws leaves every gradient
/// as it was; the graph is spent unless retained. `grad_outputs`: one per output, or empty when every output has one
/// element. A dense one that was moved in and that nobody else holds becomes the run's own memory: it may be written over,
/// and a leaf may keep it as its gradient. One that the caller still holds is neither changed nor shared.
void backward(std::span<const Tensor> outputs, std::vector<Tensor> grad_outputs, bool retain_graph, Loc loc);

namespace engine {

/// a + b, recorded when recording is on. Defined in ops/engine_verbs.cpp, as are the next two.
Tensor add(const Tensor& a, const Tensor& b);
/// a += b; a owns its dense storage alone.
void add_into(Tensor& a, const Tensor& b);
/// g summed over broadcast dimensions to `shape` and cast to `dtype`.
Tensor fit(const Tensor& g, DType dtype, const Dims& shape);

}  // namespace engine
}  // namespace thalweg
