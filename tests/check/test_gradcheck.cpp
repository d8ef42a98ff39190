// gradcheck on functions of a user's own: right ones, wrong ones, kinks, empty inputs, the wrong dtype.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "planted.hpp"

namespace {

using namespace thalweg;
using check::gradcheck;
using check::gradgradcheck;

Tensor numbers(const Dims& shape, std::uint64_t seed = 3) {
  Generator g(seed);
  return randn(shape, g, DType::f64);
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("right gradients pass, to second order") {
  const auto f = [](const Tensor& x, const Tensor& w) { return sum(tanh(matmul(x, w)) * 2.0); };
  const auto r = gradcheck(f, {numbers({3, 4}), numbers({4, 2})});
  INFO(r.message);
  CHECK(r.ok);
  CHECK(r.checked == 12 + 8);
  CHECK(r.worst < 0.1);
  CHECK(r.kinks == 0);
  const auto second = gradgradcheck(f, {numbers({2, 2}), numbers({2, 2})});
  INFO(second.message);
  CHECK(second.ok);
}

TEST_CASE("a wrong derivative inside a function is found and placed") {
  const auto f = [](const Tensor& x) { return apply<planted::WrongDerivative>(x) * 2.0; };
  const auto r = gradcheck(f, {numbers({2, 3})});
  CHECK_FALSE(r.ok);
  CHECK(r.worst > 1);
  CHECK(has(r.message, "wrong derivative of output 0, element ["));
  CHECK(has(r.message, "input 0, element ["));
  CHECK(has(r.message, "const Tensor x0 = from<double>({"));
}

TEST_CASE("a wrong derivative in one element of many is found by sparse directions") {
  const auto f = [](const Tensor& x) { return apply<planted::SlightlyWrongDerivative>(x); };
  CHECK_FALSE(gradcheck(f, {numbers({50, 20})}).ok);
  CHECK(gradcheck([](const Tensor& x) { return apply<planted::Swish>(x); }, {numbers({50, 20})}).ok);
}

TEST_CASE("a lost part of a gradient is found") {
  const auto f = [](const Tensor& x) { return x * x.detach(); };
  CHECK_FALSE(gradcheck(f, {numbers({3})}).ok);
  const auto g = [](const Tensor& x) { return x.detach() * 2.0; };
  CHECK_FALSE(gradcheck(g, {numbers({3})}).ok);
}

TEST_CASE("a gradient whose own gradient is lost passes first and fails second order") {
  const auto f = [](const Tensor& x) { return apply<planted::Undifferentiable>(x); };
  CHECK(gradcheck(f, {numbers({3})}).ok);
  const auto r = gradgradcheck(f, {numbers({3})});
  CHECK_FALSE(r.ok);
  CHECK(has(r.message, "second order"));
}

TEST_CASE("kinks raise no false alarm, and excuse nothing else") {
  // At the kink, beside it within the stencil, and far from it.
  const Tensor x = from<double>({0.0, 1e-3, -2e-3, 5e-6, 1.5, -1.5}, {6});
  const auto r = gradcheck([](const Tensor& t) { return relu(t) * 3.0 + abs(t); }, {x});
  INFO(r.message);
  CHECK(r.ok);
  CHECK(r.kinks >= 3);
  check::GradcheckOptions strict;
  strict.kinks = false;
  CHECK_FALSE(gradcheck([](const Tensor& t) { return relu(t); }, {x}, strict).ok);
  // A slope of 2 is between nothing at 1.5, and outside both sides at 0.
  CHECK_FALSE(gradcheck([](const Tensor& t) { return relu(t) + (t - t.detach()); }, {x}).ok);
  CHECK_FALSE(
      gradcheck([](const Tensor& t) { return relu(t) + (t - t.detach()) * 1.5; }, {from<double>({0.0}, {1})})
          .ok);
}

TEST_CASE("a direction across many kinks falls back on the Jacobian") {
  std::vector<double> v(200, 0.0);
  CHECK(gradcheck([](const Tensor& t) { return relu(t); }, {from(v, {200})}).ok);
}

TEST_CASE("zero-size inputs and outputs are fine") {
  CHECK(gradcheck([](const Tensor& x) { return tanh(x); }, {zeros({0}, DType::f64)}).ok);
  CHECK(gradcheck([](const Tensor& x) { return sum(x * x); }, {zeros({0, 3}, DType::f64)}).ok);
  CHECK(gradgradcheck([](const Tensor& x) { return sum(x * x); }, {zeros({0, 3}, DType::f64)}).ok);
}

TEST_CASE("f32 is refused by a typed error") {
  CHECK_THROWS_AS(gradcheck([](const Tensor& x) { return tanh(x); }, {zeros({2})}), DTypeError);
  CHECK_THROWS_AS(gradcheck([](const Tensor& x) { return x.to(DType::f32); }, {zeros({2}, DType::f64)}),
                  DTypeError);
}

TEST_CASE("integer and undefined inputs are passed through; several outputs are all checked") {
  const auto f = [](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    CHECK_FALSE(in[2].defined());
    return {where(in[1], in[0], in[0] * 2.0), sum(in[0]), in[1]};
  };
  const auto r = gradcheck(f, {numbers({3}), from<bool>({true, false, true}, {3}), Tensor()});
  INFO(r.message);
  CHECK(r.ok);
  CHECK(r.checked == 4 * 3);
  const auto bad = [](const std::vector<Tensor>& in) -> std::vector<Tensor> {
    return {in[0] * 1.0, in[0] * in[0].detach()};
  };
  const auto wrong = gradcheck(bad, {numbers({3})});
  CHECK_FALSE(wrong.ok);
  CHECK(has(wrong.message, "output 1"));
}

TEST_CASE("inputs are left as they were") {
  Tensor x = numbers({4});
  const Tensor before = x.clone();
  const auto version = x.body().storage->version();
  gradcheck([](const Tensor& t) { return tanh(t); }, {x});
  CHECK(check::same_bits(x, before));
  CHECK(x.body().storage->version() == version);
  CHECK_FALSE(x.requires_grad());
}

TEST_CASE("the values' own arithmetic: ulp, layouts, code") {
  CHECK(check::ulp_error(1.0 + 0x1p-52, 1.0, 0, DType::f64) == 1);
  CHECK(check::ulp_error(1.0 + 0x1p-23, 1.0, 0, DType::f32) == 1);
  CHECK(check::ulp_error(std::nan(""), 1.0, 0, DType::f64) == HUGE_VAL);
  CHECK(check::ulp_error(HUGE_VAL, 1e300, 0, DType::f32) == 0);
  CHECK(check::ulp_error(0x1p-149, 0, 0, DType::f32) == 1);
  const Tensor t = numbers({3, 4});
  for (check::Layout l : check::all_layouts) {
    const Tensor other = check::with_layout(t, l);
    INFO(std::string(check::layout_name(l)));
    CHECK(other.shape() == t.shape());
    if (l != check::Layout::repeated) CHECK(check::same_bits(other, t));
    if (l != check::Layout::contiguous && l != check::Layout::misaligned) CHECK_FALSE(other.is_contiguous());
  }
  CHECK(check::to_code(from<double>({0.5, -2}, {2})) == "from<double>({0.5, -2.0}, {2})");
  CHECK(check::to_code(from<float>({0.25f}, Dims{})) == "from<float>({0.25f}, Dims{})");
  CHECK(check::to_code(from<bool>({true, false}, {2})) == "from<bool>({true, false}, {2})");
  CHECK(check::to_code(zeros({0, 3}, DType::f64)) == "zeros({0,3}, DType::f64)");
  CHECK(check::index_of(7, {2, 5}) == "[1,2]");
}
