// The contiguous kernels of op structs on Lane, and the table of a list of ops. Included once per instruction
// set; opens thalweg::simd::HWY_NAMESPACE itself and leaves Row, List and the op traits visible there.
// Invariant: the last, partial vector runs the same lanes as the others, its missing places read as zero.
#include <thalweg/ops/kernels/simd/lane.inl>

#if defined(THALWEG_LANE_KERNELS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef THALWEG_LANE_KERNELS_INL
#undef THALWEG_LANE_KERNELS_INL
#else
#define THALWEG_LANE_KERNELS_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace thalweg::simd::HWY_NAMESPACE {

#include <thalweg/ops/pointwise/traits.inl>

template <class T>
using Tag = hn::ScalableTag<T>;

/// One formula as a type, so that a single loop serves all: lambdas would escape the target's code region.
template <class Op>
struct Forward {
  static constexpr int sources = PointwiseTraits<Op>::arity;
  template <class V, class A>
  static HWY_INLINE V call(const V* in, const A& attrs) {
    return forward_formula<Op>(in, attrs);
  }
};
template <class Op, int Operand>
struct Backward {
  static constexpr int sources = backward_sources<Op, Operand>;
  template <class V, class A>
  static HWY_INLINE V call(const V* in, const A& attrs) {
    return gradient_formula<Op, Operand>(in, attrs);
  }
};

/// The last `count` elements, fewer than a vector.
template <class Formula, class T, class A>
HWY_INLINE void run_tail(const T* const* p, T* out, std::int64_t i, size_t count, const A& attrs) {
  constexpr int k = Formula::sources;
  const Tag<T> d;
  Lane<Tag<T>> in[k];
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  static_assert(sizeof(T) >= 4);  // the masked loads of bytes read beyond the mask
  const auto mask = hn::FirstN(d, count);
  for (int s = 0; s < k; ++s) in[s].v = hn::MaskedLoad(mask, d, p[s] + i);
  hn::BlendedStore(Formula::call(in, attrs).v, mask, d, out + i);
#else
  alignas(64) T buffer[HWY_MAX_BYTES / sizeof(T)];
  for (int s = 0; s < k; ++s) {
    for (size_t j = 0; j < HWY_MAX_BYTES / sizeof(T); ++j)
      buffer[j] = j < count ? p[s][i + static_cast<std::int64_t>(j)] : T{0};
    in[s].v = hn::Load(d, buffer);
  }
  hn::Store(Formula::call(in, attrs).v, d, buffer);
  for (size_t j = 0; j < count; ++j) out[i + static_cast<std::int64_t>(j)] = buffer[j];
#endif
}

template <class Op, class Formula, class T>
void run_kernel(const void* const* src, void* dst, std::int64_t n, const void* attributes) noexcept {
  using Attrs = typename PointwiseTraits<Op>::Attrs;
  constexpr int k = Formula::sources;
  const Tag<T> d;
  const std::int64_t width = static_cast<std::int64_t>(hn::Lanes(d));
  Attrs attrs;
  if constexpr (PointwiseTraits<Op>::has_attrs) __builtin_memcpy(&attrs, attributes, sizeof attrs);
  const T* p[k];
  for (int s = 0; s < k; ++s) p[s] = static_cast<const T*>(src[s]);
  T* const out = static_cast<T*>(dst);
  std::int64_t i = 0;
  for (; i + width <= n; i += width) {
    Lane<Tag<T>> in[k];
    for (int s = 0; s < k; ++s) in[s].v = hn::LoadU(d, p[s] + i);
    hn::StoreU(Formula::call(in, attrs).v, d, out + i);
  }
  if constexpr (HWY_TARGET != HWY_SCALAR) {
    if (i < n) run_tail<Formula>(p, out, i, static_cast<size_t>(n - i), attrs);
  }
}

/// A logical op on bytes; the last vector is padded with zeros that are never stored.
template <class Op>
void run_bytes(const void* const* src, void* dst, std::int64_t n, const void*) noexcept {
  using T = std::uint8_t;
  constexpr int k = PointwiseTraits<Op>::arity;
  const Tag<T> d;
  const std::int64_t width = static_cast<std::int64_t>(hn::Lanes(d));
  const NoAttrs none;
  for (std::int64_t i = 0; i < n; i += width) {
    const std::int64_t count = n - i < width ? n - i : width;
    Lane<Tag<T>> in[k];
    alignas(64) T last[HWY_MAX_BYTES] = {};
    for (int s = 0; s < k; ++s) {
      const T* from = static_cast<const T*>(src[s]) + i;
      if (count < width) __builtin_memcpy(last, from, static_cast<size_t>(count));
      in[s].v = hn::LoadU(d, count < width ? last : from);
    }
    T* const out = static_cast<T*>(dst) + i;
    hn::StoreU(forward_formula<Op>(in, none).v, d, count < width ? last : out);
    if (count < width) __builtin_memcpy(out, last, static_cast<size_t>(count));
  }
}

template <class Op>
constexpr kernels::PointwiseFn bytes_or_null() {
  if constexpr (Op::row.logical)
    return &run_bytes<Op>;
  else
    return nullptr;
}

template <class Op, int Operand, class T>
constexpr kernels::PointwiseFn backward_or_null() {
  if constexpr (PointwiseTraits<Op>::kind[Operand] == DerivativeKind::none)
    return nullptr;
  else
    return &run_kernel<Op, Backward<Op, Operand>, T>;
}

template <class Op>
constexpr kernels::PointwiseKernels kernels_of_op() {
  return {.forward = {&run_kernel<Op, Forward<Op>, float>, &run_kernel<Op, Forward<Op>, double>, nullptr},
          .backward = {{backward_or_null<Op, 0, float>(), backward_or_null<Op, 0, double>(), nullptr},
                       {backward_or_null<Op, 1, float>(), backward_or_null<Op, 1, double>(), nullptr},
                       {backward_or_null<Op, 2, float>(), backward_or_null<Op, 2, double>(), nullptr}},
          .bytes = bytes_or_null<Op>()};
}

template <class Ops>
struct TableOf;
template <class... Ops>
struct TableOf<List<Ops...>> {
  static constexpr kernels::PointwiseKernels rows[] = {kernels_of_op<Ops>()...};
};

}  // namespace thalweg::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // once per target
