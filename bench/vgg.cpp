// Rows of the VGG: train step, inference, each layer's convolution in three directions, peak memory. Depends on nn.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <thalweg/ops/structured/conv.hpp>
#include <thalweg/thalweg.hpp>

#include "measure.hpp"
#include "nets.hpp"
#include "ops.hpp"

namespace bench {

using thalweg::Tensor;
namespace ops = thalweg::ops;

namespace {

namespace nn = thalweg::nn;
namespace optim = thalweg::optim;

constexpr double float_bytes = 4;
constexpr double vgg_parameters = 9231114;

/// The network as its users write it.
nn::Sequential vgg() {
  nn::Sequential net;
  for (const VggLayer& l : vgg_layers) {
    net.layers.emplace_back(nn::Conv2d(
        {.in = l.in, .out = l.out, .kernel = 3, .padding = nn::Padding::same, .activation = thalweg::Activation::relu}));
    net.layers.emplace_back(nn::BatchNorm2d({.features = l.out}));
    if (l.pool) net.layers.emplace_back(nn::MaxPool2d{});
  }
  net.layers.emplace_back(nn::GlobalAveragePooling2d{});
  net.layers.emplace_back(nn::Linear({.in = vgg_layers.back().out, .out = 10}));
  return net;
}

struct Training {
  nn::Sequential net = vgg();
  optim::Adam adam{nn::parameters(net)};
  Tensor x = uniform({vgg_batch, 3, 32, 32}, 0, 1), labels = indices({vgg_batch}, 10);
  void step() {
    const Tensor loss = thalweg::cross_entropy(net(x), labels);
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
  void infer() {
    const thalweg::NoGrad off;
    net(x);
  }
};

/// Bytes of all layers' outputs.
double activation_bytes() {
  double n = 0;
  for (const VggLayer& l : vgg_layers) n += float_bytes * static_cast<double>(vgg_batch * l.out * l.size * l.size);
  return n;
}

/// Inference: each convolution writes its output, batch norm reads and writes it. Training: that, the statistics' pass, and
/// backward two passes of batch norm and two of the convolution over the gradients; Adam as in its own row. The first layer
/// needs no gradient of its input.
Work vgg_work(bool training) {
  Work w{.read = activation_bytes(), .written = 2 * activation_bytes(), .in_turn = true};
  for (const VggLayer& l : vgg_layers) w.flops += convolution_flops(l) * (!training ? 1 : l.in == 3 ? 2 : 3);
  if (!training) return w;
  w.read += 6 * activation_bytes() + 4 * float_bytes * vgg_parameters;
  w.written += 2 * activation_bytes() + 3 * float_bytes * vgg_parameters;
  return w;
}

Ready vgg_run(bool training) {
  const auto vgg = std::make_shared<Training>();
  if (!training) nn::eval(vgg->net);
  Ready r{.peer = {.name = training ? "vgg step" : "vgg inference"}, .work = vgg_work(training)};
  r.peer.in = {array_of(vgg->x), array_of(vgg->labels)};
  r.ours = [vgg, training](std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) training ? vgg->step() : vgg->infer();
  };
  return r;
}

/// "VmHWM" of this process, in MB.
double resident_peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  return 0;
}

constexpr int steps_for_memory = 3;

/// One direction of a layer's convolution: 0 forward, 1 to the input, 2 to the weights.
Ready convolution(const VggLayer& l, int direction) {
  const Tensor x = uniform({vgg_batch, l.in, l.size, l.size}), w = uniform({l.out, l.in, 3, 3}),
               y = uniform({vgg_batch, l.out, l.size, l.size}), none;
  ops::ConvAttrs attrs{.padding = {1, 1}};
  if (direction == 1) attrs.size = {l.size, l.size};
  if (direction == 2) attrs.size = {3, 3};
  const Tensor first = direction == 0 ? x : y, second = direction == 2 ? x : w, result = direction == 0 ? y : direction == 1 ? x : w;
  Ready r;
  const auto bytes = [](const Tensor& t) { return float_bytes * static_cast<double>(t.numel()); };
  r.work = {.flops = convolution_flops(l), .read = bytes(first) + bytes(second), .written = bytes(result)};
  constexpr const char* twins[] = {"convolution", "convolution to input", "convolution to weights"};
  r.peer = {.name = twins[direction], .in = {array_of(first), array_of(second)}, .numbers = {l.in, l.out, l.size}};
  r.ours = [=](std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) {
      if (direction == 0) thalweg::apply<ops::Conv2d>(attrs, first, second, none);
      else if (direction == 1) thalweg::apply<ops::Conv2dInputGradient>(attrs, first, second);
      else thalweg::apply<ops::Conv2dWeightGradient>(attrs, first, second);
    }
  };
  return r;
}

void add_convolutions(std::vector<Case>& to) {
  constexpr const char* names[] = {"forward", "to input", "to weights"};
  for (const VggLayer& l : vgg_layers) {
    if (&l == &vgg_layers.back()) break;  // the same as the one before
    for (int direction = 0; direction < 3; ++direction)
      to.push_back({.group = "convolutions of the VGG, batch 128",
                    .name = "conv " + std::to_string(l.in) + " to " + std::to_string(l.out) + ", " + std::to_string(l.size) + "x" +
                            std::to_string(l.size) + ", " + names[direction],
                    .make = [&l, direction] { return convolution(l, direction); }});
  }
}

}  // namespace

double vgg_peak_of_ours() {
  const double before = resident_peak();
  vgg_run(true).ours(steps_for_memory);
  return resident_peak() - before;
}

double vgg_peak_of(Peer& peer) {
  const Tensor x = uniform({vgg_batch, 3, 32, 32}, 0, 1), labels = indices({vgg_batch}, 10);
  const double before = resident_peak();
  const PeerCall call{.name = "vgg step", .in = {array_of(x), array_of(labels)}};
  peer.make(call)->run(steps_for_memory);
  return resident_peak() - before;
}

namespace {

/// What this program prints when it is started as `bench --peak-memory SIDE`.
double peak_in_a_process(const std::string& side) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::FILE* out = popen(("'" + self + "' --peak-memory " + side).c_str(), "r");
  if (!out) return 0;
  char text[64] = "";
  const bool read = std::fgets(text, sizeof text, out) != nullptr;
  return pclose(out) == 0 && read ? std::strtod(text, nullptr) : 0;
}

}  // namespace

void add_vgg_cases(std::vector<Case>& to) {
  to.push_back({.group = "steps", .name = "vgg train step, batch 128", .make = [] { return vgg_run(true); }, .goal = 0.45});
  to.push_back({.group = "steps", .name = "vgg inference, batch 128", .make = [] { return vgg_run(false); }, .goal = 0.17});
  to.push_back(scaling_case("vgg train step: 1 to 2 threads", [] { return vgg_run(true); }, 1.85));
  Case memory{.group = "steps", .name = "vgg train step, peak memory"};
  memory.custom = [](Row& row, Peer* peer) {
    row.unit = "MB";
    row.median = peak_in_a_process("ours");
    if (peer) row.peer_median = peak_in_a_process("libtorch");
  };
  to.push_back(memory);
  add_convolutions(to);
}

}  // namespace bench
