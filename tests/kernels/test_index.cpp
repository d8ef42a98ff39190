// gather, scatter, scatter_add, index_select, index_add, one_hot, first_out_of_range: against naive loops
// over every dimension and layout; equal bits for every thread count.
#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/index.hpp>
#include <thalweg/ops/kernels/stream.hpp>

using namespace kernel_test;
namespace kernels = thalweg::kernels;

namespace {

Dims unravel(std::int64_t i, const Dims& shape) {
  Dims at = shape;
  for (int d = shape.size() - 1; d >= 0; --d) {
    at[d] = i % shape[d];
    i /= shape[d];
  }
  return at;
}
std::int64_t ravel(const Dims& at, const Dims& shape) {
  std::int64_t i = 0;
  for (int d = 0; d < shape.size(); ++d) i = i * shape[d] + at[d];
  return i;
}

const Dims source_shape{4, 5, 6};

template <class T, class I>
void check_element_ops(int dim, Layout layout) {
  Dims shape{3, 4, 5};
  shape[dim] = 7;
  Array<T> src(source_shape, layout), dst(shape, layout);
  Array<I> index(shape, layout);
  src.random(1, 0, 100);
  index.generate([&](std::int64_t i) { return i * 31 % 17 % source_shape[dim]; });
  kernels::gather(src.view(), dim, index.view(), dst.view());
  bool equal = true;
  const auto place = [&](std::int64_t i) {
    Dims at = unravel(i, shape);
    at[dim] = static_cast<std::int64_t>(index[i]);
    return ravel(at, source_shape);
  };
  for (std::int64_t i = 0; i < dst.size(); ++i) equal = equal && dst[i] == src[place(i)];
  CHECK(equal);
  CHECK(dst.guards_intact());

  Array<T> put(source_shape, layout), sum(source_shape, layout);
  Array<T> threes(source_shape);
  kernels::fill(put.view(), 3);
  kernels::fill(threes.view(), 3);
  std::vector<T> want_put = put.values(), want_sum = threes.values();
  for (std::int64_t i = 0; i < dst.size(); ++i) {
    T& s = want_sum[static_cast<std::size_t>(place(i))];
    s = static_cast<T>(s + dst[i]);
    want_put[static_cast<std::size_t>(place(i))] = dst[i];
  }
  kernels::scatter(put.view(), dim, index.view(), dst.view());
  kernels::scatter_add(threes.view(), sum.view(), dim, index.view(), dst.view());
  CHECK(same_bits(put.values(), want_put));
  CHECK(same_bits(sum.values(), want_sum));
  CHECK((put.guards_intact() && sum.guards_intact()));
}

template <class T, class I>
void check_slice_ops(int dim, Layout layout) {
  Array<T> src(source_shape, layout);
  src.random(2, 0, 100);
  Array<I> index({9}, layout);
  index.generate([&](std::int64_t i) { return i * 7 % 5 % source_shape[dim]; });
  Dims shape = source_shape;
  shape[dim] = 9;
  Array<T> dst(shape, layout), ones(source_shape), sum(source_shape, layout);
  kernels::index_select(src.view(), dim, index.view(), dst.view());
  kernels::fill(ones.view(), 1);
  std::vector<T> want(static_cast<std::size_t>(sum.size()), T{1});
  bool equal = true;
  for (std::int64_t i = 0; i < dst.size(); ++i) {
    Dims at = unravel(i, shape);
    at[dim] = static_cast<std::int64_t>(index[at[dim]]);
    const std::int64_t p = ravel(at, source_shape);
    equal = equal && dst[i] == src[p];
    T& w = want[static_cast<std::size_t>(p)];
    w = static_cast<T>(w + dst[i]);
  }
  CHECK(equal);
  CHECK(dst.guards_intact());
  kernels::index_add(ones.view(), sum.view(), dim, index.view(), dst.view());
  CHECK(same_bits(sum.values(), want));
  kernels::fill(sum.view(), 7);
  const T one{1};
  const thalweg::ConstView repeated(&one, thalweg::dtype_of<T>, source_shape, Dims{0, 0, 0});
  kernels::index_add(repeated, sum.view(), dim, index.view(), dst.view());
  CHECK(same_bits(sum.values(), want));
  CHECK(sum.guards_intact());
}

}  // namespace

TEST_CASE("gather, scatter and selection of slices along every dimension in every layout") {
  for (int dim = 0; dim < 3; ++dim)
    for (Layout layout : all_layouts) {
      check_element_ops<float, std::int64_t>(dim, layout);
      check_element_ops<double, std::int32_t>(dim, layout);
      check_element_ops<std::int64_t, std::int64_t>(dim, layout);
      check_element_ops<std::uint8_t, std::int32_t>(dim, layout);
      check_slice_ops<float, std::int32_t>(dim, layout);
      check_slice_ops<double, std::int64_t>(dim, layout);
      check_slice_ops<std::int32_t, std::int64_t>(dim, layout);
    }
}

