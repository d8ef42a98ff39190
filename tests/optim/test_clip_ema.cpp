// Clipping of gradients by norm and by value, and running averages of parameters: values worked by hand,
// infinities and NaN, gradients shared or not dense, thread counts, errors, saved state.
// Depends on optim and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <optim/state_copy.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;
using optim::clip_grad_norm;
using optim::clip_grad_value;

namespace {

const double not_a_number = std::nan(""), inf = std::numeric_limits<double>::infinity();

Tensor with_gradient(const Tensor& g) {
  Tensor p = zeros(g.shape(), g.dtype()).set_requires_grad();
  p.set_grad(g.clone());
  return p;
}

double gradient(const Tensor& p, int i) {
  return p.dtype() == DType::f32 ? double{p.grad().data<float>()[i]} : p.grad().data<double>()[i];
}

/// Several sizes around the chunks of the kernels, both dtypes.
std::vector<Tensor> many() {
  Generator g(8);
  std::vector<Tensor> all;
  for (std::int64_t n : {1, 7, 16384, 16387, 50001})
    for (DType dtype : {DType::f32, DType::f64}) all.push_back(with_gradient(randn({n}, g, dtype)));
  return all;
}

std::vector<double> values(const std::vector<Tensor>& parameters) {
  std::vector<double> all;
  for (const Tensor& p : parameters)
    for (int i = 0; i < p.numel(); ++i) all.push_back(gradient(p, i));
  return all;
}

}  // namespace

TEST_CASE("clip_grad_norm scales all gradients by one factor, and only when the norm is too large") {
  const Tensor a = with_gradient(from({3.0, 0.0})), b = with_gradient(from({0.f, -4.f})),
               none = zeros({3}).set_requires_grad(), frozen = zeros({3}),
               empty = zeros({0}).set_requires_grad();
  CHECK(clip_grad_norm({a, b, none, frozen, empty}, 6) == 5);
  CHECK(gradient(a, 0) == 3);
  CHECK(clip_grad_norm({a, b, none, frozen, empty}, 1) == 5);
  CHECK(gradient(a, 0) == doctest::Approx(3 / (5 + 1e-6)).epsilon(1e-15));
  CHECK(gradient(b, 1) == doctest::Approx(-4 / (5 + 1e-6)).epsilon(1e-7));
  CHECK_FALSE(none.grad().defined());
  CHECK_FALSE(a.grad().requires_grad());
  CHECK(clip_grad_norm({a, b}, 0) == doctest::Approx(1).epsilon(1e-6));
  CHECK(gradient(a, 0) == 0);
  CHECK(clip_grad_norm({}, 1) == 0);
  CHECK(clip_grad_norm({none}, 1) == 0);
}

