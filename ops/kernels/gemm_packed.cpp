// The blocked loops around the register tile: operands are packed by all threads, then multiplied by all.
// Sizes of blocks were measured; none of them changes a bit of the result. Depends on base/memory, par and
// the gemm parts.
#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/gemm_tiles.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t chunk_products = 1 << 18;  // multiply-adds of a chunk: about 3 us on one core
constexpr std::int64_t chunk_packed = 1 << 14;    // elements packed by a chunk
constexpr std::int64_t column_block = 2048;       // columns of B packed at once: 3 MiB of f32
constexpr std::int64_t long_row_block = 16 * gemm_row_block;  // rows of A packed at once
constexpr std::int64_t packed_bytes = 6 << 20;  // more blocks of k are packed at once up to so much
constexpr std::int64_t enough_items = 32;       // items of work that keep threads busy to the end
constexpr std::int64_t enough_panels = 8;       // the same of items that pack a panel each
constexpr std::int64_t group_panels = 4;        // panels at least that one thread takes in a row

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }
std::int64_t round_up(std::int64_t n, std::int64_t step) noexcept { return ceil_div(n, step) * step; }

/// Rows [i0, i0 + mb), columns [j0, j0 + nb) and k blocks [kb0, kb0 + kbs): what is packed at once.
struct Block {
  std::int64_t i0, mb, j0, nb, kb0, kbs;
};

template <class T>
struct Packed {
  const GemmProblem<T>& g;
  const GemmOperand<T>&a, &b;
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const GemmKBlocks blocks{g.k};
  std::int64_t mr = kernels.mr, nr = kernels.nr;
  std::int64_t row_block = kernels.row_block;  // rows of one item of work
  std::int64_t m_block, n_block, k_blocks;     // the largest Block
  bool shared_b;  ///< B is packed once for all; else each item packs its panel for itself, on its stack
  T *packed_a = nullptr, *packed_b = nullptr;

  Packed(const GemmProblem<T>& problem, const GemmOperand<T>& from_a, const GemmOperand<T>& from_b) noexcept
      : g(problem), a(from_a), b(from_b) {
    m_block = std::min(round_up(long_row_block, mr), round_up(g.m, mr));
    n_block = std::min(round_up(column_block, nr), round_up(g.n, nr));
    const std::int64_t panels = n_block / nr;
    // With one block of rows each panel of B serves one item, where there are enough of them.
    shared_b = g.m > row_block || panels < enough_panels;
    if (shared_b)
      while (row_block > 4 * mr && ceil_div(m_block, row_block) * panels < enough_items)
        row_block = row_block / 2 / mr * mr;
    const auto size = static_cast<std::int64_t>(sizeof(T));
    const std::int64_t bytes = (m_block + (shared_b ? n_block : 0)) * blocks.size * size;
    k_blocks = std::clamp<std::int64_t>(packed_bytes / bytes, 1, blocks.count);
  }

  /// Where k block kb0 + number of a packed operand of `lanes` lanes begins.
  std::int64_t offset(std::int64_t number, std::int64_t lanes) const noexcept {
    return number * blocks.size * lanes;
  }

  void pack_panels(const GemmOperand<T>& from, std::int64_t first, std::int64_t begin, std::int64_t end,
                   std::int64_t count, std::int64_t width, std::int64_t kb, T* out) const noexcept {
    const std::int64_t k0 = blocks.begin(kb), k = blocks.length(kb);
    for (std::int64_t l = begin; l < std::min(end, count); l += width)
      gemm_pack_panel(from, first + l, std::min(width, count - l), k0, k, width, out + l * k);
  }

