// Random words in groups, and the loops that turn them into numbers, one table per instruction set.
// Depends on the standard library only; internal to random.cpp.
// Invariant: word 16 w + l of group g is word w of the Philox block 16 g + l, on every instruction set.
#pragma once

#include <cstdint>

namespace thalweg::kernels {

inline constexpr std::int64_t random_group = 64;  // words

struct RandomBlocks {
  /// out[64 i + j] = word j of group first + i.
  void (*words)(std::uint64_t seed, std::uint64_t offset, std::int64_t first, std::int64_t groups,
                std::uint32_t* out) = nullptr;
  /// Standard normal numbers from whole groups: 64 floats or 32 doubles each.
  void (*normal_f32)(const std::uint32_t* words, std::int64_t groups, float* out) = nullptr;
  void (*normal_f64)(const std::uint32_t* words, std::int64_t groups, double* out) = nullptr;
  /// dst[i] = words[i] >> 8 < threshold ? 0 : src[i] * scale.
  void (*dropout_f32)(const std::uint32_t* words, std::uint32_t threshold, float scale, const float* src,
                      float* dst, std::int64_t n) = nullptr;
  void (*dropout_f64)(const std::uint32_t* words, std::uint32_t threshold, double scale, const double* src,
                      double* dst, std::int64_t n) = nullptr;
  /// dst[i] = src[i] * scale.
  void (*scale_f32)(float scale, const float* src, float* dst, std::int64_t n) = nullptr;
  void (*scale_f64)(double scale, const double* src, double* dst, std::int64_t n) = nullptr;
};

/// The table of the instruction set in use.
const RandomBlocks& random_blocks() noexcept;

}  // namespace thalweg::kernels
