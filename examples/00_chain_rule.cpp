// The smallest lesson: one neuron of two inputs, differentiated by the tape and by hand. Everything below is
// five numbers, one line of arithmetic, one call of backward(), and the chain rule written out.
#include <cmath>
#include <cstdio>

#include <thalweg/thalweg.hpp>

#include <thalweg/autograd/graph/dump.hpp>

using thalweg::Tensor;

namespace {

/// A number that wants its gradient; `line` is where it was written, for the table below.
Tensor number(double value, thalweg::Loc line = thalweg::Loc::here()) {
  return thalweg::scalar(value, thalweg::DType::f64).set_requires_grad(true, line);
}

/// Prints one line of the table; true when tape and hand agree.
bool row(const char* name, const Tensor& t, double by_hand) {
  const double by_tape = t.grad().item();
  std::printf("%4s %12.8f %14.10f %14.10f\n", name, t.item(), by_tape, by_hand);
  return std::fabs(by_tape - by_hand) <= 1e-12;
}

}  // namespace

int main() {
  Tensor x1 = number(2.0), x2 = number(0.5);   // inputs
  Tensor w1 = number(-3.0), w2 = number(1.0);  // weights
  Tensor b = number(6.5);                      // bias

  // Forward: plain arithmetic. Each operation runs at once and leaves a node behind that remembers what it
  // did.
  Tensor p = x1 * w1;
  Tensor q = x2 * w2;
  Tensor n = p + q + b;
  Tensor y = tanh(n);

  std::printf("y = tanh(x1 w1 + x2 w2 + b) = %.8f\n\nThe tape, as recorded:\n%s\n", y.item(),
              thalweg::graph::dump(y, {{"x1", x1}, {"x2", x2}, {"w1", w1}, {"w2", w2}, {"b", b}}).c_str());

  // Backward: from y back to the leaves, each node multiplies by its own derivative and passes the product
  // on.
  y.backward();

  // The same by hand. The outermost function is tanh, whose slope is 1 - tanh^2 ...
  const double slope = 1 - std::pow(std::tanh(n.item()), 2);
  // ... a sum passes the slope on unchanged, and a product passes it on times the other factor.
  std::printf("%4s %12s %14s %14s\n", "", "value", "tape", "by hand");
  bool agree = true;
  agree &= row("x1", x1, slope * w1.item());
  agree &= row("x2", x2, slope * w2.item());
  agree &= row("w1", w1, slope * x1.item());
  agree &= row("w2", w2, slope * x2.item());
  agree &= row("b", b, slope);
  std::printf("\n%s\n", agree ? "The tape and the chain rule agree." : "THEY DISAGREE.");
  return agree ? 0 : 1;
}
