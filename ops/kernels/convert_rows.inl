// Row conversions as plain loops; included once per instruction set by convert_rows.cpp (so no include
// guard). Invariant: no branch depends on a value and the inner loops have a fixed length, which is what the
// compilers need to turn them into lanes.
#include <cstring>
#include <limits>
#include <type_traits>

#include <hwy/highway.h>

#include <thalweg/ops/kernels/convert_rows.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

// A bool tensor is read as bytes: its memory may come from outside and hold any value.
struct Boolean {
  std::uint8_t byte;
};

/// The range ends as powers of two, which every floating type holds; a cast beyond them would be undefined.
template <class To, class From>
HWY_INLINE To cut(From x) noexcept {
  constexpr From above = static_cast<From>(std::uint64_t{1} << (std::numeric_limits<To>::digits - 1)) * From{2};
  constexpr From top = above - above * (std::numeric_limits<From>::epsilon() / 2);  // the next lower number
  constexpr From lowest = static_cast<From>(std::numeric_limits<To>::min());
  const From low = x < above ? x : top;
  const To y = static_cast<To>(low > lowest ? low : lowest);
  const To kept = x >= above ? std::numeric_limits<To>::max() : y;
  return x == x ? kept : To{0};
}

template <class To, class From>
HWY_INLINE To convert(From x) noexcept {
  if constexpr (std::is_same_v<From, Boolean>) {
    return static_cast<To>(x.byte != 0);
  } else if constexpr (std::is_same_v<To, Boolean>) {
    return Boolean{static_cast<std::uint8_t>(x != From{0})};
  } else if constexpr (std::is_floating_point_v<From> && std::is_same_v<To, std::uint8_t>) {
    const From low = x > From{0} ? x : From{0};  // NaN too
    return static_cast<std::uint8_t>(static_cast<std::int32_t>(low < From{255} ? low : From{255}));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return cut<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class To, class From>
void dense_row(To* __restrict d, const From* __restrict s, std::int64_t n) noexcept {
  constexpr std::int64_t step = 64;
  std::int64_t i = 0;
  for (; i + step <= n; i += step)
    for (std::int64_t j = 0; j < step; ++j) d[i + j] = convert<To>(s[i + j]);
  for (; i < n; ++i) d[i] = convert<To>(s[i]);
}

/// From the end of the source to its beginning: s points at the last element.
template <class To, class From>
void reversed_row(To* __restrict d, const From* __restrict s, std::int64_t n) noexcept {
  constexpr std::int64_t step = 64;
  std::int64_t i = 0;
  for (; i + step <= n; i += step)
    for (std::int64_t j = 0; j < step; ++j) d[i + j] = convert<To>(s[-i - j]);
  for (; i < n; ++i) d[i] = convert<To>(s[-i]);
}

template <class To>
void fill_row(To* d, To value, std::int64_t n) noexcept {
  constexpr std::int64_t step = 64;
  std::int64_t i = 0;
  for (; i + step <= n; i += step)
    for (std::int64_t j = 0; j < step; ++j) d[i + j] = value;
  for (; i < n; ++i) d[i] = value;
}

template <class To, class From>
void row(void* dst, std::int64_t dst_step, const void* src, std::int64_t src_step, std::int64_t n) noexcept {
  To* d = static_cast<To*>(dst);
  const From* s = static_cast<const From*>(src);
  if (dst_step == 1 && src_step == 0) return fill_row(d, convert<To>(*s), n);
  if (dst_step == 1 && src_step == 1) {
    if constexpr (std::is_same_v<To, From>)
      std::memcpy(d, s, static_cast<std::size_t>(n) * sizeof(To));
    else
      dense_row(d, s, n);
    return;
  }
  if constexpr (std::is_same_v<To, From>) {
    if (dst_step == 1 && src_step == -1) return reversed_row(d, s, n);
  }
  for (std::int64_t i = 0; i < n; ++i) d[i * dst_step] = convert<To>(s[i * src_step]);
}

/// Equal dtypes move as unsigned integers, so that every bit pattern survives.
constexpr ConvertRows convert_table = {{
    {row<std::uint32_t, std::uint32_t>, row<float, double>, row<float, std::int64_t>, row<float, std::int32_t>,
     row<float, std::uint8_t>, row<float, Boolean>},
    {row<double, float>, row<std::uint64_t, std::uint64_t>, row<double, std::int64_t>,
     row<double, std::int32_t>, row<double, std::uint8_t>, row<double, Boolean>},
    {row<std::int64_t, float>, row<std::int64_t, double>, row<std::uint64_t, std::uint64_t>,
     row<std::int64_t, std::int32_t>, row<std::int64_t, std::uint8_t>, row<std::int64_t, Boolean>},
    {row<std::int32_t, float>, row<std::int32_t, double>, row<std::int32_t, std::int64_t>,
     row<std::uint32_t, std::uint32_t>, row<std::int32_t, std::uint8_t>, row<std::int32_t, Boolean>},
    {row<std::uint8_t, float>, row<std::uint8_t, double>, row<std::uint8_t, std::int64_t>,
     row<std::uint8_t, std::int32_t>, row<std::uint8_t, std::uint8_t>, row<std::uint8_t, Boolean>},
    {row<Boolean, float>, row<Boolean, double>, row<Boolean, std::int64_t>, row<Boolean, std::int32_t>,
     row<Boolean, std::uint8_t>, row<std::uint8_t, std::uint8_t>},
}};
static_assert(static_cast<int>(DType::f32) == 0 && static_cast<int>(DType::f64) == 1 &&
              static_cast<int>(DType::i64) == 2 && static_cast<int>(DType::i32) == 3 &&
              static_cast<int>(DType::u8) == 4 && static_cast<int>(DType::boolean) == 5);

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
