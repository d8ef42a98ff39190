// A task small enough for a test: points inside and outside a ring. Depends on train and doctest.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/data/dataset.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/train/train.hpp>

#include "texts.hpp"

namespace small {

using namespace thalweg;

/// Two classes that no line separates; x f32 [n, 2], labels i64.
inline data::TensorDataset ring(std::int64_t n, std::uint64_t seed = 5) {
  Generator g(seed);
  const Tensor x = 2 * rand({n, 2}, g) - 1;
  return data::TensorDataset(x, ((x * x).sum({.dims = {1}}) < 0.5).to(DType::i64));
}

/// With dropout and batch normalisation, so that modes and generators matter.
inline nn::Sequential net(std::uint64_t seed = 7) {
  Generator g(seed);
  return nn::Sequential(nn::Linear({.in = 2, .out = 16, .activation = Activation::relu, .generator = &g}),
                        nn::BatchNorm1d({.features = 16}), nn::Dropout({.p = 0.1, .generator = &g}),
                        nn::Linear({.in = 16, .out = 2, .generator = &g}));
}

/// Hears what happens, as words; can be made to throw.
class Witness final : public train::Callback {
 public:
  std::string name() const override { return "Witness"; }
  void on_train_begin(train::Training&) override { said += "begin "; }
  void on_epoch_begin(train::Training& t) override {
    CHECK(t.samples == 0);
    say(t, "epoch", t.epoch);
  }
  void on_batch_end(train::Training& t) override { say(t, "step", t.step); }
  void on_epoch_end(train::Training& t) override { say(t, "done", t.epoch); }
  void on_train_end(train::Training&) override { said += "end"; }
  void on_error(train::Training&) noexcept override { said += "error"; }

  std::string said;
  std::string throws_at{};  ///< "step2"
  std::string stops_at{};

 private:
  void say(train::Training& t, const std::string& what, std::int64_t number) {
    const std::string word = what + std::to_string(number);
    said += word + " ";
    if (word == throws_at) throw std::runtime_error("as told");
    if (word == stops_at) t.stop("as told");
  }
};

using texts::complaint;
using texts::says;

}  // namespace small
