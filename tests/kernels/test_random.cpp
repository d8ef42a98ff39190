// Random fills and dropout: the documented place of each element in the Philox sequence, independence of
// layout, size, threads and (for uniform numbers) instruction set, moments, and exact zeros of dropout.
#include <cmath>
#include <limits>
#include <set>

#include <kernels/kernel_support.hpp>
#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/ops/kernels/random.hpp>

using namespace kernel_test;
namespace kernels = thalweg::kernels;
using thalweg::RandomKey;

namespace {

constexpr RandomKey key{.seed = 0x123456789ABCDEFULL, .offset = 0xFEDCBA9876543210ULL};

std::uint32_t word(std::int64_t i) {
  const std::int64_t group = i / 64, l = i % 16, w = i / 16 % 4;
  return thalweg::philox(key.seed, key.offset,
                         static_cast<std::uint64_t>(16 * group + l))[static_cast<std::size_t>(w)];
}

struct Moments {
  double mean = 0, variance = 0, skew = 0, kurtosis = 0, correlation = 0;
};
template <class T>
Moments moments(const std::vector<T>& v) {
  Moments m;
  const double n = static_cast<double>(v.size());
  for (T x : v) m.mean += static_cast<double>(x) / n;
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double d = static_cast<double>(v[i]) - m.mean;
    m.variance += d * d / n, m.skew += d * d * d / n, m.kurtosis += d * d * d * d / n;
    if (i > 0) m.correlation += d * (static_cast<double>(v[i - 1]) - m.mean) / n;
  }
  return m;
}

}  // namespace

TEST_CASE("each uniform number is the documented word of the Philox sequence, on every instruction set") {
  on_targets([] {
    Array<float> a({300});
    Array<double> b({300});
    Array<std::int64_t> c({300});
    kernels::random_uniform(a.view(), 0, 1, key);
    kernels::random_uniform(b.view(), 0, 1, key);
    kernels::random_integers(c.view(), -5, 1000, key);
    bool equal = true;
    for (std::int64_t i = 0; i < 300; ++i) {
      const std::int64_t high = i / 32 * 64 + i % 32;
      equal = equal && a[i] == thalweg::philox_uniform_f32(word(i));
      const double u = thalweg::philox_uniform_f64(word(high), word(high + 32));
      equal = equal && b[i] == u && c[i] == static_cast<std::int64_t>(std::floor(u * 1005)) - 5;
    }
    CHECK(equal);
    CHECK((a.guards_intact() && b.guards_intact() && c.guards_intact()));
  });
}

TEST_CASE("an element's number depends on its position alone: not on layout, size or threads") {
  on_targets([] {
    Array<float> whole({70, 600});
    kernels::random_normal(whole.view(), 1, 2, key);
    on_threads([&] {
      for (Layout layout : all_layouts) {
        Array<float> a({70, 600}, layout);
        kernels::random_normal(a.view(), 1, 2, key);
        CHECK(same_bits(a.values(), whole.values()));
        CHECK(a.guards_intact());
      }
    });
    for (std::int64_t n : {1, 31, 33, 63, 65, 511, 513}) {
      Array<float> part({n});
      kernels::random_normal(part.view(), 1, 2, key);
      CHECK(part[n - 1] == whole[n - 1]);
      Array<double> wide({n}), wider({n + 50});
      kernels::random_normal(wide.view(), 0, 1, key);
      kernels::random_normal(wider.view(), 0, 1, key);
      CHECK(wide[n - 1] == wider[n - 1]);
    }
  });
}

TEST_CASE("moments of uniform and normal numbers, f32 and f64") {
  on_targets([] {
    Array<float> a({200000});
    Array<double> b({200000});
    kernels::random_uniform(a.view(), 0, 1, key);
    kernels::random_uniform(b.view(), 0, 1, key);
    for (const Moments& m : {moments(a.values()), moments(b.values())}) {
      CHECK(std::abs(m.mean - 0.5) < 0.003);
      CHECK(std::abs(m.variance - 1.0 / 12) < 0.001);
      CHECK(std::abs(m.correlation) < 0.001);
    }
    kernels::random_normal(a.view(), 0, 1, key);
    kernels::random_normal(b.view(), 0, 1, key);
    for (const Moments& m : {moments(a.values()), moments(b.values())}) {
      CHECK(std::abs(m.mean) < 0.01);
      CHECK(std::abs(m.variance - 1) < 0.015);
      CHECK(std::abs(m.skew) < 0.03);
      CHECK(std::abs(m.kurtosis - 3) < 0.08);
      CHECK(std::abs(m.correlation) < 0.01);
    }
    for (float x : a.values()) REQUIRE(std::isfinite(x));
  });
}

