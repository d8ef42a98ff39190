// What the training programs do once the command line is read: fit with the seed article's callbacks, test,
// report. Depends on train. Invariant: the result depends on data, flags and seed, not on threads, and a run
// that was killed and resumed ends with the same parameters.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <thalweg/data/dataset.hpp>
#include <thalweg/data/transform.hpp>
#include <thalweg/nn/nn.hpp>

#include "options.hpp"

namespace examples {

/// A model and what it is to learn.
struct Task {
  thalweg::nn::Sequential model;
  thalweg::data::DatasetRef train;
  thalweg::data::DatasetRef test;
  double validation_split = 0;  ///< the last part of `train`; 0: validation is on `test`, as the article has it
  std::shared_ptr<const thalweg::data::Transform> transform{};  ///< of training images alone
  bool drop_last = false;                ///< leave out a last batch that is not full
  thalweg::Dims input{};                 ///< shape of a batch of one
  thalweg::Dims picture{};               ///< [channels, height, width] of an image, for the report
  std::vector<std::string> classes{};    ///< names, in order of their labels
  std::string source{};                  ///< where the images came from
};

/// All of main(): reads the command line, makes the task (`generator` is seeded by --seed), trains, tests and
/// prints. Returns the exit status; errors are printed.
int run_program(const Program& program, int argc, const char* const* argv,
                const std::function<Task(const Options& options, thalweg::Generator& generator)>& make);

/// The first `limit` rows of u8 pixels [n, ..] as f32 images of `shape` in [0, 1], with labels; 0: all.
thalweg::data::TensorDataset image_set(const thalweg::Tensor& pixels, const thalweg::Tensor& labels,
                                       const thalweg::Dims& shape, std::int64_t limit = 0);

}  // namespace examples
