// Block<T>: the lane that formulas use outside the library: 32 elements of float, double or int64_t.
// Depends on base dtypes only, no Highway. Invariant: exp, tanh, ... run the library's kernels on the target
// in use, so that a user's op has the same bits as a library op with the same formula.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <thalweg/ops/kernels/pointwise.hpp>

namespace thalweg::simd {

/// Elementary functions that blocks borrow from the library's kernels.
enum class Function : std::uint8_t { exp, log, log1p, expm1, tanh, sigmoid, erf, erfc, sin, cos, pow, atan2 };

/// The library's kernel of an elementary function for float (0) or double (1), on the target in use.
kernels::PointwiseFn block_function(Function f, int compute) noexcept;

inline constexpr int block_width = 32;

template <class T>
struct Block;

template <class T>
struct BlockMask {
  bool on[block_width];

  /// a where the mask is set, else b; nothing is multiplied.
  friend Block<T> select(const BlockMask& m, const Block<T>& a, const Block<T>& b) {
    Block<T> r;
    for (int i = 0; i < block_width; ++i) r.v[i] = m.on[i] ? a.v[i] : b.v[i];
    return r;
  }

  friend BlockMask operator&(const BlockMask& a, const BlockMask& b) {
    BlockMask r;
    for (int i = 0; i < block_width; ++i) r.on[i] = a.on[i] && b.on[i];
    return r;
  }
  friend BlockMask operator|(const BlockMask& a, const BlockMask& b) {
    BlockMask r;
    for (int i = 0; i < block_width; ++i) r.on[i] = a.on[i] || b.on[i];
    return r;
  }
  friend BlockMask operator!(const BlockMask& a) {
    BlockMask r;
    for (int i = 0; i < block_width; ++i) r.on[i] = !a.on[i];
    return r;
  }
};

template <class T>
struct Block {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int64_t>);
  using element = T;
  static constexpr bool floating = std::is_floating_point_v<T>;

  T v[block_width];

  Block() = default;
  /// A literal of the formula, in every place.
  Block(double c) {  // NOLINT(google-explicit-constructor)
    const T value = literal(c);
    for (int i = 0; i < block_width; ++i) v[i] = value;
  }

  friend Block operator+(const Block& a, const Block& b) {
    return zip(a, b, [](T x, T y) { return floating ? static_cast<T>(x + y) : wrap(bits(x) + bits(y)); });
  }
  friend Block operator-(const Block& a, const Block& b) {
    return zip(a, b, [](T x, T y) { return floating ? static_cast<T>(x - y) : wrap(bits(x) - bits(y)); });
  }
  friend Block operator*(const Block& a, const Block& b) {
    return zip(a, b, [](T x, T y) { return floating ? static_cast<T>(x * y) : wrap(bits(x) * bits(y)); });
  }
  friend Block operator/(const Block& a, const Block& b) {
    return zip(a, b, [](T x, T y) {
      if constexpr (floating)
        return x / y;
      else
        return y == 0 ? T{0} : y == -1 ? wrap(0 - bits(x)) : static_cast<T>(x / y);
    });
  }
  friend Block operator-(const Block& a) {
    return map(a, [](T x) { return floating ? static_cast<T>(-x) : wrap(0 - bits(x)); });
  }

  friend BlockMask<T> operator<(const Block& a, const Block& b) {
    return test(a, b, [](T x, T y) { return x < y; });
  }
  friend BlockMask<T> operator<=(const Block& a, const Block& b) {
    return test(a, b, [](T x, T y) { return x <= y; });
  }
  friend BlockMask<T> operator>(const Block& a, const Block& b) {
    return test(a, b, [](T x, T y) { return x > y; });
  }
  friend BlockMask<T> operator>=(const Block& a, const Block& b) {
    return test(a, b, [](T x, T y) { return x >= y; });
  }
  friend BlockMask<T> operator==(const Block& a, const Block& b) {
    return test(a, b, [](T x, T y) { return x == y; });
  }
  friend BlockMask<T> operator!=(const Block& a, const Block& b) {
    return test(a, b, [](T x, T y) { return x != y; });
  }

