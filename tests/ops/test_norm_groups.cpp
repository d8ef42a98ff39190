// Layer and group normalisation beyond what certification samples: large arrays on every way through them,
// hard numbers, gradients of gradients, errors of the functions. Depends on the public functions and
// kernels/par.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

double largest(const Tensor& t) { return max(abs(t)).to(DType::f64).item<double>(); }

/// A call: layer_norm over the last dimension with 0 groups, else group_norm.
struct Way {
  const char* name;
  Dims x;
  std::int64_t groups;

  Dims numbers() const { return {groups == 0 ? x[x.size() - 1] : x[1]}; }
  Tensor operator()(const Tensor& t, const Tensor& w, const Tensor& b) const {
    return groups == 0 ? layer_norm(t, numbers(), w, b) : group_norm(t, groups, w, b);
  }
  /// The definition, written out with means.
  Tensor by_definition(const Tensor& t, const Tensor& w, const Tensor& b) const {
    const std::int64_t n = groups == 0 ? 1 : groups, channels = numbers()[0] / n;
    const Tensor all = groups == 0 ? t.reshape({-1, 1, channels, 1}) : t.reshape({x[0], n, channels, -1});
    const Tensor m = mean(all, {.dims = {2, 3}, .keepdim = true}), d = all - m;
    const Tensor v = mean(d * d, {.dims = {2, 3}, .keepdim = true});
    const Dims beside{1, n, channels, 1};
    return (d / sqrt(v + 1e-5) * w.reshape(beside) + b.reshape(beside)).reshape(x);
  }
};

/// Every way through the kernels: elements or runs, many pieces or a few long ones.
const Way ways[] = {{"rows", {300, 512}, 0},
                    {"short rows", {70, 50, 19}, 0},
                    {"long rows", {3, 140'001}, 0},
                    {"one vector", {200'000}, 0},
                    {"maps", {12, 8, 14, 15}, 4},
                    {"small maps", {40, 24, 2, 3}, 3},
                    {"channels alone", {130, 64}, 4},
                    {"few large maps", {2, 6, 200, 201}, 2},
                    {"a map per group", {1, 2, 301, 500}, 2},
                    {"few long pieces of short runs", {2, 16'400, 3, 3}, 1}};

}  // namespace

TEST_CASE("layer_norm, group_norm: the definition on every way through the kernels, with all gradients") {
  Generator gen(3);
  for (const Way& way : ways) {
    INFO(way.name);
    const Tensor x = randn(way.x, gen) * 3 + 5, g = randn(way.x, gen);
    const Tensor w = randn(way.numbers(), gen), b = randn(way.numbers(), gen);
    const auto results = [&](bool by_definition, DType d) {
      Tensor in[3] = {x.to(d).clone(), w.to(d).clone(), b.to(d).clone()};
      for (Tensor& t : in) t.set_requires_grad();
      const Tensor y = by_definition ? way.by_definition(in[0], in[1], in[2]) : way(in[0], in[1], in[2]);
      std::vector<Tensor> all = grad(y, {in[0], in[1], in[2]}, {.grad_outputs = {g.to(d)}});
      all.push_back(y.detach());
      return all;
    };
    const std::vector<Tensor> exact = results(true, DType::f64), twice = results(false, DType::f64),
                              single = results(false, DType::f32);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      INFO("result ", i);
      const double scale = std::fmax(1, largest(exact[i]));
      CHECK(largest(twice[i] - exact[i]) <= 1e-11 * scale);
      CHECK(largest(single[i].to(DType::f64) - exact[i]) <= 4e-6 * scale);
    }
  }
}

TEST_CASE("layer_norm: a large common offset costs no accuracy, equal elements give the bias") {
  Generator gen(4);
  const Tensor noise = randn({8, 1000}, gen), moved = noise + 4096;
  const Tensor near = layer_norm(moved, {1000}), exact = layer_norm(moved.to(DType::f64), {1000});
  CHECK(largest(near.to(DType::f64) - exact) <= 2.5e-4);  // half a unit in the last place of the mean
  const Tensor bias = from<float>({1, 2, 3}, {3});
  const Tensor y = layer_norm(full({4, 3}, 1.0 / 3, DType::f32), {3}, {}, bias);
  for (std::int64_t i = 0; i < 12; ++i) CHECK(y.data<float>()[i] == static_cast<float>(i % 3 + 1));
}

TEST_CASE("layer_norm, group_norm: a piece with NaN or infinity spoils itself alone") {
  for (const float bad : {std::nanf(""), HUGE_VALF}) {
    Generator gen(5);
    Tensor rows = randn({3, 37}, gen), maps = randn({2, 4, 5, 5}, gen);
    rows.mutable_data<float>()[40] = bad;
    maps.mutable_data<float>()[60] = bad;  // channel 2 of the first image
    const Tensor a = isfinite(layer_norm(rows, {37})), b = isfinite(group_norm(maps, 2));
    CHECK(sum(a).item<std::int64_t>() == 2 * 37);
    CHECK(sum(b).item<std::int64_t>() == 150);
  }
}

TEST_CASE("layer_norm, group_norm: bits do not depend on the number of threads") {
  Generator gen(8);
  const int before = par::num_threads();
  for (const Way& way : ways) {
    INFO(way.name);
    Tensor x = randn(way.x, gen), g = randn(way.x, gen), w = randn(way.numbers(), gen),
           b = randn(way.numbers(), gen);
    for (Tensor* t : {&x, &w, &b}) t->set_requires_grad();
    std::vector<Tensor> first;
    for (const int threads : {1, 2, 5}) {
      par::set_num_threads(threads);
      const par::Rendezvous meet;
      const Tensor y = way(x, w, b);
      std::vector<Tensor> now = grad(y, {x, w, b}, {.grad_outputs = {g}});
      now.push_back(y.detach());
      if (first.empty()) first = now;
      for (std::size_t i = 0; i < now.size(); ++i)
        CHECK(std::memcmp(now[i].data<float>(), first[i].data<float>(),
                          static_cast<std::size_t>(now[i].numel()) * 4) == 0);
    }
  }
  par::set_num_threads(before);
}

TEST_CASE(
    "layer_norm: the shape must be that of the trailing dimensions, and the error names the user's line") {
  const Tensor x = zeros({2, 3});
  CHECK_THROWS_WITH_AS(
      layer_norm(x, {2}),
      doctest::Contains("layer_norm: not the trailing dimensions: shape is [2], wanted the last sizes "
                        "of x f32[2,3] (at"),
      ShapeError);
  CHECK_THROWS_WITH_AS(layer_norm(x, {}), doctest::Contains("test_norm_groups.cpp"), ShapeError);
  CHECK_THROWS_AS(layer_norm(x, {1, 2, 3}), ShapeError);
  CHECK_THROWS_AS(layer_norm(Tensor(), {3}), ValueError);
  CHECK_THROWS_WITH_AS(group_norm(x, 2), doctest::Contains("groups is 2, wanted a divisor of the 3 channels"),
                       ValueError);
}
