// Mutant<V>: a lane that corrupts one arithmetic step of a formula, so that the harness can prove it would
// notice. Depends on block lanes. Invariant: with the plan's k out of reach it computes exactly what V
// computes.
#pragma once

#include <thalweg/ops/kernels/simd/block_kernels.hpp>

namespace thalweg::simd {

/// What is done to the chosen step.
enum class Mutation : int {
  sign,      ///< the result is negated; a selection swaps its branches, a comparison is negated
  factor,    ///< the result is multiplied by 1.0625
  swapped,   ///< operands change places (only where order matters)
  replaced,  ///< the second operand becomes the first; a function of one operand becomes that operand
  constant,  ///< a literal c becomes 1.5 c, 0 becomes 0.25
};
inline constexpr int mutation_count = 5;

/// Which step to corrupt. Each formula call numbers its steps (literals, operators, functions, selections)
/// from 0.
struct MutationPlan {
  int k = -1;            ///< the step to corrupt; -1 for none
  int kind = 0;          ///< a Mutation
  int seen = 0;          ///< steps of the last formula call: run once with k = -1 to learn how many there are
  bool applied = false;  ///< the kind made sense for step k (a literal has no operands to swap, ...)
};

inline MutationPlan& mutation_plan() noexcept {
  static thread_local MutationPlan plan;
  return plan;
}

template <class V>
struct Mutant;

template <class V>
struct MutantMask {
  BlockMask<typename V::element> m;
  friend MutantMask operator&(const MutantMask& a, const MutantMask& b) { return {a.m & b.m}; }
  friend MutantMask operator|(const MutantMask& a, const MutantMask& b) { return {a.m | b.m}; }
  friend MutantMask operator!(const MutantMask& a) { return {!a.m}; }
  friend Mutant<V> select(const MutantMask& c, const Mutant<V>& a, const Mutant<V>& b) {
    return Mutant<V>::choose(c, a, b);
  }
};

template <class V>
struct Mutant : V {
  using Mask = MutantMask<V>;

  Mutant() = default;
  Mutant(const V& x) : V(x) {}  // NOLINT(google-explicit-constructor)
  /// A literal of the formula is a step too.
  Mutant(double c)
      : V(!hit(Mutation::constant) ? c : c == 0 ? 0.25 : 1.5 * c) {}  // NOLINT(google-explicit-constructor)

  friend Mutant operator+(const Mutant& a, const Mutant& b) {
    return binary(a, b, false, [](const V& x, const V& y) { return x + y; });
  }
  friend Mutant operator-(const Mutant& a, const Mutant& b) {
    return binary(a, b, true, [](const V& x, const V& y) { return x - y; });
  }
  friend Mutant operator*(const Mutant& a, const Mutant& b) {
    return binary(a, b, false, [](const V& x, const V& y) { return x * y; });
  }
  friend Mutant operator/(const Mutant& a, const Mutant& b) {
    return binary(a, b, true, [](const V& x, const V& y) { return x / y; });
  }
  friend Mutant pow(const Mutant& a, const Mutant& b) {
    return binary(a, b, true, [](const V& x, const V& y) { return pow(x, y); });
  }
  friend Mutant atan2(const Mutant& a, const Mutant& b) {
    return binary(a, b, true, [](const V& x, const V& y) { return atan2(x, y); });
  }
  friend Mutant maximum(const Mutant& a, const Mutant& b) {
    return binary(a, b, false, [](const V& x, const V& y) { return maximum(x, y); });
  }
  friend Mutant minimum(const Mutant& a, const Mutant& b) {
    return binary(a, b, false, [](const V& x, const V& y) { return minimum(x, y); });
  }

  friend Mutant operator-(const Mutant& a) {
    return unary(a, [](const V& x) { return -x; });
  }
  friend Mutant abs(const Mutant& a) {
    return unary(a, [](const V& x) { return abs(x); });
  }
  friend Mutant sign(const Mutant& a) {
    return unary(a, [](const V& x) { return sign(x); });
  }
  friend Mutant sqrt(const Mutant& a) {
    return unary(a, [](const V& x) { return sqrt(x); });
  }
  friend Mutant floor(const Mutant& a) {
    return unary(a, [](const V& x) { return floor(x); });
  }
  friend Mutant exp(const Mutant& a) {
    return unary(a, [](const V& x) { return exp(x); });
  }
  friend Mutant log(const Mutant& a) {
    return unary(a, [](const V& x) { return log(x); });
  }
  friend Mutant log1p(const Mutant& a) {
    return unary(a, [](const V& x) { return log1p(x); });
  }
  friend Mutant expm1(const Mutant& a) {
    return unary(a, [](const V& x) { return expm1(x); });
  }
  friend Mutant tanh(const Mutant& a) {
    return unary(a, [](const V& x) { return tanh(x); });
  }
  friend Mutant sigmoid(const Mutant& a) {
    return unary(a, [](const V& x) { return sigmoid(x); });
  }
  friend Mutant erf(const Mutant& a) {
    return unary(a, [](const V& x) { return erf(x); });
  }
  friend Mutant erfc(const Mutant& a) {
    return unary(a, [](const V& x) { return erfc(x); });
  }
  friend Mutant sin(const Mutant& a) {
    return unary(a, [](const V& x) { return sin(x); });
  }
  friend Mutant cos(const Mutant& a) {
    return unary(a, [](const V& x) { return cos(x); });
  }

