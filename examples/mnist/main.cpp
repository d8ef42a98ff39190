// mnist: trains the classic two-hidden-layer network, or a small convolutional one, on handwritten digits and
// says how well it does on the test set. Depends on common: the steps of the run are in ../common/run.cpp.
#include "../common/run.hpp"
#include "files.hpp"
#include "models.hpp"

namespace {

using namespace thalweg;

const examples::Program program{
    .name = "mnist",
    .data = "MNIST",
    .about = "Trains a network on MNIST with Adam: mlp is 784-512-256-10 units (ReLU, dropout 0.2), cnn a LeNet. The last\n"
             "tenth of the training images is held out for validation; the training stops early and lowers the rate on\n"
             "a plateau of val_loss.\n",
    .models = {"mlp", "cnn"},
    .data_dir = "the four IDX files, plain or .gz (else $THALWEG_DATA or $THALWEG_DATA/mnist)"};

examples::Task make(const examples::Options& options, Generator& generator) {
  const mnist::Images images = mnist::load_images(options.data_dir);
  const Dims shape = mnist::image_shape(options.model);
  examples::Task task{.model = mnist::make_model(options.model, generator),
                      .train = examples::image_set(images.train.images, images.train.labels, shape, options.limit),
                      .test = examples::image_set(images.test.images, images.test.labels, shape),
                      .validation_split = 0.1,
                      .input = {1},
                      .picture = {1, 28, 28},
                      .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
                      .source = images.directory};
  for (const std::int64_t d : shape) task.input.push_back(d);
  return task;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_program(program, argc, argv, make); }
