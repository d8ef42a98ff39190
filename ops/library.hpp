// The library's pointwise op structs, included plain, and where each finds its dispatched kernels.
// Depends on op.hpp and the .inl files. Invariant: group and index here are those of the per-target kernel tables,
// because both come from the same list.
#pragma once

#include <cmath>
#include <vector>

#include <thalweg/ops/op.hpp>

namespace thalweg::ops {

#include <thalweg/ops/pointwise/activations.inl>
#include <thalweg/ops/pointwise/arithmetic.inl>
#include <thalweg/ops/pointwise/compare.inl>
#include <thalweg/ops/pointwise/math.inl>
#include <thalweg/ops/pointwise/terms.inl>

namespace detail {

template <class Op, class... Ops>
constexpr int index_in(List<Ops...>) {
  int found = -1, i = 0;
  ((std::is_same_v<Op, Ops> ? void(found = i) : void(), ++i), ...);
  return found;
}

struct Place {
  kernels::Group group;
  int index;
};

template <class Op>
constexpr Place place_of() {
  if (const int i = index_in<Op>(ArithmeticOps{}); i >= 0) return {kernels::Group::arithmetic, i};
  if (const int i = index_in<Op>(MathOps{}); i >= 0) return {kernels::Group::math, i};
  if (const int i = index_in<Op>(ActivationOps{}); i >= 0) return {kernels::Group::activations, i};
  if (const int i = index_in<Op>(CompareOps{}); i >= 0) return {kernels::Group::compare, i};
  return {kernels::Group::terms, index_in<Op>(TermOps{})};
}

}  // namespace detail

template <class Op>
  requires(detail::place_of<Op>().index >= 0)
struct KernelsOf<Op> {
  static const kernels::PointwiseKernels& table() {
    constexpr detail::Place place = detail::place_of<Op>();
    return kernels::library_kernels(place.group, place.index);
  }
};

}  // namespace thalweg::ops
