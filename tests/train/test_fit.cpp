// fit: beside a loop written by hand, bit for bit; what it logs; splits, accumulation, weights, clipping,
// stops and errors. Depends on train and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <thalweg/thalweg.hpp>
#include <thalweg/train/train.hpp>

#include "small.hpp"

using namespace thalweg;
using small::complaint;
using small::says;

namespace {

train::FitOptions quiet(train::FitOptions options) {
  options.progress = false;
  return options;
}

/// The step that fit() makes for a batch, by hand.
void step(nn::Sequential& model, optim::Optimizer& optimizer, const data::Batch& batch) {
  cross_entropy(model(batch.x), batch.y).backward();
  optimizer.step();
  optimizer.zero_grad();
}

}  // namespace

TEST_CASE(
    "fit: the same weights as a loop by hand, and running means of what each batch gave before its update") {
  const data::TensorDataset all = small::ring(70);
  const auto [data, validation] = data::split_last(all, 0.2);
  nn::Sequential a = small::net(), b = small::net();
  optim::Adam adam_a(nn::parameters(a)), adam_b(nn::parameters(b));
  const train::History h = train::fit(a, adam_a, cross_entropy, all,
                                      quiet({.epochs = 3,
                                             .batch_size = 16,
                                             .seed = 9,
                                             .validation_split = 0.2,
                                             .metrics = {train::Accuracy()}}));
  const data::DataLoader loader(data, {.batch_size = 16, .shuffle = true, .seed = 9});
  std::vector<double> losses, hits, val, val_hits;
  for (int epoch = 0; epoch < 3; ++epoch) {
    double loss = 0, right = 0;
    for (const data::Batch& batch : loader.epoch(epoch)) {
      const RandomKey before = nn::named_generators(b)[0].second->state();
      {
        const NoGrad guard;
        nn::Sequential same = nn::clone(b);
        const Tensor y = same(batch.x);
        loss += cross_entropy(y, batch.y).item() * static_cast<double>(batch.y.size(0));
        right += (argmax(y, 1) == batch.y).sum().item();
      }
      CHECK(nn::named_generators(b)[0].second->state().offset == before.offset);
      step(b, adam_b, batch);
    }
    losses.push_back(loss / 56);
    hits.push_back(right / 56);
    const train::Logs logs =
        train::evaluate(b, cross_entropy, validation, {.batch_size = 16, .metrics = {train::Accuracy()}});
    val.push_back(logs.at("loss"));
    val_hits.push_back(logs.at("accuracy"));
  }
  CHECK(train::params_hash(a) == train::params_hash(b));
  CHECK(h["loss"] == losses);
  CHECK(h["accuracy"] == hits);
  CHECK(h["val_loss"] == val);
  CHECK(h["val_accuracy"] == val_hits);
  CHECK(h["lr"] == std::vector<double>{1e-3, 1e-3, 1e-3});
  CHECK(h.names() ==
        "loss, accuracy, val_loss, val_accuracy, lr, seconds, images_per_second, memory_live, memory_peak");
  CHECK(h.epochs() == 3);
  CHECK(h.stopped.empty());
  CHECK(h["loss"][2] < h["loss"][0]);
  CHECK(h["seconds"][0] > 0);
  CHECK(h["memory_peak"][0] >= h["memory_live"][0]);
}

TEST_CASE("fit: without shuffling in the data's order, without the last batch where it is to be left out") {
  const data::TensorDataset data = small::ring(22);
  nn::Sequential a = small::net(), b = small::net();
  optim::Adam adam_a(nn::parameters(a)), adam_b(nn::parameters(b));
  a.layers[0].get_if<nn::Linear>()->weight.set_grad(ones({16, 2}));  // what was there before is dropped
  train::fit(a, adam_a, cross_entropy, data, quiet({.batch_size = 4, .shuffle = false, .drop_last = true}));
  const data::DataLoader loader(data, {.batch_size = 4, .drop_last = true});
  for (const data::Batch& batch : loader.epoch()) step(b, adam_b, batch);
  CHECK(train::params_hash(a) == train::params_hash(b));
}

