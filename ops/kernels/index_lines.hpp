// How gather and scatter walk: line by line along a dimension, with the memory of the next line asked for meanwhile.
// Depends on base, index_range, par; internal to index.cpp. Invariant: how lines are shared out depends on shapes and
// strides alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include <thalweg/autograd/base/dims.hpp>
#include <thalweg/ops/kernels/index_range.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {

inline constexpr std::int64_t index_grain = 16384;  // elements of a task
inline constexpr std::int64_t index_block = 32;     // indices looked at together

/// The lines along `dim` of three operands of one shape (the operand indexed into may be longer along dim).
struct Lines {
  std::int64_t count = 1, length = 1;
  int rank = 0;
  std::int64_t extent[max_dims], strides[3][max_dims], step[3];

  Lines(const Dims& shape, int dim, const Dims& a, const Dims& b, const Dims& c) noexcept {
    const Dims* const all[3] = {&a, &b, &c};
    for (int i = 0; i < shape.size(); ++i) {
      if (i == dim) continue;
      extent[rank] = shape[i];
      count *= shape[i];
      for (int o = 0; o < 3; ++o) strides[o][rank] = (*all[o])[i];
      ++rank;
    }
    const bool scalar = shape.empty();
    length = scalar ? 1 : shape[dim];
    for (int o = 0; o < 3; ++o) step[o] = scalar ? 0 : (*all[o])[dim];
  }

  /// Whether neighbouring lines lie closer together than neighbours on a line.
  bool abreast() const noexcept {
    return rank > 0 && std::abs(strides[2][rank - 1]) < std::abs(step[2]) && extent[rank - 1] > 1;
  }

  /// f(offset in a, in b, in c, width): `width` lines side by side, in parallel.
  template <class F>
  void each(F&& f) const noexcept {
    if (length == 0 || count == 0) return;
    constexpr std::int64_t most = 64;  // lines: a few cache lines of each row
    const std::int64_t across = abreast() ? extent[rank - 1] : 1;
    const std::int64_t pieces = (across + most - 1) / most, width = std::min(across, most);
    par::chunks(count / across * pieces, std::max<std::int64_t>(1, index_grain / (length * width)),
                [&](std::int64_t begin, std::int64_t end) {
                  for (std::int64_t item = begin; item < end; ++item) {
                    const std::int64_t first = item % pieces * most;
                    std::int64_t rest = item / pieces, at[3] = {0, 0, 0};
                    int i = rank - 1;
                    if (across > 1) {
                      for (int o = 0; o < 3; ++o) at[o] = first * strides[o][i];
                      --i;
                    }
                    for (; i >= 0; --i) {
                      const std::int64_t index = rest % extent[i];
                      rest /= extent[i];
                      for (int o = 0; o < 3; ++o) at[o] += index * strides[o][i];
                    }
                    f(at[0], at[1], at[2], std::min(most, across - first));
                  }
                });
  }
  /// Distance of lines side by side.
  std::int64_t beside(int operand) const noexcept { return rank > 0 ? strides[operand][rank - 1] : 0; }
};

/// Asks for the dense line that is wanted next, in no order that the hardware could foresee: a part of it at each step
/// over this one, so that memory works while indices are looked at.
template <class T>
class NextLine {
 public:
  /// `line` of `size` elements, of which `wanted` will be used; nothing is asked for where most would not be, or where
  /// the first cache could not hold them.
  NextLine(const T* line, std::int64_t size, std::int64_t wanted) noexcept
      : at_(reinterpret_cast<const char*>(line)), end_(at_) {
    constexpr std::int64_t most = 16384;  // bytes: beside this line and what goes with it
    const std::int64_t bytes = size * static_cast<std::int64_t>(sizeof(T));
    if (size > 4 * wanted || bytes > most) return;
    end_ += bytes;
    part_ = (bytes / std::max<std::int64_t>(1, wanted / index_block) + 63) / 64 * 64;
  }
  void ask() noexcept {
    for (const char* const stop = std::min(at_ + part_, end_); at_ < stop; at_ += 64) __builtin_prefetch(at_);
  }
  void ask_all() noexcept {
    part_ = end_ - at_;
    ask();
  }

 private:
  const char* at_;
  const char* end_;
  std::int64_t part_ = 0;
};

/// f(j) for the places of a dense line whose indices are in range, block by block; false at the first block that has
/// one which is not.
template <class I, class T, class F>
bool each_in_range(const I* index, std::int64_t length, std::int64_t size, NextLine<T> next, const F& f) noexcept {
  std::int64_t j = 0;
  for (; j + index_block <= length; j += index_block) {
    next.ask();
    if (!in_range(index + j, 1, index_block, size)) return false;
    for (std::int64_t k = j; k < j + index_block; ++k) f(k);
  }
  if (!in_range(index + j, 1, length - j, size)) return false;
  for (; j < length; ++j) f(j);
  return true;
}

}  // namespace thalweg::kernels
