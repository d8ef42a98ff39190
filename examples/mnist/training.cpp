// Depends on training.hpp, optim.
#include "training.hpp"

#include <thalweg/optim/adam.hpp>
#include <thalweg/thalweg.hpp>

namespace mnist {

using namespace thalweg;

namespace {

/// Sums over batches of different sizes, so that every image counts the same.
class Meter {
 public:
  void add(const Tensor& logits, const Tensor& labels, double mean_loss) {
    const std::int64_t n = labels.size(0);
    images_ += n;
    loss_ += mean_loss * static_cast<double>(n);
    correct_ += (argmax(logits, 1) == labels).sum().item<std::int64_t>();
  }
  Score score() const {
    const double n = static_cast<double>(images_);
    return {loss_ / n, static_cast<double>(correct_) / n};
  }

 private:
  std::int64_t images_ = 0, correct_ = 0;
  double loss_ = 0;
};

}  // namespace

nn::Sequential make_model(Generator& g) {
  return nn::Sequential(nn::Linear({.in = 784, .out = 512, .activation = Activation::relu, .generator = &g}),
                        nn::Dropout({.p = 0.2, .generator = &g}),
                        nn::Linear({.in = 512, .out = 256, .activation = Activation::relu, .generator = &g}),
                        nn::Dropout({.p = 0.2, .generator = &g}),
                        nn::Linear({.in = 256, .out = 10, .generator = &g}));
}

Score evaluate(nn::Sequential& model, const data::DatasetRef& images) {
  const NoGrad guard;
  nn::eval(model);
  Meter meter;
  const data::DataLoader loader(images, {.batch_size = 500});
  for (const data::Batch& batch : loader.epoch()) {
    const Tensor logits = model(batch.x);
    meter.add(logits, batch.y, cross_entropy(logits, batch.y).item());
  }
  nn::train(model);
  return meter.score();
}

Training train(nn::Sequential& model, const data::DatasetRef& images, const data::DatasetRef& validation,
               const examples::Options& options, std::uint64_t order_seed, Progress& progress,
               const std::function<bool()>& stop, const std::function<void(const EpochResult&)>& report) {
  const data::DataLoader loader(images,
                                {.batch_size = options.batch_size, .shuffle = true, .seed = order_seed});
  optim::Adam adam(nn::parameters(model), {.lr = options.lr});
  const Stopwatch total;
  Training done;
  for (std::int64_t epoch = 0; epoch < options.epochs && !stop(); ++epoch) {
    const Stopwatch watch;
    Meter meter;
    std::int64_t step = 0;
    progress.begin(epoch + 1, loader.batches());
    for (const data::Batch& batch : loader.epoch(epoch)) {
      const Tensor logits = model(batch.x);
      const Tensor loss = cross_entropy(logits, batch.y);
      loss.backward();
      adam.step();
      adam.zero_grad();
      meter.add(logits, batch.y, loss.item());
      progress.update(++step, meter.score());
      if (stop()) break;
    }
    if (step < loader.batches()) break;
    const EpochResult result{epoch + 1, meter.score(), evaluate(model, validation), watch.seconds()};
    progress.end(result);
    report(result);
    ++done.epochs;
  }
  progress.clear();
  done.seconds = total.seconds();
  return done;
}

}  // namespace mnist
