// Loss: what fit() and evaluate() minimise and report, made from any function of prediction and target.
// Depends on ops (reductions). Invariant: the result is one number, the mean over the examples of the batch,
// plus a penalty on the model if there is one.
#pragma once

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/ops/functions/loss.hpp>

namespace thalweg::train {

namespace detail {
template <class O>
concept ReducingOptions = std::default_initializable<O> && requires(O o) {
  { o.reduction } -> std::same_as<Reduction&>;
};
template <class F>
concept MeanLoss = std::is_invocable_r_v<Tensor, F&, const Tensor&, const Tensor&>;
template <class F>
concept ReducingLoss = std::is_invocable_r_v<Tensor, F&, const Tensor&, const Tensor&, Reduction>;
}  // namespace detail

class Loss {
 public:
  using Function = std::function<Tensor(Arg prediction, Arg target, Reduction reduction)>;

  /// A loss of the library with its options: Loss(cross_entropy, {.label_smoothing = 0.1}). Their reduction
  /// is not used.
  template <detail::ReducingOptions O>
  Loss(Tensor (*f)(Arg, Arg, O), std::type_identity_t<O> options = {})  // NOLINT
      : reducing_(true), f_([f, options](Arg prediction, Arg target, Reduction reduction) mutable {
          options.reduction = reduction;
          return f(prediction, target, options);
        }) {}
  /// One's own: f(prediction, target) gives the mean over the batch. If it can be called with a Reduction as
  /// third argument, it will be, and class weights can be used: Reduction::none gives a loss for each example
  /// (or [examples, ..]).
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Loss> &&
           (detail::MeanLoss<std::decay_t<F>> || detail::ReducingLoss<std::decay_t<F>>))
      Loss(F&& f)  // NOLINT
      : reducing_(detail::ReducingLoss<std::decay_t<F>>),
        f_([f = std::decay_t<F>(std::forward<F>(f))](Arg prediction, Arg target,
                                                     Reduction reduction) mutable -> Tensor {
          // As Args where it takes them, so that its errors name the caller's line.
          if constexpr (std::is_invocable_r_v<Tensor, std::decay_t<F>&, Arg, Arg, Reduction>)
            return f(prediction, target, reduction);
          else if constexpr (detail::ReducingLoss<std::decay_t<F>>)
            return f(prediction.t, target.t, reduction);
          else if constexpr (std::is_invocable_r_v<Tensor, std::decay_t<F>&, Arg, Arg>)
            return (void)reduction, f(prediction, target);
          else
            return (void)reduction, f(prediction.t, target.t);
        }) {}

  /// The same with penalty() added, a scalar of the model's parameters (a regulariser), to whatever it gives.
  Loss with_penalty(std::function<Tensor()> penalty) const;

  /// The mean over the batch, plus the penalty. Throws ShapeError when that is not one number.
  Tensor operator()(Arg prediction, Arg target) const;
  /// sum over i of weights[i] l_i / examples, plus the penalty, l_i being the mean over the rest of example
  /// i; weights [examples]. Throws ValueError for a loss that does not take a Reduction, ShapeError.
  Tensor weighted(Arg prediction, Arg target, const Tensor& weights) const;
  /// Whether it can give a loss for each example.
  bool takes_reduction() const noexcept { return reducing_; }

 private:
  Tensor finished(Tensor mean, Loc loc) const;

  bool reducing_ = false;
  Function f_;
  std::function<Tensor()> penalty_;
};

}  // namespace thalweg::train
