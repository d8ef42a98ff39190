// The blocked loops around the register tile. Sizes of blocks were measured; none of them changes a bit of
// the result. Depends on base/memory, par, fault and the gemm parts.
#include <thalweg/ops/kernels/gemm_driver.hpp>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t chunk_products = 1 << 20;  // multiply-adds of a chunk: about 10 us on one core
constexpr std::int64_t chunk_packed = 1 << 15;    // elements packed by a chunk
constexpr std::int64_t column_block = 2048;       // columns of B packed at once: 3 MiB of f32
constexpr std::int64_t long_row_block = 16 * gemm_row_block;  // rows of A packed at once

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

/// The length of k block `b` that is really summed: all of it, but for the planted fault.
std::int64_t summed_length(const GemmKBlocks& blocks, std::int64_t b) noexcept {
  return blocks.length(b) - (b + 1 == blocks.count && fault::is(Fault::gemm_k_tail) ? 1 : 0);
}

/// Runs the tiles of rows [row, row + rows) in the panel of columns [col, col + cols).
template <class T, class ReadA>
void run_tiles(const GemmProblem<T>& g, const GemmKernels<T>& kernels, GemmTile<T> tile, std::int64_t row,
               std::int64_t rows, std::int64_t col, std::int64_t cols, bool edges, ReadA&& read_a) noexcept {
  tile.c_row = g.c_row;
  tile.c_col = g.c_col;
  tile.cols = cols;
  for (std::int64_t i = row; i < row + rows; i += kernels.mr) {
    tile.rows = std::min<std::int64_t>(kernels.mr, row + rows - i);
    if (!edges && (tile.rows < kernels.mr || cols < kernels.nr)) continue;
    tile.c = g.c + i * g.c_row + col * g.c_col;
    read_a(tile, i);
  }
}

}  // namespace

template <class T>
void gemm_finish(const GemmProblem<T>& g, std::int64_t row, std::int64_t rows, std::int64_t col,
                 std::int64_t cols) noexcept {
  if (g.bias == nullptr && g.act == Activation::none) return;
  const auto finish = gemm_kernels<T>().finish;
  constexpr std::int64_t width = 64;
  T values[width], biases[width];
  for (std::int64_t i = row; i < row + rows; ++i) {
    if (g.bias != nullptr && g.bias_by_row) std::fill_n(biases, width, g.bias[i]);
    for (std::int64_t j = col; j < col + cols; j += width) {
      const std::int64_t n = std::min(width, col + cols - j);
      const T* bias = g.bias == nullptr ? nullptr : g.bias_by_row ? biases : g.bias + j;
      T* c = g.c + i * g.c_row + j * g.c_col;
      if (g.c_col == 1) {
        finish(c, bias, n, g.act);
        continue;
      }
      for (std::int64_t l = 0; l < n; ++l) values[l] = c[l * g.c_col];
      finish(values, bias, n, g.act);
      for (std::int64_t l = 0; l < n; ++l) c[l * g.c_col] = values[l];
    }
  }
}

template <class T>
void gemm_small(const GemmProblem<T>& g, const GemmOperand<T>& a, const GemmOperand<T>& b,
                bool serial) noexcept {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const GemmKBlocks blocks(g.k);
  const bool edges = !fault::is(Fault::gemm_edge);
  const std::int64_t row_block = gemm_row_block / kernels.mr * kernels.mr;
  const std::int64_t row_blocks = ceil_div(g.m, row_block), panels = ceil_div(g.n, kernels.nr);
  const auto run = [&](std::int64_t begin, std::int64_t end) noexcept {
    alignas(64) T packed[gemm_k_block * gemm_widest_panel / static_cast<std::int64_t>(sizeof(T))];
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t row = item % row_blocks * row_block, rows = std::min(row_block, g.m - row);
      const std::int64_t col = item / row_blocks * kernels.nr,
                         cols = std::min<std::int64_t>(kernels.nr, g.n - col);
      const std::int64_t width = ceil_div(cols, kernels.lanes) * kernels.lanes;
      // Whole vectors are read, so a ragged panel is copied even where its columns are dense; and a panel
      // that many rows share is, because its own rows may lie a page apart.
      const bool in_place = b.lane_step == 1 && cols == width && rows <= 2 * kernels.mr;
      for (std::int64_t kb = 0; kb < blocks.count; ++kb) {
        const std::int64_t k0 = blocks.begin(kb);
        GemmTile<T> tile;
        tile.k = summed_length(blocks, kb);
        tile.add = g.accumulate || kb > 0;
        tile.a_row = a.lane_step;
        tile.a_col = a.k_step;
        if (in_place) {
          tile.b = b.data + col + k0 * b.k_step;
          tile.b_row = b.k_step;
        } else {
          gemm_pack_panel(b, col, cols, k0, blocks.length(kb), width, packed);
          tile.b = packed;
          tile.b_row = width;
        }
        run_tiles(g, kernels, tile, row, rows, col, cols, edges, [&](GemmTile<T>& t, std::int64_t i) {
          t.a = a.data + i * a.lane_step + k0 * a.k_step;
          kernels.strided(t);
        });
      }
      gemm_finish(g, row, rows, col, cols);
    }
  };
  if (serial) return run(0, row_blocks * panels);
  const std::int64_t work = std::min(row_block, g.m) * std::min<std::int64_t>(kernels.nr, g.n) * g.k;
  par::chunks(row_blocks * panels, std::max<std::int64_t>(1, chunk_products / work), run);
}

