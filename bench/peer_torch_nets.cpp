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

}  // namespace

std::unique_ptr<PeerJob> make_torch_net(const PeerCall& call) {
  if (std::function<void()> f = chain_of(call)) return std::make_unique<FunctionJob>(std::move(f));
  return nullptr;
}

}  // namespace bench
