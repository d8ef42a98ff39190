// The driver's ways of walking that small layouts do not reach: tiles of transposed operands, numbers repeated
// along rows, streamed results, logic on bytes; and wide lines of gather and scatter.
#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/index.hpp>
#include <thalweg/ops/kernels/pointwise.hpp>
#include <thalweg/ops/kernels/stream.hpp>
#include <thalweg/ops/library.hpp>

using namespace kernel_test;
using namespace thalweg;

namespace {

template <class Op>
kernels::PointwiseFn forward(DType d) {
  return ops::KernelsOf<Op>::table().forward[kernels::compute_index(d)];
}

/// a - b over [rows, columns] for operands of any strides.
template <class T>
void check_difference(const Dims& shape, const Dims& a_strides, const Dims& b_strides) {
  const auto reach = [&](const Dims& strides) {
    std::int64_t n = 1;
    for (int d = 0; d < shape.size(); ++d) n += (shape[d] - 1) * strides[d];
    return static_cast<std::size_t>(n);
  };
  std::vector<T> a(reach(a_strides)), b(reach(b_strides)), y(static_cast<std::size_t>(numel(shape)), T(-1));
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<T>(i % 8191);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<T>(i % 4093) / 4;
  const ConstView src[] = {{a.data(), dtype_of<T>, shape, a_strides}, {b.data(), dtype_of<T>, shape, b_strides}};
  kernels::pointwise(forward<ops::Sub>(dtype_of<T>), dtype_of<T>, src, 2,
                     {y.data(), dtype_of<T>, shape, contiguous_strides(shape)}, nullptr);
  std::int64_t wrong = 0, i = 0;
  for (std::int64_t p = 0; p < shape[0]; ++p)
    for (std::int64_t r = 0; r < shape[1]; ++r)
      for (std::int64_t c = 0; c < shape[2]; ++c, ++i) {
        const T x = a[static_cast<std::size_t>(p * a_strides[0] + r * a_strides[1] + c * a_strides[2])];
        const T z = b[static_cast<std::size_t>(p * b_strides[0] + r * b_strides[1] + c * b_strides[2])];
        wrong += y[static_cast<std::size_t>(i)] != x - z;
      }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("transposed operands are taken tile by tile, past tile edges") {
  const Dims shape{3, 37, 1101};
  const Dims dense{37 * 1101, 1101, 1}, transposed{37 * 1101, 1, 37}, outer{1, 3 * 1101, 3};
  const Dims number{0, 0, 0}, row{0, 0, 1}, column{0, 1, 0}, page{1, 0, 0};
  for (const Dims& a : {transposed, outer})
    for (const Dims& b : {dense, transposed, outer, number, row, column, page}) {
      check_difference<float>(shape, a, b);
      check_difference<float>(shape, b, a);
      check_difference<double>(shape, a, b);
    }
}

TEST_CASE("rows longer than a block with a number for each row") {
  const Dims shape{2, 3, 5000}, dense{15000, 5000, 1}, column{3, 1, 0}, number{0, 0, 0};
  check_difference<float>(shape, dense, column);
  check_difference<double>(shape, column, dense);
  check_difference<double>(shape, number, column);
}

TEST_CASE("results too large for the caches are streamed whole, wherever they begin") {
  const std::int64_t n = kernels::stream_bytes / 4 + 1001;
  std::vector<float> x(static_cast<std::size_t>(n) + 8), y(x.size(), -1.0F);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 9973);
  const float two = 2;
  for (std::int64_t start : {0, 3}) {
    const ConstView dense[] = {{x.data() + 1, DType::f32, {n}, {1}}, {x.data(), DType::f32, {n}, {1}}};
    const ConstView mixed[] = {{x.data() + 1, DType::f32, {n}, {1}}, {&two, DType::f32, {n}, {0}}};
    for (const bool number : {false, true}) {
      std::fill(y.begin(), y.end(), -1.0F);
      kernels::pointwise(forward<ops::Sub>(DType::f32), DType::f32, number ? mixed : dense, 2,
                         {y.data() + start, DType::f32, {n}, {1}}, nullptr);
      std::int64_t wrong = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        wrong += y[at + static_cast<std::size_t>(start)] != x[at + 1] - (number ? two : x[at]);
      }
      CHECK(wrong == 0);
      for (std::int64_t i = 0; i < start; ++i) CHECK(y[static_cast<std::size_t>(i)] == -1);
      CHECK(y[static_cast<std::size_t>(start + n)] == -1);
    }
  }
  std::vector<std::int32_t> whole(static_cast<std::size_t>(n));
  kernels::copy({x.data(), DType::f32, {n}, {1}}, {whole.data(), DType::i32, {n}, {1}});
  std::int64_t wrong = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) wrong += whole[i] != static_cast<std::int32_t>(x[i]);
  CHECK(wrong == 0);
}

