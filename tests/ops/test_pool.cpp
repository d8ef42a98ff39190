// Pooling beyond what certification samples: every width of the fast ways against the windows by definition,
// ties and NaN, all instruction sets, gradients of gradients. Depends on the public functions.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

struct Pooled {
  std::vector<float> y, dx;
};

/// Largest of each window and where its gradient goes, by definition; no padding counts.
Pooled max_by_definition(const Tensor& x, const Tensor& g, std::int64_t k, std::int64_t s, std::int64_t p) {
  const std::int64_t planes = x.shape()[0] * x.shape()[1], h = x.shape()[2], w = x.shape()[3];
  const std::int64_t oh = (h + 2 * p - k) / s + 1, ow = (w + 2 * p - k) / s + 1;
  Pooled r{{}, std::vector<float>(static_cast<std::size_t>(x.numel()), 0)};
  for (std::int64_t o = 0; o < planes * oh * ow; ++o) {
    const std::int64_t plane = o / (oh * ow), i0 = o / ow % oh * s - p, j0 = o % ow * s - p;
    std::int64_t at = -1;
    for (std::int64_t i = std::max<std::int64_t>(i0, 0); i < std::min(h, i0 + k); ++i)
      for (std::int64_t j = std::max<std::int64_t>(j0, 0); j < std::min(w, j0 + k); ++j) {
        const std::int64_t here = (plane * h + i) * w + j;
        const float v = x.data<float>()[here], best = at < 0 ? 0 : x.data<float>()[at];
        if (at < 0 || (!std::isnan(best) && (std::isnan(v) || v > best))) at = here;
      }
    r.y.push_back(x.data<float>()[at]);
    r.dx[static_cast<std::size_t>(at)] += g.data<float>()[o];
  }
  return r;
}

bool same(const Tensor& t, const std::vector<float>& want) {
  if (t.numel() != static_cast<std::int64_t>(want.size())) return false;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const float v = t.data<float>()[i];
    if (!(v == want[i] || (std::isnan(v) && std::isnan(want[i])))) return false;
  }
  return true;
}

/// Few different numbers, so that ties are everywhere; some NaN and infinities.
Tensor tied(const Dims& shape, Generator& gen) {
  Tensor x = randn(shape, gen);
  float* p = x.mutable_data<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    p[i] = std::round(p[i]);
    if (i % 37 == 5) p[i] = std::nanf("");
    if (i % 41 == 7) p[i] = -std::numeric_limits<float>::infinity();
  }
  return x;
}

}  // namespace

TEST_CASE("max_pool2d: every width, with ties and NaN, on every instruction set") {
  Generator gen(1);
  struct Window {
    std::int64_t k, s, p;
  };
  for (const simd::Target target : simd::supported_targets()) {
    const simd::TargetScope scope(target);
    for (const Window& v :
         {Window{2, 2, 0}, Window{3, 2, 1}, Window{3, 2, 0}, Window{3, 1, 1}, Window{2, 3, 0}}) {
      for (const std::int64_t w : {2, 3, 4, 5, 6, 8, 10, 16, 20, 31, 32, 33, 34, 48, 64, 70, 130}) {
        for (const std::int64_t h : {2, 4, 5, 8}) {
          if (w + 2 * v.p < v.k || h + 2 * v.p < v.k) continue;
          Tensor x = tied({3, 7, h, w}, gen);
          x.set_requires_grad();
          const Tensor y = max_pool2d(x, {.kernel = {v.k}, .stride = {v.s}, .padding = {v.p}});
          const Tensor g = randn(y.shape(), gen);
          const Pooled want = max_by_definition(x, g, v.k, v.s, v.p);
          INFO(simd::target_name(target), " window ", v.k, " stride ", v.s, " on ", h, " x ", w);
          CHECK(same(y, want.y));
          CHECK(same(grad(y, {x}, {.grad_outputs = {g}})[0], want.dx));
        }
      }
    }
  }
}

TEST_CASE("max_pool2d: the second derivative gathers where the first scattered") {
  Generator gen(2);
  Tensor x = randn({2, 3, 6, 8}, gen, DType::f64), g = randn({2, 3, 3, 4}, gen, DType::f64);
  x.set_requires_grad();
  g.set_requires_grad();
  const Tensor y = max_pool2d(x);
  const Tensor dx = grad(y, {x}, {.grad_outputs = {g}, .create_graph = true})[0];
  // d sum(dx x) / dg = x at the maxima, which is y.
  const Tensor back = grad(sum(dx * x.detach()), {g})[0];
  CHECK(max(abs(back - y)).item<double>() == 0);
}

TEST_CASE("avg_pool2d: overlapping windows share the gradient, padding counts or not") {
  Tensor x = ones({1, 1, 3, 3}, DType::f64);
  x.set_requires_grad();
  const AvgPoolOptions o{.kernel = {3}, .stride = {2}, .padding = {1}};
  AvgPoolOptions bare = o;
  bare.count_include_pad = false;
  CHECK(avg_pool2d(x, o).data<double>()[0] == doctest::Approx(4.0 / 9));
  CHECK(avg_pool2d(x, bare).data<double>()[0] == 1);
  const Tensor d = grad(sum(avg_pool2d(x, bare)), {x})[0];
  CHECK(d.data<double>()[0] == 0.25);
  CHECK(d.data<double>()[1] == 0.5);
  CHECK(d.data<double>()[4] == 1);
}

TEST_CASE("pooling: bits do not depend on the number of threads, large results included") {
  Generator gen(3);
  const int before = par::num_threads();
  Tensor x = randn({64, 32, 64, 64}, gen);  // 32 MiB: written past the cache
  x.set_requires_grad();
  for (const std::int64_t k : {2, 3}) {
    std::vector<Tensor> first;
    for (const int threads : {1, 2, 5}) {
      par::set_num_threads(threads);
      const Tensor y = max_pool2d(x, {.kernel = {k}, .stride = {2}});
      const Tensor z = avg_pool2d(x, {.kernel = {k}, .stride = {2}});
      const std::vector<Tensor> now{y, z, grad(y, {x}, {.grad_outputs = {z.detach()}})[0],
                                    grad(z, {x}, {.grad_outputs = {y.detach()}})[0]};
      if (first.empty()) first = now;
      for (std::size_t i = 0; i < now.size(); ++i)
        CHECK(std::memcmp(now[i].data<float>(), first[i].data<float>(),
                          static_cast<std::size_t>(now[i].numel()) * 4) == 0);
    }
    const Pooled want = max_by_definition(x, avg_pool2d(x, {.kernel = {k}, .stride = {2}}), k, 2, 0);
    CHECK(same(first[0], want.y));
    CHECK(same(first[2], want.dx));
  }
  par::set_num_threads(before);
}
