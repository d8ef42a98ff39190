// Making, reading and printing tensors. The printed texts are NumPy's own for the same arrays.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <thalweg/thalweg.hpp>

namespace tw = thalweg;
using tw::DType;
using tw::Tensor;

TEST_CASE("prints as NumPy does") {
  CHECK(tw::to_string(tw::from<float>({1, 2.5, 3, -4}, {2, 2})) == "[[ 1.   2.5]\n [ 3.  -4. ]]");
  CHECK(tw::to_string(tw::from<float>({1, 2, 3})) == "[1. 2. 3.]");
  CHECK(tw::to_string(tw::arange(6).reshape({2, 3})) == "[[0 1 2]\n [3 4 5]]");
  CHECK(tw::to_string(tw::from<double>({1, 0}).to(DType::boolean)) == "[ True False]");
  CHECK(tw::to_string(tw::scalar(3.5)) == "3.5");
  CHECK(tw::to_string(tw::arange(0, 2000)) ==
        "[0.000e+00 1.000e+00 2.000e+00 ... 1.997e+03 1.998e+03 1.999e+03]");
  CHECK(tw::to_string(tw::from<double>({1e-10, 1})) == "[1.e-10 1.e+00]");
  CHECK(tw::to_string(tw::from<float>({0.1F, 1.0F / 3})) == "[0.1        0.33333334]");
  CHECK(tw::to_string(tw::from<double>({0.1, 1.0 / 3})) == "[0.1        0.33333333]");
  CHECK(tw::to_string(tw::from<double>({NAN, INFINITY, -1.5})) == "[ nan  inf -1.5]");
  CHECK(tw::to_string(tw::arange(0, 8, 1, DType::f64).reshape({2, 2, 2})) ==
        "[[[0. 1.]\n  [2. 3.]]\n\n [[4. 5.]\n  [6. 7.]]]");
}

TEST_CASE("factories: values, dtypes and what they refuse") {
  CHECK(tw::arange(0, 1, 0.25).numel() == 4);
  CHECK(tw::linspace(0, 1, 5, DType::f64).data<double>()[4] == 1.0);
  CHECK(tw::eye(2, 3).data<float>()[4] == 1.0F);
  CHECK(tw::full({2}, 7, DType::i32).data<std::int32_t>()[1] == 7);
  CHECK(tw::zeros({}).numel() == 1);
  CHECK(tw::zeros({0, 3}).numel() == 0);
  CHECK_THROWS_AS(tw::zeros({-1}), tw::ShapeError);
  CHECK_THROWS_AS(tw::zeros({std::numeric_limits<std::int64_t>::max(), 2}), tw::ShapeError);
  CHECK_THROWS_AS(tw::zeros({1, 1, 1, 1, 1, 1, 1, 1, 1}), tw::ShapeError);
  CHECK_THROWS_AS(tw::arange(0, 1, 0), tw::ValueError);
  CHECK_THROWS_AS(tw::arange(0, NAN), tw::ValueError);
  CHECK_THROWS_AS(tw::linspace(0, 1, -1), tw::ValueError);
  CHECK_THROWS_AS(tw::from<float>({1, 2, 3}, {2}), tw::ShapeError);
  tw::Generator g(1);
  CHECK_THROWS_AS(tw::rand({2}, g, DType::i64), tw::DTypeError);
}

TEST_CASE("random numbers depend on seed and offset alone") {
  tw::Generator a(5), b(5), c(6);
  const Tensor x = tw::randn({100}, a, DType::f64), y = tw::randn({100}, b, DType::f64);
  CHECK(std::equal(x.span<double>().begin(), x.span<double>().end(), y.span<double>().begin()));
  CHECK(tw::randn({1}, a).item() != tw::randn({1}, c).item());
  double mean = 0;
  const Tensor u = tw::rand({10000}, a, DType::f64);
  for (double v : u.span<double>()) {
    CHECK(v >= 0);
    CHECK(v < 1);
    mean += v / 10000;
  }
  CHECK(mean == doctest::Approx(0.5).epsilon(0.02));
  const Tensor order = tw::randperm(50, a);
  std::vector<bool> seen(50);
  for (std::int64_t i : order.span<std::int64_t>()) seen[static_cast<std::size_t>(i)] = true;
  CHECK(std::count(seen.begin(), seen.end(), true) == 50);
}

TEST_CASE("wrap: the user's memory, seen and freed once") {
  std::vector<float> v{1, 2, 3, 4, 5, 6};
  int freed = 0;
  {
    Tensor t = tw::wrap(v.data(), {2, 2}, {3, 1}, [&freed](void*) { ++freed; });
    CHECK(t.contiguous().data<float>()[3] == 5.0F);
    Tensor part = t.transpose(0, 1);
    t = Tensor();
    v[3] = 40;
    CHECK(part.contiguous().data<float>()[1] == 40.0F);
    CHECK(freed == 0);
  }
  CHECK(freed == 1);
  CHECK_THROWS_AS(tw::wrap(v.data(), {2}, {-1}, {}), tw::ShapeError);
  CHECK_THROWS_AS(tw::wrap(v.data(), {2, 2}, {1}, {}), tw::ShapeError);
  CHECK_THROWS_AS(tw::wrap(static_cast<float*>(nullptr), {2}), tw::ValueError);
}

TEST_CASE("reading with the wrong type or shape is refused, with the line") {
  const Tensor t = tw::ones({2, 3});
  CHECK_THROWS_AS(t.data<double>(), tw::DTypeError);
  CHECK_THROWS_AS(t.item(), tw::ShapeError);
  CHECK_THROWS_AS(t.transpose(0, 1).span<float>(), tw::ShapeError);
  CHECK_THROWS_AS(t.size(2), tw::IndexError);
  CHECK(t.size(-1) == 3);
  CHECK_THROWS_AS(Tensor().shape(), tw::ValueError);
  try {
    (void)t.item();
  } catch (const tw::ShapeError& e) {
    CHECK(std::string(e.what()).find("test_tensor.cpp") != std::string::npos);
    CHECK(e.op() == "item");
    CHECK(e.given() == "f32[2,3]");
  }
}
