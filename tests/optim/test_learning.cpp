// End to end: a small network learns, on any number of threads to the same bits, and survives being saved.
// Depends on nn, optim, io and doctest.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

#include <thalweg/io/safetensors.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

nn::Sequential make_net(Generator& g) {
  return nn::Sequential(nn::Linear({.in = 2, .out = 64, .activation = Activation::relu, .generator = &g}),
                        nn::Dropout({.p = 0.1, .generator = &g}),
                        nn::Linear({.in = 64, .out = 2, .generator = &g}));
}

struct Points {
  Tensor x, label;
};

/// Two classes: inside and outside a ring, which no line separates.
Points ring(std::int64_t n, Generator& g) {
  const Tensor x = 2 * rand({n, 2}, g) - 1;
  return {x, ((x * x).sum({.dims = {1}}) < 0.5).to(DType::i64)};
}

double accuracy(nn::Sequential& net, const Points& p) {
  const NoGrad guard;
  nn::eval(net);
  const Tensor hits = (argmax(net(p.x), 1) == p.label).to(DType::f64);
  nn::train(net);
  return hits.mean().item();
}

nn::Sequential trained(int steps) {
  Generator g(11);
  nn::Sequential net = make_net(g);
  const Points p = ring(512, g);
  optim::Adam adam(nn::parameters(net), {.lr = 1e-2});
  for (int i = 0; i < steps; ++i) {
    cross_entropy(net(p.x), p.label).backward();
    adam.step();
    adam.zero_grad();
  }
  return net;
}

bool same_bits(const nn::NamedTensors& a, const nn::NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = std::as_bytes(a[i].second.span<float>()), y = std::as_bytes(b[i].second.span<float>());
    if (a[i].first != b[i].first || x.size() != y.size() || std::memcmp(x.data(), y.data(), x.size()) != 0)
      return false;
  }
  return true;
}

}  // namespace

TEST_CASE("optim: a small network learns what no line separates") {
  Generator other(12);
  const Points test = ring(2000, other);
  nn::Sequential net = trained(200);
  CHECK(accuracy(net, test) > 0.95);
  Generator fresh(11);
  nn::Sequential untrained = make_net(fresh);
  CHECK(accuracy(untrained, test) < 0.8);
}

TEST_CASE("optim: the trained bits do not depend on the number of threads, nor on the run") {
  const int before = par::num_threads();
  par::set_num_threads(1);
  const nn::NamedTensors one = nn::state_dict(trained(20));
  for (int n : {1, 2, 3}) {
    par::set_num_threads(n);
    CHECK(same_bits(one, nn::state_dict(trained(20))));
  }
  par::set_num_threads(before);
  CHECK_FALSE(same_bits(one, nn::state_dict(trained(21))));
}

TEST_CASE("optim: gradient accumulation over two halves equals the whole") {
  Generator g(3);
  nn::Linear layer({.in = 4, .out = 1, .generator = &g, .dtype = DType::f64});
  const Tensor x = randn({8, 4}, g, DType::f64), y = randn({8, 1}, g, DType::f64);
  mse_loss(layer(x), y).backward();
  const Tensor whole = layer.weight.grad();
  nn::zero_grad(layer);
  for (int half : {0, 1})
    (0.5 * mse_loss(layer(slice(x, 0, 4 * half, 4 * half + 4)), slice(y, 0, 4 * half, 4 * half + 4)))
        .backward();
  for (int i = 0; i < 4; ++i)
    CHECK(layer.weight.grad().data<double>()[i] == doctest::Approx(whole.data<double>()[i]).epsilon(1e-12));
}

TEST_CASE("optim: a trained model outlives its process") {
  const auto path =
      std::filesystem::temp_directory_path() / ("thalweg-model-" + std::to_string(getpid()) + ".safetensors");
  nn::Sequential net = trained(5);
  io::save(path.string(), nn::state_dict(net));
  Generator g(99);
  nn::Sequential loaded = make_net(g);
  CHECK_FALSE(same_bits(nn::state_dict(net), nn::state_dict(loaded)));
  nn::load_state_dict(loaded, io::load(path.string()));
  CHECK(same_bits(nn::state_dict(net), nn::state_dict(loaded)));
  std::filesystem::remove(path);
}
