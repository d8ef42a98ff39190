// block_kernels<Op>(): the kernel table of an op struct on Block lanes, compiled where it is asked for:
// users' ops, and the integer kernels of the library. Depends on block.hpp and the op traits. Invariant: the
// last, partial block runs the same lanes, padded with zeros that are never stored.
#pragma once

#include <cstring>

#include <thalweg/ops/kernels/simd/block.hpp>
#include <thalweg/ops/pointwise/traits.hpp>

namespace thalweg::simd {

/// The op's attributes, copied so that their type in the caller's namespace does not matter.
template <class Op>
typename ops::PointwiseTraits<Op>::Attrs attrs_of(const void* attrs) noexcept {
  using Attrs = typename ops::PointwiseTraits<Op>::Attrs;
  static_assert(std::is_trivially_copyable_v<Attrs>,
                "thalweg: the Attrs of a pointwise op must be plain data");
  Attrs t;
  if constexpr (ops::PointwiseTraits<Op>::has_attrs) std::memcpy(&t, attrs, sizeof t);
  return t;
}

/// One block: `count` elements from each source through `formula`; a full block moves by constant sizes.
template <class V, int Sources, bool Full, class Formula>
void run_block(const typename V::element* const* src, typename V::element* dst, std::size_t count,
               Formula formula) noexcept {
  using T = typename V::element;
  const std::size_t bytes = (Full ? static_cast<std::size_t>(block_width) : count) * sizeof(T);
  V in[Sources];
  for (int s = 0; s < Sources; ++s) {
    if constexpr (!Full) std::memset(in[s].v, 0, sizeof in[s].v);
    std::memcpy(in[s].v, src[s], bytes);
  }
  if constexpr (requires { V::begin_formula(); }) V::begin_formula();
  const V y = formula(in);
  std::memcpy(dst, y.v, bytes);
}

/// Runs `formula(in)` over n elements in blocks; V is Block<T>, or a lane wrapping it (Mutant).
template <class V, int Sources, class Formula>
void walk_blocks(const void* const* src, void* dst, std::int64_t n, Formula formula) noexcept {
  using T = typename V::element;
  const T* from[Sources];
  for (int s = 0; s < Sources; ++s) from[s] = static_cast<const T*>(src[s]);
  T* to = static_cast<T*>(dst);
  for (; n >= block_width; n -= block_width, to += block_width) {
    run_block<V, Sources, true>(from, to, block_width, formula);
    for (int s = 0; s < Sources; ++s) from[s] += block_width;
  }
  if (n > 0) run_block<V, Sources, false>(from, to, static_cast<std::size_t>(n), formula);
}

template <class Op, class V>
void block_forward(const void* const* src, void* dst, std::int64_t n, const void* attrs) noexcept {
  const auto t = attrs_of<Op>(attrs);
  walk_blocks<V, ops::PointwiseTraits<Op>::arity>(
      src, dst, n, [&t](const V* in) { return ops::forward_formula<Op>(in, t); });
}

template <class Op, int Operand, class V>
void block_backward(const void* const* src, void* dst, std::int64_t n, const void* attrs) noexcept {
  const auto t = attrs_of<Op>(attrs);
  walk_blocks<V, ops::backward_sources<Op, Operand>>(
      src, dst, n, [&t](const V* in) { return ops::gradient_formula<Op, Operand>(in, t); });
}

template <class Op, int Operand, class V>
constexpr kernels::PointwiseFn block_backward_or_null() noexcept {
  if constexpr (ops::PointwiseTraits<Op>::kind[Operand] == DerivativeKind::none)
    return nullptr;
  else
    return &block_backward<Op, Operand, V>;
}

/// The forward on the integer lane; nullptr where the op is not defined on integers.
template <class Op>
constexpr kernels::PointwiseFn integer_forward() noexcept {
  if constexpr (Op::row.integers)
    return &block_forward<Op, Block<std::int64_t>>;
  else
    return nullptr;
}

/// The whole table of one op on Block lanes.
template <class Op>
const kernels::PointwiseKernels& block_kernels() noexcept {
  using F32 = Block<float>;
  using F64 = Block<double>;
  static constexpr kernels::PointwiseKernels table{
      .forward = {&block_forward<Op, F32>, &block_forward<Op, F64>, integer_forward<Op>()},
      .backward = {{block_backward_or_null<Op, 0, F32>(), block_backward_or_null<Op, 0, F64>(), nullptr},
                   {block_backward_or_null<Op, 1, F32>(), block_backward_or_null<Op, 1, F64>(), nullptr},
                   {block_backward_or_null<Op, 2, F32>(), block_backward_or_null<Op, 2, F64>(), nullptr}}};
  return table;
}

}  // namespace thalweg::simd
