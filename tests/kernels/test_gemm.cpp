// gemm() and gemm_batched(): against naive f64 loops on every target, path, layout and tile edge; equal bits
// across paths (but for the vector's), layouts and thread counts; fused bias and activation; special values;
// the planted faults.
#include <cmath>
#include <limits>

#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/gemm.hpp>
#include <thalweg/ops/kernels/gemm_driver.hpp>

using namespace kernel_test;
using thalweg::kernels::Activation;
using thalweg::kernels::gemm;
using thalweg::kernels::GemmArgs;
using thalweg::kernels::GemmPath;
namespace kernels = thalweg::kernels;

namespace {

class ForcedPath {
 public:
  explicit ForcedPath(GemmPath p) { kernels::force_gemm_path(p); }
  ForcedPath(const ForcedPath&) = delete;
  ForcedPath& operator=(const ForcedPath&) = delete;
  ~ForcedPath() { kernels::force_gemm_path(GemmPath::automatic); }
};

constexpr GemmPath both_paths[] = {GemmPath::small, GemmPath::packed};

/// Worst |C - A B| in units of eps * sum of |a| |b|, which is to stay below k.
template <class T>
double error(Array<T>& a, Array<T>& b, Array<T>& c) {
  const std::int64_t m = c.shape()[0], n = c.shape()[1], k = a.shape()[1];
  double worst = 0;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0, magnitude = 1e-300;
      for (std::int64_t p = 0; p < k; ++p) {
        const double x = double{a[i * k + p]} * double{b[p * n + j]};
        sum += x, magnitude += std::abs(x);
      }
      worst = std::max(worst, std::abs(double{c[i * n + j]} - sum) / magnitude);
    }
  return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
}

template <class T>
void check_shapes(const std::vector<Dims>& shapes, bool vectors = false) {
  for (const Dims& s : shapes) {
    INFO("m, n, k " << thalweg::to_string(s));
    std::vector<T> bits;
    for (GemmPath path : both_paths) {
      const ForcedPath forced(vectors ? GemmPath::vector : path);
      for (Layout layout : all_layouts) {
        Array<T> a({s[0], s[2]}, layout), b({s[2], s[1]}, layout);
        Array<T> c({s[0], s[1]}, layout == Layout::spaced ? Layout::dense : layout);
        a.random(1), b.random(2);
        gemm(kernels::gemm_args(a.view(), b.view(), c.view()));
        if (bits.empty()) CHECK(error(a, b, c) <= static_cast<double>(s[2]) + 2);
        CHECK(c.guards_intact());
        if (bits.empty()) bits = c.values();
        CHECK(same_bits(c.values(), bits));
      }
    }
  }
}

}  // namespace

TEST_CASE(
    "gemm matches the naive product with one set of bits on every path and layout, up to the tile edges") {
  std::vector<Dims> shapes;
  for (std::int64_t m : {1, 2, 3, 5, 7, 8, 9, 17}) shapes.push_back({m, 19, 23});
  for (std::int64_t n : {1, 4, 8, 15, 16, 17, 33, 47, 48, 49, 97}) shapes.push_back({9, n, 21});
  for (std::int64_t k : {1, 2, 383, 384, 385, 800}) shapes.push_back({10, 35, k});
  on_targets([&] {
    check_shapes<float>(shapes);
    check_shapes<double>(shapes);
  });
}

TEST_CASE("gemm over several row blocks, column blocks and long row blocks") {
  on_targets([] {
    check_shapes<float>(
        {{127, 50, 390}, {129, 50, 20}, {257, 101, 70}, {2060, 49, 5}, {3, 2100, 7}, {140, 2070, 3}});
    check_shapes<double>({{130, 26, 390}});
  });
}

TEST_CASE(
    "gemm over several blocks of k: panels packed by their users, shared ones, and long sums shared out") {
  on_targets([] {
    check_shapes<float>({{40, 420, 800}, {140, 110, 800}, {20, 35, 1700}, {5, 3, 40000}, {130, 50, 1600}});
    check_shapes<double>({{20, 210, 800}, {20, 35, 1700}});
  });
}