TEST_CASE("fit: a transform sees the training examples, by their numbers in the whole data and the epoch") {
  class Probe final : public data::Transform {
   public:
    Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                      std::uint64_t epoch) const override {
      Tensor y = zeros(x.shape());
      float* to = y.mutable_data<float>();
      for (std::size_t i = 0; i < indices.size(); ++i)
        to[i] = static_cast<float>(100 * epoch) + static_cast<float>(indices[i]);
      return y;
    }
  };
  const data::TensorDataset data(full({6, 1}, -1.0), zeros({6, 1}));
  Generator g(1);
  nn::Linear model({.in = 1, .out = 1, .generator = &g});
  optim::Sgd sgd(nn::parameters(model), {.lr = 0});
  std::vector<double> sums;
  const auto loss = [&](const Tensor& p, const Tensor& t) { return mse_loss(p, t); };
  const auto sum_inputs = [&](const Tensor& x) {
    sums.push_back(x.sum().item());
    return model(x);
  };
  train::fit(
      sum_inputs, sgd, loss, data,
      quiet(
          {.epochs = 2, .batch_size = 4, .validation_split = 0.34, .transform = std::make_shared<Probe>()}));
  CHECK(sums == std::vector<double>{0 + 1 + 2, -3, 300 + 0 + 1 + 2, -3});
}

TEST_CASE("fit: the same history and weights on any number of threads") {
  const data::TensorDataset data = small::ring(300);
  std::vector<train::History> histories;
  std::vector<std::string> hashes;
  const int threads = par::num_threads();
  for (const int n : {1, 2, 3}) {
    par::set_num_threads(n);
    Generator g(3);
    nn::Sequential model(nn::Linear({.in = 2, .out = 500, .activation = Activation::relu, .generator = &g}),
                         nn::Dropout({.p = 0.2, .generator = &g}),
                         nn::Linear({.in = 500, .out = 300, .activation = Activation::relu, .generator = &g}),
                         nn::Linear({.in = 300, .out = 2, .generator = &g}));
    optim::Adam adam(nn::parameters(model));
    histories.push_back(train::fit(model, adam, cross_entropy, data,
                                   quiet({.epochs = 3,
                                          .batch_size = 100,
                                          .validation_split = 0.3,
                                          .metrics = {train::Accuracy()},
                                          .clip_norm = 0.5})));
    hashes.push_back(train::params_hash(model));
  }
  par::set_num_threads(threads);
  for (std::size_t i = 1; i < 3; ++i) {
    CHECK(hashes[i] == hashes[0]);
    for (const char* name : {"loss", "accuracy", "val_loss", "val_accuracy"})
      CHECK(histories[i][name] == histories[0][name]);
  }
}

TEST_CASE("fit: modes are as before, also after an exception, and validation runs in evaluation mode") {
  const data::TensorDataset data = small::ring(32);
  nn::Sequential model = small::net();
  optim::Adam adam(nn::parameters(model));
  auto& norm = *model.layers[1].get_if<nn::BatchNorm1d>();
  auto& dropout = *model.layers[2].get_if<nn::Dropout>();
  norm.training = false;
  dropout.training = true;
  std::string modes;
  const auto probe = [&](const Tensor& p, const Tensor& t) {
    modes += norm.training && dropout.training ? 't' : norm.training || dropout.training ? '?' : 'e';
    modes += grad_enabled() ? 'r' : '-';
    return cross_entropy(p, t);
  };
  train::fit(model, adam, probe, data, quiet({.batch_size = 16, .validation_split = 0.5}));
  CHECK(modes == "tre-");
  CHECK_FALSE(norm.training);
  CHECK(dropout.training);
  small::Witness witness;
  witness.throws_at = "step2";
  const auto shared = std::make_shared<small::Witness>(witness);
  const train::FitOptions options = quiet({.batch_size = 8, .callbacks = {shared}, .accumulate = 4});
  CHECK_THROWS_WITH(train::fit(model, adam, cross_entropy, data, options), "as told");
  CHECK(shared->said == "begin epoch0 step1 step2 error");
  CHECK_FALSE(norm.training);
  CHECK(dropout.training);
  for (const Tensor& p : nn::parameters(model)) CHECK_FALSE(p.grad().defined());
  CHECK_NOTHROW(train::fit(model, adam, cross_entropy, data, quiet({.batch_size = 8})));
}

