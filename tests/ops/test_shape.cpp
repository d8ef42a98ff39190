// Views and copies: who shares memory, how many nodes are recorded, what comes out where strides get in the
// way. Values, derivatives and bad arguments of each op are certified from its own samples; here stands what
// no sample can say.
#include <doctest/doctest.h>

#include <string>

#include <thalweg/ops/structured/shape.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

Tensor counted(const Dims& shape) {
  return arange(0, static_cast<double>(numel(shape)), 1, DType::f64).reshape(shape);
}

std::vector<double> values(const Tensor& t) {
  std::vector<double> v;
  for_each_index(t.shape(), [&](const Dims& i) { v.push_back(value_at(t, i)); });
  return v;
}

bool shares(const Tensor& a, const Tensor& b) { return a.get()->storage == b.get()->storage; }

/// Whether any strides at all show (shape, strides) as `wanted`: each dimension's stride is forced by its
/// second element.
bool view_exists(const Dims& shape, const Dims& strides, const Dims& wanted) {
  std::vector<std::int64_t> offsets;
  for_each_index(shape, [&](const Dims& i) {
    std::int64_t at = 0;
    for (int d = 0; d < i.size(); ++d) at += i[d] * strides[d];
    offsets.push_back(at);
  });
  const Dims linear = contiguous_strides(wanted);
  bool exists = true;
  std::size_t n = 0;
  for_each_index(wanted, [&](const Dims& i) {
    std::int64_t at = 0;
    for (int d = 0; d < i.size(); ++d)
      if (i[d] > 0) at += i[d] * offsets[static_cast<std::size_t>(linear[d])];
    exists = exists && at == offsets[n++];
  });
  return exists;
}

