// Terms of losses, relu's gradient, products with what chance kept: op structs. Included plain (library.hpp)
// and once per instruction set (pointwise_terms.cpp), always inside a namespace; needs row.hpp and <cmath>.
// Invariant: of a loss term a is the prediction and b the target; of the gradient a is g and b the output.
// clang-format off: one member, one line, so that ops can be read side by side.

struct SquaredDifference {
  static constexpr Row row{.name = "squared_difference", .formula = "y = (a - b)^2", .ulp_f32 = 3, .ulp_f64 = 3};
  template <class V> static V f(V a, V b) { const V d = a - b; return d * d; }
  template <class V> static V da_ab(V a, V b) { return 2 * (a - b); }
  template <class V> static V db_ab(V a, V b) { return 2 * (b - a); }
  static double ref(double a, double b) { return (a - b) * (a - b); }
};

struct AbsoluteDifference {
  static constexpr Row row{.name = "absolute_difference", .formula = "y = |a - b|", .kink_at_equal = true,
                           .at_kink = AtKink::zero, .smooth = false, .subgradient = "0 where a = b"};
  template <class V> static V f(V a, V b) { return abs(a - b); }
  template <class V> static V da_ab(V a, V b) { return sign(a - b); }
  template <class V> static V db_ab(V a, V b) { return sign(b - a); }
  static double ref(double a, double b) { return std::fabs(a - b); }
};

struct KlTerm {
  static constexpr Row row{.name = "kl_term", .formula = "y = b (log b - a), 0 where b = 0",
                           .domain = {{-4, -0.1}, {0.05, 1}}, .ulp_f32 = 8, .ulp_f64 = 8, .error_floor = 0.5,
                           .subgradient = "0 to the target where it is 0",
                           .note = "log b - a cancels where the two agree; b = 0 gives 0 for a NaN too"};
  template <class V> static V f(V a, V b) { return select(b == 0, 0, b * (log(select(b == 0, 1, b)) - a)); }
  template <class V> static V da_b(V b) { return -b; }
  template <class V> static V db_ab(V a, V b) { return select(b == 0, 0, log(select(b == 0, 1, b)) + 1 - a); }
  static double ref(double a, double b) { return b == 0 ? 0 : b * (std::log(b) - a); }
};

struct BceTerm {
  static constexpr Row row{.name = "bce_with_logits", .formula = "y = max(a, 0) - a b + log1p(exp(-|a|))",
                           .domain = {{-6, 6}, {0, 1}}, .ulp_f32 = 8, .ulp_f64 = 8, .error_floor = 0.5,
                           .note = "the terms cancel where prediction and target agree"};
  template <class V> static V f(V a, V b) { return maximum(a, 0) - a * b + log1p(exp(-abs(a))); }
  template <class V> static V da_ab(V a, V b) { return sigmoid(a) - b; }
  template <class V> static V db_a(V a) { return -a; }
  static double ref(double a, double b) { return std::fmax(a, 0) - a * b + std::log1p(std::exp(-std::fabs(a))); }
};

struct HuberTerm {
  struct Attrs {
    double delta = 1;  ///< above 0
    double slope = 1;
  };
  static constexpr Row row{.name = "huber_term", .formula = "y = slope (d^2 / (2 delta), or |d| - delta / 2 where |d| >= delta), d = a - b",
                           .kink_at_equal = true, .at_kink = AtKink::zero, .smooth = false, .ulp_f32 = 6, .ulp_f64 = 6,
                           .error_floor = 0.5, .subgradient = "0 where a = b (it is smooth there)",
                           .note = "samples keep |d| away from delta, where the second derivative jumps"};
  template <class V> static V f(V a, V b, const Attrs& t) {
    const V d = a - b, m = abs(d);
    return select(m >= t.delta, t.slope * (m - 0.5 * t.delta), 0.5 * t.slope / t.delta * (d * d));
  }
  template <class V> static V da_ab(V a, V b, const Attrs& t) {
    const V d = a - b;
    return select(abs(d) >= t.delta, t.slope * sign(d), t.slope / t.delta * d);
  }
  template <class V> static V db_ab(V a, V b, const Attrs& t) {
    const V d = b - a;
    return select(abs(d) >= t.delta, t.slope * sign(d), t.slope / t.delta * d);
  }
  static double ref(double a, double b, const Attrs& t) {
    const double m = std::fabs(a - b);
    return m >= t.delta ? t.slope * (m - t.delta / 2) : t.slope * m * m / (2 * t.delta);
  }
  static std::array<Attrs, 4> attr_samples() { return {{{1, 1}, {2, 2}, {0.4, 1}, {0.2, 3}}}; }
};

struct BceProbabilityTerm {
  static constexpr Row row{.name = "bce_probability_term", .formula = "y = -b max(log a, -100) - (1 - b) max(log(1 - a), -100)",
                           .domain = {{0.05, 0.95}, {0, 1}}, .ulp_f32 = 8, .ulp_f64 = 8, .error_floor = 0.5,
                           .note = "da = (a - b) / max(a (1 - a), 1e-12); NaN for a outside [0, 1]"};
  template <class V> static V f(V a, V b) { return (b - 1) * maximum(log1p(-a), -100) - b * maximum(log(a), -100); }
  template <class V> static V da_ab(V a, V b) { return (a - b) / maximum(a * (1 - a), 1e-12); }
  template <class V> static V db_a(V a) { return maximum(log1p(-a), -100) - maximum(log(a), -100); }
  static double ref(double a, double b) {
    const double hit = std::log(a), miss = std::log1p(-a);
    return (b - 1) * (miss < -100 ? -100 : miss) - b * (hit < -100 ? -100 : hit);
  }
};

struct ReluGradient {
  static constexpr Row row{.name = "relu_gradient", .formula = "y = 0 where b = 0, else a",
                           .conditions = 2, .ulp_f32 = 0, .ulp_f64 = 0,
                           .note = "b is relu's output, which is 0 exactly where the gradient is"};
  template <class V> static V f(V a, V b) { return select(b == 0, 0, a); }
  template <class V> static V ga_b(V g, V b) { return select(b == 0, 0, g); }
  static double ref(double a, double b) { return b == 0 ? 0 : a; }
};

using TermOps = List<SquaredDifference, AbsoluteDifference, KlTerm, BceTerm, HuberTerm, BceProbabilityTerm,
                     ReluGradient>;
