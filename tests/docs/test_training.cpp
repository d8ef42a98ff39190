// The code of docs/training.md, compiled and run. Each block there stands here word for word.
#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <string>

#include <thalweg/data/image_augmenter.hpp>
#include <thalweg/thalweg.hpp>

namespace tw = thalweg;

namespace {

/// 128 points in the plane, labelled by the side of a line they lie on.
tw::data::TensorDataset points(std::uint64_t seed) {
  tw::Generator gen(seed);
  const tw::Tensor x = tw::randn({128, 2}, gen);
  return tw::data::TensorDataset(x, (x.sum({.dims = {1}}) > 0).to(tw::DType::i64));
}

tw::nn::Sequential network() {
  return tw::nn::Sequential(tw::nn::Linear({.in = 2, .out = 16, .activation = tw::Activation::relu}),
                            tw::nn::Linear({.in = 16, .out = 2}));
}

struct Mlp {
  tw::nn::Linear first{{.in = 2, .out = 16, .activation = tw::Activation::relu}};
  tw::nn::Linear last{{.in = 16, .out = 2}};
  tw::Tensor operator()(tw::Arg x) { return last(first(x)); }
  void visit(auto& f) {
    f("first", first);
    f("last", last);
  }
};

class Patience : public tw::train::Callback {
 public:
  std::string name() const override { return "Patience"; }
  void on_epoch_end(tw::train::Training& t) override {
    if (t.logs.at("val_accuracy") > 0.99) t.stop("good enough");
  }
};

}  // namespace

TEST_CASE("training.md: fit") {
  const tw::data::TensorDataset data = points(1), test = points(2);
  tw::nn::Sequential model = network();
  tw::optim::Adam adam(tw::nn::parameters(model), {.lr = 1e-2});
  tw::train::History history = tw::train::fit(
      model, adam, tw::cross_entropy, data,
      {.epochs = 50,
       .batch_size = 32,
       .validation_split = 0.1,
       .metrics = {tw::train::Accuracy()},
       .callbacks = {tw::train::EarlyStopping({.monitor = "val_loss", .patience = 3, .restore_best_weights = true}),
                     tw::train::ReduceLROnPlateau({.factor = 0.1, .patience = 2}), Patience()},
       .progress = false});
  tw::train::Logs result =
      tw::train::evaluate(model, tw::cross_entropy, test, {.metrics = {tw::train::Accuracy()}});
  CHECK((history.epochs() == 50 || !history.stopped.empty()));
  CHECK(result.at("accuracy") > 0.9);
}

TEST_CASE("training.md: schedule, clipping, accumulation") {
  const tw::data::TensorDataset data = points(1);
  tw::nn::Sequential model = network();
  tw::optim::Sgd sgd(tw::nn::parameters(model), {.lr = 0.1, .momentum = 0.9, .nesterov = true});
  const tw::optim::CosineAnnealingLR cosine{.lr = 0.1, .t_max = 20};
  tw::train::fit(model, sgd, tw::nn::CrossEntropyLoss{.label_smoothing = 0.1}, data,
                 {.epochs = 20,
                  .callbacks = {tw::train::LearningRateScheduler(cosine)},
                  .accumulate = 2,
                  .clip_norm = 1.0,
                  .progress = false});
  CHECK(sgd.lr() == cosine(19));
}

TEST_CASE("training.md: a model of one's own, class weights, what a callback learned, averages") {
  const tw::data::TensorDataset data = points(1), test = points(2);
  Mlp model;
  tw::optim::AdamW adam(tw::nn::parameters(model), tw::optim::AdamW::pytorch(1e-2));
  const tw::optim::SequentialLR warm_up{
      .schedules = {tw::optim::LinearLR{.lr = 1e-2, .start_factor = 0.1, .total_iters = 8},
                    tw::optim::CosineAnnealingLR{.lr = 1e-2, .t_max = 72}},
      .milestones = {8}};
  auto stop = std::make_shared<tw::train::EarlyStopping>(tw::train::EarlyStoppingOptions{.patience = 5});
  tw::train::fit(model, adam, tw::cross_entropy, data,
                 {.epochs = 20,
                  .validation_split = 0.2,
                  .metrics = {tw::train::Accuracy(), tw::train::F1()},
                  .callbacks = {tw::train::LearningRateScheduler(warm_up, {.per_step = true}), stop},
                  .class_weights = {1, 2},
                  .progress = false});
  tw::Tensor scores = tw::train::predict(model, test);
  CHECK(stop->best() < 1);
  CHECK(scores.shape() == tw::Dims{128, 2});
}

TEST_CASE("training.md: augmentation") {
  tw::Generator gen(3);
  const tw::Tensor images = tw::rand({4, 3, 8, 8}, gen);
  const tw::data::TensorDataset data(images, tw::zeros({4}, tw::DType::i64));
  tw::data::ImageAugmenter augment(
      {.rotation = 15, .width_shift = 0.1, .height_shift = 0.1, .zoom = {0.9, 1.2}, .horizontal_flip = true, .seed = 7});
  tw::data::DataLoader loader(data, {.batch_size = 2, .shuffle = true, .seed = 7, .transform = augment});
  const tw::data::Batch batch = *loader.epoch(0).begin();
  CHECK(batch.x.shape() == tw::Dims{2, 3, 8, 8});
}

TEST_CASE("training.md: a loop of one's own") {
  const tw::data::TensorDataset data = points(1);
  tw::nn::Sequential model = network();
  tw::optim::Adam adam(tw::nn::parameters(model), {.lr = 1e-2});
  double last = 0;
  tw::data::DataLoader loader(data, {.batch_size = 32, .shuffle = true, .seed = 1});
  for (int epoch = 0; epoch < 20; ++epoch)
    for (const tw::data::Batch& batch : loader.epoch(epoch)) {
      tw::Tensor loss = tw::cross_entropy(model(batch.x), batch.y);
      loss.backward();
      tw::optim::clip_grad_norm(adam.parameters(), 1.0);
      adam.step();
      adam.zero_grad();
      last = loss.item();
    }
  CHECK(last < 0.3);
}
