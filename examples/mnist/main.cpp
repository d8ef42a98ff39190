// mnist: trains the classic two-hidden-layer network on handwritten digits and says how well it does on the
// test set. Reads like the list of its steps; each step is a file of its own beside this one.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>

#include <unistd.h>

#include <fmt/format.h>

#include <thalweg/io/safetensors.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/thalweg.hpp>

#include "files.hpp"
#include "../common/options.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "training.hpp"

namespace {

using namespace thalweg;

const examples::Program program{
    .name = "mnist",
    .about = "Trains a network of 784-512-256-10 units (ReLU, dropout 0.2) on MNIST with Adam; the last tenth of the\n"
             "training images is held out for validation. ",
    .models = {"mlp"},
    .data_dir = "the four IDX files, plain or .gz (else $THALWEG_DATA or $THALWEG_DATA/mnist)"};

volatile std::sig_atomic_t interrupted = 0;

/// The first Ctrl-C asks the training to end after its step; a second one ends the program as usual.
void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
}

data::TensorDataset dataset(const data::MnistData& d, std::int64_t limit, Loc loc = Loc::here()) {
  const std::int64_t n = limit > 0 ? std::min(limit, d.labels.size(0)) : d.labels.size(0);
  const Tensor pixels = slice(d.images, 0, 0, n).reshape({n, 784});
  return data::TensorDataset(pixels, slice(d.labels, 0, 0, n).to(DType::i64), {.unit = true}, loc);
}

/// A place that cannot be written to is better known before the training than after it.
void check_writable(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  if (!path.empty() && access(directory.empty() ? "." : directory.c_str(), W_OK) != 0)
    throw_error<IoError>({.op = "--save", .arg = path, .what = std::strerror(errno)});
}

int run(const examples::Options& options) {
  check_writable(options.save);
  if (options.threads > 0) par::set_num_threads(options.threads);
  mnist::JsonFile json(options.json);
  const mnist::Images images = mnist::load_images(options.data_dir);
  const auto [train, validation] = data::split_last(dataset(images.train, options.limit), 0.1);

  Generator generator(options.seed);
  nn::Sequential model = mnist::make_model(generator);
  if (!options.load.empty()) nn::load_state_dict(model, io::load(options.load));
  if (!options.quiet) {
    std::cout << nn::summary(model, {1, 784});
    fmt::print("{} images to train on, {} to validate, {} to test, from {}\n", train.size(),
               validation.size(), images.test.labels.size(0), images.directory);
    std::fflush(stdout);
  }

  catch_interrupt();
  mnist::Progress progress(options.quiet, options.epochs);
  const mnist::Training training = mnist::train(
      model, train, validation, options, nn::derive_seed(&generator), progress,
      [] { return interrupted != 0; },
      [&](const mnist::EpochResult& epoch) { json.line(mnist::to_json(epoch)); });
  if (interrupted) fmt::print(stderr, "mnist: interrupted; testing what was learned so far\n");

  const mnist::Score test = mnist::evaluate(model, dataset(images.test, 0));
  const std::string hash = mnist::hash_of(nn::parameters(model));
  json.line(mnist::to_json(mnist::Result{test, training.epochs, training.seconds, hash}));
  fmt::print("test loss {:.4f}  test accuracy {:.4f}  ({} epochs in {:.1f} s, parameters {})\n", test.loss,
             test.accuracy, training.epochs, training.seconds, hash);
  if (!options.save.empty()) io::save(options.save, nn::state_dict(model));
  return interrupted ? 130 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const examples::Options options = examples::parse_options(program, argc, argv);
    if (options.help) {
      std::cout << examples::help_text(program);
      return 0;
    }
    return run(options);
  } catch (const examples::UsageError& e) {
    fmt::print(stderr, "mnist: {}\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "mnist: {}\n", e.what());
    return 1;
  }
}
