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

TEST_CASE("logsumexp over any dims is log of the sum of exp") {
  Generator gen(4);
  const Tensor x = randn({2, 3, 4}, gen, DType::f64).set_requires_grad();
  for (const Dims& dims : {Dims{}, Dims{0, 2}, Dims{-1, 1}, Dims{1}, Dims{0, 1, 2}})
    for (const bool keepdim : {false, true}) {
      CAPTURE(to_string(dims));
      const Over over{.dims = dims, .keepdim = keepdim};
      const Tensor y = logsumexp(x, over), want = log(sum(exp(x), over));
      REQUIRE(y.shape() == want.shape());
      CHECK(sum(abs(y - want)).item() < 1e-13);
      const Tensor dx = grad(sum(y), {x})[0], want_dx = grad(sum(want), {x})[0];
      CHECK(sum(abs(dx - want_dx)).item() < 1e-13);
    }
  CHECK(logsumexp(from({2.0}, {})).item() == 2);
  CHECK(logsumexp(zeros({0, 3})).item() == -infinity);
  CHECK(logsumexp(zeros({2, 0, 3, 0}), Over{.dims = {1, 2}}).shape() == Dims{2, 0});
  CHECK_THROWS_WITH_AS(logsumexp(x, Over{.dims = {0, 3}}), doctest::Contains("logsumexp"), IndexError);
  CHECK_THROWS_WITH_AS(logsumexp(x, Over{.dims = {0, 0}}), doctest::Contains("logsumexp"), Error);
  CHECK_THROWS_WITH_AS(logsumexp(Tensor{}), doctest::Contains("logsumexp"), Error);
  CHECK_THROWS_WITH_AS(logsumexp(zeros({3}, DType::i64)), doctest::Contains("logsumexp"), DTypeError);
}
