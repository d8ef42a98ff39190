// function(name, forward, vjp): an op from two callables, for users who want neither a struct nor a kernel.
// Depends on tensor; describe() hands it to the harness like any other op. Invariant: one call is one node;
// it owns the callables, so a graph may outlive the Function that recorded it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

struct OpInfo;
class SampleList;
class ErrorList;

/// What a Function keeps between forward and vjp.
struct FunctionSaves {
  bool inputs = true;
  bool output = true;
};

/// How certify() is to try a Function.
struct FunctionTrial {
  void (*samples)(SampleList&);  ///< adds valid f64 calls, one of them with an empty input
  /// The forward computed another way. Null: the forward is its own definition.
  std::vector<Tensor> (*reference)(const std::vector<Tensor>& in, const void* attrs) = nullptr;
  void (*errors)(ErrorList&) = nullptr;  ///< calls that must be refused, besides undefined or missing inputs
};

/// A differentiable function given by its value and its vector-Jacobian product.
class Function {
 public:
  using Forward = std::function<Tensor(std::span<const Tensor> in)>;
  /// The gradient of each input, given that of the output. Inputs or output that are not saved arrive
  /// undefined.
  using Gradient =
      std::function<std::vector<Tensor>(const Tensor& g, std::span<const Tensor> in, const Tensor& y)>;

  /// A function of `n_in` tensors, 1 to 16. Throws ValueError for another number, an empty name or an empty
  /// callable.
  Function(std::string name, int n_in, Forward forward, Gradient vjp, FunctionSaves saves = {},
           Loc loc = Loc::here());

  /// Runs `forward` with recording off and records the whole as one node where an input wants a gradient.
  /// Throws ValueError (number of inputs, undefined input), GraphError (`forward` returned nothing or wrote
  /// to its input), and what `forward` throws: an Error keeps its type and gains this function's name, any
  /// other exception is nested in a GraphError.
  Tensor operator()(std::span<const Tensor> in, Loc loc = Loc::here()) const;
  template <class... Rest>
  Tensor operator()(Arg first, const Rest&... rest) const {
    const Tensor in[] = {first.t, static_cast<const Tensor&>(rest)...};
    return (*this)(std::span<const Tensor>(in), first.loc);
  }

  const std::string& name() const noexcept;
  /// For the harness: certify(f.describe({.samples = &samples})). Valid while a copy of this Function lives.
  OpInfo describe(const FunctionTrial& trial) const;

 private:
  struct Definition;
  std::shared_ptr<Definition> definition_;
};

namespace detail {

template <std::size_t>
using TensorAt = const Tensor&;

template <class F, std::size_t... I>
constexpr bool takes_tensors(std::index_sequence<I...>) {
  return std::is_invocable_v<const F&, TensorAt<I>...>;
}
/// How many tensors F takes, 1 to 6; 0: none of these.
template <class F, std::size_t N = 1>
constexpr int tensor_arity() {
  if constexpr (takes_tensors<F>(std::make_index_sequence<N>()))
    return static_cast<int>(N);
  else if constexpr (N < 6)
    return tensor_arity<F, N + 1>();
  else
    return 0;
}

template <class R>
std::vector<Tensor> as_gradients(R r) {
  if constexpr (std::is_same_v<R, Tensor>)
    return {std::move(r)};
  else
    return std::vector<Tensor>(std::begin(r), std::end(r));
}

/// Calls vjp with (g), (g, in...) or (g, in..., y), whichever it takes, most saved values first.
template <class G, std::size_t... I>
std::pair<Function::Gradient, FunctionSaves> as_gradient(G vjp, std::index_sequence<I...>) {
  if constexpr (std::is_invocable_v<const G&, const Tensor&, TensorAt<I>..., const Tensor&>) {
    return {[vjp = std::move(vjp)](const Tensor& g, [[maybe_unused]] std::span<const Tensor> in,
                                   const Tensor& y) { return as_gradients(vjp(g, in[I]..., y)); },
            {.inputs = true, .output = true}};
  } else if constexpr (std::is_invocable_v<const G&, const Tensor&, TensorAt<I>...>) {
    return {[vjp = std::move(vjp)](const Tensor& g, [[maybe_unused]] std::span<const Tensor> in,
                                   const Tensor&) { return as_gradients(vjp(g, in[I]...)); },
            {.inputs = true, .output = false}};
  } else {
    static_assert(std::is_invocable_v<const G&, const Tensor&>,
                  "thalweg: vjp takes (g), (g, inputs...) or (g, inputs..., output), each a const Tensor&");
    return {[vjp = std::move(vjp)](const Tensor& g, std::span<const Tensor>, const Tensor&) {
              return as_gradients(vjp(g));
            },
            {.inputs = false, .output = false}};
  }
}

template <class F, class G, std::size_t... I>
Function make_function(std::string name, F forward, G vjp, Loc loc, std::index_sequence<I...> inputs) {
  auto [gradient, saves] = as_gradient(std::move(vjp), inputs);
  return Function(
      std::move(name), static_cast<int>(sizeof...(I)),
      [forward = std::move(forward)](std::span<const Tensor> in) -> Tensor { return forward(in[I]...); },
      std::move(gradient), saves, loc);
}

}  // namespace detail

/// y = forward(inputs...), up to six tensors; vjp(g), vjp(g, inputs...) or vjp(g, inputs..., y) returns the
/// gradient of each input for the output's gradient g: a Tensor when there is one input, else a std::vector
/// or std::array. What vjp does not take is not saved. Written in public ops, it can be differentiated again.
///   auto cube = function("cube", [](const Tensor& x) { return x * x * x; },
///                        [](const Tensor& g, const Tensor& x) { return 3 * g * x * x; });
/// Tensors that the lambdas capture are constants: no gradient flows to them.
template <class F, class G>
Function function(std::string name, F forward, G vjp, Loc loc = Loc::here()) {
  constexpr int n = detail::tensor_arity<F>();
  static_assert(n > 0, "thalweg: forward takes one to six tensors, each a const Tensor&");
  return detail::make_function(std::move(name), std::move(forward), std::move(vjp), loc,
                               std::make_index_sequence<static_cast<std::size_t>(n)>());
}

}  // namespace thalweg