TEST_CASE("logic on bytes: any byte but 0 is true, every size") {
  std::vector<std::uint8_t> a(400), b(400);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<std::uint8_t>(i % 3 == 0 ? 0 : i);
    b[i] = static_cast<std::uint8_t>(i % 5 < 2 ? 0 : 255 - i % 200);
  }
  const kernels::PointwiseFn both = ops::KernelsOf<ops::LogicalAnd>::table().bytes;
  const kernels::PointwiseFn either = ops::KernelsOf<ops::LogicalXor>::table().bytes;
  REQUIRE((both != nullptr && either != nullptr));
  for (std::int64_t n = 0; n < 300; ++n) {
    const ConstView src[] = {{a.data(), DType::boolean, {n}, {1}}, {b.data(), DType::boolean, {n}, {1}}};
    std::vector<std::uint8_t> y(400, 9), z(400, 9);
    kernels::pointwise(both, DType::boolean, src, 2, {y.data(), DType::boolean, {n}, {1}}, nullptr);
    kernels::pointwise(either, DType::boolean, src, 2, {z.data(), DType::boolean, {n}, {1}}, nullptr);
    std::int64_t wrong = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i)
      wrong += (y[i] != (a[i] != 0 && b[i] != 0)) + (z[i] != ((a[i] != 0) != (b[i] != 0)));
    CHECK(wrong == 0);
    CHECK((y[static_cast<std::size_t>(n)] == 9 && z[static_cast<std::size_t>(n)] == 9));
  }
}

TEST_CASE("gather, scatter and selection along the first dimension of wide rows, and columns chosen") {
  const std::int64_t rows = 9, columns = 150;
  std::vector<float> x(static_cast<std::size_t>(rows * columns)), y(x.size()), sum(x.size());
  std::vector<std::int64_t> index(x.size()), chosen(static_cast<std::size_t>(columns));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i), index[i] = static_cast<std::int64_t>(i * 7 / 3 % 9);
  for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = static_cast<std::int64_t>(i * 37 % 150);
  const Dims shape{rows, columns}, strides{columns, 1};
  const ConstView from{x.data(), DType::f32, shape, strides}, at{index.data(), DType::i64, shape, strides};
  kernels::gather(from, 0, at, {y.data(), DType::f32, shape, strides});
  const float one = 1;
  kernels::scatter_add({&one, DType::f32, shape, {0, 0}}, {sum.data(), DType::f32, shape, strides}, 0, at, from);
  std::vector<float> wanted(x.size(), 1.0F);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    const auto place = static_cast<std::size_t>(index[static_cast<std::size_t>(i)] * columns + i % columns);
    wrong += y[static_cast<std::size_t>(i)] != x[place];
    wanted[place] += x[static_cast<std::size_t>(i)];
  }
  CHECK(wrong == 0);
  CHECK(sum == wanted);
  kernels::index_select(from, 1, {chosen.data(), DType::i64, {columns}, {1}}, {y.data(), DType::f32, shape, strides});
  for (std::int64_t i = 0; i < rows * columns; ++i)
    wrong += y[static_cast<std::size_t>(i)] !=
             x[static_cast<std::size_t>(i / columns * columns + chosen[static_cast<std::size_t>(i % columns)])];
  CHECK(wrong == 0);
  index[1000] = rows;
  CHECK(kernels::first_out_of_range(at, rows) == 1000);
  index[70] = -1;
  CHECK(kernels::first_out_of_range(at, rows) == 70);
  CHECK(kernels::first_out_of_range(at, rows + 1) == 70);
}
