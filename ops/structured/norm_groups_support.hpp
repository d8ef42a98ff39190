// What layer and group normalisation share: the four-dimensional view of x that each attribute set stands
// for. Depends on norm_groups.hpp, kernels/norm_groups. Invariant: defined for arguments that infer has
// accepted.
#pragma once

#include <thalweg/ops/kernels/norm_groups.hpp>
#include <thalweg/ops/structured/norm_groups.hpp>

namespace thalweg::ops {

/// Dimensions before those that are normalised.
inline int leading(const Dims& x, const LayerNormAttrs& t) { return x.size() - static_cast<int>(t.dims); }

/// Shape of mean and variance.
inline Dims pieces_of(const Dims& x, const LayerNormAttrs& t) { return Dims(x.data(), leading(x, t)); }
inline Dims pieces_of(const Dims& x, const GroupNormAttrs& t) { return {x[0], t.groups}; }

/// Shape of weight and bias.
inline Dims numbers_of(const Dims& x, const LayerNormAttrs& t) {
  return Dims(x.data() + leading(x, t), static_cast<int>(t.dims));
}
inline Dims numbers_of(const Dims& x, const GroupNormAttrs&) { return {x[1]}; }

inline kernels::GroupGeometry geometry_of(const Dims& x, const LayerNormAttrs& t) {
  return {.rows = numel(pieces_of(x, t)), .groups = 1, .channels = numel(numbers_of(x, t)), .run = 1};
}
inline kernels::GroupGeometry geometry_of(const Dims& x, const GroupNormAttrs& t) {
  return {.rows = x[0],
          .groups = t.groups,
          .channels = x[1] / t.groups,
          .run = numel(Dims(x.data() + 2, x.size() - 2))};
}

}  // namespace thalweg::ops
