// Activation functions: op structs. Included plain (library.hpp) and once per instruction set
// (pointwise_activations.cpp), always inside a namespace; needs row.hpp, <array> and <cmath>.
// Invariant: values and gradients stay finite for every finite x, and are the limits at +-infinity
// (silu(-inf) is 0).
// clang-format off: one member, one line, so that ops can be read side by side.

struct Tanh {
  static constexpr Row row{.name = "tanh", .formula = "y = tanh x", .domain = {-4, 4}, .ulp_f32 = 2,
                           .ulp_f64 = 2};
  template <class V> static V f(V x) { return tanh(x); }
  template <class V> static V df_y(V y) { return 1 - y * y; }
  static double ref(double x) { return std::tanh(x); }
};

struct Sigmoid {
  static constexpr Row row{.name = "sigmoid", .formula = "y = 1 / (1 + e^-x)", .domain = {-6, 6},
                           .ulp_f32 = 2.5, .ulp_f64 = 2.5};
  template <class V> static V f(V x) { return sigmoid(x); }
  template <class V> static V df_y(V y) { return y * (1 - y); }
  static double ref(double x) { return 1 / (1 + std::exp(-x)); }
};

struct LogSigmoid {
  static constexpr Row row{.name = "log_sigmoid", .formula = "y = min(x, 0) - log1p(e^-|x|)",
                           .domain = {-6, 6}, .ulp_f32 = 3, .ulp_f64 = 3};
  template <class V> static V f(V x) { return minimum(x, 0) - log1p(exp(-abs(x))); }
  template <class V> static V df_x(V x) { return sigmoid(-x); }
  static double ref(double x) { return std::fmin(x, 0) - std::log1p(std::exp(-std::fabs(x))); }
};

struct Relu {
  static constexpr Row row{.name = "relu", .formula = "y = max(x, 0)", .kinks = {0}, .at_kink = AtKink::zero,
                           .integers = true, .smooth = false, .ulp_f32 = 0, .ulp_f64 = 0,
                           .subgradient = "0 at 0", .note = "NaN stays NaN"};
  template <class V> static V f(V x) { return select(x <= 0, 0, x); }
  template <class V> static V gf_y(V g, V y) { return select(y <= 0, 0, g); }
  static double ref(double x) { return x <= 0 ? 0 : x; }
};

struct LeakyRelu {
  struct Attrs {
    double slope = 0.01;
  };
  static constexpr Row row{.name = "leaky_relu", .formula = "y = x if x > 0 else slope x", .kinks = {0},
                           .at_kink = AtKink::left, .smooth = false, .ulp_f32 = 1.5, .ulp_f64 = 0.5,
                           .subgradient = "slope at 0", .note = "f32: the slope is rounded to f32 first"};
  template <class V> static V f(V x, const Attrs& t) { return select(x > 0, x, t.slope * x); }
  template <class V> static V gf_x(V g, V x, const Attrs& t) { return select(x > 0, g, t.slope * g); }
  static double ref(double x, const Attrs& t) { return x > 0 ? x : t.slope * x; }
  static std::array<Attrs, 2> attr_samples() { return {{{0.01}, {0.3}}}; }
};

struct Elu {
  struct Attrs {
    double alpha = 1;
  };
  static constexpr Row row{.name = "elu", .formula = "y = x if x > 0 else alpha (e^x - 1)",
                           .domain = {-4, 3}, .kinks = {0}, .at_kink = AtKink::left, .smooth = false,
                           .ulp_f32 = 4, .ulp_f64 = 3, .subgradient = "alpha at 0"};
  template <class V> static V f(V x, const Attrs& t) { return select(x > 0, x, t.alpha * expm1(select(x > 0, 0, x))); }
  template <class V> static V gf_x(V g, V x, const Attrs& t) {
    return select(x > 0, g, g * (t.alpha * exp(select(x > 0, 0, x))));
  }
  static double ref(double x, const Attrs& t) { return x > 0 ? x : t.alpha * std::expm1(x); }
  static std::array<Attrs, 2> attr_samples() { return {{{1}, {0.5}}}; }
};

struct Selu {
  static constexpr double scale = 1.0507009873554805;
  static constexpr double alpha = 1.6732632423543773;
  static constexpr Row row{.name = "selu", .formula = "y = 1.0507 (x if x > 0 else 1.6733 (e^x - 1))",
                           .domain = {-4, 3}, .kinks = {0}, .at_kink = AtKink::left, .smooth = false,
                           .ulp_f32 = 4, .ulp_f64 = 4, .subgradient = "1.7581 at 0, the left derivative"};
  template <class V> static V f(V x) { return select(x > 0, scale * x, scale * alpha * expm1(select(x > 0, 0, x))); }
  template <class V> static V gf_x(V g, V x) {
    return select(x > 0, scale * g, g * (scale * alpha * exp(select(x > 0, 0, x))));
  }
  static double ref(double x) { return x > 0 ? scale * x : scale * alpha * std::expm1(x); }
};

