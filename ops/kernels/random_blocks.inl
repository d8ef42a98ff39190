// Philox and Box-Muller in lanes; included once per instruction set by random_blocks.cpp (so no include
// guard). Invariant: words are the same on every instruction set; normal numbers differ by the rounding of
// log, sin and cos.
#include <hwy/highway.h>

#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/ops/kernels/random_blocks.hpp>
#include <thalweg/ops/kernels/simd/lane.inl>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using V = simd::HWY_NAMESPACE::Lane<Tag<T>>;
template <class T>
inline constexpr std::int64_t width = static_cast<std::int64_t>(hn::MaxLanes(Tag<T>()));

#if HWY_TARGET == HWY_SCALAR
void group_words(std::uint64_t seed, std::uint64_t offset, std::uint64_t first_block, std::uint32_t* out) {
  for (std::uint64_t l = 0; l < 16; ++l) {
    const PhiloxBlock block = philox(seed, offset, first_block + l);
    for (std::uint64_t w = 0; w < 4; ++w) out[16 * w + l] = block[w];
  }
}
#else
using Words = hn::Vec<Tag<std::uint64_t>>;

/// The product of the low halves, as the multiplier gives it: the high halves of the operands do not count.
HWY_INLINE Words product(Words a, Words b) {
  constexpr hn::RepartitionToNarrow<Tag<std::uint64_t>> half{};
  return hn::MulEven(hn::BitCast(half, a), hn::BitCast(half, b));
}

/// Philox with one block in each 64-bit lane; only the low half of a lane has a meaning.
void group_words(std::uint64_t seed, std::uint64_t offset, std::uint64_t first_block, std::uint32_t* out) {
  constexpr Tag<std::uint64_t> d;
  const Words m0 = hn::Set(d, std::uint64_t{0xD2511F53u}), m1 = hn::Set(d, std::uint64_t{0xCD9E8D57u});
  for (std::int64_t l = 0; l < 16; l += width<std::uint64_t>) {
    const Words index =
        hn::Add(hn::Set(d, first_block + static_cast<std::uint64_t>(l)), hn::Iota(d, std::uint64_t{0}));
    Words c0 = index, c1 = hn::ShiftRight<32>(index);
    Words c2 = hn::Set(d, offset), c3 = hn::Set(d, offset >> 32);
    auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const Words p0 = product(m0, c0), p1 = product(m1, c2);
      c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, std::uint64_t{k0}));
      c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, std::uint64_t{k1}));
      c1 = p1;
      c3 = p0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    const Words all[4] = {c0, c1, c2, c3};
    HWY_ALIGN std::uint64_t lanes[static_cast<std::size_t>(width<std::uint64_t>)];
    for (int w = 0; w < 4; ++w) {
      hn::Store(all[w], d, lanes);
      for (std::int64_t i = 0; i < width<std::uint64_t>; ++i)
        out[16 * w + l + i] = static_cast<std::uint32_t>(lanes[i]);
    }
  }
}
#endif

void words(std::uint64_t seed, std::uint64_t offset, std::int64_t first, std::int64_t groups,
           std::uint32_t* out) {
  for (std::int64_t g = 0; g < groups; ++g)
    group_words(seed, offset, static_cast<std::uint64_t>(first + g) * 16, out + g * random_group);
}

/// n pairs (u1, u2) to normals: z = sqrt(-2 log u1) (cos, sin)(2 pi u2). u1 is in (0, 1]. n is a multiple
/// of 16.
template <class T>
HWY_INLINE void box_muller(const T* u1, const T* u2, std::int64_t n, T* cosines, T* sines) {
  constexpr Tag<T> d;
  for (std::int64_t i = 0; i < n; i += width<T>) {
    const V<T> radius = sqrt(V<T>(-2.0) * log(V<T>(hn::LoadU(d, u1 + i))));
    const V<T> angle = V<T>(6.283185307179586) * V<T>(hn::LoadU(d, u2 + i));
    hn::StoreU((radius * cos(angle)).v, d, cosines + i);
    hn::StoreU((radius * sin(angle)).v, d, sines + i);
  }
}

void normal_f32(const std::uint32_t* words, std::int64_t groups, float* out) {
  for (std::int64_t g = 0; g < groups; ++g, words += random_group, out += 64) {
    float u1[32], u2[32];
    for (int i = 0; i < 32; ++i) {
      u1[i] = static_cast<float>(static_cast<std::int32_t>((words[i] >> 1) | 1)) * 0x1p-31F;
      u2[i] = static_cast<float>(static_cast<std::int32_t>(words[32 + i] >> 8)) * 0x1p-24F;
    }
    box_muller(u1, u2, 32, out, out + 32);
  }
}

void normal_f64(const std::uint32_t* words, std::int64_t groups, double* out) {
  for (std::int64_t g = 0; g < groups; ++g, words += random_group, out += 32) {
    double u1[16], u2[16];
    for (int i = 0; i < 16; ++i) {
      u1[i] = 1 - philox_uniform_f64(words[i], words[16 + i]);
      u2[i] = philox_uniform_f64(words[32 + i], words[48 + i]);
    }
    box_muller(u1, u2, 16, out, out + 16);
  }
}

template <class T>
void dropout(const std::uint32_t* words, std::uint32_t threshold, T scale, const T* src, T* dst,
             std::int64_t n) {
  constexpr Tag<T> d;
  const V<T> factor(hn::Set(d, scale));
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  // Compared as numbers of the element's type: 24 bits are exact in both.
  constexpr hn::Rebind<std::int32_t, Tag<T>> d32{};
  const V<T> limit(static_cast<double>(threshold));
  for (; i + width<T> <= n; i += width<T>) {
    const auto bits = hn::ShiftRight<8>(hn::LoadU(hn::RebindToUnsigned<decltype(d32)>(), words + i));
    V<T> u;
    if constexpr (sizeof(T) == 4)
      u = V<T>(hn::ConvertTo(d, hn::BitCast(d32, bits)));
    else
      u = V<T>(hn::PromoteTo(d, hn::BitCast(d32, bits)));
    const V<T> x(hn::LoadU(d, src + i));
    hn::StoreU(select(u < limit, V<T>(0.0), x * factor).v, d, dst + i);
  }
#endif
  for (; i < n; ++i) dst[i] = words[i] >> 8 < threshold ? T{0} : src[i] * scale;
}

template <class T>
void scaled(T scale, const T* src, T* dst, std::int64_t n) {
  constexpr Tag<T> d;
  const auto factor = hn::Set(d, scale);
  std::int64_t i = 0;
  for (; i + 4 * width<T> <= n; i += 4 * width<T>)
    for (std::int64_t j = i; j < i + 4 * width<T>; j += width<T>)
      hn::StoreU(hn::Mul(hn::LoadU(d, src + j), factor), d, dst + j);
  for (; i < n; ++i) dst[i] = src[i] * scale;
}

constexpr RandomBlocks blocks = {words,           normal_f32,    normal_f64,    dropout<float>,
                                 dropout<double>, scaled<float>, scaled<double>};

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