TEST_CASE("gemm of one row, one column and one element: every layout, block and segment, one set of bits") {
  std::vector<Dims> shapes;
  for (std::int64_t k : {1, 2, 7, 8, 15, 16, 17, 63, 64, 65, 200}) shapes.push_back({1, 19, k});
  for (std::int64_t n : {1, 2, 3, 4, 5, 8, 15, 16, 17, 63, 64, 65, 130}) shapes.push_back({1, n, 37});
  for (std::int64_t m : {2, 3, 7, 8, 9, 600}) shapes.push_back({m, 1, 21});
  for (std::int64_t k : {2047, 2048, 2049, 4100, 9000}) shapes.insert(shapes.end(), {{1, 3, k}, {1, 1, k}});
  on_targets([&] {
    check_shapes<float>(shapes, true);
    check_shapes<double>(shapes, true);
    check_shapes<float>({{1, 1100, 300}, {1, 520, 2100}, {1, 40, 20000}, {1, 1, 100000}}, true);
  });
}

TEST_CASE("the bits of one row or column do not depend on threads, batches or the place of an element") {
  on_targets([] {
    for (const Dims& s : {Dims{1, 700, 500}, Dims{900, 1, 300}, Dims{1, 50, 9000}, Dims{1, 1, 70000}}) {
      Array<float> a({s[0], s[2]}), b({s[2], s[1]});
      a.random(31), b.random(32);
      std::vector<float> bits;
      on_threads([&] {
        Array<float> c({s[0], s[1]});
        gemm(kernels::gemm_args(a.view(), b.view(), c.view()));
        if (bits.empty()) bits = c.values();
        CHECK(same_bits(c.values(), bits));
      });
      Array<float> one({s[0], 1});  // the last column alone, or the same product again
      const View bv = b.view();
      gemm(kernels::gemm_args(
          a.view(), ConstView(static_cast<float*>(bv.data) + s[1] - 1, bv.dtype, {s[2], 1}, bv.strides),
          one.view()));
      CHECK(one[0] == bits[static_cast<std::size_t>(s[1] - 1)]);
      Array<float> batch({3, s[0], s[1]});
      kernels::gemm_batched(kernels::gemm_args(a.view(), b.view(),
                                               View{batch.view().data, DType::f32, {s[0], s[1]}, {s[1], 1}}),
                            {{3}, {0}, {0}, {s[0] * s[1]}});
      for (std::int64_t i = 0; i < batch.size(); ++i)
        if (batch[i] != bits[static_cast<std::size_t>(i % (s[0] * s[1]))])
          FAIL_CHECK("batch differs at " << i);
    }
  });
}

TEST_CASE("one row as part of a tall product has the chain of a matrix's row") {
  on_targets([] {
    Array<float> a({3, 1, 700}), b({700, 33}), c({3, 1, 33}), want({3, 33});
    a.random(41), b.random(42);
    gemm(kernels::gemm_args(ConstView(a.view().data, DType::f32, {3, 700}, {700, 1}), b.view(), want.view()));
    GemmArgs g;
    g.m = 1, g.n = 33, g.k = 700, g.tall = true;
    g.a = a.view().data, g.a_row = 700;
    g.b = b.view().data, g.b_row = 33;
    g.c = c.view().data, g.c_row = 33;
    kernels::gemm_batched(g, {{3}, {700}, {0}, {33}});  // as one product
    CHECK(same_bits(c.values(), want.values()));
    g.tall = false;  // three products of one row each, however their rows lie
    Array<float> single({1, 33}), rows({3, 1, 33});
    gemm(kernels::gemm_args(ConstView(a.view().data, DType::f32, {1, 700}, {700, 1}), b.view(),
                            single.view()));
    g.c = rows.view().data;
    kernels::gemm_batched(g, {{3}, {700}, {0}, {33}});
    for (std::int64_t i = 0; i < 33; ++i) CHECK(rows[i] == single[i]);
    CHECK_FALSE((single[0] == want[0] && single[1] == want[1] && single[2] == want[2]));  // other chains
    g.tall = true;
    Array<float> reversed({3, 1, 33});
    g.c = static_cast<float*>(reversed.view().data) + 66;
    kernels::gemm_batched(g, {{3}, {700}, {0}, {-33}});  // one by one
    for (std::int64_t i = 0; i < 99; ++i) CHECK(reversed[(2 - i / 33) * 33 + i % 33] == want[i]);
  });
}