TEST_CASE(
    "fit: callbacks are told everything in order; a stop at an epoch's end keeps it, one inside drops it") {
  const data::TensorDataset data = small::ring(20);
  nn::Sequential model = small::net();
  optim::Adam adam(nn::parameters(model));
  const auto run = [&](const char* stops_at) {
    const auto witness = std::make_shared<small::Witness>();
    witness->stops_at = stops_at;
    const train::History h = train::fit(model, adam, cross_entropy, data,
                                        quiet({.epochs = 2, .batch_size = 10, .callbacks = {witness}}));
    return witness->said + "|" + std::to_string(h.epochs()) + h.stopped;
  };
  CHECK(run("") == "begin epoch0 step1 step2 done0 epoch1 step1 step2 done1 end|2");
  CHECK(run("done0") == "begin epoch0 step1 step2 done0 end|1as told");
  CHECK(run("step1") == "begin epoch0 step1 end|0as told");
  int asked = 0;
  const train::History h =
      train::fit(model, adam, cross_entropy, data,
                 quiet({.epochs = 5, .batch_size = 10, .stop = [&] { return ++asked > 4; }}));
  CHECK(h.epochs() == 1);
  CHECK(h.stopped == "stopped on request");
}

TEST_CASE("fit: accumulated batches step with the mean over all their examples, the last group too") {
  const data::TensorDataset data = small::ring(22);
  Generator g(1);
  nn::Linear a({.in = 2, .out = 2, .generator = &g});
  nn::Linear b = nn::clone(a);
  optim::Sgd sgd_a(nn::parameters(a), {.lr = 0.5}), sgd_b(nn::parameters(b), {.lr = 0.5});
  // groups of 4 + 4 + 4, and 4 + 4 + 2; then 12 and 10 at once
  train::fit(a, sgd_a, cross_entropy, data, quiet({.batch_size = 4, .shuffle = false, .accumulate = 3}));
  train::fit(b, sgd_b, cross_entropy, data, quiet({.batch_size = 12, .shuffle = false}));
  const auto wa = a.weight.span<float>(), wb = b.weight.span<float>();
  for (std::size_t i = 0; i < wa.size(); ++i) CHECK(wa[i] == doctest::Approx(wb[i]).epsilon(1e-6));
  // 4 + 4 + 4 and 4 + 4, the rest left out; 12 and 8 at once
  train::fit(a, sgd_a, cross_entropy, data,
             quiet({.batch_size = 4, .shuffle = false, .drop_last = true, .accumulate = 3}));
  train::fit(b, sgd_b, cross_entropy, data::Subset(data, 0, 20), quiet({.batch_size = 12, .shuffle = false}));
  for (std::size_t i = 0; i < wa.size(); ++i) CHECK(wa[i] == doctest::Approx(wb[i]).epsilon(1e-6));
  std::int64_t updates = -1;
  class Count final : public train::Callback {
   public:
    explicit Count(std::int64_t& n) : n_(n) {}
    std::string name() const override { return "Count"; }
    void on_epoch_end(train::Training& t) override { n_ = t.updates; }

   private:
    std::int64_t& n_;
  };
  train::fit(a, sgd_a, cross_entropy, data,
             quiet({.batch_size = 4, .drop_last = true, .callbacks = {Count(updates)}, .accumulate = 3}));
  CHECK(updates == 2);
}

TEST_CASE("fit: class weights multiply each example's loss, divided by the examples") {
  const data::TensorDataset data = small::ring(30);
  Generator g(1);
  nn::Linear a({.in = 2, .out = 2, .generator = &g});
  nn::Linear b = nn::clone(a), c = nn::clone(a);
  optim::Sgd sgd_a(nn::parameters(a)), sgd_b(nn::parameters(b)), sgd_c(nn::parameters(c));
  const train::History h = train::fit(a, sgd_a, cross_entropy, data,
                                      quiet({.batch_size = 30, .shuffle = false, .class_weights = {0.5, 3}}));
  const Tensor w = Tensor(from({0.5f, 3.f}, {2}));
  const auto by_hand = [&](const Tensor& p, const Tensor& t) {
    const Tensor each = cross_entropy(p, t, CrossEntropyOptions{.reduction = Reduction::none});
    return (each * index_select(w, 0, t)).sum() / 30;
  };
  const train::History hand =
      train::fit(b, sgd_b, by_hand, data, quiet({.batch_size = 30, .shuffle = false}));
  CHECK(h["loss"][0] == doctest::Approx(hand["loss"][0]).epsilon(1e-6));
  for (int i = 0; i < 4; ++i)
    CHECK(a.weight.data<float>()[i] == doctest::Approx(b.weight.data<float>()[i]).epsilon(1e-6));
  // one-hot targets mean the same
  std::vector<std::int64_t> every;
  for (std::int64_t i = 0; i < 30; ++i) every.push_back(i);
  const data::Batch batch = data.batch(every);
  train::fit(c, sgd_c, cross_entropy, data::TensorDataset(batch.x, one_hot(batch.y, 2)),
             quiet({.batch_size = 30, .shuffle = false, .class_weights = {0.5, 3}}));
  for (int i = 0; i < 4; ++i)
    CHECK(c.weight.data<float>()[i] == doctest::Approx(a.weight.data<float>()[i]).epsilon(1e-6));
}

