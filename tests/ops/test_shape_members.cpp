// In-place members, and the verbs by which the engine adds and fits gradients.
#include <doctest/doctest.h>

#include <limits>
#include <string>

#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

std::string text_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const GraphError& e) {
    return e.what();
  }
  return "no GraphError";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("in-place arithmetic is recorded where the derivative allows it") {
  const Tensor x = from({1.0, 2.0, 3.0}).set_requires_grad();
  Tensor y = x * 2.0;
  y.add_(from({10.0})).sub_(x).mul_(3.0).add_(1.0);
  sum(y).backward();
  CHECK(y.data<double>()[2] == 40.0);
  for (int i = 0; i < 3; ++i) CHECK(x.grad().data<double>()[i] == 3.0);
  Tensor leaf = from({1.0}).set_requires_grad();
  CHECK(contains(text_of([&] { leaf.add_(1.0); }), "leaf"));
  Tensor z = x * 2.0;
  CHECK(contains(text_of([&] { z.mul_(x); }), "overwrites"));
  CHECK_THROWS_AS(Tensor(from({1.0})).add_(from({1.0, 2.0})), ShapeError);
}

TEST_CASE("numbers in place keep the dtype or are refused") {
  Tensor i = from<std::int64_t>({1, 2});
  i.add_(3.0).mul_(2.0);
  CHECK(i.data<std::int64_t>()[1] == 10);
  CHECK_THROWS_AS(i.add_(0.5), ShapeError);
  Tensor f = from({1.0f});
  f.mul_(0.5);
  CHECK(f.dtype() == DType::f32);
  CHECK(f.item() == 0.5);
}

TEST_CASE("copy_ broadcasts, casts, and reads an overlapping source before it writes") {
  Tensor x = zeros({2, 3});
  x.copy_(from<std::int64_t>({1, 2, 3}));
  CHECK(x.data<float>()[4] == 2.0f);
  Tensor line = arange(0, 1000), to = slice(line, 0, 1);
  to.copy_(slice(line, 0, 0, 999));
  bool shifted = true;
  for (int k = 1; k < 1000; ++k) shifted = shifted && line.data<float>()[k] == static_cast<float>(k - 1);
  CHECK(shifted);
  Tensor square = arange(0, 9).reshape({3, 3});
  square.copy_(square.t());
  for (int k = 0; k < 9; ++k) CHECK(square.data<float>()[k] == static_cast<float>(k % 3 * 3 + k / 3));
  CHECK_THROWS_AS(x.copy_(zeros({3, 3})), ShapeError);
  CHECK_THROWS_AS(x.copy_(zeros({1, 2, 3})), ShapeError);
  CHECK_THROWS_AS(x.copy_(Tensor()), ValueError);
}

TEST_CASE("copy_ and fill_ refuse what they would not record, and spoil saved values loudly") {
  Tensor w = from({1.0, 2.0}).set_requires_grad();
  CHECK(contains(text_of([&] { w.fill_(0); }), "fill_: this write would not be recorded"));
  Tensor plain = zeros({2}, DType::f64);
  CHECK(contains(text_of([&] { plain.copy_(w); }), "the source"));
  {
    const NoGrad off;
    plain.copy_(w);
    w.zero_();
  }
  CHECK(w.data<double>()[1] == 0);
  CHECK(plain.data<double>()[1] == 2);
  const Tensor y = w * plain;
  plain.fill_(7);
  CHECK_THROWS_AS(sum(y).backward(), VersionError);
}

TEST_CASE("fit sums what was broadcast, casts, and refuses anything else") {
  const Tensor g = ones({4, 2, 3}, DType::f64);
  CHECK(engine::fit(g, DType::f64, {2, 1}).shape() == Dims{2, 1});
  CHECK(engine::fit(g, DType::f64, {2, 1}).data<double>()[1] == 12.0);
  CHECK(engine::fit(g, DType::f32, {}).item() == 24.0);
  CHECK(engine::fit(g, DType::f32, {}).dtype() == DType::f32);
  CHECK(engine::fit(g, DType::f64, {4, 2, 3}).get() == g.get());
  CHECK(engine::fit(zeros({0, 2}, DType::f64), DType::f64, {2}).data<double>()[0] == 0.0);
  CHECK_THROWS_AS(engine::fit(g, DType::f64, {2, 2}), GraphError);
  CHECK_THROWS_AS(engine::fit(ones({3}), DType::f32, {2, 3}), GraphError);
  const kernels::fault::Scope planted(kernels::Fault::unbroadcast);
  CHECK(engine::fit(g, DType::f64, {2, 1}).shape() == Dims{2, 1});
  CHECK(engine::fit(g, DType::f64, {2, 1}).data<double>()[1] == 1.0);
}

TEST_CASE("add_into has the bits of add") {
  Generator generator(3);
  Tensor a = rand({37}, generator);
  const Tensor b = rand({37, 2}, generator), column = select(b, 1, 1);
  const Tensor expected = engine::add(a, column);
  engine::add_into(a, column);
  for (int i = 0; i < 37; ++i) CHECK(a.data<float>()[i] == expected.data<float>()[i]);
}

TEST_CASE("copy_ refuses a tensor whose elements share memory") {
  const Tensor base = zeros({1, 3});
  Tensor y = expand(base, {2, 3});
  CHECK_THROWS_WITH_AS(y.copy_(from<float>({1, 2, 3, 4, 5, 6}, {2, 3})), doctest::Contains("share memory"),
                       ShapeError);
  CHECK(base.data<float>()[0] == 0);
  Tensor row = base.reshape({3});
  CHECK_NOTHROW(row.copy_(from<float>({1, 2, 3}, {3})));
  Tensor none = expand(zeros({1, 0}), {2, 0});
  CHECK_NOTHROW(none.copy_(zeros({2, 0})));
}

TEST_CASE("a number in place that the integer dtype cannot hold is a ValueError, not a wrapped one") {
  Tensor u = from<std::uint8_t>({1, 2});
  CHECK_THROWS_WITH_AS(u.add_(-5), doctest::Contains("u8"), ValueError);
  CHECK_THROWS_AS(u.add_(256), ValueError);
  CHECK_THROWS_AS(u.mul_(std::numeric_limits<double>::infinity()), ValueError);
  CHECK(u.data<std::uint8_t>()[0] == 1);
  u.add_(254);
  CHECK(u.data<std::uint8_t>()[0] == 255);
  Tensor i = from<std::int32_t>({1, 2});
  CHECK_THROWS_AS(i.mul_(5e9), ValueError);
  CHECK(i.mul_(-2147483648.0).data<std::int32_t>()[0] == -2147483647 - 1);
}
