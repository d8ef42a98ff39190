// How a pointwise call walks its operands: dimensions merged and ordered, and how each operand is reached.
// Depends on base, convert_rows and pointwise.hpp; internal to pointwise.cpp. Invariant: the plan depends on
// shapes, strides and dtypes only.
#pragma once

#include <cstdint>

#include <thalweg/ops/kernels/convert_rows.hpp>
#include <thalweg/ops/kernels/pointwise.hpp>

namespace thalweg::kernels::detail {

inline constexpr int max_sources = 5;
inline constexpr int max_operands = max_sources + 1;    // the destination is operand 0
inline constexpr std::int64_t block_bytes = 4096;       // of one operand gathered: six stay in the first cache
inline constexpr std::int64_t tile_columns = 512;       // of a transposed operand: 32 KiB a tile
inline constexpr int max_tiles = 2;                     // transposed operands; more of them are gathered

/// How a kernel gets at an operand.
enum class Access : std::uint8_t {
  flat,      ///< in place: dense over the whole walk
  row,       ///< in place along the innermost row
  tile,      ///< in place along the dimension next to it: transposed tile by tile
  splat,     ///< one element along the innermost row
  number,    ///< one element for all
  gathered,  ///< converted or strided
};

struct Operand {
  char* data = nullptr;
  std::int64_t stride[max_dims] = {};  // in elements, by dimension of the walk
  std::int64_t itemsize = 1;
  Access access = Access::gathered;
  int tile = -1;  // which tile buffer holds it
  ConvertRow convert = nullptr;  // to the compute dtype; of the destination: from it
};

/// One call, its dimensions merged as far as all operands allow. Operand 0 is the destination.
struct Walk {
  PointwiseFn fn = nullptr;
  const void* attrs = nullptr;
  int operands = 0;
  int rank = 0;
  std::int64_t shape[max_dims] = {};
  std::int64_t compute_size = 4;
  int tiles = 0;        // transposed operands
  bool stream = false;  // the destination goes around the caches
  Operand operand[max_operands];

  std::int64_t block() const noexcept { return block_bytes / compute_size; }
  std::int64_t row() const noexcept { return shape[rank - 1]; }
};

/// The plan of one call; `stream` and `tiles` say what it may do where the operands invite it.
void plan_walk(Walk& w, DType compute, const ConstView* src, int n_src, const View& dst, bool stream,
               bool tiles) noexcept;

/// A position of the walk: coordinates, and the element offset of each operand.
struct Cursor {
  std::int64_t at[max_dims];
  std::int64_t offset[max_operands];

  Cursor(const Walk& w, std::int64_t flat) noexcept {
    for (int k = 0; k < w.operands; ++k) offset[k] = 0;
    for (int d = w.rank - 1; d >= 0; --d) {
      at[d] = flat % w.shape[d];
      flat /= w.shape[d];
      for (int k = 0; k < w.operands; ++k) offset[k] += at[d] * w.operand[k].stride[d];
    }
  }
  std::int64_t row_left(const Walk& w) const noexcept { return w.shape[w.rank - 1] - at[w.rank - 1]; }

  /// Moves on by `n` elements of the innermost row, at most to its end; then the next row begins.
  void advance(const Walk& w, std::int64_t n) noexcept {
    int d = w.rank - 1;
    at[d] += n;
    for (int k = 0; k < w.operands; ++k) offset[k] += n * w.operand[k].stride[d];
    for (; d > 0 && at[d] == w.shape[d]; --d) {
      at[d] = 0;
      ++at[d - 1];
      for (int k = 0; k < w.operands; ++k)
        offset[k] += w.operand[k].stride[d - 1] - w.shape[d] * w.operand[k].stride[d];
    }
  }
};

}  // namespace thalweg::kernels::detail