TEST_CASE("sums by index have one set of bits for every thread count") {
  Array<float> src({3000, 40});
  Array<std::int64_t> rows({3000}), places({3000, 40});
  src.random(3, -1, 1e3);
  rows.generate([](std::int64_t i) { return i * i % 7; });
  places.generate([](std::int64_t i) { return i * 13 % 11; });
  const float nought = 0;
  const thalweg::ConstView noughts(&nought, thalweg::DType::f32, {11, 40}, {0, 0});
  std::vector<float> first;
  on_threads([&] {
    Array<float> zeros({7, 40}), a({7, 40}), b({11, 40});
    kernels::fill(zeros.view(), 0);
    kernels::index_add(zeros.view(), a.view(), 0, rows.view(), src.view());
    kernels::scatter_add(noughts, b.view(), 0, places.view(), src.view());
    std::vector<float> bits = a.values();
    for (float x : b.values()) bits.push_back(x);
    if (first.empty()) first = bits;
    CHECK(same_bits(bits, first));
    Array<float> selected({3000, 40}), wide({2, 40000}), out({3, 40000});
    kernels::index_select(a.view(), 0, rows.view(), selected.view());
    bool equal = true;
    for (std::int64_t i = 0; i < selected.size(); ++i)
      equal = equal && selected[i] == a[rows[i / 40] * 40 + i % 40];
    CHECK(equal);
    wide.random(4);
    Array<std::int64_t> three({3});
    three.generate([](std::int64_t i) { return 1 - i % 2; });
    kernels::index_select(wide.view(), 0, three.view(), out.view());
    for (std::int64_t i = 0; i < 3; ++i) CHECK(out[i * 40000 + 39999] == wide[(1 - i % 2) * 40000 + 39999]);
  });
}

TEST_CASE("one_hot in any dtype and class dimension") {
  for (Layout layout : all_layouts)
    for (int dim : {0, 1, 2}) {
      Array<std::int64_t> index({3, 4}, layout);
      index.generate([](std::int64_t i) { return i % 5; });
      Dims shape{3, 4};
      shape.insert(dim, 5);
      Array<float> f(shape, layout);
      Array<bool> b(shape, layout);
      Array<std::uint8_t> u(shape, layout);
      kernels::one_hot(index.view(), f.view(), dim);
      kernels::one_hot(index.view(), b.view(), dim);
      kernels::one_hot(index.view(), u.view(), dim);
      bool equal = true;
      for (std::int64_t i = 0; i < f.size(); ++i) {
        Dims at = unravel(i, shape);
        const std::int64_t c = at[dim];
        at.erase(dim);
        const bool hot = index[ravel(at, {3, 4})] == c;
        equal = equal && f[i] == (hot ? 1.0F : 0.0F) && b[i] == hot && u[i] == (hot ? 1 : 0);
      }
      CHECK(equal);
      CHECK((f.guards_intact() && b.guards_intact() && u.guards_intact()));
    }
}

TEST_CASE("first_out_of_range gives the row-major position of the first bad index") {
  for (Layout layout : all_layouts) {
    Array<std::int64_t> a({4, 6}, layout);
    a.generate([](std::int64_t i) { return i % 3; });
    CHECK(kernels::first_out_of_range(a.view(), 3) == -1);
    CHECK(kernels::first_out_of_range(a.view(), 2) == 2);
    a[17] = -1;
    CHECK(kernels::first_out_of_range(a.view(), 3) == 17);
    a[9] = std::int64_t{1} << 40;
    CHECK(kernels::first_out_of_range(a.view(), 3) == 9);
    Array<std::int32_t> b({2, 3}, layout);
    b.generate([](std::int64_t) { return -2147483647 - 1; });
    CHECK(kernels::first_out_of_range(b.view(), 3) == 0);
  }
  Array<std::int64_t> none({0, 3});
  CHECK(kernels::first_out_of_range(none.view(), 0) == -1);
}

TEST_CASE("long lines: every place of an index out of range is found, lines are filled before they are added to") {
  const std::int64_t rows = 40, size = 70, length = 77;  // blocks, and a rest
  Array<float> src({rows, size}), out({rows, length}), sum({rows, size});
  Array<std::int32_t> index({rows, length});
  src.random(8, -1, 1);
  index.generate([](std::int64_t i) { return i * 29 % 70; });
  const float half = 0.5F;
  const thalweg::ConstView halves(&half, thalweg::DType::f32, {rows, size}, {0, 0});
  CHECK(kernels::gather(src.view(), 1, index.view(), out.view()));
  CHECK(kernels::scatter_add(halves, sum.view(), 1, index.view(), out.view()));
  CHECK((out.guards_intact() && sum.guards_intact()));
  std::vector<float> want(static_cast<std::size_t>(sum.size()), half);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const std::int64_t place = i / length * size + index[i];
    wrong += out[i] != src[place];
    want[static_cast<std::size_t>(place)] += out[i];
  }
  CHECK(wrong == 0);
  CHECK(same_bits(sum.values(), want));
  for (const std::int64_t bad : std::initializer_list<std::int64_t>{0, 31, 32, 63, 64, length - 1, rows * length - 1})
    for (const std::int64_t value : {std::int64_t{-1}, size, std::int64_t{INT32_MAX}, std::int64_t{INT32_MIN}}) {
      index.generate([&](std::int64_t i) { return i == bad ? value : i * 29 % 70; });
      CHECK_FALSE(kernels::gather(src.view(), 1, index.view(), out.view()));
      CHECK_FALSE(kernels::scatter_add(halves, sum.view(), 1, index.view(), out.view()));
      CHECK((out.guards_intact() && sum.guards_intact()));
      CHECK(kernels::first_out_of_range(index.view(), size) == bad);
    }
}

