// The pointwise driver: any layout, dtype, size and thread count gives the bits of the plain contiguous call.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/pointwise.hpp>
#include <thalweg/ops/kernels/simd/block_kernels.hpp>

using namespace thalweg;

namespace thalweg::ops {
namespace {
struct Mixed {  // uses both operands unsymmetrically, so that swapped or shifted operands show
  static constexpr Row row{.name = "mixed", .formula = "y = 2 a - b / 4", .integers = true};
  template <class V>
  static V f(V a, V b) {
    return 2 * a - b / 4;
  }
  static constexpr double da() { return 2; }
  static constexpr double db() { return -0.25; }
};
struct Tri {
  static constexpr Row row{.name = "tri", .formula = "y = c a + b"};
  template <class V>
  static V f(V c, V a, V b) {
    return c * a + b;
  }
  template <class V>
  static V dc_a(V a) {
    return a;
  }
  template <class V>
  static V da_c(V c) {
    return c;
  }
  static constexpr double db() { return 1; }
};
struct Positive {
  static constexpr Row row{
      .name = "positive", .formula = "y = x > 0", .predicate = true, .nondifferentiable = true};
  template <class V>
  static V f(V x) {
    return select(x > 0, 1, 0);
  }
};
}  // namespace
}  // namespace thalweg::ops

namespace {

const kernels::PointwiseKernels& mixed = simd::block_kernels<ops::Mixed>();

std::vector<float> numbers(std::int64_t n, float step = 0.37f) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::fmod(step * static_cast<float>(i + 1), 7.0f) - 3.0f;
  return x;
}

/// Element at coordinates given by the flat row-major index of `shape`.
template <class T>
T at(const T* data, const Dims& shape, const Dims& strides, std::int64_t flat) {
  std::int64_t offset = 0;
  for (int d = shape.size() - 1; d >= 0; --d) {
    offset += flat % shape[d] * strides[d];
    flat /= shape[d];
  }
  return data[offset];
}

float wanted(float a, float b) { return 2 * a - b / 4; }

struct Layout {
  Dims strides;
  std::int64_t offset = 0;
};

/// Runs mixed over [5, 7, 60] with the two layouts given; compares with element-wise evaluation.
void check_layouts(const Layout& la, const Layout& lb, const Layout& ld) {
  const Dims shape{5, 7, 60};
  const std::vector<float> a = numbers(8000), b = numbers(8000, 0.91f);
  std::vector<float> d(8000, -99.0f);
  const ConstView src[] = {{a.data() + la.offset, DType::f32, shape, la.strides},
                           {b.data() + lb.offset, DType::f32, shape, lb.strides}};
  kernels::pointwise(mixed.forward[0], DType::f32, src, 2,
                     {d.data() + ld.offset, DType::f32, shape, ld.strides}, nullptr);
  for (std::int64_t i = 0; i < numel(shape); ++i) {
    const float x = at(src[0].as<float>(), shape, la.strides, i);
    const float y = at(src[1].as<float>(), shape, lb.strides, i);
    const float z = at(static_cast<const float*>(d.data() + ld.offset), shape, ld.strides, i);
    if (z != wanted(x, y)) {
      FAIL_CHECK("element " << i << ": " << z << " for " << x << ", " << y);
      return;
    }
  }
}

}  // namespace

TEST_CASE("the driver reads and writes any layout") {
  const Layout dense{{420, 60, 1}};
  const Layout all[] = {
      dense,
      {{420, 60, 1}, 3},        // misaligned
      {{1, 300, 5}},            // fully permuted
      {{60, 300, 1}},           // outer dimensions swapped
      {{840, 120, 2}},          // every other element
      {{900, 128, 1}},          // padded rows
      {{-420, -60, -1}, 2099},  // flipped
  };
  const Layout broadcast[] = {{{0, 0, 0}, 11}, {{0, 0, 1}},  {{0, 1, 0}}, {{1, 0, 0}},
                              {{7, 1, 0}},     {{60, 0, 1}}, {{0, 60, 1}}};
  for (const Layout& a : all) {
    for (const Layout& b : broadcast) {
      check_layouts(a, b, dense);
      check_layouts(b, a, a);
    }
    for (const Layout& d : all) check_layouts(a, dense, d);
  }
  for (const Layout& b : broadcast) check_layouts(b, broadcast[0], dense);
}

