// reduce(), scan() and sum_squares(): against naive loops over every set of axes, layouts, targets and thread
// counts.
#include <cmath>
#include <limits>
#include <set>

#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/reduce.hpp>

using namespace kernel_test;
using thalweg::kernels::reduce;
using thalweg::kernels::ReduceKind;
using thalweg::kernels::ScanKind;
namespace kernels = thalweg::kernels;

namespace {

struct Naive {
  Dims kept, keepdim;
  std::vector<std::vector<double>> sequences;  // one per result, in row-major order
};

template <class T>
Naive naive(Array<T>& src, const Dims& axes) {
  Naive r;
  for (int i = 0; i < src.shape().size(); ++i) {
    const bool reduced = axes.contains(i);
    r.keepdim.push_back(reduced ? 1 : src.shape()[i]);
    if (!reduced) r.kept.push_back(src.shape()[i]);
  }
  r.sequences.resize(static_cast<std::size_t>(thalweg::numel(r.kept)));
  for (std::int64_t i = 0; i < src.size(); ++i) {
    std::int64_t rest = i, at = 0, step = 1;
    for (int d = src.shape().size() - 1; d >= 0; --d) {
      const std::int64_t index = rest % src.shape()[d];
      rest /= src.shape()[d];
      if (axes.contains(d)) continue;
      at += index * step;
      step *= src.shape()[d];
    }
    r.sequences[static_cast<std::size_t>(at)].push_back(static_cast<double>(src[i]));
  }
  return r;
}

double answer(ReduceKind kind, const std::vector<double>& v) {
  double a = kind == ReduceKind::prod ? 1 : kind == ReduceKind::sum ? 0 : v[0];
  std::size_t at = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    switch (kind) {
      case ReduceKind::sum:
        a += v[i];
        break;
      case ReduceKind::prod:
        a *= v[i];
        break;
      case ReduceKind::max:
      case ReduceKind::argmax:
        if (!std::isnan(a) && !(v[i] <= a)) a = v[i], at = i;
        break;
      case ReduceKind::min:
      case ReduceKind::argmin:
        if (!std::isnan(a) && !(v[i] >= a)) a = v[i], at = i;
        break;
    }
  }
  return kind == ReduceKind::argmax || kind == ReduceKind::argmin ? static_cast<double>(at) : a;
}

template <class T, class Out>
void check(ReduceKind kind, Array<T>& src, const Dims& axes, double tolerance,
           Layout layout = Layout::dense) {
  const Naive n = naive(src, axes);
  for (bool keepdim : {false, true}) {
    Array<Out> dst(keepdim ? n.keepdim : n.kept, layout);
    reduce(kind, src.view(), dst.view(), axes);
    INFO("kind " << static_cast<int>(kind));
    double worst = 0;
    for (std::int64_t i = 0; i < dst.size(); ++i) {
      const double want = answer(kind, n.sequences[static_cast<std::size_t>(i)]),
                   got = static_cast<double>(dst[i]);
      double magnitude = 0;
      for (double x : n.sequences[static_cast<std::size_t>(i)]) magnitude += std::abs(x);
      if (kind == ReduceKind::prod) magnitude = std::abs(want);
      if (std::isnan(want) != std::isnan(got))
        worst = 1e300;
      else if (!std::isnan(want) && want != got)
        worst = std::max(worst, std::abs(want - got) / magnitude);
    }
    CHECK(worst <= tolerance);
    CHECK(dst.guards_intact());
  }
}

std::vector<Dims> axis_sets(int rank) {
  std::vector<Dims> sets;
  for (int mask = 0; mask < 1 << rank; ++mask) {
    Dims axes;
    for (int i = 0; i < rank; ++i)
      if (mask >> i & 1) axes.push_back(i);
    sets.push_back(axes);
  }
  return sets;
}

constexpr double f32_eps = std::numeric_limits<float>::epsilon(),
                 f64_eps = std::numeric_limits<double>::epsilon();
constexpr ReduceKind plain_kinds[] = {ReduceKind::sum, ReduceKind::prod, ReduceKind::max, ReduceKind::min};

}  // namespace