TEST_CASE("uniform numbers keep inside their interval; other keys give other numbers") {
  Array<float> a({100000}), b({100000});
  kernels::random_uniform(a.view(), 1, 1.0000002, key);
  for (float x : a.values()) REQUIRE((x >= 1 && x < 1.0000002F));
  kernels::random_uniform(a.view(), -3, 5, key);
  for (float x : a.values()) REQUIRE((x >= -3 && x < 5));
  kernels::random_uniform(a.view(), 2, 2, key);
  CHECK(a[77] == 2);
  kernels::random_uniform(a.view(), 0, 1, {key.seed, key.offset + 1});
  kernels::random_uniform(b.view(), 0, 1, {key.seed + 1, key.offset});
  int equal = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
  CHECK(equal < 5);
  Array<std::uint8_t> small({5000});
  kernels::random_integers(small.view(), 250, 256, key);
  std::set<int> seen;
  for (std::uint8_t x : small.values()) seen.insert(x);
  CHECK(seen == std::set<int>{250, 251, 252, 253, 254, 255});
}

TEST_CASE("dropout keeps, scales and zeroes by the position's number, in place and in every layout") {
  on_targets([] {
    for (Layout layout : all_layouts)
      for (double p : {0.0, 0.2, 0.5, 1.0}) {
        Array<float> x({37, 53}, layout), y({37, 53}, layout);
        Array<double> wide({37, 53}, layout), wide_y({37, 53});
        x.random(1), wide.random(2);
        x[5] = std::numeric_limits<float>::quiet_NaN();
        kernels::dropout(x.view(), y.view(), p, key);
        kernels::dropout(wide.view(), wide_y.view(), p, key);
        bool right = true;
        for (std::int64_t i = 0; i < x.size(); ++i) {
          const bool dropped = thalweg::philox_uniform_f32(word(i)) < p;
          const float want = dropped ? 0 : x[i] * static_cast<float>(1 / (1 - p));
          right = right && (y[i] == want || (std::isnan(want) && std::isnan(y[i])));
          right = right && wide_y[i] == (dropped ? 0 : wide[i] * (1 / (1 - p)));
        }
        CHECK(right);
        CHECK(y.guards_intact());
        kernels::dropout(x.view(), x.view(), p, key);
        CHECK(same_bits(x.values(), y.values()));
      }
  });
  Array<bool> mask({100000});
  kernels::random_bernoulli(mask.view(), 0.3, key);
  std::int64_t ones = 0;
  for (std::int64_t i = 0; i < mask.size(); ++i) ones += mask[i];
  CHECK(std::abs(static_cast<double>(ones) - 30000) < 700);
  kernels::random_bernoulli(mask.view(), 1, key);
  for (std::int64_t i = 0; i < mask.size(); ++i) REQUIRE(mask[i]);
}

TEST_CASE("dropout of channels: one number for each slice, whatever its size and place; what is dropped is not read") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  on_targets([&] {
    for (const Dims& shape : {Dims{3, 40, 5, 7}, Dims{17, 300, 2, 3}, Dims{9, 2, 4111}, Dims{1, 2, 40000},
                              Dims{130, 3}, Dims{2, 3, 0}})
      for (Layout layout : all_layouts)
        for (double p : {0.0, 0.3, 1.0}) {
          Array<float> x(shape, layout), y(shape, layout);
          Array<double> wide(shape), wide_y(shape, layout);
          x.random(1), wide.random(2);
          const std::int64_t slice = std::max<std::int64_t>(1, x.size() / (shape[0] * shape[1]));
          const auto dropped = [&](std::int64_t i) { return thalweg::philox_uniform_f32(word(i / slice)) < p; };
          for (std::int64_t i = 0; i < x.size(); ++i)
            if (dropped(i)) x[i] = static_cast<float>(nan), wide[i] = nan;
          kernels::dropout_channels(x.view(), y.view(), p, key);
          kernels::dropout_channels(wide.view(), wide_y.view(), p, key);
          std::vector<float> want(static_cast<std::size_t>(x.size()));
          std::int64_t wrong = 0;
          for (std::int64_t i = 0; i < x.size(); ++i) {
            if (!dropped(i)) want[static_cast<std::size_t>(i)] = x[i] * static_cast<float>(1 / (1 - p));
            wrong += wide_y[i] != (dropped(i) ? 0 : wide[i] * (1 / (1 - p)));
          }
          CHECK(wrong == 0);
          CHECK(same_bits(y.values(), want));
          CHECK((y.guards_intact() && wide_y.guards_intact()));
          kernels::dropout_channels(x.view(), x.view(), p, key);
          CHECK(same_bits(x.values(), want));
        }
  });
}
