// What the drivers of the matrix product share: a block of rows in one panel of columns, cut into tiles.
// Depends on gemm_driver and fault; internal to the drivers.
#pragma once

#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/gemm_driver.hpp>

namespace thalweg::kernels {

/// Rows [row, row + count) of the panel of columns [col, col + cols).
struct GemmRows {
  std::int64_t row, count, col, cols;
};

/// The length of k block `b` that is really summed: all of it, but for the planted fault.
inline std::int64_t gemm_summed_length(const GemmKBlocks& blocks, std::int64_t b) noexcept {
  return blocks.length(b) - (b + 1 == blocks.count && fault::is(Fault::gemm_k_tail) ? 1 : 0);
}

/// Runs the tiles of `rows`; multiply(tile, i) is given the tile of rows i, i + 1, ... with all but A filled
/// in.
template <class T, class Multiply>
void gemm_run_tiles(const GemmProblem<T>& g, GemmTile<T>& tile, const GemmRows& rows,
                    Multiply&& multiply) noexcept {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const bool edges = !fault::is(Fault::gemm_edge);
  tile.c_row = g.c_row;
  tile.c_col = g.c_col;
  tile.cols = rows.cols;
  for (std::int64_t i = rows.row; i < rows.row + rows.count; i += kernels.mr) {
    tile.rows = std::min<std::int64_t>(kernels.mr, rows.row + rows.count - i);
    if (!edges && (tile.rows < kernels.mr || rows.cols < kernels.nr)) continue;
    tile.c = g.c + i * g.c_row + rows.col * g.c_col;
    multiply(tile, i);
  }
}

}  // namespace thalweg::kernels