TEST_CASE("fit: gradients are clipped before the step") {
  Generator g(1);
  const data::TensorDataset data(full({4, 1}, 3.0), full({4, 1}, 100.0));
  const auto moved = [&](train::FitOptions options) {
    nn::Linear model({.in = 1, .out = 1, .bias = false, .generator = &g});
    const double before = model.weight.item();
    optim::Sgd sgd(nn::parameters(model), {.lr = 1});
    options.batch_size = 4;
    train::fit(model, sgd, mse_loss, data, quiet(std::move(options)));
    return model.weight.item() - before;
  };
  CHECK(moved({}) > 100);
  CHECK(moved({.clip_norm = 0.25}) == doctest::Approx(0.25).epsilon(1e-5));
  CHECK(moved({.clip_value = 0.125}) == doctest::Approx(0.125).epsilon(1e-5));
}

TEST_CASE("fit: a penalty is part of the loss, in training and in validation") {
  const data::TensorDataset data = small::ring(16);
  Generator g(1);
  nn::Linear model({.in = 2, .out = 2, .generator = &g});
  const train::Loss plain(cross_entropy);
  const train::Loss both = plain.with_penalty([&] { return 0.5 * (model.weight * model.weight).sum(); });
  const double squares = (model.weight * model.weight).sum().item() / 2;
  CHECK(train::evaluate(model, both, data).at("loss") ==
        doctest::Approx(train::evaluate(model, plain, data).at("loss") + squares).epsilon(1e-6));
  optim::Sgd sgd(nn::parameters(model), {.lr = 0.1});
  train::fit(model, sgd, both, data, quiet({.epochs = 200, .batch_size = 16}));
  CHECK((model.weight * model.weight).sum().item() < 0.1 * squares);
}

TEST_CASE("fit: initial_epoch goes on with the order of later epochs") {
  const data::TensorDataset data = small::ring(24);
  nn::Sequential a = small::net(), b = small::net();
  optim::Adam adam_a(nn::parameters(a)), adam_b(nn::parameters(b));
  train::fit(a, adam_a, cross_entropy, data, quiet({.epochs = 4, .batch_size = 8}));
  train::fit(b, adam_b, cross_entropy, data, quiet({.epochs = 2, .batch_size = 8}));
  const train::History h =
      train::fit(b, adam_b, cross_entropy, data, quiet({.epochs = 4, .batch_size = 8, .initial_epoch = 2}));
  CHECK(h.epochs() == 2);
  CHECK(h.number(0) == 2);
  CHECK(train::params_hash(a) == train::params_hash(b));
  CHECK(train::fit(b, adam_b, cross_entropy, data, quiet({.epochs = 0})).epochs() == 0);
}

