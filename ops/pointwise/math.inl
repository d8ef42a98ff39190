// Elementary functions: op structs. Included plain (library.hpp) and once per instruction set
// (pointwise_math.cpp), always inside a namespace; needs row.hpp and <cmath>. The functions themselves are in
// kernels/simd/math.inl.
// Invariant: a derivative is written so that its own derivative is finite wherever it is: select the
// argument, not the result.
// clang-format off: one member, one line, so that ops can be read side by side.

struct Pow {
  static constexpr Row row{.name = "pow", .formula = "y = a^b", .domain = {{0.3, 3}, {-2, 3}}, .ulp_f32 = 1,
                           .ulp_f64 = 1, .subgradient = "0 and 0 at pow(0, 0); to b: NaN where a < 0",
                           .note = "pow(1, NaN) and pow(NaN, 0) are 1"};
  template <class V> static V f(V a, V b) { return pow(a, b); }
  // b a^(b-1) is 0 at b = 0, also where a^-1 would overflow.
  template <class V> static V da_ab(V a, V b) { return b * pow(select((b == 0) & !(abs(a) >= 1e-37), 1, a), b - 1); }
  // y log a is 0 where a = 0 <= b.
  template <class V> static V db_aby(V a, V b, V y) { return y * log(select((a == 0) & (b >= 0), 1, a)); }
  static double ref(double a, double b) { return std::pow(a, b); }
};

struct Exp {
  static constexpr Row row{.name = "exp", .formula = "y = e^x", .domain = {-4, 4}, .ulp_f32 = 1,
                           .ulp_f64 = 1};
  template <class V> static V f(V x) { return exp(x); }
  template <class V> static V df_y(V y) { return y; }
  static double ref(double x) { return std::exp(x); }
};

struct Expm1 {
  static constexpr Row row{.name = "expm1", .formula = "y = e^x - 1", .domain = {-4, 4}, .ulp_f32 = 2,
                           .ulp_f64 = 2};
  template <class V> static V f(V x) { return expm1(x); }
  template <class V> static V df_y(V y) { return y + 1; }
  static double ref(double x) { return std::expm1(x); }
};

struct Log {
  static constexpr Row row{.name = "log", .formula = "y = ln x", .domain = {0.2, 5}, .ulp_f32 = 1,
                           .ulp_f64 = 1};
  template <class V> static V f(V x) { return log(x); }
  template <class V> static V gf_x(V g, V x) { return g / x; }
  static double ref(double x) { return std::log(x); }
};

struct Log1p {
  static constexpr Row row{.name = "log1p", .formula = "y = ln(1 + x)", .domain = {-0.7, 4}, .ulp_f32 = 2,
                           .ulp_f64 = 2};
  template <class V> static V f(V x) { return log1p(x); }
  template <class V> static V gf_x(V g, V x) { return g / (1 + x); }
  static double ref(double x) { return std::log1p(x); }
};

struct Sqrt {
  static constexpr Row row{.name = "sqrt", .formula = "y = sqrt(x)", .domain = {0.2, 4}, .ulp_f32 = 0.5,
                           .ulp_f64 = 0.5, .subgradient = "infinity at 0"};
  template <class V> static V f(V x) { return sqrt(x); }
  template <class V> static V gf_y(V g, V y) { return 0.5 * g / y; }
  static double ref(double x) { return std::sqrt(x); }
};

struct Rsqrt {
  static constexpr Row row{.name = "rsqrt", .formula = "y = 1 / sqrt(x)", .domain = {0.3, 4}, .ulp_f32 = 1.5,
                           .ulp_f64 = 1.5};
  template <class V> static V f(V x) { return 1 / sqrt(x); }
  template <class V> static V df_y(V y) { return -0.5 * (y * y * y); }
  static double ref(double x) { return 1 / std::sqrt(x); }
};

struct Sin {
  static constexpr Row row{.name = "sin", .formula = "y = sin x", .domain = {-6, 6}, .ulp_f32 = 1,
                           .ulp_f64 = 1};
  template <class V> static V f(V x) { return sin(x); }
  template <class V> static V df_x(V x) { return cos(x); }
  static double ref(double x) { return std::sin(x); }
};

struct Cos {
  static constexpr Row row{.name = "cos", .formula = "y = cos x", .domain = {-6, 6}, .ulp_f32 = 1,
                           .ulp_f64 = 1};
  template <class V> static V f(V x) { return cos(x); }
  template <class V> static V df_x(V x) { return -sin(x); }
  static double ref(double x) { return std::cos(x); }
};

struct Erf {
  static constexpr Row row{.name = "erf", .formula = "y = 2/sqrt(pi) * integral of e^(-t^2) from 0 to x",
                           .domain = {-3, 3}, .ulp_f32 = 1.2, .ulp_f64 = 1.2};
  template <class V> static V f(V x) { return erf(x); }
  template <class V> static V df_x(V x) { return 1.1283791670955126 * exp(-(x * x)); }
  static double ref(double x) { return std::erf(x); }
};

struct Erfc {
  static constexpr Row row{.name = "erfc", .formula = "y = 1 - erf(x), exact in the tail", .domain = {-3, 4},
                           .ulp_f32 = 3, .ulp_f64 = 3.7};
  template <class V> static V f(V x) { return erfc(x); }
  template <class V> static V df_x(V x) { return -1.1283791670955126 * exp(-(x * x)); }
  static double ref(double x) { return std::erfc(x); }
};

struct Atan2 {
  static constexpr Row row{.name = "atan2", .formula = "y = angle of the point (b, a)",
                           .domain = {{0.3, 2}, {-2, 2}}, .ulp_f32 = 1, .ulp_f64 = 3,
                           .subgradient = "0 at the origin"};
  template <class V> static V f(V a, V b) { return atan2(a, b); }
  template <class V> static V da_ab(V a, V b) { return b / norm2(a, b); }
  template <class V> static V db_ab(V a, V b) { return -(a / norm2(a, b)); }
  static double ref(double a, double b) { return std::atan2(a, b); }

 private:
  // a^2 + b^2, or 1 at the origin, where the gradient is taken as 0.
  template <class V> static V norm2(V a, V b) {
    const V sum = a * a + b * b;
    return select(sum == 0, 1, sum);
  }
};

using MathOps = List<Pow, Exp, Expm1, Log, Log1p, Sqrt, Rsqrt, Sin, Cos, Erf, Erfc, Atan2>;
