// Matrix products and linear layers: one node where one is promised, the bits of the separate ops, layouts
// without copies. Values, derivatives and bad arguments of each op are certified from its own samples.
#include <doctest/doctest.h>

#include <limits>

#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

double distance(const Tensor& a, const Tensor& b) { return max(abs(a.detach() - b.detach())).item(); }

struct Layer {
  Tensor x, w, b;
  explicit Layer(std::uint64_t seed) {
    Generator gen(seed);
    x = randn({37, 21}, gen);
    w = randn({50, 21}, gen);
    b = randn({50}, gen);
    for (Tensor* t : {&x, &w, &b}) t->set_requires_grad();
  }
};

Tensor activate(const Tensor& z, Activation act) {
  switch (act) {
    case Activation::relu:
      return relu(z);
    case Activation::sigmoid:
      return sigmoid(z);
    case Activation::tanh:
      return tanh(z);
    default:
      return z;
  }
}

}  // namespace

TEST_CASE("linear is one node and has the bits, values and gradients, of matmul, add and the activation") {
  for (const Activation act : {Activation::none, Activation::relu, Activation::sigmoid, Activation::tanh}) {
    CAPTURE(static_cast<int>(act));
    Layer fused(7), apart(7);
    const std::int64_t before = live_nodes();
    const Tensor y = linear(fused.x, fused.w, fused.b, act);
    CHECK(live_nodes() == before + 1);
    const Tensor z = activate(matmul(apart.x, apart.w.t()) + apart.b, act);
    CHECK(distance(y, z) == 0);
    Generator gen(8);
    const Tensor g = randn({37, 50}, gen);
    sum(y * g).backward();
    sum(z * g).backward();
    CHECK(distance(fused.x.grad(), apart.x.grad()) == 0);
    CHECK(distance(fused.w.grad(), apart.w.grad()) == 0);
    CHECK(distance(fused.b.grad(), apart.b.grad()) == 0);
  }
}

TEST_CASE("linear without bias, with a strided bias, on a transposed batch") {
  Generator gen(2);
  const Tensor x = randn({4, 3, 5}, gen), w = randn({6, 5}, gen), b = randn({12}, gen);
  CHECK(distance(linear(x, w), matmul(x, w.t())) == 0);
  CHECK(distance(linear(x, w, slice(b, 0, 0, 12, 2)), matmul(x, w.t()) + slice(b, 0, 0, 12, 2)) == 0);
  const Tensor turned = x.transpose(0, 1);
  CHECK(distance(linear(turned, w), linear(turned.contiguous(), w)) == 0);
  CHECK(linear(x.detach().reshape({12, 5}), w).shape() == Dims{12, 6});
}

TEST_CASE("matmul: the gradient of one matrix under a batch is that of the batch laid out as rows") {
  Generator gen(3);
  Tensor a = randn({3, 4, 5}, gen, DType::f64), b = randn({5, 2}, gen, DType::f64), c = b.clone();
  b.set_requires_grad();
  c.set_requires_grad();
  sum(square(matmul(a, b))).backward();
  sum(square(matmul(a.reshape({12, 5}), c))).backward();
  CHECK(distance(b.grad(), c.grad()) < 1e-12);
}

TEST_CASE("matmul: NaN and infinity are not skipped over zeros; the error names both shapes and the line") {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor y = matmul(from<float>({0, 1}, {1, 2}), from<float>({inf, 1}, {2, 1}));
  CHECK(y.item() != y.item());
  CHECK_THROWS_WITH_AS(matmul(zeros({4, 3}), zeros({5, 2})), doctest::Contains("f32[4,3] and b f32[5,2]"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(matmul(zeros({4, 3}), zeros({5, 2})), doctest::Contains("test_matmul.cpp"),
                       ShapeError);
}
