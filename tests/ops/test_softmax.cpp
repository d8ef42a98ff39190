// Softmax and its kin at the ends of the number range, and along any layout. Values, derivatives and bad
// arguments are certified from the ops' own samples.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("softmax of scores far apart or huge stays finite and sums to 1") {
  const Tensor x = from<float>({1000, 0, -1000, 3e38f, 3e38f, -3e38f}, {2, 3});
  const Tensor y = softmax(x, 1);
  CHECK(y.data<float>()[0] == 1);
  CHECK(y.data<float>()[2] == 0);
  CHECK(y.data<float>()[3] == 0.5f);
  CHECK(sum(y).item() == 2);
  const Tensor l = log_softmax(x, 1);
  CHECK(l.data<float>()[0] == 0);
  CHECK(l.data<float>()[1] == -1000);
  CHECK(logsumexp(x, 1).data<float>()[0] == 1000);
}

TEST_CASE(
    "a row of -inf: softmax NaN, logsumexp -inf with gradient 0; one -inf is a probability of exactly 0") {
  const Tensor nothing = full({1, 3}, -infinity, DType::f64);
  CHECK(std::isnan(softmax(nothing, 1).data<double>()[0]));
  CHECK(logsumexp(nothing, 1).item() == -infinity);
  Tensor x = from<double>({-infinity, -infinity, 0, -infinity}, {2, 2});
  x.set_requires_grad();
  logsumexp(x, 1).sum().backward();
  const double* g = x.grad().data<double>();
  CHECK(g[0] == 0);
  CHECK(g[1] == 0);
  CHECK(g[2] == 1);
  CHECK(g[3] == 0);
  CHECK(softmax(x.detach(), 1).data<double>()[3] == 0);
}

TEST_CASE("softmax along a dim of a transposed tensor has the bits of the contiguous one") {
  Generator gen(3);
  const Tensor x = randn({33, 20}, gen);
  const Tensor a = softmax(x.t(), 0), b = softmax(x, 1).t();
  CHECK(max(abs(a - b)).item() == 0);
}

TEST_CASE("logsumexp over nothing is -inf") {
  CHECK(logsumexp(zeros({2, 0}), 1).data<float>()[1] == -infinity);
}