TEST_CASE("clip_grad_norm by the largest value") {
  const Tensor a = with_gradient(from({3.0, -8.0})), b = with_gradient(from({2.f, 4.f}));
  CHECK(clip_grad_norm({a, b}, 2, {.norm_type = inf}) == 8);
  CHECK(gradient(a, 1) == doctest::Approx(-2).epsilon(1e-6));
  CHECK(gradient(b, 1) == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("clip_grad_norm neither overflows nor hides what is not finite") {
  const Tensor big = with_gradient(from({3e30f, 4e30f}));
  CHECK(clip_grad_norm({big}, 1) == doctest::Approx(5e30).epsilon(1e-6));
  CHECK(gradient(big, 1) == doctest::Approx(0.8).epsilon(1e-6));
  const Tensor huge = with_gradient(from({3e200, 4e200}));
  CHECK(clip_grad_norm({huge}, 1) == doctest::Approx(5e200).epsilon(1e-14));
  CHECK(gradient(huge, 1) == doctest::Approx(0.8).epsilon(1e-14));
  for (double type : {2.0, inf}) {
    CAPTURE(type);
    const Tensor a = with_gradient(from({1.0, inf})), b = with_gradient(from({2.0}));
    CHECK(clip_grad_norm({a, b}, inf, {.norm_type = type}) == inf);
    CHECK(gradient(a, 0) == 1);
    CHECK_THROWS_WITH_AS(clip_grad_norm({a, b}, 1, {.norm_type = type, .error_if_nonfinite = true}),
                         doctest::Contains("inf"), ValueError);
    CHECK(gradient(b, 0) == 2);
    CHECK(clip_grad_norm({a, b}, 1, {.norm_type = type}) == inf);
    CHECK(gradient(a, 0) == 0);
    CHECK(std::isnan(gradient(a, 1)));
    CHECK(gradient(b, 0) == 0);
    const Tensor c = with_gradient(from({1.0, not_a_number, inf})), d = with_gradient(from({2.0}));
    CHECK(std::isnan(clip_grad_norm({d, c}, 1, {.norm_type = type})));
    CHECK(std::isnan(gradient(d, 0)));
  }
}

TEST_CASE("clipping takes a shared gradient once and makes a strided one dense") {
  Tensor a = zeros({2}).set_requires_grad(), b = zeros({2}).set_requires_grad();
  const Tensor g = from({3.f, 4.f});
  a.set_grad(g), b.set_grad(g);
  CHECK(clip_grad_norm({a, b}, 2.5) == 5);
  CHECK(gradient(a, 1) == doctest::Approx(2).epsilon(1e-6));
  CHECK(gradient(b, 1) == gradient(a, 1));

  Tensor w = zeros({2, 3}).set_requires_grad();
  const Tensor source = from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {3, 2});
  w.set_grad(source.transpose(0, 1));
  clip_grad_value({w}, 3.5);
  const float want[] = {1, 3, 3.5f, 2, 3.5f, 3.5f};
  for (int i = 0; i < 6; ++i) CHECK(gradient(w, i) == want[i]);
  CHECK(source.data<float>()[5] == 6);
  Tensor s = ones({4}).set_requires_grad();
  s.sum().backward();  // the gradient may be one number seen four times
  CHECK(clip_grad_norm({s}, 1) == 2);
  for (int i = 0; i < 4; ++i) CHECK(gradient(s, i) == doctest::Approx(0.5).epsilon(1e-5));
}

TEST_CASE("clip_grad_value clamps every element and keeps NaN") {
  const Tensor a = with_gradient(from({-3.0, 0.25, not_a_number, inf, -inf}));
  clip_grad_value({a}, 0.5);
  CHECK(gradient(a, 0) == -0.5);
  CHECK(gradient(a, 1) == 0.25);
  CHECK(std::isnan(gradient(a, 2)));
  CHECK(gradient(a, 3) == 0.5);
  CHECK(gradient(a, 4) == -0.5);
}

TEST_CASE("clipping has the same bits at any thread count") {
  const int before = par::num_threads();
  std::vector<double> norms, first;
  for (int threads : {1, 2, 3}) {
    par::set_num_threads(threads);
    const std::vector<Tensor> all = many();
    norms.push_back(clip_grad_norm(all, 3));
    norms.push_back(clip_grad_norm(all, 3, {.norm_type = inf}));
    clip_grad_value(all, 0.01);
    if (first.empty()) first = values(all);
    CHECK(values(all) == first);
    CHECK(norms[norms.size() - 2] == norms[0]);
    CHECK(norms.back() == norms[1]);
  }
  par::set_num_threads(before);
}

TEST_CASE("clipping: bad arguments are typed errors, and a graph kept from before is refused") {
  const Tensor a = with_gradient(from({1.0}));
  for (double bad : {not_a_number, -1.0, -inf}) {
    CHECK_THROWS_WITH_AS(clip_grad_norm({a}, bad), doctest::Contains("max_norm"), ValueError);
    CHECK_THROWS_WITH_AS(clip_grad_value({a}, bad), doctest::Contains("limit"), ValueError);
  }
  CHECK_THROWS_WITH_AS(clip_grad_norm({a}, 1, {.norm_type = 3}), doctest::Contains("norm_type is 3"),
                       ValueError);
  CHECK_THROWS_WITH_AS(clip_grad_norm({a, Tensor()}, 0.5), doctest::Contains("parameter 1"), ValueError);
  CHECK(gradient(a, 0) == 1);
  const Tensor g = a.grad();
  Tensor w = from({2.0}).set_requires_grad();
  const Tensor y = (w * g).sum();
  clip_grad_value({a}, 0.5);
  CHECK_THROWS_WITH_AS(y.backward(), doctest::Contains("clip_grad_value"), VersionError);
}

TEST_CASE("Ema follows the parameters at its decay") {
  Tensor p = from({1.0, 2.0}).set_requires_grad(), q = from({4.f}).set_requires_grad();
  optim::Ema ema({p, q}, {.decay = 0.75});
  const auto set = [](Tensor& t, double v) {
    const NoGrad guard;
    t.fill_(v);
  };
  set(p, 5), set(q, 8);
  ema.update();
  CHECK(ema.averages()[0].data<double>()[0] == 2);
  CHECK(ema.averages()[0].data<double>()[1] == 2.75);
  CHECK(ema.averages()[1].item() == 5);
  CHECK(p.data<double>()[0] == 5);
  ema.swap();
  CHECK(ema.swapped());
  CHECK(p.data<double>()[1] == 2.75);
  CHECK(q.item() == 5);
  CHECK(ema.averages()[1].item() == 8);
  CHECK_THROWS_WITH_AS(ema.update(), doctest::Contains("Ema::update"), ValueError);
  CHECK_THROWS_AS(ema.copy_to(), ValueError);
  ema.swap();
  CHECK(q.item() == 8);
  ema.copy_to();
  CHECK(p.data<double>()[0] == 2);
  CHECK(q.item() == 5);
  CHECK(p.requires_grad());
  CHECK(p.is_leaf());
  CHECK(ema.updates() == 1);
  CHECK(ema.averages()[0].data<double>()[0] == 2);
}

TEST_CASE("Ema warms up") {
  Tensor p = from({0.0});
  optim::Ema ema({p}, {.decay = 0.3, .warm_up = true});
  p.fill_(1);
  double want = 0;
  for (int t = 1; t <= 5; ++t) {
    ema.update();
    const double decay = std::min(0.3, (1.0 + t) / (10.0 + t));
    want = decay * want + (1 - decay);
    CHECK(ema.averages()[0].item() == doctest::Approx(want).epsilon(1e-15));
  }
}

TEST_CASE("Ema: state goes on where it was saved; what does not fit is refused") {
  optim_test::StateCopy copy;
  Tensor p = from({0.0}), q = from({1.0, 2.0});
  optim::Ema one({p}, {.warm_up = true});
  p.fill_(1);
  one.update();
  one.visit(copy);
  CHECK(copy.tensors.contains("0.average"));
  CHECK(copy.integers == std::map<std::string, std::int64_t>{{"swapped", 0}, {"updates", 1}});
  optim::Ema two({p}, {.warm_up = true}), other({q});
  copy.loading = true;
  two.visit(copy);
  other.visit(copy);
  one.update(), two.update();
  CHECK(one.averages()[0].item() == two.averages()[0].item());
  CHECK_THROWS_WITH_AS(other.update(), doctest::Contains("state 0.average"), ValueError);
  CHECK_THROWS_AS(other.swap(), ValueError);
}

TEST_CASE("Ema: bad arguments are typed errors") {
  const Tensor p = from({1.0});
  for (double bad : {not_a_number, inf, -0.1, 1.1})
    CHECK_THROWS_WITH_AS(optim::Ema({p}, {.decay = bad}), doctest::Contains("decay"), ValueError);
  CHECK_THROWS_WITH_AS(optim::Ema({p, p}), doctest::Contains("parameter 1"), ValueError);
  CHECK_THROWS_AS(optim::Ema({Tensor()}), ValueError);
  CHECK_THROWS_AS(optim::Ema({ones({2}, DType::i64)}), DTypeError);
}
