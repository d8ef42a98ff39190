// Reductions and scans: what no sample can say: results over nothing, NaN, extreme sizes, exact zeros,
// dtypes. Values, derivatives and bad arguments of each op are certified from its own samples.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<double> numbers(const Tensor& t) {
  const Tensor d = t.to(DType::f64).contiguous();
  const std::span<const double> s = d.span<double>();
  return {s.begin(), s.end()};
}

/// d(sum of f(x) w)/dx for all-one w.
template <class F>
std::vector<double> gradient(Tensor x, F f) {
  x = x.clone();
  x.set_requires_grad();
  f(x).sum().backward();
  return numbers(x.grad());
}

}  // namespace

TEST_CASE("over nothing: sum 0, prod 1, mean NaN, norm 0, max an error that names the op and the shape") {
  const Tensor x = zeros({0, 3});
  CHECK(sum(x).item() == 0);
  CHECK(prod(x).item() == 1);
  CHECK(std::isnan(mean(x).item()));
  CHECK(norm(x).item() == 0);
  CHECK(norm(x, {.p = infinity}).item() == 0);
  CHECK(mean(x, {.dims = {1}}).shape() == Dims{0});
  CHECK_THROWS_WITH_AS(max(x), doctest::Contains("max: nothing to choose from: x is f32[0,3]"), ValueError);
}

TEST_CASE("an error names the line of the call") {
  try {
    sum(zeros({2, 3}), {.dims = {5}});
    FAIL("no error");
  } catch (const IndexError& e) {
    CHECK(std::string(e.what()).find("test_reduce.cpp:" + std::to_string(e.loc().line)) != std::string::npos);
    CHECK(e.loc().line > 0);
  }
}

TEST_CASE("integers: sums and products in i64, means in f32, extremes in their own dtype") {
  const Tensor x = from<std::uint8_t>({200, 100, 50, 250}, {2, 2});
  CHECK(sum(x).dtype() == DType::i64);
  CHECK(sum(x).item<std::int64_t>() == 600);
  CHECK(numbers(prod(x, {.dims = {0}})) == std::vector<double>{10000, 25000});
  CHECK(mean(x).dtype() == DType::f32);
  CHECK(mean(x).item() == 150);
  CHECK(max(x).dtype() == DType::u8);
  CHECK(max(x).item() == 250);
  CHECK(numbers(cumsum(x, 1)) == std::vector<double>{200, 300, 50, 300});
  const Tensor hit = from<float>({1, 2, 3, 4}, {4}) > 2.5;
  CHECK(mean(hit).item() == 0.5);
}

TEST_CASE("a sum of 10^8 ones in f32 is 10^8") { CHECK(sum(expand(ones({1}), {100000000})).item() == 1e8); }

TEST_CASE("prod and cumprod with zeros have exact gradients, and gradients of gradients") {
  const Tensor none = from<double>({2, 3, 4}, {3}), one = from<double>({2, 0, 4}, {3}),
               two = from<double>({0, 0, 4}, {3});
  const auto product = [](const Tensor& x) { return prod(x); };
  CHECK(gradient(none, product) == std::vector<double>{12, 8, 6});
  CHECK(gradient(one, product) == std::vector<double>{0, 8, 0});
  CHECK(gradient(two, product) == std::vector<double>{0, 0, 0});
  // y = x0 + x0 x1 + x0 x1 x2
  const auto running = [](const Tensor& x) { return cumprod(x, 0); };
  CHECK(gradient(one, running) == std::vector<double>{1, 10, 0});
  CHECK(gradient(two, running) == std::vector<double>{1, 0, 0});
  // Of the Hessian of x0 x1 x2 at (0, 0, 4) only d2/dx0dx1 = 4 is not 0.
  Tensor x = two.clone();
  x.set_requires_grad();
  const Tensor g = grad({prod(x)}, {x}, {.create_graph = true})[0];
  CHECK(numbers(grad({sum(g * from<double>({1, 10, 100}, {3}))}, {x})[0]) == std::vector<double>{40, 4, 0});
}

TEST_CASE("max and min: ties share the gradient, NaN wins and gets it") {
  const double nan = std::nan("");
  CHECK(gradient(from<double>({3, 1, 3}, {3}), [](const Tensor& x) { return max(x); }) ==
        std::vector<double>{0.5, 0, 0.5});
  CHECK(gradient(from<double>({3, 1, 3}, {3}), [](const Tensor& x) { return max_with_index(x, 0).values; }) ==
        std::vector<double>{1, 0, 0});
  const Tensor x = from<double>({3, nan, 5}, {3});
  CHECK(std::isnan(max(x).item()));
  CHECK(std::isnan(min(x).item()));
  CHECK(gradient(x, [](const Tensor& t) { return min(t); }) == std::vector<double>{0, 1, 0});
  CHECK(argmax(x).item<std::int64_t>() == 1);
  CHECK(argmin(x).item<std::int64_t>() == 1);
  const ValueIndex v = max_with_index(from<float>({1, 7, 7, 2, 9, 3}, {2, 3}), -1);
  CHECK(numbers(v.values) == std::vector<double>{7, 9});
  CHECK(numbers(v.indices) == std::vector<double>{1, 1});
  CHECK(v.indices.dtype() == DType::i64);
  CHECK_FALSE(v.indices.requires_grad());
}

