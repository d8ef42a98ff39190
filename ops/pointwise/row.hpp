// Row: what is said about a pointwise op besides its formula: name, where to sample it, where it has kinks,
// how exact it is. Depends on nothing. Aggregate: written with designated initialisers inside each op struct.
#pragma once

#include <cstdint>

namespace thalweg {

struct Interval {
  double lo = -2;
  double hi = 2;
};

/// Sample interval of each operand: `{-4, 4}` is the same for all, `{{-4, 4}, {0.5, 3}}` is one each.
struct Domain {
  Interval of[3];
  constexpr Domain() = default;
  constexpr Domain(double lo, double hi) : of{{lo, hi}, {lo, hi}, {lo, hi}} {}
  constexpr Domain(Interval a, Interval b, Interval c = {}) : of{a, b, c} {}
  constexpr const Interval& operator[](int operand) const { return of[operand]; }
};

/// Up to four points of the (first) operand where the function is not differentiable; samples keep away from
/// them.
struct Kinks {
  int count = 0;
  double at[4] = {};
  constexpr Kinks() = default;
  template <class... D>
  constexpr Kinks(double first, D... more)
      : count(1 + static_cast<int>(sizeof...(D))), at{first, static_cast<double>(more)...} {}
  constexpr const double* begin() const { return at; }
  constexpr const double* end() const { return at + count; }
};

/// The subgradient chosen at the kinks, from the slopes on either side; the harness checks it there.
enum class AtKink : std::uint8_t {
  unstated,
  zero,
  one,
  left,    ///< the slope for smaller x
  right,   ///< the slope for larger x
  middle,  ///< half of either side
};

struct Row {
  const char* name;                   ///< the public function: "tanh"
  const char* formula;                ///< one line for the reference: "y = tanh(x)"
  Domain domain{};                    ///< where samples are taken
  Kinks kinks{};                      ///< points of operand 0 to keep away from
  bool kink_at_equal = false;         ///< binary: the kink is where a = b instead
  AtKink at_kink = AtKink::unstated;  ///< owed by an op with kinks
  bool integers = false;   ///< defined on integer dtypes (computed on an int64 lane); else they become f32
  bool predicate = false;  ///< yields 0 or 1, stored as bool
  bool logical = false;    ///< asks of its operands only whether they are 0: runs on bytes where they are
  bool nondifferentiable = false;  ///< no gradient to any operand
  unsigned conditions = 0;         ///< bit i: operand i only chooses, it has no gradient
  bool smooth = true;  ///< infinitely differentiable inside the domain: third order is checked too
  double ulp_f32 = 1;  ///< bound of the forward's error against the exact value, in units in the last place
  double ulp_f64 = 1;
  double error_floor = 0;        ///< errors are measured in ulp of max(|y|, error_floor)
  const char* subgradient = "";  ///< what is chosen at the kinks
  bool sets_dtype = false;       ///< the result's dtype is an attribute, not the inputs'
  const char* note = "";         ///< why a bound is wide, or what to know
};

/// How the gradient of one operand is written in the op struct.
enum class DerivativeKind : std::uint8_t {
  none,      ///< no gradient
  constant,  ///< df(), da(), db(): gradient = g * a number; nothing is saved
  factor,    ///< df_x(x), da_b(b), ...: gradient = g * factor
  product,   ///< gf_x(g, x), ga_c(g, c), ...: the finished gradient
};

/// Bits of a save mask: operands 0, 1, 2 and the output.
inline constexpr unsigned save_output = 8;

/// A list of op structs; the order is the order of the kernel tables.
template <class... Ops>
struct List {
  static constexpr int size = static_cast<int>(sizeof...(Ops));
};

}  // namespace thalweg
