// Batch normalisation beyond what certification samples: large arrays, hard numbers, both ways through the
// array, gradients of gradients. Depends on the public functions and kernels/par.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

double largest(const Tensor& t) { return max(abs(t)).to(DType::f64).item<double>(); }

}  // namespace

TEST_CASE("batch_norm: f32 agrees with f64 on every map of the VGG") {
  Generator gen(3);
  for (const Dims& shape : {Dims{8, 4, 32, 32}, Dims{8, 5, 16, 16}, Dims{16, 6, 8, 8}, Dims{16, 40, 4, 4},
                            Dims{16, 300, 2, 2}, Dims{64, 700}, Dims{3, 2, 700}, Dims{3, 3, 11, 13}}) {
    const Tensor x = randn(shape, gen) * 3 + 5, g = randn(shape, gen);
    const Tensor w = randn({shape[1]}, gen), b = randn({shape[1]}, gen);
    const auto both = [&](DType d) {
      Tensor in[3] = {x.to(d).clone(), w.to(d).clone(), b.to(d).clone()};
      for (Tensor& t : in) t.set_requires_grad();
      const BatchNormResult r = batch_norm(in[0], in[1], in[2]);
      std::vector<Tensor> all = grad(r.y, {in[0], in[1], in[2]}, {.grad_outputs = {g.to(d)}});
      for (const Tensor& t :
           {r.y, r.mean, r.variance, batch_norm_inference(x.to(d), r.mean, r.variance, in[1], in[2])})
        all.push_back(t.detach());
      return all;
    };
    const std::vector<Tensor> single = both(DType::f32), twice = both(DType::f64);
    for (std::size_t i = 0; i < single.size(); ++i) {
      INFO(to_string(shape), " result ", i);
      CHECK(largest(single[i].to(DType::f64) - twice[i]) <= 4e-6 * std::fmax(1, largest(twice[i])));
    }
  }
}

TEST_CASE("batch_norm: a large common offset costs no accuracy, equal elements have variance 0") {
  Generator gen(4);
  const Tensor noise = randn({64, 2, 9, 16}, gen);
  const Tensor near = batch_norm(noise + 4096).variance,
               exact = batch_norm((noise + 4096).to(DType::f64)).variance;
  CHECK(largest(near.to(DType::f64) / exact - 1) <= 1e-6);
  for (const Dims& shape : {Dims{50, 3}, Dims{7, 3, 2, 2}, Dims{5, 2, 11, 13}}) {
    const BatchNormResult r = batch_norm(full(shape, 1.0 / 3, DType::f32));
    CHECK(largest(r.variance) == 0);
    CHECK(largest(r.y) == 0);
  }
  // One far element among many: the first guess of the mean may or may not meet it.
  for (const std::int64_t place : {0, 1, 4000, 8191}) {
    Tensor x = zeros({8, 1, 32, 32});
    x.mutable_data<float>()[place] = 1e6f;
    const double n = 8192, mean = 1e6 / n, variance = 1e12 / n - mean * mean;
    const BatchNormResult r = batch_norm(x);
    CHECK(r.mean.item<float>() == doctest::Approx(mean).epsilon(1e-6));
    CHECK(r.variance.item<float>() == doctest::Approx(variance).epsilon(1e-5));
  }
}

TEST_CASE("batch_norm: a channel with NaN or infinity spoils itself alone") {
  for (const float bad : {std::nanf(""), HUGE_VALF}) {
    for (const Dims& shape : {Dims{4, 3, 2, 2}, Dims{4, 3, 10, 10}}) {
      Generator gen(5);
      Tensor x = randn(shape, gen);
      x.mutable_data<float>()[shape[2] * shape[3] + 1] = bad;  // channel 1 of the first image
      const BatchNormResult r = batch_norm(x);
      CHECK_FALSE(isfinite(r.mean).data<bool>()[1]);
      CHECK(isfinite(r.mean).data<bool>()[0]);
      CHECK(isfinite(r.mean).data<bool>()[2]);
      const Tensor finite = isfinite(r.y);
      CHECK(sum(finite).item<std::int64_t>() == finite.numel() / 3 * 2);
    }
  }
}

TEST_CASE("norms: a gradient penalty differentiates through the statistics") {
  using Norm = Tensor (*)(const Tensor&);
  constexpr Norm norms[] = {[](const Tensor& x) { return batch_norm(x, {}, {}, {.eps = 0.1}).y; },
                            [](const Tensor& x) { return layer_norm(x, {4, 2}, {}, {}, {.eps = 0.1}); },
                            [](const Tensor& x) { return group_norm(x, 2, {}, {}, {.eps = 0.1}); }};
  Generator gen(6);
  Tensor x = randn({3, 4, 2}, gen, DType::f64);
  x.set_requires_grad();
  for (const Norm norm : norms) {
    const auto penalty = [&](const Tensor& at) {
      const Tensor y = norm(at);
      const Tensor g = grad(sum(y * y * y), {at}, {.create_graph = true})[0];
      return sum(g * g);
    };
    const Tensor slope = grad(penalty(x), {x})[0];
    const double h = 1e-5;
    for (const std::int64_t i : {0, 7, 23}) {
      const auto moved = [&](double by) {
        Tensor z = x.detach().clone();
        z.mutable_data<double>()[i] += by;
        z.set_requires_grad();
        return penalty(z).item<double>();
      };
      CHECK(slope.data<double>()[i] == doctest::Approx((moved(h) - moved(-h)) / (2 * h)).epsilon(1e-6));
    }
  }
}

TEST_CASE("batch_norm: bits do not depend on the number of threads") {
  Generator gen(8);
  const int before = par::num_threads();
  for (const Dims& shape : {Dims{16, 24, 16, 16}, Dims{32, 512, 4, 4}, Dims{128, 1030}}) {
    Tensor x = randn(shape, gen), g = randn(shape, gen);
    x.set_requires_grad();
    std::vector<Tensor> first;
    for (const int threads : {1, 2, 5}) {
      par::set_num_threads(threads);
      const Tensor y = batch_norm(x).y;
      const std::vector<Tensor> now{y, grad(y, {x}, {.grad_outputs = {g}})[0]};
      if (first.empty()) first = now;
      for (std::size_t i = 0; i < now.size(); ++i)
        CHECK(std::memcmp(now[i].data<float>(), first[i].data<float>(),
                          static_cast<std::size_t>(x.numel()) * 4) == 0);
    }
  }
  par::set_num_threads(before);
}
