// Arguments at the ends of their types, and outputs that lie over inputs: each call is refused by an error
// that names the op and this file's line, or has the result that it would have on copies.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <thalweg/thalweg.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t big = std::int64_t{1} << 32;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool runs_out = false;  // AddressSanitizer ends a program that asks for that much
#elif defined(__has_feature)
constexpr bool runs_out = !__has_feature(address_sanitizer);
#else
constexpr bool runs_out = true;
#endif

struct Call {
  std::string op;  // named by the error
  std::function<void()> run;
};

/// Every call throws an Error that names its op, what was given and wanted, and a line of this file.
template <class E>
void all_refused(const std::vector<Call>& calls) {
  for (std::size_t k = 0; k < calls.size(); ++k) {
    INFO("call " << k << ", of " << calls[k].op);
    try {
      calls[k].run();
      FAIL_CHECK("no error");
    } catch (const E& e) {
      CHECK(e.op() == calls[k].op);
      CHECK(!e.given().empty());
      CHECK(!e.wanted().empty());
      CHECK(std::string(e.loc().file ? e.loc().file : "no line").ends_with("test_arguments.cpp"));
    } catch (const std::exception& e) {
      FAIL_CHECK("another error: " << e.what());
    }
  }
}

std::vector<double> values(const Tensor& t) {
  const Tensor dense = t.to(tw::DType::f64).contiguous();
  return {dense.data<double>(), dense.data<double>() + dense.numel()};
}

Tensor count_up(std::int64_t n) { return tw::arange(n).to(tw::DType::f32); }

}  // namespace

TEST_CASE("results of 2^63 bytes or more are refused by the op that would make them") {
  const Tensor one = tw::ones({1, 1}), x = tw::ones({2, 3});
  const Tensor column = tw::expand(one, {big, 1}), row = tw::expand(one, {1, big});
  const Tensor index = tw::expand(tw::zeros({1}, tw::DType::i64), {big});
  const Tensor bytes = tw::expand(tw::ones({1}, tw::DType::u8), {std::int64_t{1} << 61});
  const Tensor halves[] = {tw::expand(one, {std::int64_t{1} << 60, 1}),
                           tw::expand(one, {std::int64_t{1} << 60, 1})};
  // clang-format off
  all_refused<tw::ShapeError>({
      {"add", [&] { (void)(column + row); }},
      {"less", [&] { (void)(column < row); }},
      {"where", [&] { tw::where(one > 0.0, column, row); }},
      {"matmul", [&] { tw::matmul(column, row); }},
      {"linear", [&] { tw::linear(column, column); }},
      {"embedding", [&] { tw::embedding(row, index); }},
      {"cast", [&] { bytes.to(tw::DType::f64); }},
      {"expand", [&] { tw::expand(one, {big, big}); }},
      {"reshape", [&] { tw::reshape(x, {big, big}); }},
      {"reshape", [&] { tw::reshape(x, {big, big, -1}); }},
      {"reshape", [&] { tw::reshape(tw::zeros({0}), {0, big, big}); }},
      {"view", [&] { tw::view(x, {big, big}); }},
      {"cat", [&] { tw::cat(halves); }},
      {"cat", [&] { tw::stack(halves); }},  // made of it
      {"pad", [&] { tw::pad(x, {most, 0}, {most, 0}); }},
      {"one_hot", [&] { tw::one_hot(tw::arange(3), most); }},
  });
  // clang-format on
  CHECK_THROWS_AS(tw::zeros({big, big}), tw::ShapeError);
  CHECK_THROWS_AS(tw::eye(big, big), tw::ShapeError);
  float f = 0;
  CHECK_THROWS_AS(tw::wrap(&f, {big, big}), tw::ShapeError);
  CHECK_THROWS_AS(tw::from(std::vector<float>{}, {big, big}), tw::ShapeError);
}

TEST_CASE("a result for which there is no memory is refused by its op") {
  if (!runs_out) return;
  const Tensor column = tw::expand(tw::ones({1, 1}), {big * 256, 1}),
               row = tw::expand(tw::ones({1, 1}), {1, 1024});
  all_refused<tw::MemoryError>(
      {{"mul", [&] { (void)(column * row); }}, {"matmul", [&] { tw::matmul(column, row); }}});
}

