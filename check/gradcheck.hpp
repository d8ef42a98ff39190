// gradcheck and gradgradcheck: is the gradient of any function of tensors right? Depends on calls.hpp.
// Invariant: always in f64; a false alarm at a kink and a missed error in a single element are both faults
// here, so small inputs get the full Jacobian and large ones random dense and sparse directions.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include <thalweg/check/calls.hpp>

namespace thalweg::check {

struct GradcheckOptions {
  double step = 1e-3;  ///< of the stencil, times max(1, |x|)
  double rtol = 1e-7;
  double atol = 1e-9;
  bool linear = false;           ///< linear in each input: step 1, exact to 1e-12 of the terms' size
  bool kinks = true;             ///< accept any slope between the one-sided ones where those differ
  std::int64_t full_limit = 64;  ///< inputs of more elements are checked along random directions
  int directions = 4;            ///< dense and as many sparse ones
  std::uint64_t fixed = 0;       ///< bit i: input i is not differentiated
  std::uint64_t seed = 1;
};

/// What a check saw. `worst` is the largest difference in units of what was allowed: above 1 it failed.
struct GradReport {
  bool ok = true;
  double worst = 0;
  std::int64_t checked = 0;  ///< derivatives compared
  std::int64_t kinks = 0;    ///< of them accepted at a kink
  std::string message;       ///< why it failed: input, element, analytic and numeric value, the inputs as C++
};

/// Compares the gradient of `fn` at `inputs` with a six-point stencil, (45,-9,1)/60h. Inputs of integer or
/// bool dtype and undefined ones are passed through. Throws DTypeError for an f32 input or output:
/// differencing in f32 proves nothing.
GradReport gradcheck_function(const Function& fn, const std::vector<Tensor>& inputs,
                              const GradcheckOptions& options = {});
/// The same for the gradient of `fn` as a function of inputs and output gradients.
GradReport gradgradcheck_function(const Function& fn, const std::vector<Tensor>& inputs,
                                  const GradcheckOptions& options = {});

/// The full Jacobians, row-major: [outputs][inputs] over all elements of all differentiated tensors.
struct Jacobian {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> at;
};
Jacobian analytic_jacobian(const Function& fn, const std::vector<Tensor>& inputs, std::uint64_t fixed = 0);
Jacobian numeric_jacobian(const Function& fn, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

namespace detail {
/// Any callable on one, two or three tensors or a vector of them, returning a tensor or a vector, as a
/// Function.
template <class F>
Function as_function(F f) {
  return [f = std::move(f)](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    const auto call = [&] {
      if constexpr (std::is_invocable_v<const F&, const std::vector<Tensor>&>)
        return f(in);
      else if constexpr (std::is_invocable_v<const F&, const Tensor&>)
        return f(in.at(0));
      else if constexpr (std::is_invocable_v<const F&, const Tensor&, const Tensor&>)
        return f(in.at(0), in.at(1));
      else
        return f(in.at(0), in.at(1), in.at(2));
    };
    if constexpr (std::is_same_v<decltype(call()), Tensor>)
      return {call()};
    else
      return call();
  };
}
}  // namespace detail

/// `gradcheck([](const Tensor& x) { return tanh(x); }, {x})`.
template <class F>
GradReport gradcheck(F fn, const std::vector<Tensor>& inputs, const GradcheckOptions& options = {}) {
  return gradcheck_function(detail::as_function(std::move(fn)), inputs, options);
}
template <class F>
GradReport gradgradcheck(F fn, const std::vector<Tensor>& inputs, const GradcheckOptions& options = {}) {
  return gradgradcheck_function(detail::as_function(std::move(fn)), inputs, options);
}

}  // namespace thalweg::check