TEST_CASE("reduce over every set of axes in every layout on every target") {
  on_targets([] {
    for (const Dims& shape : {Dims{3, 4, 5}, Dims{2, 1, 37, 3}, Dims{1, 70}, Dims{6}, Dims{}})
      for (const Dims& axes : axis_sets(shape.size()))
        for (Layout layout : all_layouts) {
          INFO("shape " << thalweg::to_string(shape) << " axes " << thalweg::to_string(axes));
          Array<float> single(shape, layout);
          Array<double> wide(shape, layout);
          single.random(1, -2, 2), wide.random(2, -2, 2);
          for (ReduceKind kind : plain_kinds) {
            check<float, float>(kind, single, axes, f32_eps, layout);
            check<double, double>(kind, wide, axes, 100 * f64_eps, layout);
          }
        }
  });
}

TEST_CASE("reduce of integers and bool") {
  for (const Dims& axes : axis_sets(3))
    for (Layout layout : all_layouts) {
      Array<std::int64_t> i64({3, 4, 5}, layout);
      Array<std::int32_t> i32({3, 4, 5}, layout);
      Array<std::uint8_t> u8({3, 4, 5}, layout);
      Array<bool> truth({3, 4, 5}, layout);
      i64.random(1, -3, 4), i32.random(2, -9, 9), u8.random(3, 0, 255);
      truth.generate([](std::int64_t i) { return i * i % 3 == 1; });
      for (ReduceKind kind : {ReduceKind::sum, ReduceKind::prod}) {
        check<std::int64_t, std::int64_t>(kind, i64, axes, 0);
        check<bool, std::int64_t>(kind, truth, axes, 0);
      }
      check<std::int32_t, std::int64_t>(ReduceKind::sum, i32, axes, 0);
      check<std::uint8_t, std::int64_t>(ReduceKind::sum, u8, axes, 0);
      for (ReduceKind kind : {ReduceKind::max, ReduceKind::min}) {
        check<std::int64_t, std::int64_t>(kind, i64, axes, 0);
        check<std::int32_t, std::int32_t>(kind, i32, axes, 0);
        check<std::uint8_t, std::uint8_t>(kind, u8, axes, 0);
        check<bool, bool>(kind, truth, axes, 0);
      }
    }
}

TEST_CASE("reduce of sizes around blocks, segments and column tiles") {
  on_targets([] {
    for (const Dims& shape :
         {Dims{1023}, Dims{2047}, Dims{2049}, Dims{16385}, Dims{70000}, Dims{3, 40000}, Dims{3, 2, 9000}}) {
      Array<float> a(shape);
      Array<double> b(shape);
      a.random(3), b.random(4);
      const Dims last{shape.size() - 1};
      for (ReduceKind kind : {ReduceKind::sum, ReduceKind::max}) {
        check<float, float>(kind, a, last, f32_eps);
        check<double, double>(kind, b, last, 40 * f64_eps);
      }
      if (shape.size() == 3) check<float, float>(ReduceKind::sum, a, {0, 2}, f32_eps);
    }
    for (const Dims& shape :
         {Dims{33, 511}, Dims{129, 513}, Dims{2000, 40}, Dims{20000, 3}, Dims{2, 700, 1030}}) {
      Array<float> a(shape);
      a.random(5);
      for (ReduceKind kind : {ReduceKind::sum, ReduceKind::min})
        check<float, float>(kind, a, {shape.size() - 2}, f32_eps);
    }
  });
}

TEST_CASE("a sum of 10^8 ones in f32 is 10^8, and of nothing 0; a product of nothing 1") {
  const float one = 1;
  float result = 0;
  const View to{&result, DType::f32, {}, {}};
  const std::int64_t n = 100000000;
  on_targets([&] {
    reduce(ReduceKind::sum, ConstView(&one, DType::f32, {n}, {0}), to, {0});
    CHECK(result == 1e8F);
    reduce(ReduceKind::sum, ConstView(&one, DType::f32, {n / 10, 10}, {0, 0}), to, {0, 1});
    CHECK(result == 1e8F);
  });
  Array<float> empty({0, 3}), out({3});
  reduce(ReduceKind::sum, empty.view(), out.view(), {0});
  CHECK(out.values() == std::vector<float>{0, 0, 0});
  reduce(ReduceKind::prod, empty.view(), out.view(), {0});
  CHECK(out.values() == std::vector<float>{1, 1, 1});
  Array<double> none({2, 0}), two({2});
  reduce(ReduceKind::prod, none.view(), two.view(), {1});
  CHECK(two.values() == std::vector<double>{1, 1});
  Array<std::int64_t> nothing({2, 0}), sums({2});
  reduce(ReduceKind::sum, nothing.view(), sums.view(), {1});
  CHECK(sums.values() == std::vector<std::int64_t>{0, 0});
}

