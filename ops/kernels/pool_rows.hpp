// Pooling of f32 maps in lanes, one table per instruction set. Depends on pool.hpp; internal to pool.cpp.
#pragma once

#include <cstdint>

#include <thalweg/ops/kernels/pool.hpp>

namespace thalweg::kernels {

/// `count` maps of height x width, one after the other; height and width are at least 2.
struct Maps {
  std::int64_t count = 0, height = 0, width = 0;
};

/// How maps lie side by side in the buffers of the ways below: `row` floats to a row of the buffer, the
/// window columns of a map `lanes` after those of the map before it.
struct Strip {
  std::int64_t maps = 0;  ///< 0: a buffer is too small for one
  std::int64_t row = 0;
  std::int64_t segment = 0;  ///< forward: floats of a map's padded row; backward: zeros in front of the first
  std::int64_t lanes = 0;
};

struct WindowColumns {
  const std::int32_t* first_tap = nullptr;  ///< of each lane of a strip: the first tap that is no padding
  const float* sizes = nullptr;             ///< of each window of a map, for the mean
};

/// Elements of each buffer.
inline constexpr std::int64_t pool_buffer = 8192;

struct PoolRows {
  // Windows 2 x 2 with stride 2, without padding; null where lanes cannot do it.
  void (*max2)(const float* x, float* y, std::uint8_t* index, Maps m) = nullptr;
  void (*max2_backward)(const float* g, const std::uint8_t* index, float* dx, Maps m, bool stream) = nullptr;
  void (*mean2)(const float* x, float* y, Maps m) = nullptr;
  void (*mean2_backward)(const float* g, float* dx, Maps m, bool stream) = nullptr;

  // Any window with stride[1] 1 or 2 of at most 256 elements, none of them all padding; `count` maps. Null
  // likewise.
  void (*max)(const float* x, float* y, std::uint8_t* index, const PoolGeometry& g, const Strip& strip,
              const WindowColumns& columns, std::int64_t count) = nullptr;
  void (*mean)(const float* x, float* y, const PoolGeometry& g, const Strip& strip,
               const WindowColumns& columns, std::int64_t count) = nullptr;
  void (*mean_backward)(const float* grad, float* dx, const PoolGeometry& g, const Strip& strip,
                        const WindowColumns& columns, std::int64_t count) = nullptr;
};

/// The table of the instruction set in use.
const PoolRows& pool_rows() noexcept;

}  // namespace thalweg::kernels