  friend Mask operator<(const Mutant& a, const Mutant& b) { return test(a.plain() < b.plain()); }
  friend Mask operator<=(const Mutant& a, const Mutant& b) { return test(a.plain() <= b.plain()); }
  friend Mask operator>(const Mutant& a, const Mutant& b) { return test(a.plain() > b.plain()); }
  friend Mask operator>=(const Mutant& a, const Mutant& b) { return test(a.plain() >= b.plain()); }
  friend Mask operator==(const Mutant& a, const Mutant& b) { return test(a.plain() == b.plain()); }
  friend Mask operator!=(const Mutant& a, const Mutant& b) { return test(a.plain() != b.plain()); }
  friend Mask isnan(const Mutant& a) { return test(isnan(a.plain())); }
  friend Mask isfinite(const Mutant& a) { return test(isfinite(a.plain())); }

  static Mutant choose(const Mask& c, const Mutant& a, const Mutant& b) {
    const int kind = step();
    if (kind == static_cast<int>(Mutation::sign) || kind == static_cast<int>(Mutation::swapped)) {
      mutation_plan().applied = true;
      return select(c.m, b.plain(), a.plain());
    }
    if (kind == static_cast<int>(Mutation::replaced)) {
      mutation_plan().applied = true;
      return a;
    }
    return scaled(kind, select(c.m, a.plain(), b.plain()));
  }

  /// Called before each formula: its steps are numbered from 0.
  static void begin_formula() noexcept { mutation_plan().seen = 0; }

  const V& plain() const noexcept { return *this; }

 private:
  /// Counts a step; the kind of mutation due here, or -1.
  static int step() noexcept {
    MutationPlan& p = mutation_plan();
    return p.seen++ == p.k ? p.kind : -1;
  }
  static bool hit(Mutation m) noexcept {
    if (step() != static_cast<int>(m)) return false;
    return mutation_plan().applied = true;
  }
  static Mutant scaled(int kind, const V& y) {
    if (kind != static_cast<int>(Mutation::factor)) return y;
    mutation_plan().applied = true;
    return y * V(1.0625);
  }
  template <class F>
  static Mutant unary(const Mutant& a, F f) {
    const int kind = step();
    if (kind == static_cast<int>(Mutation::sign) || kind == static_cast<int>(Mutation::replaced)) {
      mutation_plan().applied = true;
      return kind == static_cast<int>(Mutation::sign) ? -f(a.plain()) : a.plain();
    }
    return scaled(kind, f(a.plain()));
  }
  template <class F>
  static Mutant binary(const Mutant& a, const Mutant& b, bool ordered, F f) {
    const int kind = step();
    if (kind == static_cast<int>(Mutation::sign)) {
      mutation_plan().applied = true;
      return -f(a.plain(), b.plain());
    }
    if (kind == static_cast<int>(Mutation::swapped) && ordered) {
      mutation_plan().applied = true;
      return f(b.plain(), a.plain());
    }
    if (kind == static_cast<int>(Mutation::replaced)) {
      mutation_plan().applied = true;
      return f(a.plain(), a.plain());
    }
    return scaled(kind, f(a.plain(), b.plain()));
  }
  static Mask test(const BlockMask<typename V::element>& m) {
    if (step() != static_cast<int>(Mutation::sign) || mutation_plan().k < 0) return {m};
    mutation_plan().applied = true;
    return {!m};
  }
};

template <class Op, int Operand>
constexpr kernels::PointwiseFn mutant_backward_or_null() noexcept {
  return block_backward_or_null<Op, Operand, Mutant<Block<double>>>();
}

/// The backward kernels (f64 only) that follow this thread's mutation_plan(); everything else is nullptr.
/// Call them on the thread that set the plan.
template <class Op>
const kernels::PointwiseKernels& mutant_kernels() noexcept {
  static constexpr kernels::PointwiseKernels table{
      .forward = {},
      .backward = {{nullptr, mutant_backward_or_null<Op, 0>(), nullptr},
                   {nullptr, mutant_backward_or_null<Op, 1>(), nullptr},
                   {nullptr, mutant_backward_or_null<Op, 2>(), nullptr}}};
  return table;
}

}  // namespace thalweg::simd
