// cifar10: the seed article's second program: a VGG network on augmented CIFAR-10 images.
// Depends on common. The steps of the run are in ../common/run.cpp, the networks in models.cpp.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <thalweg/data/cifar.hpp>
#include <thalweg/data/image_augmenter.hpp>

#include "../common/run.hpp"
#include "models.hpp"

namespace {

using namespace thalweg;

const examples::Program program{
    .name = "cifar10",
    .data = "CIFAR-10",
    .about = "Trains a VGG network of 9.2 M parameters (or a perceptron) on augmented CIFAR-10 images with Adam,\n"
             "validated on the test images; stops early and lowers the rate on a plateau of val_loss.\n",
    .models = {"vgg", "mlp"},
    .data_dir = "the six files of the binary version (else $THALWEG_DATA/cifar10)",
    .augments = true,
    .checkpoints = true};

std::string directory(const examples::Options& options) {
  if (!options.data_dir.empty()) return options.data_dir;
  const char* data = std::getenv("THALWEG_DATA");
  return ((data && *data ? std::filesystem::path(data) : std::filesystem::path(".")) / "cifar10").string();
}

examples::Task make(const examples::Options& options, Generator& generator) {
  const std::string dir = directory(options);
  const data::CifarData train = data::load_cifar10(dir, data::Split::train);
  const data::CifarData test = data::load_cifar10(dir, data::Split::test);
  const Dims shape{3, 32, 32};
  examples::Task task{.model = cifar10::make_model(options.model, generator),
                      .train = examples::image_set(train.images, train.labels, shape, options.limit),
                      .test = examples::image_set(test.images, test.labels, shape),
                      .drop_last = true,
                      .input = {1, 3, 32, 32},
                      .picture = shape,
                      .classes = {data::cifar10_classes.begin(), data::cifar10_classes.end()},
                      .source = dir};
  if (options.augment)
    task.transform = std::make_shared<const data::ImageAugmenter>(
        data::AugmenterOptions{.rotation = 15,
                                    .width_shift = 0.1,
                                    .height_shift = 0.1,
                                    .shear = 0.1,
                                    .zoom = {0.9, 1.2},
                                    .horizontal_flip = true,
                                    .seed = nn::derive_seed(&generator)});
  return task;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_program(program, argc, argv, make); }
