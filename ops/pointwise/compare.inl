// Comparisons, logic and tests: op structs that yield 0 or 1, stored as bool. Included plain (library.hpp)
// and once per
// instruction set (pointwise_compare.cpp), always inside a namespace; needs row.hpp and <cmath>.
// Invariant: no gradient. Any number but 0 counts as true, NaN too.
// clang-format off: one member, one line, so that ops can be read side by side.

struct Equal {
  static constexpr Row row{.name = "equal", .formula = "y = a == b", .integers = true, .predicate = true,
                           .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select(a == b, 1, 0); }
  static double ref(double a, double b) { return a == b; }
};

struct NotEqual {
  static constexpr Row row{.name = "not_equal", .formula = "y = a != b", .integers = true, .predicate = true,
                           .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select(a != b, 1, 0); }
  static double ref(double a, double b) { return a != b; }
};

struct Less {
  static constexpr Row row{.name = "less", .formula = "y = a < b", .integers = true, .predicate = true,
                           .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select(a < b, 1, 0); }
  static double ref(double a, double b) { return a < b; }
};

struct LessEqual {
  static constexpr Row row{.name = "less_equal", .formula = "y = a <= b", .integers = true,
                           .predicate = true, .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select(a <= b, 1, 0); }
  static double ref(double a, double b) { return a <= b; }
};

struct Greater {
  static constexpr Row row{.name = "greater", .formula = "y = a > b", .integers = true, .predicate = true,
                           .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select(a > b, 1, 0); }
  static double ref(double a, double b) { return a > b; }
};

struct GreaterEqual {
  static constexpr Row row{.name = "greater_equal", .formula = "y = a >= b", .integers = true,
                           .predicate = true, .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select(a >= b, 1, 0); }
  static double ref(double a, double b) { return a >= b; }
};

struct LogicalAnd {
  static constexpr Row row{.name = "logical_and", .formula = "y = a and b", .domain = {0, 1},
                           .integers = true, .predicate = true, .logical = true, .nondifferentiable = true, .ulp_f32 = 0,
                           .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select((a != 0) & (b != 0), 1, 0); }
  static double ref(double a, double b) { return a != 0 && b != 0; }
};

struct LogicalOr {
  static constexpr Row row{.name = "logical_or", .formula = "y = a or b", .domain = {0, 1}, .integers = true,
                           .predicate = true, .logical = true, .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select((a != 0) | (b != 0), 1, 0); }
  static double ref(double a, double b) { return a != 0 || b != 0; }
};

struct LogicalXor {
  static constexpr Row row{.name = "logical_xor", .formula = "y = either a or b", .domain = {0, 1},
                           .integers = true, .predicate = true, .logical = true, .nondifferentiable = true, .ulp_f32 = 0,
                           .ulp_f64 = 0};
  template <class V> static V f(V a, V b) { return select(((a != 0) & (b == 0)) | ((a == 0) & (b != 0)), 1, 0); }
  static double ref(double a, double b) { return (a != 0) != (b != 0); }
};

struct LogicalNot {
  static constexpr Row row{.name = "logical_not", .formula = "y = not x", .domain = {0, 1}, .integers = true,
                           .predicate = true, .logical = true, .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V x) { return select(x == 0, 1, 0); }
  static double ref(double x) { return x == 0; }
};

struct Isnan {
  static constexpr Row row{.name = "isnan", .formula = "y = x is NaN", .integers = true, .predicate = true,
                           .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V x) { return select(isnan(x), 1, 0); }
  static double ref(double x) { return std::isnan(x); }
};

struct Isfinite {
  static constexpr Row row{.name = "isfinite", .formula = "y = x is a finite number", .integers = true,
                           .predicate = true, .nondifferentiable = true, .ulp_f32 = 0, .ulp_f64 = 0};
  template <class V> static V f(V x) { return select(isfinite(x), 1, 0); }
  static double ref(double x) { return std::isfinite(x); }
};

using CompareOps = List<Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, LogicalAnd, LogicalOr,
                        LogicalXor, LogicalNot, Isnan, Isfinite>;