template <class E, class F>
std::string text_of(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("views share memory, copies do not") {
  Tensor x = counted({3, 4});
  for (const Tensor& y :
       {view(x, {12}), reshape(x, {2, 6}), transpose(x, 0, 1), permute(x, {1, 0}), expand(x, {2, 3, 4}),
        unsqueeze(x, 1), squeeze(x), slice(x, 0, 1), select(x, 1, 2), flatten(x), contiguous(x)})
    CHECK(shares(x, y));
  for (const Tensor& y : {clone(x), contiguous(x.t()), x.t().reshape({12}), flip(x), pad(x, {0, 0}, {0, 0}),
                          cat({x}), cast(x, DType::f32)})
    CHECK_FALSE(shares(x, y));
  CHECK(cast(x, DType::f64).get() == x.get());
  const Tensor row = select(x, 0, 1);
  x.mutable_data<double>()[5] = -1;
  CHECK(values(row) == std::vector<double>{4, -1, 6, 7});
}

TEST_CASE("reshape is a view exactly where one exists, and right in any case") {
  const Tensor base = counted({2, 3, 4, 2});
  const std::vector<Tensor> layouts = {base,
                                       permute(base, {3, 0, 1, 2}),
                                       transpose(base, 1, 2),
                                       slice(base, 2, 0, 2),
                                       slice(base, 1, 0, 3, 2),
                                       slice(base, 0, 1),
                                       expand(select(base, 1, 0), {3, 2, 4, 2}),
                                       unsqueeze(transpose(base, 0, 1), 2),
                                       select(base, 3, 1),
                                       slice(base, 3, 1, 2)};
  int views = 0, copies = 0;
  for (const Tensor& x : layouts) {
    const std::int64_t n = x.numel();
    for (std::int64_t a = 1; a <= n; ++a)
      for (std::int64_t b = 1; b <= n; ++b) {
        if (n % a != 0 || (n / a) % b != 0) continue;
        const Dims wanted{a, b, n / a / b, 1};
        const Tensor y = reshape(x, wanted);
        REQUIRE(values(y) == values(x));
        const bool possible = view_exists(x.shape(), x.strides(), wanted);
        REQUIRE(shares(x, y) == possible);
        if (possible)
          REQUIRE(values(view(x, wanted)) == values(x));
        else
          REQUIRE_THROWS_AS(view(x, wanted), ShapeError);
        ++(possible ? views : copies);
      }
  }
  CHECK(views > 50);
  CHECK(copies > 50);
}

TEST_CASE("reshape records one node, view or copy") {
  const Tensor x = counted({3, 4}).set_requires_grad();
  const Tensor xt = transpose(x, 0, 1);
  const std::int64_t before = live_nodes();
  const Tensor a = reshape(x, {12});
  CHECK(live_nodes() == before + 1);
  const Tensor b = reshape(xt, {12});
  CHECK(live_nodes() == before + 2);
  sum(a * a + b * b).backward();
  for (int i = 0; i < 12; ++i) CHECK(x.grad().data<double>()[i] == 4.0 * i);
}

TEST_CASE("slice takes what Python takes") {
  for (std::int64_t size : {0, 1, 5}) {
    const Tensor x = counted({size});
    for (std::int64_t start = -7; start <= 7; ++start)
      for (std::int64_t end = -7; end <= 7; ++end)
        for (std::int64_t step : {1, 2, 3, 9}) {
          const auto place = [&](std::int64_t p) {
            return std::min(std::max<std::int64_t>(p < 0 ? p + size : p, 0), size);
          };
          std::vector<double> expected;
          for (std::int64_t i = place(start); i < place(end); i += step)
            expected.push_back(static_cast<double>(i));
          REQUIRE(values(slice(x, 0, start, end, step)) == expected);
        }
  }
  const Tensor x = counted({5});
  CHECK(values(slice(x, 0, INT64_MIN, INT64_MAX, INT64_MAX)) == std::vector<double>{0});
  CHECK(values(slice(x, -1, 2)) == std::vector<double>{2, 3, 4});
}

TEST_CASE("split and chunk cut without gaps, and their gradients join again") {
  const Tensor x = counted({2, 7}).set_requires_grad();
  const std::vector<Tensor> parts = split(x, {3, 0, 4}, 1);
  REQUIRE(parts.size() == 3);
  CHECK(parts[1].shape() == Dims{2, 0});
  CHECK(values(cat(parts, 1)) == values(x));
  sum(parts[0] * 2.0).backward();
  CHECK(values(x.grad()) == std::vector<double>{2, 2, 2, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0});
  CHECK(chunk(x, 3, -1).size() == 3);
  CHECK(chunk(x, 3, -1)[2].shape() == Dims{2, 1});
  CHECK(chunk(x, 9, 0).size() == 2);
  CHECK(contains(text_of<ShapeError>([&] {
                   split(x, {3, 3}, 1);
                 }),
                 "split: the parts do not make up the dimension: sizes is [3,3]"));
  CHECK_THROWS_AS(split(x, {8, -1}, 1), ShapeError);
  CHECK_THROWS_AS(split(x, {INT64_MAX, INT64_MAX, 9}, 1), ShapeError);
  CHECK_THROWS_AS(chunk(x, 0), ShapeError);
  CHECK_THROWS_AS(chunk(x, 2, 2), IndexError);
  CHECK_THROWS_AS(split(Tensor(), {1}), ValueError);
}

TEST_CASE("cat of many inputs sends each its own part back, whatever the others want") {
  std::vector<Tensor> in;
  for (int i = 0; i < 150; ++i) {
    in.push_back(full({1 + i % 3}, i, DType::f64));
    if (i % 5 != 2) in.back().set_requires_grad();
  }
  const Tensor y = cat(in);
  sum(y * counted({y.numel()})).backward();
  double at = 0;
  for (const Tensor& x : in) {
    for (std::int64_t k = 0; k < x.numel(); ++k, ++at)
      if (x.requires_grad()) CHECK(x.grad().data<double>()[k] == at);
  }
  CHECK(at == static_cast<double>(y.numel()));
  in[100] = Tensor();
  CHECK_THROWS_AS(cat(in), Error);
}

TEST_CASE("cast: the gradient comes back in the input's dtype, integers have none") {
  const Tensor x = from({1.5f, -2.5f}).set_requires_grad();
  const Tensor y = x.to(DType::f64);
  CHECK(y.dtype() == DType::f64);
  sum(y * y).backward();
  CHECK(x.grad().dtype() == DType::f32);
  CHECK(x.grad().data<float>()[1] == -5.0f);
  const Tensor i = x.to(DType::i32);
  CHECK_FALSE(i.requires_grad());
  CHECK(i.data<std::int32_t>()[1] == -2);
}

TEST_CASE("an error names the line it was called on") {
  const Tensor x = counted({2, 3});
  int line = __LINE__ + 1;
  std::string text = text_of<ShapeError>([&] { reshape(x, {4}); });
  const auto names_line = [&] { return contains(text, "test_shape.cpp:" + std::to_string(line)); };
  CHECK(names_line());
  CHECK(contains(text, "reshape: another number of elements: shape is [4]"));
  line = __LINE__ + 1;
  text = text_of<ShapeError>([&] { x.reshape({4}); });
  CHECK(names_line());
  line = __LINE__ + 1;
  text = text_of<IndexError>([&] { select(x, 1, 3); });
  CHECK(names_line());
  line = __LINE__ + 1;
  text = text_of<ShapeError>([&] { cat({x, x.t()}); });
  CHECK(names_line());
  line = __LINE__ + 1;
  text = text_of<ShapeError>([&] { split(x, {3}, 0); });
  CHECK(names_line());
  CHECK(contains(text_of<ValueError>([&] { contiguous(Tensor()); }), "undefined tensor"));
}

TEST_CASE("views of a recorded tensor flow into second derivatives") {
  const Tensor x = counted({2, 3}).set_requires_grad();
  const Tensor y = pad(flip(transpose(slice(x, 1, 1), 0, 1), {0}), {1, 0}, {0, 1}, 3.0);
  const Tensor g = grad(sum(y * y * y), x, {.create_graph = true});
  const Tensor h = grad(sum(g), x);
  CHECK(values(g) == std::vector<double>{0, 3, 12, 0, 48, 75});
  CHECK(values(h) == std::vector<double>{0, 6, 12, 0, 24, 30});
}
