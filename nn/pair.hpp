// Pair and Padding: sizes of a window over an image as options of layers. Depends on dims.
#pragma once

#include <cstdint>
#include <string>

#include <thalweg/autograd/base/dims.hpp>

namespace thalweg::nn {

/// {vertical, horizontal}; one number stands for both: `.kernel = 3`, `.kernel = {3, 5}`.
struct Pair {
  std::int64_t vertical = 0;
  std::int64_t horizontal = 0;
  constexpr Pair(std::int64_t both) : vertical(both), horizontal(both) {}  // NOLINT
  constexpr Pair(std::int64_t v, std::int64_t h) : vertical(v), horizontal(h) {}
  friend constexpr bool operator==(Pair a, Pair b) = default;
  std::int64_t operator[](int d) const { return d == 0 ? vertical : horizontal; }
  Dims dims() const { return {vertical, horizontal}; }
};

/// "3" or "3x5".
std::string to_string(Pair p);

/// Rows and columns of zeros on either side: a number, a pair, or `Padding::same`: as many as make the output
/// ceil(size / stride) large; an odd one goes below and to the right, as in Keras.
struct Padding {
  struct Same {};
  static constexpr Same same{};
  Pair size{0};
  bool keeps_size = false;
  constexpr Padding(std::int64_t both) : size(both) {}  // NOLINT
  constexpr Padding(std::int64_t v, std::int64_t h) : size(v, h) {}
  constexpr Padding(Same) : keeps_size(true) {}  // NOLINT
};

}  // namespace thalweg::nn