struct Gelu {
  static constexpr double root_half = 0.70710678118654752;
  static constexpr double density = 0.39894228040143268;  // 1 / sqrt(2 pi)
  static constexpr Row row{.name = "gelu", .formula = "y = x Phi(x) = x erfc(-x / sqrt 2) / 2",
                           .domain = {-4, 4}, .ulp_f32 = 18, .ulp_f64 = 24,
                           .note = "in the left tail the rounding of x / sqrt 2 is magnified x^2 times"};
  template <class V> static V f(V x) {
    const V t = select(x < -40, -40, x);
    return 0.5 * t * erfc(-root_half * t);
  }
  template <class V> static V df_x(V x) {
    const V t = select(x < -40, -40, select(x > 40, 40, x));
    return 0.5 * erfc(-root_half * t) + t * (density * exp(-0.5 * t * t));
  }
  static double ref(double x) { return x < -40 ? -0.0 : 0.5 * x * std::erfc(-root_half * x); }
};

struct GeluTanh {
  static constexpr double k = 1.5957691216057308;  // 2 sqrt(2 / pi)
  static constexpr double c = 0.044715;
  static constexpr Row row{.name = "gelu_tanh",
                           .formula = "y = x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2",
                           .domain = {-4, 4}, .ulp_f32 = 36, .ulp_f64 = 36,
                           .note = "in the left tail the rounding of the inner argument, about 3 ulp by count, is magnified by its size, 11 at x = -4; 29 seen"};
  template <class V> static V f(V x) {
    const V t = select(x < -40, -40, x);
    return t * sigmoid(k * (t + c * (t * t * t)));
  }
  template <class V> static V df_x(V x) {
    const V t = select(x < -40, -40, select(x > 40, 40, x));
    const V s = sigmoid(k * (t + c * (t * t * t)));
    return s + t * (s * (1 - s)) * (k * (1 + 3 * c * (t * t)));
  }
  static double ref(double x) { return x < -40 ? -0.0 : x / (1 + std::exp(-k * (x + c * x * x * x))); }
};

struct Silu {
  static constexpr Row row{.name = "silu", .formula = "y = x sigmoid(x)", .domain = {-6, 6}, .ulp_f32 = 3,
                           .ulp_f64 = 3};
  template <class V> static V f(V x) {
    const V t = select(x < -1000, -1000, x);
    return t * sigmoid(t);
  }
  template <class V> static V df_x(V x) {
    const V t = select(x < -1000, -1000, select(x > 1000, 1000, x));
    const V s = sigmoid(t);
    return s * (1 + t * (1 - s));
  }
  static double ref(double x) { return x < -1000 ? -0.0 : x / (1 + std::exp(-x)); }
};

struct Softplus {
  static constexpr Row row{.name = "softplus", .formula = "y = max(x, 0) + log1p(e^-|x|)", .domain = {-6, 6},
                           .ulp_f32 = 3, .ulp_f64 = 3};
  template <class V> static V f(V x) { return maximum(x, 0) + log1p(exp(-abs(x))); }
  template <class V> static V df_x(V x) { return sigmoid(x); }
  static double ref(double x) { return std::isnan(x) ? x : std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
};

struct Hardtanh {
  struct Attrs {
    double low = -1;
    double high = 1;
  };
  static constexpr Row row{.name = "hardtanh", .formula = "y = min(max(x, low), high)",
                           .kinks = {-1, 1, 0, 6}, .at_kink = AtKink::zero, .smooth = false, .ulp_f32 = 0.5,
                           .ulp_f64 = 0, .subgradient = "0 at both edges",
                           .note = "NaN stays NaN; relu6 is hardtanh(0, 6)"};
  template <class V> static V f(V x, const Attrs& t) { return select(x < t.low, t.low, select(x > t.high, t.high, x)); }
  template <class V> static V gf_x(V g, V x, const Attrs& t) { return select((x <= t.low) | (x >= t.high), 0, g); }
  static double ref(double x, const Attrs& t) { return x < t.low ? t.low : x > t.high ? t.high : x; }
  static std::array<Attrs, 2> attr_samples() { return {{{-1, 1}, {0, 6}}}; }
};

using ActivationOps = List<Tanh, Sigmoid, LogSigmoid, Relu, LeakyRelu, Elu, Selu, Gelu, GeluTanh, Silu,
                           Softplus, Hardtanh>;