TEST_CASE("selection of single elements, in every order of memory, on every number of threads") {
  Array<float> src({1, 50});
  Array<std::int64_t> index({40000});
  src.random(9, -1, 1);
  index.generate([](std::int64_t i) { return i * i % 50; });
  on_threads([&] {
    for (Layout layout : all_layouts) {
      Array<float> out({1, 40000}, layout);
      kernels::index_select(src.view(), 1, index.view(), out.view());
      std::int64_t wrong = 0;
      for (std::int64_t i = 0; i < 40000; ++i) wrong += out[i] != src[i * i % 50];
      CHECK(wrong == 0);
      CHECK(out.guards_intact());
    }
  });
}

TEST_CASE("selection by an index of any shape takes its place among the dimensions, and finds what is out of range") {
  const Dims shapes[] = {{6, 300}, {6, 1}, {6, 20000}, {6, 0}};  // rows, elements, slices shared out, nothing
  for (const Dims& shape : shapes)
    for (Layout layout : all_layouts) {
      Array<float> src(shape, layout), out({70, 3, shape[1]}, layout == Layout::transposed ? Layout::dense : layout);
      Array<std::int32_t> index({70, 3}, layout);
      src.random(5);
      index.generate([](std::int64_t i) { return i * 7 % 6; });
      CHECK(kernels::index_select(src.view(), 0, index.view(), out.view()));
      std::int64_t wrong = 0;
      for (std::int64_t i = 0; i < out.size(); ++i)
        wrong += out[i] != src[index[i / shape[1]] * shape[1] + i % shape[1]];
      CHECK(wrong == 0);
      for (const std::int64_t bad : {0, 100, 209})
        for (const int value : {-1, 6, INT32_MIN, INT32_MAX}) {
          index.generate([&](std::int64_t i) { return i == bad ? value : i * 7 % 6; });
          CHECK_FALSE(kernels::index_select(src.view(), 0, index.view(), out.view()));
        }
      CHECK(out.guards_intact());
    }
  Array<double> src({2, 5, 3}), out({2, 4, 2, 3});
  Array<std::int64_t> index({4, 2}, Layout::transposed), none({0, 2});
  src.random(6);
  index.generate([](std::int64_t i) { return i * 3 % 5; });
  CHECK(kernels::index_select(src.view(), 1, index.view(), out.view()));
  for (std::int64_t i = 0; i < out.size(); ++i)
    CHECK(out[i] == src[(i / 24 * 5 + i / 3 % 8 * 3 % 5) * 3 + i % 3]);
  Array<double> nothing({2, 0, 2, 3});
  CHECK(kernels::index_select(src.view(), 1, none.view(), nothing.view()));
}

TEST_CASE("results larger than the caches: rows selected and rows added to, on every number of threads") {
  constexpr std::int64_t rows = 65000, length = 131, sources = 9000;
  Array<float> few({300, length}), many({rows, length}), src({sources, length}), base({rows, length});
  few.random(7), src.random(8), base.random(9);
  Array<std::int64_t> chosen({rows}), places({sources});
  chosen.generate([](std::int64_t i) { return i * i % 300; });
  places.generate([&](std::int64_t i) { return i * i % rows; });
  REQUIRE(many.size() * 4 > thalweg::kernels::stream_bytes);
  const float half = 0.5F;
  const thalweg::ConstView halves(&half, thalweg::DType::f32, {rows, length}, {0, 0});
  std::vector<float> want = base.values(), want_halves(want.size(), half);
  for (std::int64_t i = 0; i < src.size(); ++i) {
    const auto at = static_cast<std::size_t>(places[i / length] * length + i % length);
    want[at] += src[i];
    want_halves[at] += src[i];
  }
  on_threads([&] {
    CHECK(kernels::index_select(few.view(), 0, chosen.view(), many.view()));
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < many.size(); ++i) {
      const std::int64_t row = i / length;
      wrong += many[i] != few[row * row % 300 * length + i % length];
    }
    CHECK(wrong == 0);
    kernels::index_add(base.view(), many.view(), 0, places.view(), src.view());
    CHECK(same_bits(many.values(), want));
    kernels::index_add(halves, many.view(), 0, places.view(), src.view());
    CHECK(same_bits(many.values(), want_halves));
  });
  CHECK(many.guards_intact());
}
