// The product of all but one: against a plain loop, around lanes and blocks, with zeros and NaN, on every target.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/reduce.hpp>

using namespace kernel_test;
using thalweg::kernels::product_of_others;

namespace {

/// By products of what stands before and after, in long double.
std::vector<double> plain(const std::vector<double>& x) {
  std::vector<long double> y(x.size(), 1);
  long double run = 1;
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = run, run *= x[i];
  run = 1;
  for (std::size_t i = x.size(); i-- > 0;) y[i] *= run, run *= x[i];
  return {y.begin(), y.end()};
}

template <class T>
std::vector<double> numbers(Array<T>& a) {
  const std::vector<T> v = a.values();
  return {v.begin(), v.end()};
}

template <class T>
void check_line(Array<T>& a, Array<T>& y, double eps) {
  const std::vector<double> want = plain(numbers(a)), got = numbers(y);
  for (std::size_t i = 0; i < want.size(); ++i) {
    INFO("element " << i << " of " << want.size());
    if (std::isnan(want[i])) CHECK(std::isnan(got[i]));
    else CHECK(std::fabs(got[i] - want[i]) <= eps * std::fabs(want[i]));
  }
}

constexpr std::int64_t sizes[] = {1, 2, 7, 31, 32, 33, 64, 100, 2047, 2048, 2049, 5000, 70001};

}  // namespace

TEST_CASE("product_of_others around lanes and blocks") {
  on_targets([] {
    for (const std::int64_t n : sizes) {
      const double far = n > 1000 ? 1e-3 : 0.5;
      Array<float> a({n}), y({n});
      Array<double> b({n}), z({n});
      a.random(1, 1 - far, 1 + far), b.random(2, 1 - far, 1 + far);
      product_of_others(a.view(), y.view(), 0);
      product_of_others(b.view(), z.view(), 0);
      check_line(a, y, 1e-7);
      check_line(b, z, 1e-16 * static_cast<double>(n + 4));
    }
  });
}

TEST_CASE("product_of_others with zeros and NaN") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  on_targets([&] {
    for (const std::int64_t n : {1, 2, 33, 2049, 5000})
      for (const std::int64_t at : {std::int64_t{0}, n / 2, n - 1})
        for (const double odd : {0.0, nan}) {
          Array<float> a({n}), y({n});
          a.random(3, 0.999, 1.001);
          a[at] = static_cast<float>(odd);
          product_of_others(a.view(), y.view(), 0);
          check_line(a, y, 1e-7);
          a[n / 3] = 0;
          product_of_others(a.view(), y.view(), 0);
          check_line(a, y, 1e-7);
        }
  });
}

TEST_CASE("product_of_others along any dimension, in every layout, with the same bits on any number of threads") {
  on_targets([] {
    std::set<std::vector<double>> seen;
    on_threads([&] {
      std::vector<double> bits;
      for (const int dim : {0, 1, 2}) {
        std::set<std::vector<double>> of_layouts;
        for (const Layout layout : all_layouts) {
          Array<float> a({3, 40, 2100}, layout), y({3, 40, 2100}, layout);
          a.generate([](std::int64_t i) { return 1 + 1e-3 * std::sin(static_cast<double>(i)); });
          product_of_others(a.view(), y.view(), dim);
          of_layouts.insert(numbers(y));
        }
        CHECK(of_layouts.size() == 1);
        bits.insert(bits.end(), of_layouts.begin()->begin(), of_layouts.begin()->end());
      }
      seen.insert(bits);
    });
    CHECK(seen.size() == 1);
  });
  Array<double> a({2, 3}), y({2, 3});
  a.generate([](std::int64_t i) { return static_cast<double>(i + 2); });
  product_of_others(a.view(), y.view(), 0);
  CHECK(y.values() == std::vector<double>{5, 6, 7, 2, 3, 4});
  product_of_others(a.view(), y.view(), 1);
  CHECK(y.values() == std::vector<double>{12, 8, 6, 42, 35, 30});
}
