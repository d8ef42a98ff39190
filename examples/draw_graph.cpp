// draw_graph NAME: records one small computation and writes its graph to stdout as Graphviz text.
//   draw_graph mnist | dot -Tsvg -o mnist.svg
// A map from names to recordings, and graph::to_dot; to draw a graph of your own, do as chain() does.
#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include <thalweg/thalweg.hpp>

#include <thalweg/autograd/graph/dot.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/ops/function.hpp>

using thalweg::Tensor;
namespace graph = thalweg::graph;
namespace nn = thalweg::nn;

namespace {

/// The expression of the first example: one neuron.
std::string chain() {
  const auto number = [](double v, thalweg::Loc loc = thalweg::Loc::here()) {
    return thalweg::scalar(v, thalweg::DType::f64).set_requires_grad(true, loc);
  };
  const Tensor x1 = number(2.0), w1 = number(-3.0);
  const Tensor x2 = number(0.5), w2 = number(1.0);
  const Tensor b = number(6.5);
  const Tensor n = x1 * w1 + x2 * w2 + b;
  const Tensor y = tanh(n);
  const graph::View view(y, {{"x1", x1}, {"w1", w1}, {"x2", x2}, {"w2", w2}, {"b", b}, {"y", y}});
  return graph::to_dot(view, {.title = "tanh(x1 w1 + x2 w2 + b)"});
}

/// One training step of the network of the mnist example, on two made-up images.
std::string mnist() {
  thalweg::Generator random(7);
  const nn::Linear first(
      {.in = 784, .out = 512, .activation = thalweg::Activation::relu, .generator = &random});
  nn::Dropout drop1({.p = 0.2, .generator = &random});
  const nn::Linear second(
      {.in = 512, .out = 256, .activation = thalweg::Activation::relu, .generator = &random});
  nn::Dropout drop2({.p = 0.2, .generator = &random});
  const nn::Linear last({.in = 256, .out = 10, .generator = &random});
  const Tensor images = thalweg::rand({2, 784}, random);
  const Tensor labels = thalweg::from<std::int64_t>({3, 7});

  Tensor h = first(images);
  h = drop1(h);
  h = second(h);
  h = drop2(h);
  const Tensor scores = last(h);
  const Tensor loss = cross_entropy(scores, labels);
  const graph::View view(loss, {{"first.weight", first.weight},
                                {"first.bias", first.bias},
                                {"second.weight", second.weight},
                                {"second.bias", second.bias},
                                {"last.weight", last.weight},
                                {"last.bias", last.bias},
                                {"images", images},
                                {"labels", labels},
                                {"scores", scores},
                                {"loss", loss}});
  return graph::to_dot(view, {.title = "one step of the MNIST network, batch of 2"});
}

/// An op of one's own beside the library's: it is one node, whatever its forward does.
std::string custom() {
  const auto logistic = thalweg::function(
      "logistic_map", [](const Tensor& r, const Tensor& x) { return r * x * (1.0 - x); },
      [](const Tensor& g, const Tensor& r, const Tensor& x) {
        return std::array{g * x * (1.0 - x), g * r * (1.0 - 2.0 * x)};
      });
  const Tensor r = thalweg::full({4}, 3.7, thalweg::DType::f64).set_requires_grad();
  const Tensor start = thalweg::linspace(0.2, 0.8, 4, thalweg::DType::f64).set_requires_grad();
  Tensor x = start;
  for (int step = 0; step < 3; ++step) x = logistic(r, x);
  const Tensor spread = square(x - x.mean()).sum();
  return graph::to_dot(graph::View(spread, {{"r", r}, {"start", start}, {"spread", spread}}),
                       {.title = "three steps of a user's own op"});
}

struct Drawing {
  const char* name;
  const char* what;
  std::string (*draw)();
};
constexpr Drawing drawings[] = {
    {"mnist", "one training step of the MNIST network", &mnist},
    {"chain", "one neuron, as in 00_chain_rule", &chain},
    {"custom", "a graph with an op made by function()", &custom},
};

int usage(std::FILE* to, int status) {
  std::fputs("usage: draw_graph NAME | dot -Tsvg -o FILE.svg\n", to);
  for (const Drawing& d : drawings) std::fprintf(to, "  %-8s %s\n", d.name, d.what);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && (!std::strcmp(argv[1], "--help") || !std::strcmp(argv[1], "-h"))) return usage(stdout, 0);
  if (argc != 2) return usage(stderr, 2);
  for (const Drawing& d : drawings)
    if (!std::strcmp(argv[1], d.name)) {
      const std::string text = d.draw();
      const bool written =
          std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && !std::fflush(stdout);
      if (!written) std::perror("draw_graph");
      return written ? 0 : 1;
    }
  std::fprintf(stderr, "draw_graph: no drawing is called '%s'\n", argv[1]);
  return usage(stderr, 2);
}
