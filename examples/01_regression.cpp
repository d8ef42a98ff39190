// 01_regression: fits a polynomial of degree 3 to noisy samples of a sine, first by hand, then with nn and
// optim. Shows: leaves that want gradients, a loss, backward(), an update; then the same loop as one writes
// it every day.
#include <cmath>
#include <cstdio>

#include <thalweg/nn/nn.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

int main() {
  Generator gen(42);
  const Tensor x = linspace(-1, 1, 256).reshape({256, 1});
  const Tensor y = sin(3 * x) + 0.05 * randn({256, 1}, gen);

  // By hand: y = w0 + w1 x + w2 x^2 + w3 x^3, each step w -= lr dloss/dw.
  const Tensor powers = cat({ones_like(x), x, x * x, x * x * x}, 1);
  Tensor w = zeros({4, 1}).set_requires_grad();
  for (int step = 0; step < 2000; ++step) {
    const Tensor loss = mse_loss(matmul(powers, w), y);
    loss.backward();
    const NoGrad guard;  // the update itself is not part of the function that is differentiated
    w.sub_(0.3 * w.grad());
    w.zero_grad();
  }
  const double by_hand = mse_loss(matmul(powers, w), y).item();
  std::printf("polynomial: %.3f %+.3f x %+.3f x^2 %+.3f x^3, mean squared error %.5f\n", w.data<float>()[0],
              w.data<float>()[1], w.data<float>()[2], w.data<float>()[3], by_hand);

  // With modules: a small network and Adam; no powers of x to choose.
  nn::Sequential model(nn::Linear({.in = 1, .out = 32, .activation = Activation::tanh, .generator = &gen}),
                       nn::Linear({.in = 32, .out = 1, .generator = &gen}));
  optim::Adam adam(nn::parameters(model), {.lr = 1e-2});
  double by_network = 0;
  for (int step = 0; step < 1000; ++step) {
    const Tensor loss = mse_loss(model(x), y);
    loss.backward();
    adam.step();
    adam.zero_grad();
    by_network = loss.item();
    if (step % 250 == 0) std::printf("network, step %4d: loss %.5f\n", step, by_network);
  }
  std::printf("network: mean squared error %.5f (the noise alone is 0.0025)\n", by_network);
  return by_hand < 0.01 && by_network < 0.01 ? 0 : 1;
}