TEST_CASE("NaN propagates through extremes and sums wherever it stands") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  on_targets([&] {
    for (std::int64_t n : {1, 5, 16, 37, 130})
      for (std::int64_t at = 0; at < n; ++at) {
        Array<float> a({n});
        Array<double> b({n, 3});
        a.random(7), b.random(8);
        a[at] = static_cast<float>(nan), b[3 * at + 1] = nan;
        if (at + 1 < n) a[n - 1] = static_cast<float>(inf);
        for (ReduceKind kind : {ReduceKind::sum, ReduceKind::max, ReduceKind::min}) {
          check<float, float>(kind, a, {0}, f32_eps);
          check<double, double>(kind, b, {0}, 100 * f64_eps);
        }
        for (ReduceKind kind : {ReduceKind::argmax, ReduceKind::argmin}) {
          check<float, std::int64_t>(kind, a, {0}, 0);
          check<double, std::int64_t>(kind, b, {0}, 0);
        }
      }
    Array<float> lowest({40});
    lowest.generate([&](std::int64_t) { return -inf; });
    check<float, float>(ReduceKind::max, lowest, {0}, 0);
    CHECK(answer(ReduceKind::max, {-inf}) == -inf);
  });
}

TEST_CASE("argmax and argmin: first of equals, along one dimension or over all, every dtype and layout") {
  for (Layout layout : all_layouts) {
    Array<float> a({4, 5, 6}, layout);
    Array<std::uint8_t> b({4, 5, 6}, layout);
    a.generate([](std::int64_t i) { return i * 7 % 5; });
    b.generate([](std::int64_t i) { return i * 11 % 7; });
    for (ReduceKind kind : {ReduceKind::argmax, ReduceKind::argmin})
      for (const Dims& axes : {Dims{0}, Dims{1}, Dims{2}, Dims{0, 1, 2}}) {
        check<float, std::int64_t>(kind, a, axes, 0, layout);
        check<std::uint8_t, std::int64_t>(kind, b, axes, 0, layout);
      }
  }
}

TEST_CASE("the bits of a reduction depend neither on the number of threads nor on the layout") {
  Array<float> a({300, 1100}), turned({300, 1100}, Layout::transposed);
  Array<double> b({90000}), columns({5000, 7});
  a.random(9), turned.random(9), b.random(10, -1, 1e3), columns.random(11, -1, 1e3);
  std::vector<std::vector<double>> first;
  on_targets([&] {
    std::set<std::vector<double>> seen;
    on_threads([&] {
      std::vector<double> bits;
      for (const Dims& axes : {Dims{0}, Dims{1}, Dims{0, 1}}) {
        Dims kept;
        for (int i = 0; i < 2; ++i)
          if (!axes.contains(i)) kept.push_back(a.shape()[i]);
        Array<float> x(kept), y(kept);
        reduce(ReduceKind::sum, a.view(), x.view(), axes);
        reduce(ReduceKind::sum, turned.view(), y.view(), axes);
        CHECK(same_bits(x.values(), y.values()));
        for (float v : x.values()) bits.push_back(v);
      }
      Array<double> total((Dims())), by_column({7});
      reduce(ReduceKind::sum, b.view(), total.view(), {0});
      reduce(ReduceKind::sum, columns.view(), by_column.view(), {0});
      bits.push_back(total[0]);
      for (double v : by_column.values()) bits.push_back(v);
      bits.push_back(kernels::sum_squares(a.view()));
      seen.insert(bits);
    });
    CHECK(seen.size() == 1);
  });
}

