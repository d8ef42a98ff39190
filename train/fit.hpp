// fit: the training loop. Built on the public pieces (data::DataLoader, optim::Optimizer, nn::Module), which
// are there for one's own loop. Depends on nn, optim, data, train/callback, train/evaluate. Invariant: the
// weights that come out depend on model, optimizer, data and options alone: not on the number of threads, and
// not on callbacks that only watch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <thalweg/data/loader.hpp>
#include <thalweg/optim/optimizer.hpp>
#include <thalweg/train/callback.hpp>
#include <thalweg/train/checkpoint.hpp>
#include <thalweg/train/evaluate.hpp>
#include <thalweg/train/loss.hpp>
#include <thalweg/train/metric.hpp>
#include <thalweg/train/shared.hpp>

namespace thalweg::data {
class Transform;
}

namespace thalweg::train {

using CallbackRef = Shared<Callback>;

struct FitOptions {
  std::int64_t epochs = 1;  ///< the number of the last epoch, counted from 1
  std::int64_t batch_size = 32;
  bool shuffle = true;
  std::uint64_t seed = 0;  ///< of the order of the examples; a transform has a seed of its own
  bool drop_last = false;  ///< leave out a last batch that is not full
  /// This share of the data, its end, taken before shuffling, is for validation.
  double validation_split = 0;
  std::optional<data::DatasetRef> validation{};
  std::int64_t validation_batch_size = 0;  ///< 0: batch_size
  std::vector<MetricRef> metrics{};        ///< gathered while training, then reset and gathered in validation
  std::vector<CallbackRef> callbacks{};
  /// Changes the training examples, not those of validation: augmentation. What all examples need, as normalisation,
  /// belongs into the data sets (data::Transformed).
  data::TransformRef transform{};
  /// The optimizer steps after this many batches, with the mean over all their examples; the last group of an
  /// epoch may be smaller.
  std::int64_t accumulate = 1;
  /// The weight of each class's examples in the training loss: sum w_i l_i / examples (those that
  /// the loss ignores left out).
  std::vector<double> class_weights{};
  double clip_norm = 0;            ///< the gradient's norm over all parameters is at most this (Keras' global_clipnorm); 0: any
  double clip_value = 0;           ///< each element of the gradient is at most this in size; 0: any
  std::int64_t initial_epoch = 0;  ///< the number of the first epoch, counted from 0
  bool progress = true;            ///< a bar on a terminal, else a line per epoch, on stderr
  /// Saves the whole run, so that one that was killed ends as if it had not been.
  CheckpointOptions checkpoint{};
  /// Asked between steps; true ends the training (Ctrl-C), a checkpoint is saved before.
  std::function<bool()> stop{};
};

namespace detail {
History fit(nn::ModuleRef model, optim::Optimizer& optimizer, const Loss& loss, const data::DatasetRef& data,
            FitOptions options, Loc loc);
}

/// Trains `model` in training mode and returns what was logged: for each epoch the running means of loss and
/// metrics over its examples, taken before each update, then those of validation in evaluation mode
/// ("val_loss"), "lr", "seconds", "images_per_second", "memory_live" and "memory_peak" in bytes. Modes are
/// put back after. Throws ValueError (no data; both validation and validation_split, or a split that leaves
/// nothing; epochs < 0; batch_size, accumulate < 1; class weights with a loss that takes no Reduction; a
/// callback watching what is not logged) before anything is changed.
template <class M>
History fit(M& model, optim::Optimizer& optimizer, const Loss& loss, const data::DatasetRef& data,
            FitOptions options = {}, Loc loc = Loc::here()) {
  return detail::fit(detail::model_ref(model), optimizer, loss, data, std::move(options), loc);
}

}  // namespace thalweg::train
