// Every vector function on every target against libm in long double: error in ulp over dense samples, special
// values, and independence of an element's bits from its position.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <thalweg/ops/kernels/simd/block.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>

using namespace thalweg;
using simd::Function;
using simd::Target;

namespace {

using Reference = long double (*)(long double, long double);

struct Range {
  double low, high;
  bool logarithmic = false;
};

struct Case {
  const char* name;
  Function function;
  Reference reference;
  double ulp_f32, ulp_f64;
  std::vector<Range> f32, f64;
  Range second{};
};

long double sigmoid_reference(long double x) { return 1 / (1 + expl(-x)); }

#define THALWEG_UNARY_REFERENCE(fn) [](long double x, long double) { return fn(x); }

std::vector<Case> cases() {
  return {
      {"exp",
       Function::exp,
       THALWEG_UNARY_REFERENCE(expl),
       1.0,
       1.0,
       {{-87, 88.7}, {-1, 1}},
       {{-708, 709}, {-1, 1}}},
      {"expm1",
       Function::expm1,
       THALWEG_UNARY_REFERENCE(expm1l),
       1.6,
       2.0,
       {{-2, 2}, {-50, 88.7}, {1e-10, 1, true}},
       {{-2, 2}, {-50, 709}, {1e-20, 1, true}}},
      {"log",
       Function::log,
       THALWEG_UNARY_REFERENCE(logl),
       0.9,
       0.9,
       {{0.5, 2}, {1e-44, 3e38, true}},
       {{0.5, 2}, {1e-320, 1e308, true}}},
      {"log1p",
       Function::log1p,
       THALWEG_UNARY_REFERENCE(log1pl),
       0.95,
       0.95,
       {{-0.999, 3}, {1e-30, 1e30, true}},
       {{-0.999, 3}, {1e-30, 1e300, true}}},
      {"tanh",
       Function::tanh,
       THALWEG_UNARY_REFERENCE(tanhl),
       1.4,
       1.4,
       {{-1, 1}, {-12, 12}, {1e-30, 20, true}},
       {{-1, 1}, {-25, 25}, {1e-300, 40, true}}},
      {"sigmoid",
       Function::sigmoid,
       THALWEG_UNARY_REFERENCE(sigmoid_reference),
       2.5,
       2.5,
       {{-5, 5}, {-86, 40}},
       {{-5, 5}, {-700, 50}}},
      {"erf",
       Function::erf,
       THALWEG_UNARY_REFERENCE(erfl),
       1.2,
       1.2,
       {{-1.2, 1.2}, {0.85, 1}, {-6, 6}, {1e-30, 1, true}},
       {{-1.2, 1.2}, {0.85, 1}, {-7, 7}, {1e-300, 1, true}}},
      {"erfc",
       Function::erfc,
       THALWEG_UNARY_REFERENCE(erfcl),
       3,
       3.7,
       {{-3, 3}, {-9, 9}, {0.25, 1.5}, {1.3, 1.33}},
       {{-3, 3}, {-9, 26}, {0.4, 1.5}}},
      {"sin",
       Function::sin,
       THALWEG_UNARY_REFERENCE(sinl),
       0.51,
       0.9,
       {{-10, 10}, {-1e5, 1e5}, {1e-30, 1e30, true}},
       {{-10, 10}, {-1e5, 1e5}, {1e-300, 1e15, true}}},
      {"cos",
       Function::cos,
       THALWEG_UNARY_REFERENCE(cosl),
       0.51,
       0.9,
       {{-10, 10}, {-1e5, 1e5}, {1e-30, 1e30, true}},
       {{-10, 10}, {-1e5, 1e5}, {1e-300, 1e15, true}}},
      {"pow",
       Function::pow,
       powl,
       0.51,
       1.25,
       {{0.01, 10}, {1e-3, 1e3, true}},
       {{0.01, 10}, {1e-30, 1e30, true}},
       {-9, 9}},
      {"pow near 1", Function::pow, powl, 0.51, 1.25, {{0.999, 1.001}}, {{0.999, 1.001}}, {-8e4, 8e4}},
      {"atan2",
       Function::atan2,
       atan2l,
       0.51,
       2.3,
       {{-2, 2}, {1e-10, 1e10, true}},
       {{-2, 2}, {1e-10, 1e10, true}},
       {-2, 2}},
  };
}
#undef THALWEG_UNARY_REFERENCE

std::string label(const char* name, Target t, std::size_t bytes) {
  return std::string(name) + (bytes == 4 ? " f32 " : " f64 ") + simd::target_name(t);
}

template <class T>
long double one_ulp(long double y) {
  const T a = std::min(static_cast<T>(std::fabs(y)), std::numeric_limits<T>::max());
  const T up = std::nextafter(a, std::numeric_limits<T>::infinity());
  return std::isfinite(up) ? static_cast<long double>(up) - a
                           : static_cast<long double>(a) - std::nextafter(a, T{0});
}

template <class T>
std::vector<T> sample(const Range& r, std::size_t n, std::uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<T> x(n);
  for (T& v : x) {
    const double u = static_cast<double>(bits() >> 11) * 0x1p-53;
    v = static_cast<T>(r.logarithmic ? std::exp(std::log(r.low) + (std::log(r.high) - std::log(r.low)) * u)
                                     : r.low + (r.high - r.low) * u);
  }
  return x;
}

template <class T>
std::vector<T> run(Function f, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> y(a.size());
  const void* src[] = {a.data(), b.data()};
  simd::block_function(f, sizeof(T) == 8 ? 1 : 0)(src, y.data(), static_cast<std::int64_t>(a.size()),
                                                  nullptr);
  return y;
}

template <class T>
void check_errors(const Case& c, const std::vector<Range>& ranges, double bound) {
  constexpr std::size_t n = 20001;
  std::uint64_t seed = 7;
  for (const Range& r : ranges) {
    const std::vector<T> a = sample<T>(r, n, ++seed);
    const std::vector<T> b = sample<T>(c.second, n, ++seed);
    std::vector<long double> exact(n);
    for (std::size_t i = 0; i < n; ++i) exact[i] = c.reference(a[i], b[i]);
    for (Target t : simd::supported_targets()) {
      const simd::TargetScope scope(t);
      const std::vector<T> y = run<T>(c.function, a, b);
      double worst = 0;
      std::size_t at = 0;
      for (std::size_t i = 0; i < n; ++i) {
        if (std::isinf(static_cast<T>(exact[i])) && y[i] == static_cast<T>(exact[i])) continue;
        const double e =
            static_cast<double>(std::fabs(static_cast<long double>(y[i]) - exact[i]) / one_ulp<T>(exact[i]));
        if (!(e <= worst)) {
          worst = e;
          at = i;
        }
      }
      INFO(label(c.name, t, sizeof(T)), " at ", a[at], ", ", b[at]);
      INFO("worst error in ulp: ", worst);
      CHECK(worst <= bound);
    }
  }
}

template <class T>
bool same_value(T a, T b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

template <class T>
const std::vector<T>& special_points() {
  using L = std::numeric_limits<T>;
  static const std::vector<T> points = {T{0},
                                        -T{0},
                                        T{1},
                                        T{-1},
                                        T{2},
                                        T{-2},
                                        T{3},
                                        T{-3},
                                        T{0.5},
                                        T{-0.5},
                                        L::infinity(),
                                        -L::infinity(),
                                        L::quiet_NaN(),
                                        L::max(),
                                        -L::max(),
                                        L::min(),
                                        -L::min(),
                                        L::denorm_min(),
                                        -L::denorm_min(),
                                        T{1} - L::epsilon(),
                                        T{1} + L::epsilon(),
                                        T{1e5},
                                        T{-1e5}};
  return points;
}

}  // namespace

TEST_CASE("vector functions keep their error bounds on every target") {
  for (const Case& c : cases()) {
    check_errors<float>(c, c.f32, c.ulp_f32);
    check_errors<double>(c, c.f64, c.ulp_f64);
  }
}

TEST_CASE_TEMPLATE("vector functions at special points agree with libm", T, float, double) {
  struct Special {
    const char* name;
    Function function;
    T (*libm)(T, T);
    bool binary;
  };
  const Special all[] = {
      {"exp", Function::exp, [](T x, T) { return std::exp(x); }, false},
      {"expm1", Function::expm1, [](T x, T) { return std::expm1(x); }, false},
      {"log", Function::log, [](T x, T) { return std::log(x); }, false},
      {"log1p", Function::log1p, [](T x, T) { return std::log1p(x); }, false},
      {"tanh", Function::tanh, [](T x, T) { return std::tanh(x); }, false},
      {"sigmoid", Function::sigmoid, [](T x, T) { return T{1} / (T{1} + std::exp(-x)); }, false},
      {"erf", Function::erf, [](T x, T) { return std::erf(x); }, false},
      {"erfc", Function::erfc, [](T x, T) { return std::erfc(x); }, false},
      {"sin", Function::sin, [](T x, T) { return std::sin(x); }, false},
      {"cos", Function::cos, [](T x, T) { return std::cos(x); }, false},
      {"pow", Function::pow, [](T x, T y) { return std::pow(x, y); }, true},
      {"atan2", Function::atan2, [](T x, T y) { return std::atan2(x, y); }, true},
  };
  const std::vector<T>& points = special_points<T>();
  for (Target t : simd::supported_targets()) {
    const simd::TargetScope scope(t);
    for (const Special& s : all) {
      std::vector<T> a, b;
      for (T x : points)
        for (T y : points) {
          a.push_back(x);
          b.push_back(y);
          if (!s.binary) break;
        }
      const std::vector<T> y = run<T>(s.function, a, b);
      for (std::size_t i = 0; i < a.size(); ++i) {
        const T wanted = s.libm(a[i], b[i]);
        // Exact where the result is special; elsewhere the error bounds of the other test apply.
        const bool exact = !std::isfinite(wanted) || wanted == 0 || std::fabs(wanted) == 1;
        const bool close = std::fabs(static_cast<double>(y[i]) - static_cast<double>(wanted)) <=
                           8 * static_cast<double>(one_ulp<T>(static_cast<long double>(wanted)));
        INFO(label(s.name, t, sizeof(T)), " (", a[i], ", ", b[i], ") gave ", y[i], ", libm ", wanted);
        CHECK((same_value(y[i], wanted) || (!exact && close)));
      }
    }
  }
}

TEST_CASE("pow is exact where the result is") {
  std::vector<double> a, b, wanted;
  for (int x = -12; x <= 12; ++x)
    for (int n = 0; n <= 12; ++n) {
      if (x == 0 && n == 0) continue;
      double p = 1;
      for (int i = 0; i < n; ++i) p *= x;
      a.push_back(x);
      b.push_back(n);
      wanted.push_back(p);
    }
  for (Target t : simd::supported_targets()) {
    const simd::TargetScope scope(t);
    const std::vector<double> y = run<double>(Function::pow, a, b);
    for (std::size_t i = 0; i < y.size(); ++i) {
      INFO(label("pow", t, 8), " ", a[i], "^", b[i]);
      CHECK(y[i] == wanted[i]);
    }
  }
}

TEST_CASE_TEMPLATE("an element's bits do not depend on its position or its neighbours", T, float, double) {
  const std::vector<T> x = {T(0.3),   T(-0.7), T(3.25),  T(1e5),  T(2e6), T(-40),
                            T(0.999), T(7.5),  T(1e-20), T(-2.5), T(20)};
  for (Target t : simd::supported_targets()) {
    const simd::TargetScope scope(t);
    for (int f = 0; f <= static_cast<int>(Function::atan2); ++f)
      for (T v : x) {
        const std::vector<T> other = {T(1.7)};
        const T alone = run<T>(static_cast<Function>(f), {v}, other)[0];
        for (std::size_t n = 1; n <= 37; n += 3)
          for (std::size_t at = 0; at < n; at += 2) {
            std::vector<T> a(n), b(n, T(1.7));
            for (std::size_t i = 0; i < n; ++i) a[i] = x[(i * 5 + n) % x.size()];
            a[at] = v;
            const T here = run<T>(static_cast<Function>(f), a, b)[at];
            const bool same =
                std::memcmp(&here, &alone, sizeof(T)) == 0 || (std::isnan(here) && std::isnan(alone));
            if (!same)
              FAIL_CHECK("function " << f << " " << simd::target_name(t) << " at " << at << " of " << n);
          }
      }
  }
}

TEST_CASE("every target this CPU can run is tested, and forcing an unknown one is refused") {
  REQUIRE(simd::supported_targets().size() >= 1);
  CHECK(simd::supported_targets()[0] == Target::scalar);
  const Target before = simd::current_target();
  CHECK(before == simd::supported_targets().back());
  {
    const simd::TargetScope scope(Target::scalar);
    CHECK(simd::current_target() == Target::scalar);
  }
  CHECK(simd::current_target() == before);
  CHECK(std::string(simd::target_name(Target::avx2)) == "avx2");
}