TEST_CASE("the bits of gemm do not depend on the number of threads") {
  const auto check = [](const Dims& s) {
    Array<float> a({s[0], s[2]}), b({s[2], s[1]}, Layout::transposed);
    a.random(3), b.random(4);
    for (GemmPath path : both_paths) {
      const ForcedPath forced(path);
      std::vector<float> bits;
      on_threads([&] {
        Array<float> c({s[0], s[1]});
        gemm(kernels::gemm_args(a.view(), b.view(), c.view()));
        if (bits.empty()) bits = c.values();
        CHECK(same_bits(c.values(), bits));
      });
    }
  };
  on_targets([&] {
    for (const Dims& s : {Dims{300, 200, 500}, Dims{70, 430, 500}, Dims{24, 30, 5000}}) check(s);
  });
}

TEST_CASE("gemm of no products gives zeros, bias or what was there; empty results are left alone") {
  on_targets([] {
    Array<float> a({3, 0}), b({0, 5}), c({3, 5}), bias({5});
    bias.generate([](std::int64_t i) { return i - 2; });
    GemmArgs g = kernels::gemm_args(a.view(), b.view(), c.view());
    gemm(g);
    for (std::int64_t i = 0; i < 15; ++i) CHECK(c[i] == 0);
    g.bias = bias.view().data;
    g.act = Activation::relu;
    gemm(g);
    for (std::int64_t i = 0; i < 15; ++i) CHECK(c[i] == std::max<float>(0, static_cast<float>(i % 5 - 2)));
    g.accumulate = true;
    gemm(g);
    for (std::int64_t i = 0; i < 15; ++i) CHECK(c[i] == (i % 5 == 3 ? 2 : i % 5 == 4 ? 4 : 0));
    Array<double> x({0, 4}), y({4, 3}), z({0, 3});
    gemm(kernels::gemm_args(x.view(), y.view(), z.view()));
    CHECK(z.guards_intact());
  });
}

TEST_CASE("gemm adds to C with accumulate") {
  on_targets([] {
    for (GemmPath path : both_paths)
      for (std::int64_t k : {5, 500, 2000}) {
        const ForcedPath forced(path);
        Array<float> a({13, k}), b({k, 53}), c({13, 53}), plain({13, 53}), before({13, 53});
        a.random(5), b.random(6), c.random(7), before.random(7);
        gemm(kernels::gemm_args(a.view(), b.view(), plain.view()));
        GemmArgs g = kernels::gemm_args(a.view(), b.view(), c.view());
        g.accumulate = true;
        gemm(g);
        bool near = true;
        for (std::int64_t i = 0; i < c.size(); ++i)
          near = near && std::abs(c[i] - (before[i] + plain[i])) <= 1e-5F * (1 + std::abs(plain[i]));
        CHECK(near);
      }
  });
}

TEST_CASE("a fused bias and activation has the bits of the separate steps, in either orientation of C") {
  on_targets([] {
    for (GemmPath path : both_paths)
      for (Layout layout : {Layout::dense, Layout::transposed, Layout::spaced})
        for (Activation act : {Activation::none, Activation::relu, Activation::sigmoid, Activation::tanh}) {
          const ForcedPath forced(path);
          Array<float> a({21, 400}), b({400, 71}), bias({71}), plain({21, 71}), fused({21, 71}, layout);
          a.random(8), b.random(9), bias.random(10, -3, 3);
          gemm(kernels::gemm_args(a.view(), b.view(), plain.view()));
          for (std::int64_t i = 0; i < plain.size(); ++i) plain[i] += bias[i % 71];
          GemmArgs g = kernels::gemm_args(a.view(), b.view(), fused.view());
          g.bias = bias.view().data;
          g.act = act;
          gemm(g);
          std::vector<float> want = plain.values();
          kernels::gemm_kernels<float>().finish(want.data(), nullptr, plain.size(), act);
          CHECK(same_bits(fused.values(), want));
          CHECK(fused.guards_intact());
          double worst = 0;
          for (std::int64_t i = 0; i < plain.size(); ++i) {
            const double x = plain[i], got = fused[i];
            const double exact = act == Activation::none      ? x
                                 : act == Activation::relu    ? std::max(x, 0.0)
                                 : act == Activation::sigmoid ? 1 / (1 + std::exp(-x))
                                                              : std::tanh(x);
            worst = std::max(worst, std::abs(got - exact) / (std::abs(exact) + 1e-30));
          }
          CHECK(worst < 1e-6);
        }
  });
}

