// The libtorch peer: a shared object that the benchmark program loads, so that nothing of torch is linked to ours.
// Depends on torch, peer.hpp. Invariant: arrays are wrapped, never copied.
#include "peer_torch.hpp"

#include <fstream>
#include <stdexcept>

#include <torch/version.h>

namespace bench {
namespace {

at::ScalarType scalar_type(Kind k) {
  constexpr at::ScalarType types[] = {at::kFloat, at::kDouble, at::kLong, at::kInt, at::kByte, at::kBool};
  return types[static_cast<int>(k)];
}

std::vector<double> as_doubles(const at::Tensor& t) {
  const at::Tensor d = t.detach().to(at::kDouble).contiguous();
  return std::vector<double>(d.data_ptr<double>(), d.data_ptr<double>() + d.numel());
}

class OpJob : public PeerJob {
 public:
  OpJob(TorchOp op, const PeerCall& call) : op_(std::move(op)), numbers_(call.numbers) {
    for (const Array& a : call.in) in_.push_back(tensor_of(a));
    if (call.backward) gradient_ = tensor_of(call.gradient);
    for (const at::Tensor& t : in_)
      if (t.requires_grad()) leaves_.push_back(t);
  }
  void run(std::int64_t times) override {
    for (std::int64_t i = 0; i < times; ++i) {
      const at::Tensor y = op_(in_, numbers_);
      if (!gradient_.defined()) continue;
      backward(y);
      for (at::Tensor& leaf : leaves_) leaf.mutable_grad().reset();  // sets it free, so that nothing is added up
    }
  }
  std::vector<std::vector<double>> results() override {
    const at::Tensor y = op_(in_, numbers_);
    std::vector<std::vector<double>> all{as_doubles(y)};
    if (gradient_.defined()) backward(y);
    for (at::Tensor& leaf : leaves_) {
      all.push_back(as_doubles(leaf.grad()));
      leaf.mutable_grad().reset();
    }
    return all;
  }

 private:
  /// The clone is a temporary: nobody holds it but the call.
  void backward(const at::Tensor& y) const { torch::autograd::backward({y}, {gradient_.clone()}); }

  TorchOp op_;
  std::vector<std::int64_t> numbers_;
  std::vector<at::Tensor> in_, leaves_;
  at::Tensor gradient_;
};

/// The linear algebra library this process has loaded; with the reference one, matrix products are no comparison.
std::string blas_in_use() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    for (const char* name : {"openblas", "libmkl", "libblis", "libatlas"})
      if (line.find(name) != std::string::npos) return name;
  return "the reference BLAS";
}

class Torch : public Peer {
 public:
  std::string describe() const override { return "libtorch " TORCH_VERSION " (" + blas_in_use() + ")"; }
  void set_threads(int n) override { at::set_num_threads(n); }
  std::unique_ptr<PeerJob> make(const PeerCall& call) override {
    const auto found = torch_ops().find(call.name);
    if (found != torch_ops().end()) return std::make_unique<OpJob>(found->second, call);
    return make_torch_net(call);
  }
};

}  // namespace

at::Tensor tensor_of(const Array& a) {
  if (!a.data) return {};
  at::Tensor t = at::from_blob(const_cast<void*>(a.data), a.shape, a.strides, at::TensorOptions().dtype(scalar_type(a.kind)));
  if (a.wants_gradient) t.set_requires_grad(true);
  return t;
}

}  // namespace bench

extern "C" __attribute__((visibility("default"))) bench::Peer* thalweg_bench_peer() {
  static bench::Torch torch;
  return &torch;
}
