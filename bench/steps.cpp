// Rows of training steps: the MLP, the optimizer alone. Depends on nn, optim, ops.hpp.
// Invariant: a step is what a training loop does: forward, loss, zero_grad, backward, update; the data stay the same.
#include <thalweg/thalweg.hpp>

#include "nets.hpp"
#include "ops.hpp"

namespace bench {

using thalweg::Tensor;
namespace nn = thalweg::nn;
namespace optim = thalweg::optim;

namespace {

constexpr const char* group = "steps";
constexpr double mlp_parameters = 535818, mlp_weights = 784 * 512 + 512 * 256 + 256 * 10;

struct Mlp {
  nn::Sequential net;
  optim::Adam adam;
  Tensor x, labels;

  explicit Mlp(std::int64_t batch)
      : net(nn::Linear({.in = 784, .out = 512, .activation = thalweg::Activation::relu}), nn::Dropout(0.2),
            nn::Linear({.in = 512, .out = 256, .activation = thalweg::Activation::relu}), nn::Dropout(0.2),
            nn::Linear({.in = 256, .out = 10})),
        adam(nn::parameters(net)),
        x(uniform({batch, 784}, 0, 1)),
        labels(indices({batch}, 10)) {}
  void step() {
    const Tensor loss = thalweg::cross_entropy(net(x), labels);
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
};

/// Adam reads four arrays and writes three; the passes before it read the weights twice and write their gradients.
Work mlp_work(double batch) {
  return {.flops = 2 * batch * (3 * mlp_weights - 784 * 512), .read = 4 * (4 * mlp_parameters + 2 * mlp_weights),
          .written = 4 * 4 * mlp_parameters, .in_turn = true};
}

Ready mlp_step(std::int64_t batch) {
  const auto mlp = std::make_shared<Mlp>(batch);
  return {.ours = [mlp](std::int64_t times) { for (std::int64_t i = 0; i < times; ++i) mlp->step(); },
          .peer = {.name = "mlp step", .in = {array_of(mlp->x), array_of(mlp->labels)}},
          .work = mlp_work(static_cast<double>(batch))};
}

/// Adam over tensors of the sizes of the VGG's parameters.
Ready adam_step() {
  std::vector<Tensor> parameters;
  Ready ready{.peer = {.name = "adam step"}};
  double n = 0;
  for (const std::vector<std::int64_t>& shape : vgg_parameter_shapes()) {
    thalweg::Dims dims;
    for (const std::int64_t s : shape) dims.push_back(s);
    Tensor p = uniform(dims, -0.1, 0.1);
    ready.peer.in.push_back(array_of(p));
    p.set_requires_grad();
    p.set_grad(uniform(dims, -0.01, 0.01));
    n += static_cast<double>(p.numel());
    parameters.push_back(p);
  }
  ready.work = {.read = 16 * n, .written = 12 * n};
  ready.ours = [adam = std::make_shared<optim::Adam>(parameters)](std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) adam->step();
  };
  return ready;
}

}  // namespace

std::vector<std::vector<std::int64_t>> vgg_parameter_shapes() {
  std::vector<std::vector<std::int64_t>> all;
  for (const VggLayer& l : vgg_layers) {
    all.push_back({l.out, l.in, 3, 3});
    for (int i = 0; i < 3; ++i) all.push_back({l.out});  // the convolution's bias, scale and shift
  }
  all.push_back({10, 512});
  all.push_back({10});
  return all;
}

void add_step_cases(std::vector<Case>& to) {
  to.push_back({.group = group, .name = "mlp train step, batch 128", .make = [] { return mlp_step(128); }, .goal = 2.6e-3});
  to.push_back({.group = group, .name = "mlp train step, batch 1", .make = [] { return mlp_step(1); }, .goal = 0.45e-3});
  add_vgg_cases(to);
  to.push_back({.group = group, .name = "adam over 9.2 M parameters", .make = &adam_step, .goal = 8e-3});
  to.push_back(scaling_case("mlp train step, batch 128: 1 to 2 threads", [] { return mlp_step(128); }, 0));
}

}  // namespace bench