TEST_CASE("bias, activation and accumulation of one row and of one column") {
  on_targets([] {
    for (bool column : {false, true})
      for (bool accumulate : {false, true}) {
        Array<double> a({1, 90}), b({90, 40}, column ? Layout::transposed : Layout::dense),
            c({1, 40}, Layout::spaced), plain({1, 40}), bias({column ? 1 : 40});
        a.random(51), b.random(52), bias.random(53), c.random(54);
        const std::vector<double> before = c.values();
        const View av = a.view(), bv = b.view(), cv = c.view();
        gemm(kernels::gemm_args(av, bv, plain.view()));
        GemmArgs g = kernels::gemm_args(av, bv, cv);
        if (column) {  // the transposed product
          g = kernels::gemm_args(ConstView(bv.data, bv.dtype, {40, 90}, {bv.strides[1], bv.strides[0]}),
                                 ConstView(av.data, av.dtype, {90, 1}, {1, 90}),
                                 View{cv.data, cv.dtype, {40, 1}, {cv.strides[1], 1}});
        }
        g.bias = bias.view().data, g.act = Activation::relu, g.accumulate = accumulate;
        gemm(g);
        for (std::int64_t i = 0; i < 40; ++i) {
          const double sum = accumulate ? before[static_cast<std::size_t>(i)] + plain[i] : plain[i];
          CHECK(c[i] == std::max(sum + bias[column ? 0 : i], 0.0));
        }
        CHECK(c.guards_intact());
      }
  });
}

TEST_CASE("NaN and Inf propagate through every path, also against zeros") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  on_targets([&] {
    for (GemmPath path : both_paths) {
      const ForcedPath forced(path);
      for (float special : {nan, inf}) {
        Array<float> a({11, 30}), b({30, 50}), c({11, 50});
        a.generate([](std::int64_t) { return 0; });
        b.generate([](std::int64_t) { return 1; });
        b[7 * 50 + 49] = special;
        gemm(kernels::gemm_args(a.view(), b.view(), c.view()));
        for (std::int64_t i = 0; i < c.size(); ++i) CHECK(std::isnan(c[i]) == (i % 50 == 49));
      }
      Array<float> a({2, 3}), b({3, 2}), c({2, 2});
      a.generate([](std::int64_t) { return 1; }), b.generate([](std::int64_t) { return 1; });
      a[0] = nan, a[3] = -inf;
      GemmArgs g = kernels::gemm_args(a.view(), b.view(), c.view());
      g.act = Activation::relu;
      gemm(g);
      CHECK((std::isnan(c[0]) && std::isnan(c[1])));
      CHECK((c[2] == 0 && c[3] == 0));
    }
  });
}

TEST_CASE("batched products: broadcast, permuted and foldable batches, on both paths") {
  on_targets([] {
    for (GemmPath path : both_paths)
      for (int kind = 0; kind < 4; ++kind) {
        const ForcedPath forced(path);
        const bool shared_b = kind >= 2, shared_a = kind == 1;
        Array<double> a({3, 2, 6, 10}), b({3, 2, 10, 9}),
            c({3, 2, 6, 9}, kind == 3 ? Layout::spaced : Layout::dense);
        a.random(11), b.random(12);
        const View av = a.view(), bv = b.view(), cv = c.view();
        GemmArgs g = kernels::gemm_args(ConstView(av.data, av.dtype, {6, 10}, {av.strides[2], av.strides[3]}),
                                        ConstView(bv.data, bv.dtype, {10, 9}, {bv.strides[2], bv.strides[3]}),
                                        View{cv.data, cv.dtype, {6, 9}, {cv.strides[2], cv.strides[3]}});
        kernels::gemm_batched(g, {{3, 2},
                                  shared_a ? Dims{0, 0} : Dims{av.strides[0], av.strides[1]},
                                  shared_b ? Dims{0, 0} : Dims{bv.strides[0], bv.strides[1]},
                                  {cv.strides[0], cv.strides[1]}});
        double worst = 0;
        for (std::int64_t i = 0; i < c.size(); ++i) {
          const std::int64_t batch = i / 54, row = i / 9 % 6, col = i % 9;
          double sum = 0;
          for (std::int64_t p = 0; p < 10; ++p)
            sum +=
                a[(shared_a ? 0 : batch) * 60 + row * 10 + p] * b[(shared_b ? 0 : batch) * 90 + p * 9 + col];
          worst = std::max(worst, std::abs(c[i] - sum));
        }
        CHECK(worst < 1e-14);
        CHECK(c.guards_intact());
      }
    Array<float> a({4, 1, 1}, Layout::transposed), b({4, 1, 3}), c({4, 1, 3}, Layout::transposed);
    a.random(13), b.random(14);
    GemmArgs g;
    g.m = 1, g.n = 3, g.k = 1;
    g.a = a.view().data, g.b = b.view().data, g.c = c.view().data;
    g.c_col = c.view().strides[2];
    kernels::gemm_batched(g, {{4}, {a.view().strides[0]}, {b.view().strides[0]}, {c.view().strides[0]}});
    for (std::int64_t i = 0; i < 12; ++i) CHECK(c[i] == a[i / 3] * b[i]);
  });
}

