// libtorch's side of the rows that are more than one op: chains, networks, an optimizer. Depends on torch.
#include "peer_torch.hpp"

namespace bench {
namespace {

using Tensors = std::vector<at::Tensor>;

/// A job that is one function of the arrays.
class FunctionJob : public PeerJob {
 public:
  explicit FunctionJob(std::function<void()> f) : f_(std::move(f)) {}
  void run(std::int64_t times) override {
    for (std::int64_t i = 0; i < times; ++i) f_();
  }
  std::vector<std::vector<double>> results() override { return {}; }

 private:
  std::function<void()> f_;
};

void adds(const Tensors& x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) at::add(x[0], x[1]);
}
void silent_adds(const Tensors& x, std::int64_t n) {
  const torch::NoGradGuard off;
  adds(x, n);
}
void multiply_chain(const Tensors& x, std::int64_t n, bool backward) {
  at::Tensor y = x[0];
  for (std::int64_t i = 0; i < n; ++i) y = y * x[1];
  if (backward) y.backward();
  x[0].mutable_grad().reset();
}
void tanh_chain(const Tensors& x, std::int64_t n) {
  at::Tensor y = x[0];
  for (std::int64_t i = 0; i < n; ++i) y = at::tanh(y * x[1] + x[1]);
  y.sum().backward();
  x[1].mutable_grad().reset();
}

std::function<void()> chain_of(const PeerCall& call) {
  Tensors x;
  for (const Array& a : call.in) x.push_back(tensor_of(a));
  const std::int64_t n = call.numbers.empty() ? 0 : call.numbers[0];
  if (call.name == "adds") return [=] { adds(x, n); };
  if (call.name == "silent adds") return [=] { silent_adds(x, n); };
  if (call.name == "multiply chain") return [=] { multiply_chain(x, n, false); };
  if (call.name == "multiply chain backward") return [=] { multiply_chain(x, n, true); };
  if (call.name == "tanh chain") return [=] { tanh_chain(x, n); };
  return {};
}

struct Mlp : torch::nn::Module {
  torch::nn::Linear first{784, 512}, second{512, 256}, third{256, 10};
  Mlp() {
    register_module("first", first);
    register_module("second", second);
    register_module("third", third);
  }
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor a = at::dropout(at::relu(first(x)), 0.2, is_training());
    return third(at::dropout(at::relu(second(a)), 0.2, is_training()));
  }
};

/// Blocks of convolution, relu and batch norm; pooling where the next block has half the size.
struct Vgg : torch::nn::Module {
  torch::nn::Sequential features;
  torch::nn::Linear last{512, 10};
  Vgg() {
    struct Layer {
      int in, out;
      bool pool;
    };
    for (const Layer& l : {Layer{3, 64, true}, {64, 128, true}, {128, 256, false}, {256, 256, true},
                           {256, 512, false}, {512, 512, true}, {512, 512, false}, {512, 512, true}}) {
      features->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(l.in, l.out, 3).padding(1)));
      features->push_back(torch::nn::ReLU(torch::nn::ReLUOptions(true)));
      features->push_back(torch::nn::BatchNorm2d(l.out));
      if (l.pool) features->push_back(torch::nn::MaxPool2d(2));
    }
    register_module("features", features);
    register_module("last", last);
  }
  at::Tensor forward(const at::Tensor& x) { return last(features->forward(x).mean({2, 3})); }
};

/// A network, its optimizer and one batch.
template <class Net>
struct Training {
  std::shared_ptr<Net> net = std::make_shared<Net>();
  torch::optim::Adam adam{net->parameters(), torch::optim::AdamOptions(1e-3)};
  at::Tensor x, labels;
  explicit Training(const PeerCall& call) : x(tensor_of(call.in[0])), labels(tensor_of(call.in[1])) {}
  void step() {
    const at::Tensor loss = at::cross_entropy_loss(net->forward(x), labels);
    for (at::Tensor& p : net->parameters()) p.mutable_grad().reset();  // cheaper than its zero_grad(), which writes zeros
    loss.backward();
    adam.step();
  }
  void infer() {
    const torch::NoGradGuard off;
    net->eval();
    net->forward(x);
  }
};

std::function<void()> network_of(const PeerCall& call) {
  if (call.name == "mlp step") return [t = std::make_shared<Training<Mlp>>(call)] { t->step(); };
  if (call.name == "vgg step") return [t = std::make_shared<Training<Vgg>>(call)] { t->step(); };
  if (call.name == "vgg inference") return [t = std::make_shared<Training<Vgg>>(call)] { t->infer(); };
  if (call.name != "adam step") return {};
  Tensors parameters;
  for (const Array& a : call.in) {
    at::Tensor p = tensor_of(a).clone().set_requires_grad(true);
    p.mutable_grad() = at::rand_like(p);
    parameters.push_back(p);
  }
  return [adam = std::make_shared<torch::optim::Adam>(parameters)] { adam->step(); };
}

std::function<void()> convolution_of(const PeerCall& call) {
  if (call.name.rfind("convolution", 0) != 0) return {};
  const at::Tensor a = tensor_of(call.in[0]), b = tensor_of(call.in[1]);
  if (call.name == "convolution") return [=] { at::conv2d(a, b, {}, 1, 1); };
  const bool to_input = call.name == "convolution to input";
  const at::Tensor unused = to_input ? at::empty({a.size(0), call.numbers[0], a.size(2), a.size(3)})
                                     : at::empty({call.numbers[1], call.numbers[0], 3, 3});
  const at::Tensor x = to_input ? unused : b, w = to_input ? b : unused;
  const std::array<bool, 3> mask{to_input, !to_input, false};
  return [=] { at::convolution_backward(a, x, w, c10::nullopt, {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1, mask); };
}

}  // namespace

std::unique_ptr<PeerJob> make_torch_net(const PeerCall& call) {
  for (const auto make : {&chain_of, &network_of, &convolution_of})
    if (std::function<void()> f = make(call)) return std::make_unique<FunctionJob>(std::move(f));
  return nullptr;
}

}  // namespace bench