TEST_CASE("sizes around the vector widths, the block and the grain") {
  for (std::int64_t n : {0,  1,  2,  3,   4,   7,   8,    9,     15,    16,    17,    31,    33,
                         63, 64, 65, 511, 512, 513, 1025, 32767, 32768, 32769, 65537, 100001}) {
    const std::vector<float> a = numbers(n + 1), b = numbers(n + 1, 0.77f);
    const float number = 1.25f;
    std::vector<float> dense(static_cast<std::size_t>(n) + 1, -99.0f), strided(2 * dense.size(), -99.0f),
        scalar = dense;
    const Dims shape{n};
    const ConstView src[] = {{a.data(), DType::f32, shape, Dims{1}}, {b.data(), DType::f32, shape, Dims{1}}};
    const ConstView with_number[] = {src[0], {&number, DType::f32, shape, Dims{0}}};
    kernels::pointwise(mixed.forward[0], DType::f32, src, 2, {dense.data(), DType::f32, shape, Dims{1}},
                       nullptr);
    kernels::pointwise(mixed.forward[0], DType::f32, src, 2, {strided.data(), DType::f32, shape, Dims{2}},
                       nullptr);
    kernels::pointwise(mixed.forward[0], DType::f32, with_number, 2,
                       {scalar.data(), DType::f32, shape, Dims{1}}, nullptr);
    bool good = dense.back() == -99.0f && scalar.back() == -99.0f && strided.back() == -99.0f;
    for (std::size_t i = 0; i + 1 < dense.size(); ++i)
      good = good && dense[i] == wanted(a[i], b[i]) && strided[2 * i] == dense[i] &&
             strided[2 * i + 1] == -99.0f && scalar[i] == wanted(a[i], number);
    INFO("n = ", n);
    CHECK(good);
  }
}

TEST_CASE("dtypes are converted on the way in and out") {
  const Dims shape{3, 50};
  std::vector<std::int32_t> i32(150);
  std::vector<std::uint8_t> u8(150), flags(150);
  std::vector<std::int64_t> i64(150);
  std::vector<double> f64(150), out64(150);
  std::vector<float> f32(150), out(150);
  for (std::size_t i = 0; i < 150; ++i) {
    i32[i] = static_cast<std::int32_t>(i) - 70;
    u8[i] = static_cast<std::uint8_t>(i);
    i64[i] = 3 * static_cast<std::int64_t>(i) - 100;
    flags[i] = i % 3 == 0 ? 255 : 0;  // a bool tensor's memory may hold any byte
    f64[i] = 0.5 * static_cast<double>(i) - 20;
    f32[i] = static_cast<float>(f64[i]);
  }
  const Dims rows{50, 1};
  const ConstView views[] = {
      {i32.data(), DType::i32, shape, rows}, {u8.data(), DType::u8, shape, rows},
      {i64.data(), DType::i64, shape, rows}, {flags.data(), DType::boolean, shape, rows},
      {f64.data(), DType::f64, shape, rows}, {f32.data(), DType::f32, shape, rows}};
  const auto value = [&](int which, std::size_t i) -> double {
    switch (which) {
      case 0:
        return i32[i];
      case 1:
        return u8[i];
      case 2:
        return static_cast<double>(i64[i]);
      case 3:
        return flags[i] != 0;
      case 4:
        return f64[i];
      default:
        return static_cast<double>(f32[i]);
    }
  };
  for (int a = 0; a < 6; ++a)
    for (int b = 0; b < 6; ++b) {
      const ConstView src[] = {views[a], views[b]};
      kernels::pointwise(mixed.forward[1], DType::f64, src, 2, {out64.data(), DType::f64, shape, rows},
                         nullptr);
      kernels::pointwise(mixed.forward[1], DType::f64, src, 2, {out.data(), DType::f32, shape, rows},
                         nullptr);
      bool good = true;
      for (std::size_t i = 0; i < 150; ++i) {
        const double y = 2 * value(a, i) - value(b, i) / 4;
        good = good && out64[i] == y && out[i] == static_cast<float>(y);
      }
      INFO("operands ", a, ", ", b);
      CHECK(good);
    }
  // Integers are computed exactly where a float would not hold them.
  const std::int64_t big[] = {(std::int64_t{1} << 53) + 1, -7};
  const std::int64_t four[] = {4, 4};
  std::int64_t result[2];
  const ConstView ints[] = {{big, DType::i64, Dims{2}, Dims{1}}, {four, DType::i64, Dims{2}, Dims{1}}};
  kernels::pointwise(mixed.forward[2], DType::i64, ints, 2, {result, DType::i64, Dims{2}, Dims{1}}, nullptr);
  CHECK(result[0] == (std::int64_t{1} << 54) + 1);
  CHECK(result[1] == -15);
}

