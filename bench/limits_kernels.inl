// The kernels that find the machine's limits: chains of multiply-adds, and streams. Included once per instruction
// set by limits_kernels.cpp (so no include guard).
// Depends on Highway. Invariant: no kernel's work can be left out, because what it made is returned.
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Twelve independent chains of `n` multiply-adds each: enough to fill two units of latency four or five.
inline double chains(std::int64_t n) {
  const hn::ScalableTag<float> d;
  const auto a = hn::Set(d, 0.999f), b = hn::Set(d, 1e-3f);
  // Each chain starts elsewhere: equal ones would be merged into one by the compiler.
  const auto start = [&](int k) { return hn::Set(d, static_cast<float>(k) * 1e-3f); };
  auto c0 = start(0), c1 = start(1), c2 = start(2), c3 = start(3), c4 = start(4), c5 = start(5), c6 = start(6), c7 = start(7),
       c8 = start(8), c9 = start(9), c10 = start(10), c11 = start(11);
  for (std::int64_t i = 0; i < n; ++i) {
    c0 = hn::MulAdd(c0, a, b);
    c1 = hn::MulAdd(c1, a, b);
    c2 = hn::MulAdd(c2, a, b);
    c3 = hn::MulAdd(c3, a, b);
    c4 = hn::MulAdd(c4, a, b);
    c5 = hn::MulAdd(c5, a, b);
    c6 = hn::MulAdd(c6, a, b);
    c7 = hn::MulAdd(c7, a, b);
    c8 = hn::MulAdd(c8, a, b);
    c9 = hn::MulAdd(c9, a, b);
    c10 = hn::MulAdd(c10, a, b);
    c11 = hn::MulAdd(c11, a, b);
  }
  const auto sum = hn::Add(hn::Add(hn::Add(c0, c1), hn::Add(c2, c3)),
                           hn::Add(hn::Add(hn::Add(c4, c5), hn::Add(c6, c7)), hn::Add(hn::Add(c8, c9), hn::Add(c10, c11))));
  return static_cast<double>(hn::GetLane(sum));
}
inline double flops_of_chains(std::int64_t n) {
  return 24.0 * static_cast<double>(n) * static_cast<double>(hn::Lanes(hn::ScalableTag<float>()));
}

/// Reads n floats.
inline float read(const float* p, std::size_t n) {
  const hn::ScalableTag<float> d;
  const std::size_t w = hn::Lanes(d);
  auto a = hn::Zero(d), b = a, c = a, e = a;
  std::size_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    a = hn::Max(a, hn::Load(d, p + i));
    b = hn::Max(b, hn::Load(d, p + i + w));
    c = hn::Max(c, hn::Load(d, p + i + 2 * w));
    e = hn::Max(e, hn::Load(d, p + i + 3 * w));
  }
  return hn::GetLane(hn::Max(hn::Max(a, b), hn::Max(c, e)));
}

/// Copies n floats (n a multiple of 64), past the caches where `streaming`.
inline void copy(const float* from, float* to, std::size_t n, bool streaming) {
  const hn::ScalableTag<float> d;
  const std::size_t w = hn::Lanes(d);
  if (streaming) {
    for (std::size_t i = 0; i < n; i += 2 * w) {
      hn::Stream(hn::Load(d, from + i), d, to + i);
      hn::Stream(hn::Load(d, from + i + w), d, to + i + w);
    }
  } else {
    for (std::size_t i = 0; i < n; i += 2 * w) {
      hn::Store(hn::Load(d, from + i), d, to + i);
      hn::Store(hn::Load(d, from + i + w), d, to + i + w);
    }
  }
}

/// Writes n floats (n a multiple of 64).
inline void write(float* to, std::size_t n, bool streaming) {
  const hn::ScalableTag<float> d;
  const std::size_t w = hn::Lanes(d);
  const auto v = hn::Set(d, 1.0f);
  for (std::size_t i = 0; i < n; i += w) {
    if (streaming) hn::Stream(v, d, to + i);
    else hn::Store(v, d, to + i);
  }
}

inline constexpr LimitKernels limit_kernels{&chains, &flops_of_chains, &read, &copy, &write};

}  // namespace bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
