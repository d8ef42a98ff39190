// softmax, log_softmax, logsumexp and their backward kernels: against naive f64 loops along every dimension,
// in every layout, on every target; special rows; equal bits of rows in every layout and for every thread count.
#include <cmath>
#include <functional>
#include <limits>

#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/softmax.hpp>

using namespace kernel_test;
namespace kernels = thalweg::kernels;

namespace {

using Line = std::vector<double>;
constexpr double inf = std::numeric_limits<double>::infinity();

double log_sum_exp(const Line& x) {
  double m = -inf, sum = 0;
  for (double v : x) m = std::max(m, v);
  if (!std::isfinite(m)) m = 0;
  for (double v : x) sum += std::exp(v - m);
  return m + std::log(sum);
}
Line softmax_line(const Line& x) {
  Line y;
  for (double v : x) y.push_back(std::exp(v - log_sum_exp(x)));
  return y;
}
Line log_softmax_line(const Line& x) {
  Line y;
  for (double v : x) y.push_back(v - log_sum_exp(x));
  return y;
}

/// f applied to every line of `src` along `dim`.
template <class T>
std::vector<double> by_lines(Array<T>& src, int dim, const std::function<Line(const Line&)>& f) {
  std::vector<double> out(static_cast<std::size_t>(src.size()));
  std::int64_t step = 1;
  for (int i = dim + 1; i < src.shape().size(); ++i) step *= src.shape()[i];
  const std::int64_t n = src.shape()[dim];
  for (std::int64_t i = 0; i < src.size(); ++i) {
    if (i / step % n != 0) continue;
    Line x;
    for (std::int64_t j = 0; j < n; ++j) x.push_back(static_cast<double>(src[i + j * step]));
    const Line y = f(x);
    for (std::int64_t j = 0; j < n; ++j)
      out[static_cast<std::size_t>(i + j * step)] = y[static_cast<std::size_t>(j)];
  }
  return out;
}

/// Worst error, relative to 1 + |want|, in eps; infinite when a NaN or Inf is missed.
template <class T>
double error(Array<T>& got, const std::vector<double>& want) {
  double worst = 0;
  for (std::int64_t i = 0; i < got.size(); ++i) {
    const double w = want[static_cast<std::size_t>(i)], g = static_cast<double>(got[i]);
    if (std::isnan(w) != std::isnan(g)) return inf;
    if (std::isnan(w) || w == g) continue;
    worst = std::max(worst, std::abs(g - w) / (1 + std::abs(w)));
  }
  return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
}

template <class T>
void check(const Dims& shape, int dim, Layout layout) {
  INFO("shape " << thalweg::to_string(shape) << " dim " << dim);
  Array<T> x(shape, layout), y(shape, layout), g(shape), dx(shape, layout);
  x.random(1, -5, 5), g.random(2);
  kernels::softmax(x.view(), y.view(), dim);
  CHECK(error(y, by_lines<T>(x, dim, softmax_line)) < 8);
  CHECK(y.guards_intact());

  std::vector<double> gy;
  for (std::int64_t i = 0; i < x.size(); ++i) gy.push_back(double{g[i]} * double{y[i]});
  Array<double> product(shape);
  product.generate([&](std::int64_t i) { return gy[static_cast<std::size_t>(i)]; });
  const auto sum_line = [](const Line& v) {
    double s = 0;
    for (double e : v) s += e;
    return Line(v.size(), s);
  };
  std::vector<double> want = by_lines<double>(product, dim, sum_line);
  for (std::int64_t i = 0; i < x.size(); ++i)
    want[static_cast<std::size_t>(i)] = double{y[i]} * (double{g[i]} - want[static_cast<std::size_t>(i)]);
  kernels::softmax_backward(g.view(), y.view(), dx.view(), dim);
  CHECK(error(dx, want) < 8);
  CHECK(dx.guards_intact());

  kernels::log_softmax(x.view(), y.view(), dim);
  CHECK(error(y, by_lines<T>(x, dim, log_softmax_line)) < 8);
  want = by_lines<T>(g, dim, sum_line);
  for (std::int64_t i = 0; i < x.size(); ++i)
    want[static_cast<std::size_t>(i)] =
        double{g[i]} - std::exp(double{y[i]}) * want[static_cast<std::size_t>(i)];
  kernels::log_softmax_backward(g.view(), y.view(), dx.view(), dim);
  CHECK(error(dx, want) < 16);
  CHECK(dx.guards_intact());

  for (bool keepdim : {false, true}) {
    Dims reduced = shape;
    if (keepdim)
      reduced[dim] = 1;
    else
      reduced.erase(dim);
    Array<T> z(reduced, layout);
    kernels::logsumexp(x.view(), z.view(), dim);
    const std::vector<double> all =
        by_lines<T>(x, dim, [](const Line& v) { return Line(v.size(), log_sum_exp(v)); });
    std::int64_t step = 1;
    for (int i = dim + 1; i < shape.size(); ++i) step *= shape[i];
    std::vector<double> first;
    for (std::int64_t i = 0; i < x.size(); ++i)
      if (i / step % shape[dim] == 0) first.push_back(all[static_cast<std::size_t>(i)]);
    CHECK(error(z, first) < 8);
    CHECK(z.guards_intact());
  }
}

}  // namespace