  /// Packs A and B of `block`. Threads take stretches of the items, here and in multiply(): so the panels of
  /// B run in the same order in both, with the parts of A spread among them, and mostly stay in the cache of
  /// one core.
  void pack(const Block& block, bool b_too) const {
    const std::int64_t part = std::max(nr / mr, std::int64_t{1}) * mr;  // rows of A packed in one go
    const std::int64_t panels = b_too ? ceil_div(block.nb, nr) : 0, parts = ceil_div(block.mb, part);
    const std::int64_t all = panels + parts;
    const auto run = [&](std::int64_t begin, std::int64_t end) noexcept {
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t at = item / block.kbs, number = item % block.kbs, kb = block.kb0 + number;
        const std::int64_t a_before = at * parts / all;
        if ((at + 1) * parts / all > a_before)
          pack_panels(a, block.i0, a_before * part, (a_before + 1) * part, block.mb, mr, kb,
                      packed_a + offset(number, m_block));
        else
          pack_panels(b, block.j0, (at - a_before) * nr, (at - a_before + 1) * nr, block.nb, nr, kb,
                      packed_b + offset(number, n_block));
      }
    };
    par::chunks(all * block.kbs, std::max<std::int64_t>(1, chunk_packed / (nr * blocks.size)), run);
  }

  /// All k blocks of `block` for `rows`.
  void multiply_rows(const Block& block, const GemmRows& rows, T* own) const noexcept {
    for (std::int64_t number = 0; number < block.kbs; ++number) {
      const std::int64_t kb = block.kb0 + number, k = blocks.length(kb);
      GemmTile<T> tile;
      tile.k = gemm_summed_length(blocks, kb);
      tile.add = g.accumulate || kb > 0;
      tile.a_row = 1;
      tile.a_col = mr;
      tile.b_row = nr;
      tile.b = shared_b ? packed_b + offset(number, n_block) + (rows.col - block.j0) * k : own;
      if (!shared_b) gemm_pack_panel(b, rows.col, rows.cols, blocks.begin(kb), k, nr, own);
      const T* from = packed_a + offset(number, m_block);
      gemm_run_tiles(g, tile, rows, [&](GemmTile<T>& t, std::int64_t i) {
        t.a = from + (i - block.i0) * k;
        kernels.packed(t);
      });
    }
    if (block.kb0 + block.kbs == blocks.count) gemm_finish(g, rows.row, rows.count, rows.col, rows.cols);
  }

  /// Panels in groups; in a group they run fastest, because an item's neighbours then share its rows of A,
  /// the larger part of what it reads.
  void multiply(const Block& block) const {
    const std::int64_t row_blocks = ceil_div(block.mb, row_block), panels = ceil_div(block.nb, nr);
    const std::int64_t group = std::max(group_panels, ceil_div(panels, 8)), group_items = group * row_blocks;
    const std::int64_t work = std::min(row_block, block.mb) * nr * blocks.size * block.kbs;
    const auto run = [&](std::int64_t begin, std::int64_t end) noexcept {
      alignas(64) T own[gemm_k_block * gemm_widest_panel / static_cast<std::int64_t>(sizeof(T))];
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t first = item / group_items * group, at = item % group_items;
        const std::int64_t width = std::min(group, panels - first);
        const std::int64_t row = at / width * row_block, col = (first + at % width) * nr;
        multiply_rows(block,
                      {block.i0 + row, std::min(row_block, block.mb - row), block.j0 + col,
                       std::min(nr, block.nb - col)},
                      own);
      }
    };
    par::chunks(row_blocks * panels, std::max<std::int64_t>(1, chunk_products / work), run);
  }
};

}  // namespace

template <class T>
void gemm_packed(const GemmProblem<T>& g, const GemmOperand<T>& a, const GemmOperand<T>& b) {
  Packed<T> p(g, a, b);
  const std::int64_t depth = p.k_blocks * p.blocks.size;
  const mem::Scratch<T> packed_a(static_cast<std::size_t>(p.m_block * depth));
  const mem::Scratch<T> packed_b(p.shared_b ? static_cast<std::size_t>(p.n_block * depth) : 1);
  p.packed_a = packed_a.data();
  p.packed_b = packed_b.data();
  for (std::int64_t j0 = 0; j0 < g.n; j0 += p.n_block)
    for (std::int64_t kb = 0; kb < p.blocks.count; kb += p.k_blocks)
      for (std::int64_t i0 = 0; i0 < g.m; i0 += p.m_block) {
        const Block block{i0, std::min(p.m_block, g.m - i0),
                          j0, std::min(p.n_block, g.n - j0),
                          kb, std::min(p.k_blocks, p.blocks.count - kb)};
        p.pack(block, p.shared_b && i0 == 0);
        p.multiply(block);
      }
}

template void gemm_packed<float>(const GemmProblem<float>&, const GemmOperand<float>&,
                                 const GemmOperand<float>&);
template void gemm_packed<double>(const GemmProblem<double>&, const GemmOperand<double>&,
                                  const GemmOperand<double>&);

}  // namespace thalweg::kernels