TEST_CASE("argmax: over all it counts row-major, whatever the strides") {
  const Tensor x = from<float>({1, 5, 2, 9, 3, 4}, {2, 3});
  CHECK(argmax(x).item<std::int64_t>() == 3);
  CHECK(argmax(x.t()).item<std::int64_t>() == 1);
  CHECK(numbers(argmax(x, 1)) == std::vector<double>{1, 0});
  CHECK(argmin(x, 0, true).shape() == Dims{1, 3});
  CHECK(argmax(scalar(4.0)).item<std::int64_t>() == 0);
}

TEST_CASE(
    "variance: of equal elements exactly 0 with gradient 0; far from 0 nothing cancels; one element is an "
    "error") {
  const Tensor equal = full({1000}, 0.1f);
  CHECK(var(equal).item() == 0);
  CHECK(stddev(equal).item() == 0);
  for (const double g : gradient(equal, [](const Tensor& x) { return stddev(x); })) CHECK(g == 0);
  const Tensor far = from<float>({1e6f, 1e6f + 1, 1e6f + 2, 1e6f + 3}, {4});
  CHECK(var(far).item() == doctest::Approx(5.0 / 3).epsilon(1e-6));
  CHECK(var(far, {.correction = 0}).item() == doctest::Approx(1.25).epsilon(1e-6));
  CHECK_THROWS_WITH_AS(
      var(zeros({1, 3}), {.dims = {0}}),
      doctest::Contains("var: too few elements: the number of elements in dims [0] is 1, wanted more than 1"),
      ValueError);
  // More than one segment, more than one thread.
  const Tensor ramp = arange(0, 300000, 1, DType::f64);
  CHECK(var(ramp, {.correction = 0}).item() == doctest::Approx((300000.0 * 300000 - 1) / 12).epsilon(1e-12));
}

TEST_CASE("norm neither overflows nor underflows early; at 0 the gradient is 0") {
  CHECK(norm(from<float>({3e30f, 4e30f}, {2})).item() == doctest::Approx(5e30).epsilon(1e-6));
  CHECK(norm(from<double>({3e200, 4e200}, {2})).item() / 5e200 == doctest::Approx(1).epsilon(1e-14));
  CHECK(norm(from<double>({3e-200, 4e-200}, {2})).item() / 5e-200 == doctest::Approx(1).epsilon(1e-14));
  CHECK(norm(from<double>({3, 4}, {2})).item() == 5);
  CHECK(std::isnan(norm(from<double>({infinity, std::nan("")}, {2})).item()));
  CHECK(norm(from<double>({-infinity, 1}, {2})).item() == infinity);
  for (const double p : {1.0, 1.5, 2.0, 3.0, infinity})
    CHECK(gradient(zeros({3}, DType::f64), [&](const Tensor& x) { return norm(x, {.p = p}); }) ==
          std::vector<double>{0, 0, 0});
}

TEST_CASE("recurrence: a filter in either direction; cumsum is the one with coefficients 1") {
  const Tensor a = full({4}, 0.5, DType::f64), b = from<double>({8, 0, 0, 1}, {4});
  CHECK(numbers(recurrence(a, b)) == std::vector<double>{8, 4, 2, 2});
  CHECK(numbers(recurrence(a, b, {.reverse = true})) == std::vector<double>{8.125, 0.25, 0.5, 1});
  CHECK(numbers(recurrence(ones({4}, DType::f64), b)) == numbers(cumsum(b, 0)));
  const Tensor own = from<double>({9, 2, 3, 5}, {4}), late = from<double>({2, 3, 5, 9}, {4});
  CHECK(numbers(recurrence(own, b)) == numbers(recurrence(late, b, {.lagged = true})));
}

TEST_CASE("norm with p = inf: a NaN reaches the gradient") {
  const Tensor x = from({1.0, std::nan(""), 3.0}).set_requires_grad();
  const Tensor y = norm(x, {.p = std::numeric_limits<double>::infinity()});
  CHECK(std::isnan(y.item()));
  y.backward();
  CHECK(x.grad().data<double>()[0] == 0);
  CHECK(std::isnan(x.grad().data<double>()[1]));
  CHECK(x.grad().data<double>()[2] == 0);
}
