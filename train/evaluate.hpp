// evaluate and predict: a model over a whole data set. Depends on nn, data, train/loss, train/metric.
// Invariant: the model is in evaluation mode meanwhile, nothing is recorded, and every module's mode is put
// back after, also when an exception ends it.
#pragma once

#include <cstdint>
#include <vector>

#include <thalweg/data/loader.hpp>
#include <thalweg/nn/module.hpp>
#include <thalweg/train/history.hpp>
#include <thalweg/train/loss.hpp>
#include <thalweg/train/metric.hpp>

namespace thalweg::train {

struct EvaluateOptions {
  std::int64_t batch_size = 128;     ///< the results do not depend on it but for rounding
  std::vector<MetricRef> metrics{};  ///< reset first; they may be asked for more afterwards
};

namespace detail {

/// A model as fit() and the others see it: called with one tensor.
template <class M>
nn::ModuleRef model_ref(M& model) {
  static_assert(nn::detail::Callable<M>, "thalweg: a model must be callable with one tensor and give one");
  return nn::module_ref(model);
}

/// Puts a model in training or evaluation mode and, at the end of the scope, every module in the mode it had.
class ModeScope {
 public:
  ModeScope(nn::ModuleRef model, bool training);
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;
  ~ModeScope();

 private:
  std::vector<std::pair<bool*, bool>> before_;
};

Logs evaluate(nn::ModuleRef model, const Loss& loss, const data::DatasetRef& data,
              const EvaluateOptions& options, Loc loc);
Tensor predict(nn::ModuleRef model, const data::DatasetRef& data, std::int64_t batch_size, Loc loc);

}  // namespace detail

/// Mean loss over the examples, and the metrics: "loss", "accuracy", .. Throws ValueError (no examples,
/// batch_size < 1).
template <class M>
Logs evaluate(M& model, const Loss& loss, const data::DatasetRef& data, const EvaluateOptions& options = {},
              Loc loc = Loc::here()) {
  return detail::evaluate(detail::model_ref(model), loss, data, options, loc);
}

struct PredictOptions {
  std::int64_t batch_size = 128;
};

/// The model's outputs for all examples, [examples, ..]. Throws ValueError (no examples, batch_size < 1),
/// ShapeError (outputs that are not one row per example, or of another shape than the first).
template <class M>
Tensor predict(M& model, const data::DatasetRef& data, PredictOptions options = {}, Loc loc = Loc::here()) {
  return detail::predict(detail::model_ref(model), data, options.batch_size, loc);
}
/// The same for the rows of x.
template <class M>
Tensor predict(M& model, const Tensor& x, PredictOptions options = {}, Loc loc = Loc::here()) {
  return detail::predict(detail::model_ref(model), data::TensorDataset(x, {}, {}, loc), options.batch_size,
                         loc);
}

}  // namespace thalweg::train
