// The tables of row conversions. Depends on base dtypes only.
#include <thalweg/ops/kernels/pointwise_convert.hpp>

#include <cstring>
#include <limits>
#include <type_traits>

namespace thalweg::kernels::detail {
namespace {

// A bool tensor is read as bytes: its memory may come from outside and hold any value.
struct Boolean {
  std::uint8_t byte;
};

template <class To, class From>
To convert(From x) noexcept {
  if constexpr (std::is_same_v<From, Boolean>) {
    return static_cast<To>(x.byte != 0);
  } else if constexpr (std::is_same_v<To, Boolean>) {
    return Boolean{static_cast<std::uint8_t>(x != From{0})};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // The range ends as powers of two, which every floating type holds; casting beyond them would be
    // undefined.
    constexpr int digits = std::numeric_limits<To>::digits;
    constexpr From top = static_cast<From>(std::uint64_t{1} << (digits - 1)) * From{2};
    constexpr From bottom = std::is_signed_v<To> ? -top : From{-1};
    if (x != x) return To{0};
    if (x >= top) return std::numeric_limits<To>::max();
    if (x <= bottom) return std::numeric_limits<To>::min();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class From, class To>
void load(const void* src, std::int64_t stride, void* dst, std::int64_t n) noexcept {
  const From* s = static_cast<const From*>(src);
  To* d = static_cast<To*>(dst);
  if (stride == 0) {
    const To value = convert<To>(*s);
    for (std::int64_t i = 0; i < n; ++i) d[i] = value;
  } else if (stride == 1) {
    if constexpr (std::is_same_v<From, To>)
      std::memcpy(d, s, static_cast<std::size_t>(n) * sizeof(To));
    else
      for (std::int64_t i = 0; i < n; ++i) d[i] = convert<To>(s[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) d[i] = convert<To>(s[i * stride]);
  }
}

template <class From, class To>
void store(const void* src, void* dst, std::int64_t stride, std::int64_t n) noexcept {
  const From* s = static_cast<const From*>(src);
  To* d = static_cast<To*>(dst);
  if (stride == 1) {
    for (std::int64_t i = 0; i < n; ++i) d[i] = convert<To>(s[i]);
  } else {
    for (std::int64_t i = 0; i < n; ++i) d[i * stride] = convert<To>(s[i]);
  }
}

template <class To>
constexpr LoadRow loads[dtype_count] = {&load<float, To>,        &load<double, To>,
                                        &load<std::int64_t, To>, &load<std::int32_t, To>,
                                        &load<std::uint8_t, To>, &load<Boolean, To>};
template <class From>
constexpr StoreRow stores[dtype_count] = {&store<From, float>,        &store<From, double>,
                                          &store<From, std::int64_t>, &store<From, std::int32_t>,
                                          &store<From, std::uint8_t>, &store<From, Boolean>};

}  // namespace

LoadRow load_row(DType from, DType compute) noexcept {
  const int i = static_cast<int>(from);
  return compute == DType::f32   ? loads<float>[i]
         : compute == DType::f64 ? loads<double>[i]
                                 : loads<std::int64_t>[i];
}

StoreRow store_row(DType compute, DType to) noexcept {
  const int i = static_cast<int>(to);
  return compute == DType::f32   ? stores<float>[i]
         : compute == DType::f64 ? stores<double>[i]
                                 : stores<std::int64_t>[i];
}

}  // namespace thalweg::kernels::detail
