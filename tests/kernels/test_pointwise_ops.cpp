// Every library pointwise op at kernel level, on every target: forward against its naive reference, backward
// against differences of that reference, Block lanes against the library's bits, integer lanes, and the
// mutants of its derivative.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <thalweg/ops/kernels/simd/mutant.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::ops {
namespace {
#include <thalweg/ops/pointwise/activations.inl>
#include <thalweg/ops/pointwise/arithmetic.inl>
#include <thalweg/ops/pointwise/compare.inl>
#include <thalweg/ops/pointwise/math.inl>
#include <thalweg/ops/pointwise/terms.inl>
}  // namespace
}  // namespace thalweg::ops

using namespace thalweg;
using kernels::Group;
using kernels::PointwiseFn;
using kernels::PointwiseKernels;

namespace {

constexpr int count = 67;  // not a multiple of any width, more than four AVX-512 vectors

/// One op with its type erased, so that the checks below are compiled once.
struct Entry {
  Group group;
  int index;
  const Row* row;
  int arity;
  DerivativeKind kind[3];
  unsigned save_mask[3];
  double (*reference)(const double* x);
  const void* attrs;  // the defaults
  const PointwiseKernels* blocks;
  const PointwiseKernels* mutants;

  const PointwiseKernels& library() const { return kernels::library_kernels(group, index); }
  std::string label(std::size_t bytes) const {
    return std::string(row->name) + " f" + std::to_string(8 * bytes) + " " +
           simd::target_name(simd::current_target());
  }
};

template <class Op>
double reference(const double* x) {
  const typename ops::PointwiseTraits<Op>::Attrs attrs{};
  constexpr bool with_attrs = ops::PointwiseTraits<Op>::has_attrs;
  if constexpr (with_attrs && ops::PointwiseTraits<Op>::arity == 1)
    return Op::ref(x[0], attrs);
  else if constexpr (with_attrs && ops::PointwiseTraits<Op>::arity == 2)
    return Op::ref(x[0], x[1], attrs);
  else if constexpr (ops::PointwiseTraits<Op>::arity == 1)
    return Op::ref(x[0]);
  else if constexpr (ops::PointwiseTraits<Op>::arity == 2)
    return Op::ref(x[0], x[1]);
  else
    return Op::ref(x[0], x[1], x[2]);
}

template <class Op>
Entry entry_of(Group group, int index) {
  using T = ops::PointwiseTraits<Op>;
  static const typename T::Attrs attrs{};
  return {group,
          index,
          &Op::row,
          T::arity,
          {T::kind[0], T::kind[1], T::kind[2]},
          {T::save_mask[0], T::save_mask[1], T::save_mask[2]},
          &reference<Op>,
          &attrs,
          &simd::block_kernels<Op>(),
          &simd::mutant_kernels<Op>()};
}

template <class... Ops>
std::vector<Entry> entries_of(Group group, List<Ops...>) {
  int index = 0;
  std::vector<Entry> all;
  ((all.push_back(entry_of<Ops>(group, index)), ++index), ...);
  return all;
}

template <class T>
using Operands = std::array<std::vector<T>, 3>;

/// Operand values in the row's domain, off the kinks by a hundredth at least.
template <class T>
Operands<T> operands(const Entry& op) {
  Operands<T> x;
  for (std::size_t k = 0; k < static_cast<std::size_t>(op.arity); ++k) {
    const Interval r = op.row->domain[static_cast<int>(k)];
    for (std::size_t i = 0; i < count; ++i) {
      double v = r.lo + (r.hi - r.lo) * std::fmod(0.137 + 0.618034 * static_cast<double>(i + 11 * k), 1.0);
      for (double kink : op.row->kinks)
        if (k == 0 && std::fabs(v - kink) < 0.01) v += 0.03;
      if (op.row->kink_at_equal && k == 1 && std::fabs(v - static_cast<double>(x[0][i])) < 0.01) v += 0.03;
      if ((op.row->conditions >> k) & 1U) v = v > 0.5 ? 1 : 0;
      x[k].push_back(static_cast<T>(v));
    }
  }
  return x;
}

template <class T>
double ulp(double y) {
  const T a = std::fabs(static_cast<T>(y));
  return static_cast<double>(std::nextafter(a, std::numeric_limits<T>::infinity()) - a);
}

template <class T>
std::vector<T> forward(const Entry& op, PointwiseFn fn, const Operands<T>& x) {
  const void* src[] = {x[0].data(), x[1].data(), x[2].data()};
  std::vector<T> y(count);
  fn(src, y.data(), count, op.attrs);
  return y;
}

template <class T>
std::vector<T> backward(const Entry& op, PointwiseFn fn, int operand, const std::vector<T>& g,
                        const Operands<T>& x, const std::vector<T>& y) {
  const void* src[5] = {g.data()};
  int n = 1;
  for (std::size_t i = 0; i < 3; ++i)
    if ((op.save_mask[operand] >> i) & 1U) src[n++] = x[i].data();
  if (op.save_mask[operand] & save_output) src[n++] = y.data();
  std::vector<T> d(count);
  fn(src, d.data(), count, op.attrs);
  return d;
}

template <class T>
void check_forward(const Entry& op, double bound) {
  const Operands<T> x = operands<T>(op);
  const std::vector<T> y = forward<T>(op, op.library().forward[sizeof(T) == 8], x);
  for (std::size_t i = 0; i < count; ++i) {
    double in[3] = {};
    for (std::size_t j = 0; j < 3; ++j) in[j] = x[j].empty() ? 0 : static_cast<double>(x[j][i]);
    const double wanted = op.reference(in);
    const double error = std::fabs(static_cast<double>(y[i]) - wanted) / ulp<T>(wanted);
    // In f64 the reference itself rounds, and as often as the formula.
    const double allowed = sizeof(T) == 8 ? (bound == 0 ? 0 : 2 * bound + 1) : bound;
    if (!(error <= allowed))
      FAIL_CHECK(op.label(sizeof(T)) << " at " << in[0] << ", " << in[1] << ": " << error << " ulp");
  }
}

/// g times the sixth-order difference of the reference along one operand.
double difference(const Entry& op, const Operands<double>& x, std::size_t i, int operand) {
  constexpr double h = 1e-3;
  constexpr double weight[] = {45, -9, 1};
  double sum = 0;
  for (int step = 1; step <= 3; ++step)
    for (int side : {1, -1}) {
      double in[3] = {x[0][i], x[1].empty() ? 0 : x[1][i], x[2].empty() ? 0 : x[2][i]};
      in[operand] += side * step * h;
      sum += side * weight[step - 1] * op.reference(in);
    }
  return sum / (60 * h);
}

void check_backward(const Entry& op) {
  const Operands<double> x = operands<double>(op);
  const std::vector<double> y = forward<double>(op, op.library().forward[1], x);
  std::vector<double> g(count);
  for (std::size_t i = 0; i < count; ++i) g[i] = 0.5 + 0.01 * static_cast<double>(i);
  for (int operand = 0; operand < op.arity; ++operand) {
    const PointwiseFn fn = op.library().backward[operand][1];
    REQUIRE((fn == nullptr) == (op.kind[operand] == DerivativeKind::none));
    if (fn == nullptr) continue;
    const std::vector<double> d = backward<double>(op, fn, operand, g, x, y);
    for (std::size_t i = 0; i < count; ++i) {
      const double wanted = g[i] * difference(op, x, i, operand);
      if (!(std::fabs(d[i] - wanted) <= 1e-9 + 1e-8 * std::fabs(wanted)))
        FAIL_CHECK(op.label(8) << " gradient " << operand << " at " << x[0][i] << ": " << d[i]
                               << ", differences " << wanted);
    }
  }
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// A user's op with the same formula has the library's bits.
template <class T>
void check_blocks(const Entry& op) {
  constexpr int dtype = sizeof(T) == 8;
  const Operands<T> x = operands<T>(op);
  const PointwiseKernels& library = op.library();
  const std::vector<T> y = forward<T>(op, library.forward[dtype], x);
  INFO(op.label(sizeof(T)));
  CHECK(same_bits(y, forward<T>(op, op.blocks->forward[dtype], x)));
  const std::vector<T> g(count, T(0.7));
  for (int operand = 0; operand < op.arity; ++operand)
    if (library.backward[operand][dtype] != nullptr)
      CHECK(same_bits(backward<T>(op, library.backward[operand][dtype], operand, g, x, y),
                      backward<T>(op, op.blocks->backward[operand][dtype], operand, g, x, y)));
}

void check_integers(const Entry& op) {
  const PointwiseFn fn = op.library().forward[2];
  REQUIRE((fn != nullptr) == op.row->integers);
  if (fn == nullptr) return;
  Operands<std::int64_t> x;
  for (std::size_t j = 0; j < 3; ++j)
    for (int i = 0; i < count; ++i) x[j].push_back((i * (3 + 4 * static_cast<int>(j))) % 11 - 5);
  const std::vector<std::int64_t> y = forward<std::int64_t>(op, fn, x);
  for (std::size_t i = 0; i < count; ++i) {
    const double in[3] = {static_cast<double>(x[0][i]), static_cast<double>(x[1][i]),
                          static_cast<double>(x[2][i])};
    if (static_cast<double>(y[i]) != op.reference(in))
      FAIL_CHECK(op.row->name << " of integers " << in[0] << ", " << in[1] << " gave " << y[i]);
  }
}

/// A plan that hits nothing changes no bit; every other mutant is made in exactly one step. Returns how many
/// were made.
int check_mutants(const Entry& op) {
  int made = 0;
  const Operands<double> x = operands<double>(op);
  const std::vector<double> y = forward<double>(op, op.library().forward[1], x);
  const std::vector<double> g(count, 0.7);
  simd::MutationPlan& plan = simd::mutation_plan();
  for (int operand = 0; operand < op.arity; ++operand) {
    const PointwiseFn fn = op.mutants->backward[operand][1];
    if (fn == nullptr) continue;
    plan = {};
    const std::vector<double> right = backward<double>(op, fn, operand, g, x, y);
    CHECK(same_bits(right, backward<double>(op, op.blocks->backward[operand][1], operand, g, x, y)));
    const int steps = plan.seen;
    CHECK(steps >= (op.kind[operand] == DerivativeKind::product ? 0 : 1));
    for (int step = 0; step < steps; ++step)
      for (int kind = 0; kind < simd::mutation_count; ++kind) {
        plan = {.k = step, .kind = kind};
        const std::vector<double> wrong = backward<double>(op, fn, operand, g, x, y);
        if (plan.applied)
          made += same_bits(right, wrong) ? 0 : 1;
        else
          CHECK(same_bits(right, wrong));
      }
  }
  plan = {};
  return made;
}

void check_ops(const std::vector<Entry>& all) {
  for (simd::Target t : simd::supported_targets()) {
    const simd::TargetScope scope(t);
    for (const Entry& op : all) {
      check_forward<float>(op, op.row->ulp_f32);
      check_forward<double>(op, op.row->ulp_f64);
      check_backward(op);
      check_blocks<float>(op);
      check_blocks<double>(op);
      check_integers(op);
    }
  }
}

const std::vector<Entry>& arithmetic() {
  static const std::vector<Entry> all = entries_of(Group::arithmetic, ops::ArithmeticOps{});
  return all;
}
const std::vector<Entry>& elementary() {
  static const std::vector<Entry> all = entries_of(Group::math, ops::MathOps{});
  return all;
}
const std::vector<Entry>& activations() {
  static const std::vector<Entry> all = entries_of(Group::activations, ops::ActivationOps{});
  return all;
}

int mutants_of(const std::vector<Entry>& all) {
  int made = 0;
  for (const Entry& op : all) made += check_mutants(op);
  return made;
}

}  // namespace

TEST_CASE("arithmetic ops on every target") { check_ops(arithmetic()); }
TEST_CASE("elementary functions as ops on every target") { check_ops(elementary()); }
TEST_CASE("activations on every target") { check_ops(activations()); }
TEST_CASE("terms of losses on every target") { check_ops(entries_of(Group::terms, ops::TermOps{})); }
TEST_CASE("comparisons on every target") { check_ops(entries_of(Group::compare, ops::CompareOps{})); }

TEST_CASE("a mutant lane corrupts the step asked for and nothing else") {
  CHECK(mutants_of(arithmetic()) > 60);
  CHECK(mutants_of(elementary()) > 100);
  CHECK(mutants_of(activations()) > 150);
}

TEST_CASE("activations stay finite and reach their limits at infinity") {
  struct Limit {
    int index;
    double minus, plus, slope_minus, slope_plus;
  };
  const double inf = std::numeric_limits<double>::infinity();
  const Limit limits[] = {{0, -1, 1, 0, 0},  {1, 0, 1, 0, 0},   {7, 0, inf, 0, 1},
                          {8, 0, inf, 0, 1}, {9, 0, inf, 0, 1}, {10, 0, inf, 0, 1}};
  for (simd::Target t : simd::supported_targets()) {
    const simd::TargetScope scope(t);
    for (const Limit& l : limits) {
      const PointwiseKernels& k = kernels::library_kernels(Group::activations, l.index);
      const double x[] = {-inf, inf};
      const double g[] = {1, 1};
      double y[2], d[2];
      const void* src[] = {x};
      k.forward[1](src, y, 2, nullptr);
      const bool from_output = l.index < 2;
      const void* back[] = {g, from_output ? y : x};
      k.backward[0][1](back, d, 2, nullptr);
      INFO("activation ", l.index, " ", std::string(simd::target_name(t)));
      CHECK(y[0] == l.minus);
      CHECK(y[1] == l.plus);
      CHECK(d[0] == l.slope_minus);
      CHECK(d[1] == l.slope_plus);
    }
  }
}

TEST_CASE("comparisons of NaN, infinities and zeros are C++'s on every target") {
  const double inf = std::numeric_limits<double>::infinity();
  const double points[] = {std::numeric_limits<double>::quiet_NaN(), inf, -inf, 0.0, -0.0, 1.0, -2.5};
  for (simd::Target t : simd::supported_targets()) {
    const simd::TargetScope scope(t);
    for (const Entry& op : entries_of(Group::compare, ops::CompareOps{}))
      for (double a : points)
        for (double b : points) {
          const double in[3] = {a, b, 0};
          const float single[2] = {static_cast<float>(a), static_cast<float>(b)};
          const void* wide[] = {&in[0], &in[1]};
          const void* narrow[] = {&single[0], &single[1]};
          double y = -1;
          float z = -1;
          op.library().forward[1](wide, &y, 1, nullptr);
          op.library().forward[0](narrow, &z, 1, nullptr);
          if (y != op.reference(in) || static_cast<double>(z) != y)
            FAIL_CHECK(op.label(8) << " of " << a << ", " << b << " gave " << y << " and " << z);
        }
  }
}