TEST_CASE("predicates are stored as bool, floats cut to an integer's range") {
  const float x[] = {1, -1, 0, std::numeric_limits<float>::quiet_NaN(), 3e9f, -3e9f, 2.75f};
  std::uint8_t y[7];
  std::int32_t z[7];
  const ConstView src[] = {{x, DType::f32, Dims{7}, Dims{1}}};
  kernels::pointwise(simd::block_kernels<ops::Positive>().forward[0], DType::f32, src, 1,
                     {y, DType::boolean, Dims{7}, Dims{1}}, nullptr);
  const std::uint8_t wanted_bools[] = {1, 0, 0, 0, 1, 0, 1};
  CHECK(std::memcmp(y, wanted_bools, 7) == 0);
  const float zero = 0;
  const ConstView both[] = {src[0], {&zero, DType::f32, Dims{7}, Dims{0}}};
  kernels::pointwise(mixed.forward[0], DType::f32, both, 2, {z, DType::i32, Dims{7}, Dims{1}}, nullptr);
  CHECK(z[0] == 2);
  CHECK(z[3] == 0);
  CHECK(z[4] == std::numeric_limits<std::int32_t>::max());
  CHECK(z[5] == std::numeric_limits<std::int32_t>::min());
  CHECK(z[6] == 5);
}

TEST_CASE("the destination may be a source, densely or through strides") {
  for (std::int64_t stride : {1, 3}) {
    std::vector<float> a = numbers(6000);
    const std::vector<float> before = a, b = numbers(2000, 0.7f);
    const Dims shape{2000};
    const ConstView src[] = {{a.data(), DType::f32, shape, Dims{stride}},
                             {b.data(), DType::f32, shape, Dims{1}}};
    kernels::pointwise(mixed.forward[0], DType::f32, src, 2, {a.data(), DType::f32, shape, Dims{stride}},
                       nullptr);
    bool good = true;
    for (std::size_t i = 0; i < 2000; ++i)
      good = good && a[i * static_cast<std::size_t>(stride)] ==
                         wanted(before[i * static_cast<std::size_t>(stride)], b[i]);
    CHECK(good);
  }
}

TEST_CASE("three operands, every combination of broadcasting") {
  const Dims shape{40, 33};
  const std::vector<double> data = [] {
    std::vector<double> v(1320);
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = std::sin(static_cast<double>(i));
    return v;
  }();
  const Dims strides[] = {{33, 1}, {0, 1}, {1, 0}, {0, 0}, {1, 40}};
  std::vector<double> y(1320);
  for (const Dims& sc : strides)
    for (const Dims& sa : strides)
      for (const Dims& sb : strides) {
        const ConstView src[] = {{data.data(), DType::f64, shape, sc},
                                 {data.data(), DType::f64, shape, sa},
                                 {data.data(), DType::f64, shape, sb}};
        kernels::pointwise(simd::block_kernels<ops::Tri>().forward[1], DType::f64, src, 3,
                           {y.data(), DType::f64, shape, Dims{33, 1}}, nullptr);
        bool good = true;
        for (std::int64_t i = 0; i < 1320; ++i)
          good = good && y[static_cast<std::size_t>(i)] ==
                             at(data.data(), shape, sc, i) * at(data.data(), shape, sa, i) +
                                 at(data.data(), shape, sb, i);
        CHECK(good);
      }
}

TEST_CASE("one, two, three and seven threads give the same bits, and really take part") {
  const std::int64_t rows = 700, columns = 501;
  const std::vector<float> a = numbers(rows * columns), b = numbers(columns, 0.3f);
  const Dims shape{rows, columns};
  const ConstView dense[] = {{a.data(), DType::f32, shape, Dims{columns, 1}},
                             {a.data(), DType::f32, shape, Dims{columns, 1}}};
  const ConstView mixed_layout[] = {{a.data(), DType::f32, shape, Dims{1, rows}},
                                    {b.data(), DType::f32, shape, Dims{0, 1}}};
  const int before = par::num_threads();
  for (const ConstView* src : {dense, mixed_layout}) {
    std::vector<float> first;
    for (int threads : {1, 2, 3, 7}) {
      par::set_num_threads(threads);
      const par::Rendezvous rendezvous;
      std::vector<float> y(a.size());
      kernels::pointwise(mixed.forward[0], DType::f32, src, 2,
                         {y.data(), DType::f32, shape, Dims{columns, 1}}, nullptr);
      CHECK(par::last_distinct_threads() == threads);
      if (first.empty()) first = y;
      CHECK(std::memcmp(first.data(), y.data(), y.size() * sizeof(float)) == 0);
    }
  }
  par::set_num_threads(before);
}

TEST_CASE("the planted fault drops the last element, on every path") {
  const std::vector<float> a = numbers(600);
  std::vector<float> y(600, -99.0f);
  const kernels::fault::Scope fault(kernels::Fault::pointwise_tail);
  for (std::int64_t stride : {0, 1}) {
    const ConstView src[] = {{a.data(), DType::f32, Dims{600}, Dims{1}},
                             {a.data(), DType::f32, Dims{600}, Dims{stride}}};
    kernels::pointwise(mixed.forward[0], DType::f32, src, 2, {y.data(), DType::f32, Dims{600}, Dims{1}},
                       nullptr);
    CHECK(y[598] != -99.0f);
    CHECK(y[599] == -99.0f);
  }
}
