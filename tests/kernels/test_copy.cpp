// copy() and fill(): every dtype pair, layouts on both sides, transposes past the tile edges, thread counts.
#include <cmath>
#include <limits>

#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/copy.hpp>

using namespace kernel_test;
namespace kernels = thalweg::kernels;

namespace {

template <class D, class S>
D expected_cast(S x) {
  if constexpr (std::is_same_v<D, bool>)
    return x != S{0};
  else
    return static_cast<D>(x);
}

template <class D, class S>
void check_cast() {
  for (Layout to : all_layouts)
    for (Layout from : all_layouts) {
      Array<S> src({3, 5, 17}, from);
      Array<D> dst({3, 5, 17}, to);
      src.generate([](std::int64_t i) { return i % 7 == 0 ? 0 : i % 101; });
      kernels::copy(src.view(), dst.view());
      bool equal = true;
      for (std::int64_t i = 0; i < src.size(); ++i) equal = equal && dst[i] == expected_cast<D, S>(src[i]);
      CHECK(equal);
      CHECK(dst.guards_intact());
    }
}

template <class D>
void check_casts_to() {
  check_cast<D, float>();
  check_cast<D, double>();
  check_cast<D, std::int64_t>();
  check_cast<D, std::int32_t>();
  check_cast<D, std::uint8_t>();
  check_cast<D, bool>();
}

}  // namespace

TEST_CASE("copy converts between every pair of dtypes in every pair of layouts") {
  check_casts_to<float>();
  check_casts_to<double>();
  check_casts_to<std::int64_t>();
  check_casts_to<std::int32_t>();
  check_casts_to<std::uint8_t>();
  check_casts_to<bool>();
}

TEST_CASE("copy truncates, saturates and takes NaN to zero") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const double values[] = {2.9, -2.9, nan, inf, -inf, 1e300, -1e300, 255.9, 256, -0.5, 9223372036854775808.0};
  constexpr std::int64_t n = std::size(values);
  Array<double> src({n});
  src.generate([&](std::int64_t i) { return values[i]; });
  Array<std::int64_t> wide({n});
  kernels::copy(src.view(), wide.view());
  const std::int64_t top = std::numeric_limits<std::int64_t>::max(),
                     low = std::numeric_limits<std::int64_t>::min();
  CHECK(wide.values() == std::vector<std::int64_t>{2, -2, 0, top, low, top, low, 255, 256, 0, top});
  Array<std::uint8_t> narrow({n});
  kernels::copy(src.view(), narrow.view());
  CHECK(narrow.values() == std::vector<std::uint8_t>{2, 0, 0, 255, 0, 255, 0, 255, 255, 0, 255});
  Array<float> single({3});
  single[0] = 2147483648.0F, single[1] = -2147483648.0F, single[2] = 2147483520.0F;
  Array<std::int32_t> half({3});
  kernels::copy(single.view(), half.view());
  CHECK(half.values() == std::vector<std::int32_t>{2147483647, -2147483647 - 1, 2147483520});
  Array<bool> truth({n});
  kernels::copy(src.view(), truth.view());
  for (std::int64_t i = 0; i < n; ++i) CHECK(truth[i]);
}

TEST_CASE("copy transposes past tile edges, whatever the thread count") {
  for (std::int64_t rows : {1, 3, 4, 31, 33, 67})
    for (std::int64_t cols : {1, 4, 5, 32, 35, 130}) {
      Array<float> src({rows, 2, cols}, Layout::transposed);
      src.generate([](std::int64_t i) { return i; });
      Array<double> wide_src({rows, 2, cols}, Layout::transposed);
      wide_src.generate([](std::int64_t i) { return i; });
      on_threads([&] {
        Array<float> dst({rows, 2, cols});
        kernels::copy(src.view(), dst.view());
        CHECK(same_bits(dst.values(), src.values()));
        CHECK(dst.guards_intact());
        Array<double> wide({rows, 2, cols});
        kernels::copy(wide_src.view(), wide.view());
        CHECK(same_bits(wide.values(), wide_src.values()));
        CHECK(wide.guards_intact());
      });
    }
  Array<float> large({300, 700}, Layout::transposed), out({300, 700});
  large.random(1);
  on_threads([&] {
    kernels::fill(out.view(), 0);
    kernels::copy(large.view(), out.view());
    CHECK(same_bits(out.values(), large.values()));
  });
}

