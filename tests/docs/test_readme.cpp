// The code of README.md, compiled and run. Each block there stands here word for word.
#include <doctest/doctest.h>

#include <cstdio>

#include <thalweg/check/certify.hpp>
#include <thalweg/op.hpp>
#include <thalweg/thalweg.hpp>

namespace tw = thalweg;

TEST_CASE("README: a model in ten lines learns") {
  tw::Generator gen(1);
  const tw::Tensor x = tw::randn({256, 2}, gen);
  const tw::Tensor label = (x.sum({.dims = {1}}) > 0).to(tw::DType::i64);
  double last = 0;
  {
    tw::nn::Sequential model(tw::nn::Linear({.in = 2, .out = 16, .activation = tw::Activation::relu}),
                             tw::nn::Linear({.in = 16, .out = 2}));
    tw::optim::Adam adam(tw::nn::parameters(model), {.lr = 1e-2});
    for (int step = 0; step < 200; ++step) {
      tw::Tensor loss = tw::cross_entropy(model(x), label);
      loss.backward();
      adam.step();
      adam.zero_grad();
      last = loss.item();
    }
  }
  CHECK(last < 0.1);
}

namespace readme {

struct Bump {
  static constexpr thalweg::Row row{.name = "bump", .formula = "y = exp(-x^2)", .ulp_f32 = 8, .ulp_f64 = 8};
  template <class V> static V f(V x) { return exp(-(x * x)); }
  template <class V> static V df_xy(V x, V y) { return -2 * x * y; }
  static double ref(double x) { return std::exp(-x * x); }
};

}  // namespace readme

TEST_CASE("README: an op of one's own, certified by one call") {
  using readme::Bump;
  const tw::Tensor x = tw::linspace(-1, 1, 5).set_requires_grad();
  tw::Tensor y = tw::apply<Bump>(x);
  const bool sound = tw::check::certify<Bump>().ok();
  CHECK(sound);
  CHECK(y.requires_grad());
}