TEST_CASE("strides of zero repeat, and the choice of path follows the shape and is counted") {
  const float two = 2;
  Array<float> b({40, 30}), c({20, 30});
  b.generate([](std::int64_t) { return 1; });
  gemm(kernels::gemm_args(ConstView(&two, DType::f32, {20, 40}, {0, 0}), b.view(), c.view()));
  for (std::int64_t i = 0; i < c.size(); ++i) CHECK(c[i] == 80);
  CHECK(kernels::gemm_path(64, 64, 64) == GemmPath::small);
  CHECK(kernels::gemm_path(2, 100000, 100000) == GemmPath::small);
  CHECK(kernels::gemm_path(1, 100000, 100000) == GemmPath::vector);
  CHECK(kernels::gemm_path(1, 5, 5, true) == GemmPath::small);
  CHECK(kernels::gemm_path(5, 1, 5, true) == GemmPath::vector);
  CHECK(kernels::gemm_path(128, 512, 784) == GemmPath::packed);
  const kernels::GemmCounts before = kernels::gemm_counts();
  Array<float> x({128, 128}), y({128, 128});
  x.random(15);
  gemm(kernels::gemm_args(x.view(), x.view(), y.view()));
  gemm(kernels::gemm_args(ConstView(&two, DType::f32, {20, 40}, {0, 0}), b.view(), c.view()));
  CHECK(kernels::gemm_counts().packed == before.packed + 1);
  CHECK(kernels::gemm_counts().small == before.small + 1);
  Array<float> row({1, 128}), out({1, 128});
  gemm(kernels::gemm_args(row.view(), x.view(), out.view()));
  CHECK(kernels::gemm_counts().vector == before.vector + 1);
}

TEST_CASE("the planted faults of gemm change its result") {
  Array<float> a({9, 50}), b({50, 20}), right({9, 20});
  a.random(16, 0.5, 1), b.random(17, 0.5, 1);
  gemm(kernels::gemm_args(a.view(), b.view(), right.view()));
  on_targets([&] {
    for (GemmPath path : both_paths)
      for (kernels::Fault fault : {kernels::Fault::gemm_k_tail, kernels::Fault::gemm_edge}) {
        const ForcedPath forced(path);
        const kernels::fault::Scope broken(fault);
        Array<float> c({9, 20});
        gemm(kernels::gemm_args(a.view(), b.view(), c.view()));
        double worst = 0;
        for (std::int64_t i = 0; i < c.size(); ++i)
          worst = std::max<double>(worst, std::abs(c[i] - right[i]));
        CHECK(!(worst < 0.2));
      }
    const kernels::fault::Scope broken(kernels::Fault::gemm_k_tail);
    Array<float> y({9, 1}), b0({50, 1});
    b0.random(18, 0.5, 1);
    gemm(kernels::gemm_args(a.view(), b0.view(), y.view()));
    double sum = 0;
    for (std::int64_t p = 0; p < 50; ++p) sum += double{a[p]} * double{b0[p]};
    CHECK(std::abs(y[0] - sum) > 0.2);
  });
}
