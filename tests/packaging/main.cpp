// Built against the installed package alone: one gradient through the umbrella header.
#include <cstdio>
#include <thalweg/thalweg.hpp>

int main() {
  using thalweg::Tensor;
  Tensor x = thalweg::from({1.0F, 2.0F, 3.0F}, {3});
  x.set_requires_grad(true);
  (x * x).sum().backward();
  const float got = x.grad().data<float>()[2];
  std::printf("d(sum x*x)/dx at 3 = %g\n", static_cast<double>(got));
  return got == 6.0F ? 0 : 1;
}