TEST_CASE("copy repeats along strides of zero and takes empty and 0-d arrays") {
  Array<float> row({5});
  row.generate([](std::int64_t i) { return i + 1; });
  Array<float> dst({3, 5});
  kernels::copy(ConstView(row.view().data, DType::f32, {3, 5}, {0, 1}), dst.view());
  for (std::int64_t i = 0; i < 15; ++i) CHECK(dst[i] == static_cast<float>(i % 5 + 1));
  kernels::copy(ConstView(row.view().data, DType::f32, {3, 5}, {1, 0}), dst.view());
  for (std::int64_t i = 0; i < 15; ++i) CHECK(dst[i] == static_cast<float>(i / 5 + 1));
  Array<float> empty({0, 4}), none({0, 4});
  kernels::copy(empty.view(), none.view());
  CHECK(none.guards_intact());
  Array<float> scalar((Dims())), other((Dims()));
  scalar[0] = 7;
  kernels::copy(scalar.view(), other.view());
  CHECK(other[0] == 7);
  CHECK(other.guards_intact());
}

TEST_CASE("copy keeps NaN payloads and fill writes every dtype and layout") {
  Array<std::int32_t> bits({9});
  bits.generate([](std::int64_t i) { return 0x7F800001 + i; });
  Array<float> dst({9});
  kernels::copy(ConstView(bits.view().data, DType::f32, {9}, {1}), dst.view());
  for (std::int64_t i = 0; i < 9; ++i) CHECK(std::memcmp(&dst[i], &bits[i], 4) == 0);
  for (Layout layout : all_layouts) {
    Array<float> a({3, 50}, layout);
    kernels::fill(a.view(), 2.5);
    Array<std::int64_t> b({3, 50}, layout);
    kernels::fill(b.view(), std::int64_t{1} << 60);
    Array<bool> c({3, 50}, layout);
    kernels::fill(c.view(), 3);
    for (std::int64_t i = 0; i < 150; ++i) CHECK((a[i] == 2.5F && b[i] == std::int64_t{1} << 60 && c[i]));
    CHECK((a.guards_intact() && b.guards_intact() && c.guards_intact()));
  }
}

TEST_CASE("any byte but 0 in a bool of the user's is true") {
  const unsigned char bytes[] = {0, 1, 190, 255};
  double out[4] = {};
  kernels::copy(ConstView(bytes, DType::boolean, {4}, {1}), View{out, DType::f64, {4}, {1}});
  CHECK(out[0] == 0);
  CHECK(out[2] == 1);
  CHECK(out[3] == 1);
}

TEST_CASE("fill_around fills every element outside the box") {
  for (const Dims& shape : {Dims{3, 4, 5}, Dims{40, 30, 20}})
    for (Layout layout : all_layouts)
      for (std::int64_t width : {0, 1, 2}) {
        Array<float> a(shape, layout);
        a.generate([](std::int64_t) { return 1; });
        const Dims first{1, 2, 0}, inner{2, width, shape[2] - 2};
        kernels::fill_around(a.view(), first, inner, 7);
        bool filled = true;
        for (std::int64_t i = 0; i < a.size(); ++i) {
          const Dims at{i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]};
          bool inside = true;
          for (int d = 0; d < 3; ++d) inside = inside && at[d] >= first[d] && at[d] < first[d] + inner[d];
          filled = filled && (inside || a[i] == 7);
        }
        CHECK(filled);
        CHECK(a.guards_intact());
      }
}