template <class T>
void gemm_packed(const GemmProblem<T>& g, const GemmPacker<T>& a, const GemmPacker<T>& b) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const GemmKBlocks blocks(g.k);
  const bool edges = !fault::is(Fault::gemm_edge);
  const std::int64_t mr = kernels.mr, nr = kernels.nr;
  const std::int64_t row_block = gemm_row_block / mr * mr;
  const std::int64_t m_block = std::min(ceil_div(long_row_block, mr) * mr, ceil_div(g.m, mr) * mr);
  const std::int64_t n_block = std::min(ceil_div(column_block, nr) * nr, ceil_div(g.n, nr) * nr);
  // With one block of rows each panel of B serves one task, which packs it for itself, on its stack.
  const bool shared_b = g.m > row_block;
  mem::Scratch<T> packed_a(static_cast<std::size_t>(m_block * blocks.size));
  mem::Scratch<T> packed_b(shared_b ? static_cast<std::size_t>(n_block * blocks.size) : 1);

  const auto pack = [&](const GemmPacker<T>& from, std::int64_t first, std::int64_t count, std::int64_t width,
                        std::int64_t k0, std::int64_t k, T* out) {
    par::chunks(ceil_div(count, width), std::max<std::int64_t>(1, chunk_packed / (width * k)),
                [&](std::int64_t begin, std::int64_t end) noexcept {
                  for (std::int64_t p = begin; p < end; ++p)
                    from.panel(from.context, first + p * width, std::min(width, count - p * width), k0, k,
                               width, out + p * width * k);
                });
  };
  const auto multiply = [&](std::int64_t i0, std::int64_t mb, std::int64_t j0, std::int64_t nb,
                            std::int64_t kb) {
    const std::int64_t row_blocks = ceil_div(mb, row_block), panels = ceil_div(nb, nr);
    const std::int64_t k0 = blocks.begin(kb), k = blocks.length(kb);
    const std::int64_t work = std::min(row_block, mb) * nr * k;
    par::chunks(row_blocks * panels, std::max<std::int64_t>(1, chunk_products / work),
                [&](std::int64_t begin, std::int64_t end) noexcept {
                  alignas(64) T own[gemm_k_block * gemm_widest_panel / static_cast<std::int64_t>(sizeof(T))];
                  for (std::int64_t item = begin; item < end; ++item) {
                    const std::int64_t row = item % row_blocks * row_block,
                                       rows = std::min(row_block, mb - row);
                    const std::int64_t panel = item / row_blocks, col = j0 + panel * nr,
                                       cols = std::min(nr, j0 + nb - col);
                    GemmTile<T> tile;
                    tile.k = summed_length(blocks, kb);
                    tile.add = g.accumulate || kb > 0;
                    tile.a_row = 1;
                    tile.a_col = mr;
                    tile.b = shared_b ? packed_b.data() + panel * nr * k : own;
                    tile.b_row = nr;
                    if (!shared_b) b.panel(b.context, col, cols, k0, k, nr, own);
                    run_tiles(g, kernels, tile, i0 + row, rows, col, cols, edges,
                              [&](GemmTile<T>& t, std::int64_t i) {
                                t.a = packed_a.data() + (i - i0) * k;
                                kernels.packed(t);
                              });
                    if (kb + 1 == blocks.count) gemm_finish(g, i0 + row, rows, col, cols);
                  }
                });
  };

  for (std::int64_t j0 = 0; j0 < g.n; j0 += n_block) {
    const std::int64_t nb = std::min(n_block, g.n - j0);
    for (std::int64_t kb = 0; kb < blocks.count; ++kb) {
      const std::int64_t k0 = blocks.begin(kb), k = blocks.length(kb);
      if (shared_b) pack(b, j0, nb, nr, k0, k, packed_b.data());
      for (std::int64_t i0 = 0; i0 < g.m; i0 += m_block) {
        const std::int64_t mb = std::min(m_block, g.m - i0);
        pack(a, i0, mb, mr, k0, k, packed_a.data());
        multiply(i0, mb, j0, nb, kb);
      }
    }
  }
}

template void gemm_finish<float>(const GemmProblem<float>&, std::int64_t, std::int64_t, std::int64_t,
                                 std::int64_t) noexcept;
template void gemm_finish<double>(const GemmProblem<double>&, std::int64_t, std::int64_t, std::int64_t,
                                  std::int64_t) noexcept;
template void gemm_small<float>(const GemmProblem<float>&, const GemmOperand<float>&,
                                const GemmOperand<float>&, bool) noexcept;
template void gemm_small<double>(const GemmProblem<double>&, const GemmOperand<double>&,
                                 const GemmOperand<double>&, bool) noexcept;
template void gemm_packed<float>(const GemmProblem<float>&, const GemmPacker<float>&,
                                 const GemmPacker<float>&);
template void gemm_packed<double>(const GemmProblem<double>&, const GemmPacker<double>&,
                                  const GemmPacker<double>&);

}  // namespace thalweg::kernels
