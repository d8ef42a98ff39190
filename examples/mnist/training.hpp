// The network, its training and its evaluation. Depends on nn, optim, data.
#pragma once

#include <functional>

#include <thalweg/data/loader.hpp>
#include <thalweg/nn/nn.hpp>

#include "../common/options.hpp"
#include "progress.hpp"
#include "report.hpp"

namespace mnist {

/// 784-512-256-10 with ReLU and dropout 0.2 behind both hidden layers; the last layer gives logits.
thalweg::nn::Sequential make_model(thalweg::Generator& generator);

/// Mean loss and accuracy over the data set; dropout off, nothing recorded.
Score evaluate(thalweg::nn::Sequential& model, const thalweg::data::DatasetRef& images);

struct Training {
  std::int64_t epochs = 0;  ///< finished
  double seconds = 0;       ///< training and validation
};

/// Adam on cross-entropy. Between two steps `stop()` is asked whether to end; `report` hears of each finished
/// epoch.
Training train(thalweg::nn::Sequential& model, const thalweg::data::DatasetRef& images,
               const thalweg::data::DatasetRef& validation, const examples::Options& options, std::uint64_t order_seed,
               Progress& progress, const std::function<bool()>& stop,
               const std::function<void(const EpochResult&)>& report);

}  // namespace mnist