TEST_CASE("softmax and its relatives along every dimension, in every layout, on every target") {
  on_targets([] {
    for (const Dims& shape : {Dims{3, 10}, Dims{4, 1}, Dims{2, 5, 7}, Dims{3, 70}, Dims{70, 3}, Dims{2, 1030}})
      for (int dim = 0; dim < shape.size(); ++dim)
        for (Layout layout : all_layouts) {
          check<float>(shape, dim, layout);
          check<double>(shape, dim, layout);
        }
    for (std::int64_t n : {1, 2, 3, 4, 8, 15, 16, 17, 31, 33, 511, 512, 513})
      check<float>({2, n}, 1, Layout::dense);
  });
}

TEST_CASE("softmax of special rows") {
  on_targets([] {
    const float finf = std::numeric_limits<float>::infinity(), fnan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<std::vector<float>> rows = {{-finf, -finf, -finf}, {1, finf, 2},
                                                  {1, fnan, 2},          {-finf, 0, 0},
                                                  {1000, 1000, 999},     {-1e30F, -2e30F, 0}};
    Array<float> x({6, 3}), y({6, 3}), z({6});
    x.generate([&](std::int64_t i) {
      return rows[static_cast<std::size_t>(i / 3)][static_cast<std::size_t>(i % 3)];
    });
    kernels::softmax(x.view(), y.view(), 1);
    for (std::int64_t i = 0; i < 9; ++i) CHECK((std::isnan(y[i]) || i == 3 || i == 5));
    CHECK((y[9] == 0 && y[10] == 0.5F && y[11] == 0.5F));
    CHECK(y[12] == doctest::Approx(0.422319));
    CHECK((y[15] == 0 && y[16] == 0 && y[17] == 1));
    kernels::logsumexp(x.view(), z.view(), 1);
    CHECK(z[0] == -finf);
    CHECK(z[1] == finf);
    CHECK(std::isnan(z[2]));
    CHECK(z[3] == doctest::Approx(std::log(2.0)));
    CHECK(z[4] == doctest::Approx(1000.861995));
    CHECK(z[5] == 0);
    kernels::log_softmax(x.view(), y.view(), 1);
    CHECK((y[9] == -finf && y[15] == -1e30F && y[17] == 0));
    CHECK(y[12] == doctest::Approx(-0.861995));
    Array<float> empty({2, 0}), none({2});
    kernels::logsumexp(empty.view(), none.view(), 1);
    CHECK((none[0] == -finf && none[1] == -finf));
    kernels::softmax(empty.view(), empty.view(), 1);
    Array<float> scalar((Dims())), out((Dims()));
    scalar[0] = 3;
    kernels::softmax(scalar.view(), out.view(), 0);
    CHECK(out[0] == 1);
    kernels::logsumexp(scalar.view(), out.view(), 0);
    CHECK(out[0] == 3);
  });
}

TEST_CASE("the bits of softmax along rows depend neither on layout nor on threads, and it runs in place") {
  on_targets([] {
    Array<float> x({500, 70}), turned({500, 70}, Layout::transposed), want({500, 70});
    x.random(3), turned.random(3);
    kernels::softmax(x.view(), want.view(), 1);
    on_threads([&] {
      Array<float> y({500, 70}, Layout::spaced);
      kernels::softmax(turned.view(), y.view(), 1);
      CHECK(same_bits(y.values(), want.values()));
    });
    kernels::softmax(turned.view(), turned.view(), 1);
    CHECK(same_bits(turned.values(), want.values()));
    Array<float> g({500, 70}), plain({500, 70});
    g.random(4);
    kernels::softmax_backward(g.view(), want.view(), plain.view(), 1);
    kernels::softmax_backward(g.view(), want.view(), g.view(), 1);
    CHECK(same_bits(g.values(), plain.values()));
  });
}