  friend BlockMask<T> isnan(const Block& a) {
    return test(a, a, [](T x, T y) { return x != y; });
  }
  friend BlockMask<T> isfinite(const Block& a) {
    return test(a, a, [](T x, T) {
      if constexpr (floating)
        return std::isfinite(x);
      else
        return true;
    });
  }

  friend Block abs(const Block& a) {
    return map(a, [](T x) {
      if constexpr (floating)
        return std::fabs(x);
      else
        return x < 0 ? wrap(0 - bits(x)) : x;
    });
  }
  /// -1, 0 or 1; NaN stays NaN, and a zero keeps its sign.
  friend Block sign(const Block& a) {
    return map(a, [](T x) { return x > 0 ? T{1} : x < 0 ? T{-1} : x; });
  }
  /// NaN if either is NaN.
  friend Block maximum(const Block& a, const Block& b) {
    return zip(a, b, [](T x, T y) { return x != x ? x : (y != y || y > x) ? y : x; });
  }
  friend Block minimum(const Block& a, const Block& b) {
    return zip(a, b, [](T x, T y) { return x != x ? x : (y != y || y < x) ? y : x; });
  }
  friend Block sqrt(const Block& a) {
    static_assert(floating);
    return map(a, [](T x) { return std::sqrt(x); });
  }
  friend Block floor(const Block& a) {
    return map(a, [](T x) {
      if constexpr (floating)
        return std::floor(x);
      else
        return x;
    });
  }

  friend Block exp(const Block& a) { return call(Function::exp, a); }
  friend Block log(const Block& a) { return call(Function::log, a); }
  friend Block log1p(const Block& a) { return call(Function::log1p, a); }
  friend Block expm1(const Block& a) { return call(Function::expm1, a); }
  friend Block tanh(const Block& a) { return call(Function::tanh, a); }
  friend Block sigmoid(const Block& a) { return call(Function::sigmoid, a); }
  friend Block erf(const Block& a) { return call(Function::erf, a); }
  friend Block erfc(const Block& a) { return call(Function::erfc, a); }
  friend Block sin(const Block& a) { return call(Function::sin, a); }
  friend Block cos(const Block& a) { return call(Function::cos, a); }
  friend Block pow(const Block& a, const Block& b) { return call(Function::pow, a, b); }
  friend Block atan2(const Block& a, const Block& b) { return call(Function::atan2, a, b); }

 private:
  // Integers wrap as NumPy's do; signed overflow would be undefined, so they pass through unsigned.
  static std::uint64_t bits(T x) { return static_cast<std::uint64_t>(static_cast<std::int64_t>(x)); }
  // An integer lane cuts a literal beyond its range, infinity included, to the nearest end.
  static T literal(double c) {
    if constexpr (floating)
      return static_cast<T>(c);
    else
      return c >= 0x1p63    ? std::numeric_limits<T>::max()
             : c <= -0x1p63 ? std::numeric_limits<T>::min()
             : c != c       ? T{0}
                            : static_cast<T>(c);
  }
  static T wrap(std::uint64_t x) { return static_cast<T>(static_cast<std::int64_t>(x)); }

  template <class F>
  static Block map(const Block& a, F f) {
    Block r;
    for (int i = 0; i < block_width; ++i) r.v[i] = f(a.v[i]);
    return r;
  }
  template <class F>
  static Block zip(const Block& a, const Block& b, F f) {
    Block r;
    for (int i = 0; i < block_width; ++i) r.v[i] = f(a.v[i], b.v[i]);
    return r;
  }
  template <class F>
  static BlockMask<T> test(const Block& a, const Block& b, F f) {
    BlockMask<T> r;
    for (int i = 0; i < block_width; ++i) r.on[i] = f(a.v[i], b.v[i]);
    return r;
  }
  template <class... B>
  static Block call(Function f, const B&... operands) {
    static_assert(floating, "thalweg: elementary functions have no integer lane");
    const void* src[] = {operands.v...};
    Block r;
    block_function(f, std::is_same_v<T, float> ? 0 : 1)(src, r.v, block_width, nullptr);
    return r;
  }
};

}  // namespace thalweg::simd
