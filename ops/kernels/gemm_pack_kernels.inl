// Packing in lanes; included once per instruction set by gemm_pack_kernels.cpp (so no include guard).
// Invariant: nothing is read beyond the elements that are asked for.
#include <utility>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <thalweg/ops/kernels/gemm_pack_kernels.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;

/// Dense lanes: rows of `count` elements to rows of `width`, a multiple of the vector's lanes, zeros behind.
template <class T>
void rows(const T* from, std::int64_t k_step, std::int64_t k, std::int64_t count, std::int64_t width,
          T* out) {
  constexpr Tag<T> d;
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  const std::int64_t whole = count / lanes * lanes;
  const auto mask = hn::FirstN(d, static_cast<std::size_t>(count - whole));
  for (std::int64_t p = 0; p < k; ++p, from += k_step, out += width) {
    std::int64_t l = 0;
    for (; l < whole; l += lanes) hn::StoreU(hn::LoadU(d, from + l), d, out + l);
    if (l < count) hn::StoreU(hn::MaskedLoad(mask, d, from + l), d, out + l), l += lanes;
    for (; l < width; l += lanes) hn::StoreU(hn::Zero(d), d, out + l);
  }
#else
  for (std::int64_t p = 0; p < k; ++p, from += k_step, out += width) {
    std::int64_t l = 0;
    for (; l + lanes <= count; l += lanes) hn::StoreU(hn::LoadU(d, from + l), d, out + l);
    for (; l < count; ++l) out[l] = from[l];
    for (; l < width; ++l) out[l] = T{0};
  }
#endif
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
template <int... I>
using Seq = std::integer_sequence<int, I...>;
template <int n>
using Count = std::make_integer_sequence<int, n>;

/// Two rows i and i + distance of a square: the lanes of a where that bit of the lane's number is 1 change
/// places with those of b where it is 0.
template <int distance, class D, class V>
HWY_INLINE void exchange([[maybe_unused]] D d, V& a, V& b) {
  const hn::Repartition<double, D> wide;
  constexpr int bytes = distance * static_cast<int>(sizeof(hn::TFromD<D>));
  const V x = a, y = b;
  if constexpr (bytes == 32) {
    a = hn::ConcatLowerLower(d, y, x);
    b = hn::ConcatUpperUpper(d, y, x);
  } else if constexpr (bytes == 16) {
    a = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(y), x);
    b = hn::OddEvenBlocks(y, hn::SwapAdjacentBlocks(x));
  } else if constexpr (bytes == 8) {
    const auto u = hn::BitCast(wide, x), v = hn::BitCast(wide, y);
    a = hn::BitCast(d, hn::InterleaveLower(wide, u, v));
    b = hn::BitCast(d, hn::InterleaveUpper(wide, u, v));
  } else {
    a = hn::OddEven(hn::Shuffle2301(y), x);
    b = hn::OddEven(y, hn::Shuffle2301(x));
  }
}

template <int distance, class D, class V, int... J>
HWY_INLINE void transpose(Seq<J...> pairs, D d, V* v) {
  if constexpr (distance > 0) {
    (exchange<distance>(d, v[J / distance * 2 * distance + J % distance],
                        v[J / distance * 2 * distance + J % distance + distance]),
     ...);
    transpose<distance / 2>(pairs, d, v);
  }
}

template <class D, class T, int... R>
HWY_INLINE void turn_square(Seq<R...>, D d, const T* from, std::int64_t lane_step, std::int64_t width,
                            T* out) {
  constexpr int n = static_cast<int>(sizeof...(R));
  // The lines of the next lanes are asked for meanwhile: the hardware does not foresee so many short
  // stretches.
  (hwy::Prefetch(from + (n + R) * lane_step), ...);
  hn::Vec<D> v[] = {hn::LoadU(d, from + R * lane_step)...};
  transpose<n / 2>(Count<n / 2>(), d, v);
  (hn::StoreU(v[R], d, out + R * width), ...);
}

/// As many groups of n lanes as there are from lane l on.
template <int n, class T>
HWY_INLINE std::int64_t turn_groups(const T* from, std::int64_t lane_step, std::int64_t k, std::int64_t l,
                                    std::int64_t count, std::int64_t width, T* out) {
  constexpr hn::CappedTag<T, n> d;
  for (; l + n <= count; l += n)
    for (std::int64_t p = 0; p < k; p += n)
      turn_square(Count<n>(), d, from + l * lane_step + p, lane_step, width, out + p * width + l);
  return l;
}

template <class T>
std::int64_t turn(const T* from, std::int64_t lane_step, std::int64_t k, std::int64_t count,
                  std::int64_t width, T* out) {
  constexpr int lanes = static_cast<int>(hn::MaxLanes(Tag<T>()));
  const std::int64_t l = turn_groups<lanes>(from, lane_step, k, 0, count, width, out);
  if constexpr (lanes == 16) return turn_groups<8>(from, lane_step, k, l, count, width, out);
  return l;
}
#else
template <class T>
std::int64_t turn(const T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, T*) {
  return 0;
}
#endif

template <class T>
constexpr GemmPackKernels<T> make_kernels() {
  constexpr int lanes = static_cast<int>(hn::MaxLanes(Tag<T>()));
  return {lanes, rows<T>, turn<T>, lanes};
}

constexpr GemmPackKernels<float> gemm_pack_f32 = make_kernels<float>();
constexpr GemmPackKernels<double> gemm_pack_f64 = make_kernels<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
