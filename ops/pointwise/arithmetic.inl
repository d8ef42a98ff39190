// Arithmetic, choosing and clamping: op structs, each the whole truth about its op. Included plain
// (library.hpp) and once
// per instruction set (pointwise_arithmetic.cpp), always inside a namespace; needs row.hpp, <array>,
// <cmath>, <limits>.
// Invariant: no `if` and no `?:` in a formula; a gradient that depends on a condition selects, it never
// multiplies by 0.
// clang-format off: one member, one line, so that ops can be read side by side.

struct Add {
  static constexpr Row row{.name = "add", .formula = "y = a + b", .integers = true, .ulp_f32 = 0.5,
                           .ulp_f64 = 0.5};
  static constexpr bool linear = true;
  template <class V> static V f(V a, V b) { return a + b; }
  static constexpr double da() { return 1; }
  static constexpr double db() { return 1; }
  static double ref(double a, double b) { return a + b; }
};

struct Sub {
  static constexpr Row row{.name = "sub", .formula = "y = a - b", .integers = true, .ulp_f32 = 0.5,
                           .ulp_f64 = 0.5};
  static constexpr bool linear = true;
  template <class V> static V f(V a, V b) { return a - b; }
  static constexpr double da() { return 1; }
  static constexpr double db() { return -1; }
  static double ref(double a, double b) { return a - b; }
};

struct Mul {
  static constexpr Row row{.name = "mul", .formula = "y = a b", .integers = true, .ulp_f32 = 0.5,
                           .ulp_f64 = 0.5};
  static constexpr bool multilinear = true;
  template <class V> static V f(V a, V b) { return a * b; }
  template <class V> static V da_b(V b) { return b; }
  template <class V> static V db_a(V a) { return a; }
  static double ref(double a, double b) { return a * b; }
};

struct Div {
  static constexpr Row row{.name = "div", .formula = "y = a / b", .domain = {{-3, 3}, {0.4, 3}},
                           .ulp_f32 = 0.5, .ulp_f64 = 0.5};
  template <class V> static V f(V a, V b) { return a / b; }
  template <class V> static V ga_b(V g, V b) { return g / b; }
  template <class V> static V gb_by(V g, V b, V y) { return -(g * y / b); }
  static double ref(double a, double b) { return a / b; }
};

struct Neg {
  static constexpr Row row{.name = "neg", .formula = "y = -x", .integers = true, .ulp_f32 = 0, .ulp_f64 = 0};
  static constexpr bool linear = true;
  template <class V> static V f(V x) { return -x; }
  static constexpr double df() { return -1; }
  static double ref(double x) { return -x; }
};

struct Abs {
  static constexpr Row row{.name = "abs", .formula = "y = |x|", .kinks = {0}, .at_kink = AtKink::zero,
                           .integers = true, .smooth = false, .ulp_f32 = 0, .ulp_f64 = 0,
                           .subgradient = "0 at 0"};
  template <class V> static V f(V x) { return abs(x); }
  template <class V> static V df_x(V x) { return sign(x); }
  static double ref(double x) { return std::fabs(x); }
};

