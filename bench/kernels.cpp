// Rows of single kernels at the sizes that goals were set for. Depends on ops.hpp, the library.
#include <thalweg/thalweg.hpp>

#include "ops.hpp"

namespace bench {

using thalweg::Dims;
using thalweg::Tensor;

namespace {

constexpr const char* group = "kernels";

/// A call of functions of the library on tensors that it holds.
Ready ready_of(std::vector<Tensor> in, Tensor (*f)(const std::vector<Tensor>&), const char* twin, Work work) {
  Ready r{.work = work};
  for (const Tensor& t : in) r.peer.in.push_back(array_of(t));
  r.peer.name = twin;
  r.ours = [in = std::move(in), f](std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) f(in);
  };
  return r;
}

constexpr double million16 = 1 << 24;

Ready exp_large() {
  return ready_of({uniform({1 << 24}, -4, 4)}, [](const std::vector<Tensor>& x) { return thalweg::exp(x[0]); }, "exp",
                  {.read = 4 * million16, .written = 4 * million16});
}
Ready add_large() {
  return ready_of({uniform({1 << 24}), uniform({1 << 24})}, [](const std::vector<Tensor>& x) { return x[0] + x[1]; }, "add",
                  {.read = 8 * million16, .written = 4 * million16});
}
Ready softmax_large() {
  return ready_of({uniform({4096, 4096})}, [](const std::vector<Tensor>& x) { return thalweg::softmax(x[0], 1); }, "softmax",
                  {.read = 4 * million16, .written = 4 * million16});
}
Ready transpose_large() {
  return ready_of({uniform({4096, 4096}).t()}, [](const std::vector<Tensor>& x) { return x[0].contiguous(); }, "clone",
                  {.read = 4 * million16, .written = 4 * million16});
}

/// y = a b, with a [m, k] and b [k, n] read in the layouts that a linear layer's three products have.
template <int M, int N, int K, bool TransposedA, bool TransposedB>
Ready product() {
  const Tensor a = TransposedA ? uniform({K, M}).t() : uniform({M, K}), b = TransposedB ? uniform({N, K}).t() : uniform({K, N});
  return ready_of({a, b}, [](const std::vector<Tensor>& x) { return thalweg::matmul(x[0], x[1]); }, "matmul",
                  {.flops = 2.0 * M * N * K, .read = 4.0 * (M * K + K * N), .written = 4.0 * M * N});
}

double seconds_at(double gigaflops, double flops) { return flops / (gigaflops * 1e9); }

}  // namespace

void add_kernel_cases(std::vector<Case>& to) {
  constexpr double cube = 2.0 * 1024 * 1024 * 1024, layer = 2.0 * 128 * 512 * 784;
  to.push_back({.group = group, .name = "matmul 1024^3", .make = &product<1024, 1024, 1024, false, false>,
                .goal = seconds_at(181, cube), .goal_text = ">= 181 GFLOP/s"});
  to.push_back({.group = group, .name = "matmul 128x512x784: x w'", .make = &product<128, 512, 784, false, true>,
                .goal = seconds_at(175, layer), .goal_text = ">= 175 GFLOP/s"});
  to.push_back({.group = group, .name = "matmul 128x512x784: g w", .make = &product<128, 784, 512, false, false>,
                .goal = seconds_at(175, layer), .goal_text = ">= 175 GFLOP/s"});
  to.push_back({.group = group, .name = "matmul 128x512x784: g' x", .make = &product<512, 784, 128, true, false>,
                .goal = seconds_at(175, layer), .goal_text = ">= 175 GFLOP/s"});
  to.push_back({.group = group, .name = "exp 16.7 M", .make = &exp_large, .goal = 5e-3});
  to.push_back({.group = group, .name = "add 16.7 M", .make = &add_large, .goal = 6e-3});
  to.push_back({.group = group, .name = "softmax 4096x4096", .make = &softmax_large, .goal = 7e-3});
  to.push_back({.group = group, .name = "transpose copy 4096x4096", .make = &transpose_large, .goal = 8e-3});
}

}  // namespace bench
