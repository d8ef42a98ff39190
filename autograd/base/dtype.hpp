// The six element types, their names and sizes, and promotion by category.
// Depends on nothing of the project.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace thalweg {

enum class DType : std::uint8_t { f32, f64, i64, i32, u8, boolean };

inline constexpr int dtype_count = 6;

/// Bytes of one element.
constexpr std::size_t itemsize(DType d) noexcept {
  constexpr std::size_t sizes[dtype_count] = {4, 8, 8, 4, 1, 1};
  return sizes[static_cast<int>(d)];
}

/// "f32", "f64", "i64", "i32", "u8" or "bool".
constexpr const char* name(DType d) noexcept {
  constexpr const char* names[dtype_count] = {"f32", "f64", "i64", "i32", "u8", "bool"};
  return names[static_cast<int>(d)];
}

constexpr bool is_floating(DType d) noexcept { return d == DType::f32 || d == DType::f64; }

/// The dtype of `a op b`: the higher category wins (bool < integer < floating), within a category the wider
/// one. So f32 with any integer stays f32, and u8 with i32 is i32.
constexpr DType promote(DType a, DType b) noexcept {
  constexpr int order[dtype_count] = {4, 5, 3, 2, 1, 0};  // position on the ladder bool u8 i32 i64 f32 f64
  return order[static_cast<int>(a)] >= order[static_cast<int>(b)] ? a : b;
}

/// The element type to compute a floating function in: floating types stay, all others become f32.
constexpr DType to_floating(DType d) noexcept { return is_floating(d) ? d : DType::f32; }

template <class T>
constexpr DType dtype_of_impl() noexcept {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  else if constexpr (std::is_same_v<T, double>) return DType::f64;
  else if constexpr (std::is_same_v<T, bool>) return DType::boolean;
  else if constexpr (std::is_integral_v<T> && sizeof(T) == 8 && std::is_signed_v<T>) return DType::i64;
  else if constexpr (std::is_integral_v<T> && sizeof(T) == 4 && std::is_signed_v<T>) return DType::i32;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return DType::u8;
  else static_assert(!sizeof(T), "thalweg: no DType for this C++ type (float double int64_t int32_t uint8_t bool)");
}

/// The DType of a C++ type.
template <class T>
inline constexpr DType dtype_of = dtype_of_impl<std::remove_cv_t<T>>();

}  // namespace thalweg