TEST_CASE("scan: running sums and products both ways, in place, in every layout") {
  for (Layout layout : all_layouts)
    for (int dim = 0; dim < 3; ++dim)
      for (bool reverse : {false, true})
        for (ScanKind kind : {ScanKind::sum, ScanKind::prod}) {
          Array<double> src({3, 4, 5}, layout), dst({3, 4, 5}, Layout::dense);
          src.random(12, -2, 2);
          src[7] = 0;
          kernels::scan(kind, src.view(), dst.view(), dim, reverse);
          const std::int64_t n = src.shape()[dim], step = dim == 0 ? 20 : dim == 1 ? 5 : 1;
          bool equal = true;
          for (std::int64_t i = 0; i < src.size(); ++i) {
            const std::int64_t at = i / step % n;
            double want = kind == ScanKind::sum ? 0 : 1;
            for (std::int64_t j = reverse ? n - 1 : 0; reverse ? j >= at : j <= at; j += reverse ? -1 : 1) {
              const double x = src[i + (j - at) * step];
              want = kind == ScanKind::sum ? want + x : want * x;
            }
            equal = equal && dst[i] == want;
          }
          CHECK(equal);
          kernels::scan(kind, src.view(), src.view(), dim, reverse);
          CHECK(same_bits(src.values(), dst.values()));
        }
  Array<bool> truth({6});
  truth.generate([](std::int64_t i) { return i != 2; });
  Array<std::int64_t> counts({6});
  kernels::scan(ScanKind::sum, truth.view(), counts.view(), 0);
  CHECK(counts.values() == std::vector<std::int64_t>{1, 2, 2, 3, 4, 5});
  Array<float> empty({0, 3});
  kernels::scan(ScanKind::sum, empty.view(), empty.view(), 0);
}

TEST_CASE("sum_squares accumulates in f64 and keeps Inf") {
  on_targets([] {
    for (Layout layout : all_layouts) {
      Array<float> a({3, 5000}, layout);
      a.generate([](std::int64_t i) { return 1e20 * static_cast<double>(i % 3); });
      double want = 0;
      for (float x : a.values()) want += double{x} * double{x};
      CHECK(kernels::sum_squares(a.view()) == doctest::Approx(want).epsilon(1e-12));
      a[77] = std::numeric_limits<float>::infinity();
      CHECK(kernels::sum_squares(a.view()) == std::numeric_limits<double>::infinity());
    }
  });
}

TEST_CASE("a caller who flushes denormals gets the same sums, joined partial results included") {
  Array<double> tiny({40000}), out((Dims()));
  tiny.generate([](std::int64_t) { return 1e-320; });
  reduce(ReduceKind::sum, tiny.view(), out.view(), {0});
  const double right = out[0];
  CHECK(right > 3e-316);
  const unsigned saved = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(saved | 0x8040);  // flush to zero, denormals are zero
  reduce(ReduceKind::sum, tiny.view(), out.view(), {0});
  __builtin_ia32_ldmxcsr(saved);
  CHECK(out[0] == right);
}

TEST_CASE("the planted faults of reduce change its result") {
  Array<float> a({5000}), out((Dims()));
  a.random(13, 1, 2);
  reduce(ReduceKind::sum, a.view(), out.view(), {0});
  const float right = out[0];
  const kernels::fault::Scope broken(kernels::Fault::reduce_block);
  reduce(ReduceKind::sum, a.view(), out.view(), {0});
  CHECK(out[0] != right);
}

TEST_CASE("with partial sums placed in the order of arrival the bits do depend on threads") {
  Array<double> a({1000000}), out((Dims()));
  a.random(14);  // of both signs: cancelling lets the low bits of partial sums show
  reduce(ReduceKind::sum, a.view(), out.view(), {0});
  const double right = out[0];
  const kernels::fault::Scope broken(kernels::Fault::reduce_thread_order);
  bool changed = false;
  on_threads([&] {
    for (int i = 0; i < 20 && !changed; ++i) {
      const thalweg::par::Rendezvous all_take_part;
      reduce(ReduceKind::sum, a.view(), out.view(), {0});
      changed = out[0] != right;
      CHECK(std::abs(out[0] - right) < 1e-8);
    }
  });
  CHECK(changed);
}