TEST_CASE("the least and the largest integer as dimension, index, size and count") {
  const Tensor x = tw::ones({2, 3}), image = tw::ones({1, 1, 4, 4}), w = tw::ones({1, 1, 3, 3});
  constexpr int low = std::numeric_limits<int>::min();
  tw::Generator gen(1);
  // clang-format off
  all_refused<tw::IndexError>({
      {"sum", [&] { tw::sum(x, {.dims = {least}}); }},
      {"sum", [&] { tw::sum(x, {.dims = {big}}); }},  // 0 where it is cut to 32 bits
      {"permute", [&] { tw::permute(x, {least, 0}); }},
      {"flip", [&] { tw::flip(x, {least}); }},
      {"transpose", [&] { tw::transpose(x, low, 0); }},
      {"unsqueeze", [&] { tw::unsqueeze(x, low); }},
      {"squeeze", [&] { tw::squeeze(x, low); }},
      {"flatten", [&] { tw::flatten(x, low, -1); }},
      {"softmax", [&] { tw::softmax(x, low); }},
      {"cumsum", [&] { tw::cumsum(x, low); }},
      {"argmax", [&] { tw::argmax(x, low); }},
      {"size", [&] { x.size(low); }},
      {"select", [&] { tw::select(x, 0, least); }},
      {"gather", [&] { tw::gather(x, 0, tw::full({1, 1}, least, tw::DType::i64)); }},
      {"index_select", [&] { tw::index_select(x, 0, tw::full({1}, most, tw::DType::i64)); }},
  });
  all_refused<tw::Error>({
      {"slice", [&] { tw::slice(x, 0, 0, 2, least); }},
      {"slice_backward", [&] { tw::slice_backward(x, least, 0, 0, 2); }},
      {"chunk", [&] { tw::chunk(x, least); }},
      {"split", [&] { tw::split(x, {most, most, 4}); }},  // adds up to 2 where it wraps around
      {"reshape", [&] { tw::reshape(x, {least, 6}); }},
      {"pad", [&] { tw::pad(x, {least, 0}, {0, 0}); }},
      {"one_hot", [&] { tw::one_hot(tw::arange(3), least); }},
      {"arange", [&] { tw::arange(least); }},
      {"arange", [&] { tw::arange(0.0, 1e300); }},
      {"linspace", [&] { tw::linspace(0, 1, most); }},
      {"arange", [&] { tw::randperm(least, gen); }},
      {"conv2d", [&] { tw::conv2d(image, w, {}, {.stride = {least, 1}}); }},
      {"conv2d", [&] { tw::conv2d(image, w, {}, {.padding = {most, most}}); }},
      {"conv2d", [&] { tw::conv2d(image, w, {}, {.groups = big + 1}); }},
      {"max_pool2d", [&] { tw::max_pool2d(image, {.kernel = {most, most}}); }},
      {"max_pool2d", [&] { tw::max_pool2d(image, {.kernel = {least, 1}}); }},
      {"avg_pool2d", [&] { tw::avg_pool2d(image, {.kernel = {2, 2}, .padding = {most, most}}); }},
      {"group_norm", [&] { tw::group_norm(image, least); }},
      {"layer_norm", [&] { tw::layer_norm(image, {least, 4}); }},
  });
  // clang-format on
  CHECK(tw::slice(x, 0, least, most, most).shape() == tw::Dims{1, 3});  // ends are cut to what is there
  CHECK(tw::chunk(x, most).size() == 2);
}

TEST_CASE("an in-place op whose operand lies in its own memory has the result that a copy would give") {
  using V = std::vector<double>;
  const auto square = [] { return count_up(4).reshape({2, 2}); };
  Tensor x = square();
  x.add_(tw::transpose(x, 0, 1));
  CHECK(values(x) == V{0, 3, 3, 6});
  x = square();
  x.sub_(tw::select(x, 0, 1));  // a row of it
  CHECK(values(x) == V{-2, -2, 0, 0});
  x = square();
  x.mul_(tw::slice(x, 1, 1, 2));  // a column of it
  CHECK(values(x) == V{0, 1, 6, 9});
  x = square();
  x.mul_(x);
  CHECK(values(x) == V{0, 1, 4, 9});
  x = count_up(6);
  Tensor later = tw::slice(x, 0, 1, 6);
  later.add_(tw::slice(x, 0, 0, 5));
  CHECK(values(x) == V{0, 1, 3, 5, 7, 9});

  x = tw::ones({600, 600});  // in several chunks
  x.add_(tw::select(x, 0, 300));
  x.add_(tw::transpose(x, 0, 1));
  CHECK(x.sum().item() == 4 * 600.0 * 600.0);
}
