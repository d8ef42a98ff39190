// Where each group's kernels and the elementary functions of Block lanes are found. Depends on the op lists.
// Invariant: constant-initialised; a group's tables and its list in ops/pointwise/*.inl have the same order.
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include <thalweg/ops/kernels/simd/group_table.hpp>

namespace thalweg::ops {
#include <thalweg/ops/pointwise/activations.inl>
#include <thalweg/ops/pointwise/arithmetic.inl>
#include <thalweg/ops/pointwise/compare.inl>
#include <thalweg/ops/pointwise/math.inl>
#include <thalweg/ops/pointwise/terms.inl>
}  // namespace thalweg::ops

namespace thalweg::simd {

extern constinit const GroupTable<ops::ArithmeticOps::size> arithmetic_kernels;
extern constinit const GroupTable<ops::MathOps::size> math_kernels;
extern constinit const GroupTable<ops::ActivationOps::size> activations_kernels;
extern constinit const GroupTable<ops::CompareOps::size> compare_kernels;
extern constinit const GroupTable<ops::TermOps::size> terms_kernels;

namespace {

template <class Op, class... Ops>
constexpr int index_in(List<Ops...>) {
  int at = 0;
  int found = -1;
  ((std::is_same_v<Op, Ops> ? void(found = at++) : void(++at)), ...);
  return found;
}

struct Place {
  kernels::Group group;
  int index;
};
template <class Op>
constexpr Place in_math{kernels::Group::math, index_in<Op>(ops::MathOps{})};
template <class Op>
constexpr Place in_activations{kernels::Group::activations, index_in<Op>(ops::ActivationOps{})};

// In the order of enum Function.
constexpr Place places[] = {in_math<ops::Exp>,   in_math<ops::Log>,         in_math<ops::Log1p>,
                            in_math<ops::Expm1>, in_activations<ops::Tanh>, in_activations<ops::Sigmoid>,
                            in_math<ops::Erf>,   in_math<ops::Erfc>,        in_math<ops::Sin>,
                            in_math<ops::Cos>,   in_math<ops::Pow>,         in_math<ops::Atan2>};
static_assert(std::size(places) == static_cast<std::size_t>(Function::atan2) + 1);

}  // namespace

kernels::PointwiseFn block_function(Function f, int compute) noexcept {
  const Place place = places[static_cast<int>(f)];
  return kernels::library_kernels(place.group, place.index).forward[compute];
}

}  // namespace thalweg::simd

namespace thalweg::kernels::detail {

constinit const PointwiseKernels* const library_tables[group_count][simd::target_count] = {
    {simd::arithmetic_kernels.rows[0], simd::arithmetic_kernels.rows[1], simd::arithmetic_kernels.rows[2],
     simd::arithmetic_kernels.rows[3]},
    {simd::math_kernels.rows[0], simd::math_kernels.rows[1], simd::math_kernels.rows[2],
     simd::math_kernels.rows[3]},
    {simd::activations_kernels.rows[0], simd::activations_kernels.rows[1], simd::activations_kernels.rows[2],
     simd::activations_kernels.rows[3]},
    {simd::compare_kernels.rows[0], simd::compare_kernels.rows[1], simd::compare_kernels.rows[2],
     simd::compare_kernels.rows[3]},
    {simd::terms_kernels.rows[0], simd::terms_kernels.rows[1], simd::terms_kernels.rows[2],
     simd::terms_kernels.rows[3]}};

}  // namespace thalweg::kernels::detail