TEST_CASE("fit: a mistake is named before anything has changed") {
  const data::TensorDataset data = small::ring(16);
  const data::TensorDataset none(zeros({0, 2}), zeros({0}, DType::i64));
  nn::Sequential model = small::net();
  optim::Adam adam(nn::parameters(model));
  const std::string before = train::params_hash(model);
  const auto wrong = [&](train::FitOptions options, const data::DatasetRef& with,
                         const train::Loss& loss = cross_entropy) {
    return complaint<ValueError>([&] { train::fit(model, adam, loss, with, quiet(std::move(options))); });
  };
  CHECK(says(wrong({}, none), {"fit: ", "data is no examples", "test_fit.cpp"}));
  CHECK(says(wrong({.epochs = -1}, data), {"epochs is -1", "0 or more"}));
  CHECK(says(wrong({.batch_size = 0}, data), {"batch_size is 0", "1 or more"}));
  CHECK(says(wrong({.accumulate = 0}, data), {"accumulate is 0"}));
  CHECK(says(wrong({.initial_epoch = -2}, data), {"initial_epoch is -2"}));
  CHECK(says(wrong({.validation_batch_size = -1}, data), {"validation_batch_size is -1"}));
  CHECK(says(wrong({.validation_split = 1}, data), {"validation_split is 1", "below 1"}));
  CHECK(says(wrong({.validation_split = std::nan("")}, data), {"validation_split is nan"}));
  CHECK(
      says(wrong({.validation_split = 0.99}, data), {"0.99 of 16 examples", "a side of the split is empty"}));
  CHECK(says(wrong({.validation_split = 0.5, .validation = data}, data), {"given twice"}));
  CHECK(says(wrong({.validation = none}, data), {"validation is no examples"}));
  CHECK(says(wrong({.batch_size = 17, .drop_last = true}, data), {"batch_size is 17", "at most 16"}));
  CHECK(says(wrong({.clip_norm = -1}, data), {"clip_norm is -1"}));
  CHECK(says(wrong({.clip_value = std::nan("")}, data), {"clip_value is nan"}));
  CHECK(says(wrong({.class_weights = {1, -1}}, data), {"class_weights is -1"}));
  CHECK(says(wrong({.class_weights = {1, 1}}, data,
                   [](const Tensor& p, const Tensor& t) { return cross_entropy(p, t); }),
             {"class_weights need", "loss is a function of prediction and target alone", "takes a Reduction"}));
  CHECK(says(wrong({.metrics = {train::Accuracy(), train::Accuracy()}}, data), {"'accuracy' twice"}));
  CHECK(says(wrong({.callbacks = {train::EarlyStopping()}}, data),
             {"EarlyStopping: ", "monitor is 'val_loss'", "no validation data", "loss, lr"}));
  CHECK(says(
      wrong({.validation_split = 0.5, .callbacks = {train::ReduceLROnPlateau({.monitor = "val_los"})}}, data),
      {"ReduceLROnPlateau: ", "'val_los'", "one of loss, val_loss, lr"}));
  CHECK(train::params_hash(model) == before);
  const std::string weights = complaint<IndexError>(
      [&] { train::fit(model, adam, cross_entropy, data, quiet({.class_weights = {1}})); });
  CHECK(says(weights, {"class_weights is a list of 1, wanted 2 or more", "class 1 is among the targets"}));
  const data::TensorDataset negative(zeros({4, 2}), from(std::vector<std::int64_t>{0, -1, 0, 0}, {4}));
  CHECK(says(complaint<IndexError>([&] {
               train::fit(model, adam, cross_entropy, negative, quiet({.class_weights = {1, 1}}));
             }),
             {"is -1"}));
  CHECK(says(complaint<ShapeError>([&] {
               train::fit(
                   model, adam, [](const Tensor& p, const Tensor&) { return p; }, data, quiet({}));
             }),
             {"loss: ", "one number", "test_fit.cpp"}));
}

TEST_CASE("fit: class weights beside examples that the loss ignores") {
  Generator g(1);
  const Tensor x = randn({6, 2}, g), y = from(std::vector<std::int64_t>{0, 1, -100, 0, -100, 1}, {6});
  const data::TensorDataset data(x, y);
  nn::Linear a({.in = 2, .out = 2, .generator = &g});
  nn::Linear b = nn::clone(a);
  optim::Sgd sgd_a(nn::parameters(a)), sgd_b(nn::parameters(b));
  const train::History plain = train::fit(a, sgd_a, cross_entropy, data, quiet({.batch_size = 6}));
  const train::History ones = train::fit(b, sgd_b, cross_entropy, data, quiet({.batch_size = 6, .class_weights = {1, 1}}));
  CHECK(ones["loss"][0] == doctest::Approx(plain["loss"][0]).epsilon(1e-6));
  for (int i = 0; i < 4; ++i)
    CHECK(b.weight.data<float>()[i] == doctest::Approx(a.weight.data<float>()[i]).epsilon(1e-6));
}

TEST_CASE("fit: an optimizer of other parameters than the model's is refused") {
  Generator g(1);
  nn::Linear model({.in = 2, .out = 2, .generator = &g});
  nn::Linear copy = nn::clone(model);
  optim::Sgd sgd(nn::parameters(copy));
  const data::TensorDataset data(ones({4, 2}), zeros({4}, DType::i64));
  CHECK(says(complaint<ValueError>([&] { train::fit(model, sgd, cross_entropy, data, quiet({})); }),
             {"fit: nothing would be trained", "optimizer is given parameters of which the model has none"}));
  train::ModelCheckpoint nowhere("/no-such-directory/{epoch}.safetensors");
  optim::Sgd own(nn::parameters(model));
  const std::string before = train::params_hash(model);
  CHECK(says(complaint<IoError>([&] {
               train::fit(model, own, cross_entropy, data, quiet({.callbacks = {nowhere}}));
             }),
             {"ModelCheckpoint: no such directory"}));
  CHECK(train::params_hash(model) == before);
}