struct Sign {
  static constexpr Row row{.name = "sign", .formula = "y = -1, 0 or 1", .kinks = {0},
                           .at_kink = AtKink::zero, .integers = true, .smooth = false, .ulp_f32 = 0,
                           .ulp_f64 = 0, .subgradient = "0 everywhere", .note = "NaN stays NaN, -0 stays -0"};
  template <class V> static V f(V x) { return sign(x); }
  static constexpr double df() { return 0; }
  static double ref(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
};

struct Square {
  static constexpr Row row{.name = "square", .formula = "y = x^2", .integers = true, .ulp_f32 = 0.5,
                           .ulp_f64 = 0.5};
  template <class V> static V f(V x) { return x * x; }
  template <class V> static V df_x(V x) { return x + x; }
  static double ref(double x) { return x * x; }
};

struct Reciprocal {
  static constexpr Row row{.name = "reciprocal", .formula = "y = 1 / x", .domain = {0.4, 3}, .ulp_f32 = 0.5,
                           .ulp_f64 = 0.5};
  template <class V> static V f(V x) { return 1 / x; }
  template <class V> static V df_y(V y) { return -(y * y); }
  static double ref(double x) { return 1 / x; }
};

struct Maximum {
  static constexpr Row row{.name = "maximum", .formula = "y = max(a, b)", .kink_at_equal = true,
                           .at_kink = AtKink::middle, .integers = true, .smooth = false, .ulp_f32 = 0,
                           .ulp_f64 = 0, .subgradient = "0.5 to each where a = b",
                           .note = "NaN if either is NaN; the gradient goes to the NaN"};
  template <class V> static V f(V a, V b) { return maximum(a, b); }
  template <class V> static V ga_ab(V g, V a, V b) { return select((a > b) | isnan(a), g, select(a == b, 0.5 * g, 0)); }
  template <class V> static V gb_ab(V g, V a, V b) { return select((b > a) | isnan(b), g, select(a == b, 0.5 * g, 0)); }
  static double ref(double a, double b) { return std::isnan(a) ? a : std::isnan(b) || b > a ? b : a; }
};

struct Minimum {
  static constexpr Row row{.name = "minimum", .formula = "y = min(a, b)", .kink_at_equal = true,
                           .at_kink = AtKink::middle, .integers = true, .smooth = false, .ulp_f32 = 0,
                           .ulp_f64 = 0, .subgradient = "0.5 to each where a = b",
                           .note = "NaN if either is NaN; the gradient goes to the NaN"};
  template <class V> static V f(V a, V b) { return minimum(a, b); }
  template <class V> static V ga_ab(V g, V a, V b) { return select((a < b) | isnan(a), g, select(a == b, 0.5 * g, 0)); }
  template <class V> static V gb_ab(V g, V a, V b) { return select((b < a) | isnan(b), g, select(a == b, 0.5 * g, 0)); }
  static double ref(double a, double b) { return std::isnan(a) ? a : std::isnan(b) || b < a ? b : a; }
};

struct Clamp {
  struct Attrs {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
  };
  static constexpr Row row{.name = "clamp", .formula = "y = min(max(x, low), high)", .kinks = {-0.75, 1.25},
                           .at_kink = AtKink::one, .integers = true, .smooth = false, .ulp_f32 = 0.5,
                           .ulp_f64 = 0, .subgradient = "1 at both edges",
                           .note = "NaN stays NaN; f32: a bound is rounded to f32 first"};
  template <class V> static V f(V x, const Attrs& t) { return select(x < t.low, t.low, select(x > t.high, t.high, x)); }
  template <class V> static V gf_x(V g, V x, const Attrs& t) { return select((x < t.low) | (x > t.high), 0, g); }
  static double ref(double x, const Attrs& t) { return x < t.low ? t.low : x > t.high ? t.high : x; }
  static std::array<Attrs, 3> attr_samples() { return {{{-0.75, 1.25}, {.low = -0.75}, {.high = 1.25}}}; }
};

struct Where {
  static constexpr Row row{.name = "where", .formula = "y = a if c else b",
                           .domain = {{0, 1}, {-2, 2}, {-2, 2}}, .integers = true, .conditions = 1,
                           .ulp_f32 = 0, .ulp_f64 = 0,
                           .note = "selects: a NaN in the branch not taken does no harm"};
  template <class V> static V f(V c, V a, V b) { return select(c != 0, a, b); }
  template <class V> static V ga_c(V g, V c) { return select(c != 0, g, 0); }
  template <class V> static V gb_c(V g, V c) { return select(c != 0, 0, g); }
  static double ref(double c, double a, double b) { return c != 0 ? a : b; }
};

using ArithmeticOps = List<Add, Sub, Mul, Div, Neg, Abs, Sign, Square, Reciprocal, Maximum, Minimum, Clamp,
                           Where>;
