// The direct loops around the register tile, for small products and for few elements of long sums. Sizes of
// blocks were measured; none of them changes a bit of the result. Depends on base/memory, par, fault and the
// gemm parts.
#include <thalweg/ops/kernels/gemm_driver.hpp>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/gemm_tiles.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t chunk_products = 1 << 18;  // multiply-adds of a chunk: about 3 us on one core
constexpr std::int64_t write_products = 16;       // what an element of C costs besides, in multiply-adds
constexpr std::int64_t chunk_sums = 1 << 15;      // additions of a chunk
constexpr std::int64_t most_partials = 1 << 19;   // elements of C that blocks of k may leave aside at a time

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

/// One block of k for a block of rows in the panel of columns [col, col + cols).
template <class T>
void small_block(const GemmProblem<T>& g, const GemmOperand<T>& a, const GemmOperand<T>& b,
                 const GemmKBlocks& blocks, std::int64_t kb, const GemmRows& rows, T* packed) noexcept {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const std::int64_t width = (rows.cols + kernels.lanes - 1) & -std::int64_t{kernels.lanes};
  const std::int64_t k0 = blocks.begin(kb);
  GemmTile<T> tile;
  tile.k = gemm_summed_length(blocks, kb);
  tile.add = !g.aside && (g.accumulate || kb > 0);
  tile.a_row = a.lane_step;
  tile.a_col = a.k_step;
  tile.b_exact = rows.cols != width;
  // A panel that many rows share is packed, because its own rows may lie a page apart; and so is a ragged one
  // where only whole vectors can be read.
  if (b.lane_step == 1 && rows.count <= 2 * kernels.mr && (!tile.b_exact || kernels.reads_part)) {
    tile.b = b.data + rows.col + k0 * b.k_step;
    tile.b_row = b.k_step;
  } else {
    gemm_pack_panel(b, rows.col, rows.cols, k0, blocks.length(kb), width, packed);
    tile.b = packed;
    tile.b_row = width;
    tile.b_exact = false;
  }
  gemm_run_tiles(g, tile, rows, [&](GemmTile<T>& t, std::int64_t i) {
    t.a = a.data + i * a.lane_step + k0 * a.k_step;
    kernels.strided(t);
  });
}

/// Whether little is done but writing a C that no near cache holds: then along its rows, all panels of a few
/// rows before the next. Rows a multiple of a page apart fill one set of the first-level cache at once.
template <class T>
bool writes_along_rows(const GemmProblem<T>& g, const GemmOperand<T>& b) noexcept {
  constexpr auto size = static_cast<std::int64_t>(sizeof(T));
  return g.k <= gemm_shallow && b.lane_step == 1 &&
         (g.m * g.n * size >= 4 << 20 || g.c_row * size % 4096 == 0);
}

template <class T>
inline constexpr std::int64_t panel_elements = gemm_k_block* gemm_widest_panel /
                                               static_cast<std::int64_t>(sizeof(T));

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
  const bool shallow = writes_along_rows(g, b);
  const std::int64_t row_block = shallow ? kernels.mr : kernels.row_block, nr = kernels.nr;
  const auto run_item = [&](std::int64_t row, std::int64_t col, T* packed) noexcept {
    const GemmRows rows{row, std::min(row_block, g.m - row), col, std::min(nr, g.n - col)};
    for (std::int64_t kb = 0; kb < blocks.count; ++kb) small_block(g, a, b, blocks, kb, rows, packed);
    gemm_finish(g, row, rows.count, col, rows.cols);
  };
  if (serial) {  // without a division: a batch may hold a million of them
    alignas(64) T packed[panel_elements<T>];
    for (std::int64_t col = 0; col < g.n; col += nr)
      for (std::int64_t row = 0; row < g.m; row += row_block) run_item(row, col, packed);
    return;
  }
  const std::int64_t row_blocks = ceil_div(g.m, row_block), panels = ceil_div(g.n, nr);
  const std::int64_t work = std::min(row_block, g.m) * std::min(nr, g.n) * (g.k + write_products);
  par::chunks(row_blocks * panels, std::max<std::int64_t>(1, chunk_products / work),
              [&](std::int64_t begin, std::int64_t end) noexcept {
                alignas(64) T packed[panel_elements<T>];
                for (std::int64_t item = begin; item < end; ++item)
                  if (shallow)
                    run_item(item / panels * row_block, item % panels * nr, packed);
                  else
                    run_item(item % row_blocks * row_block, item / row_blocks * nr, packed);
              });
}

bool gemm_is_long(std::int64_t m, std::int64_t n, std::int64_t k) noexcept {
  return m * n <= most_partials / 32 && k >= 4 * gemm_k_block && m * n * k >= 2 * chunk_products;
}

template <class T>
void gemm_long(const GemmProblem<T>& g, const GemmOperand<T>& a, const GemmOperand<T>& b) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const GemmKBlocks blocks(g.k);
  const std::int64_t size = g.m * g.n, at_once = std::min(blocks.count, most_partials / size);
  const std::int64_t row_block = kernels.row_block;
  const mem::Scratch<T> partial(static_cast<std::size_t>(at_once * size));
  for (std::int64_t first = 0; first < blocks.count; first += at_once) {
    const std::int64_t count = std::min(at_once, blocks.count - first);
    const auto multiply = [&](std::int64_t begin, std::int64_t end) noexcept {
      alignas(64) T packed[panel_elements<T>];
      for (std::int64_t kb = begin; kb < end; ++kb) {
        GemmProblem<T> part{g.m, g.n, g.k, partial.data() + kb * size, g.n, 1};
        part.aside = true;
        for (std::int64_t col = 0; col < g.n; col += kernels.nr)
          for (std::int64_t row = 0; row < g.m; row += row_block)
            small_block(
                part, a, b, blocks, first + kb,
                {row, std::min(row_block, g.m - row), col, std::min<std::int64_t>(kernels.nr, g.n - col)},
                packed);
      }
    };
    par::chunks(count, std::max<std::int64_t>(1, chunk_products / (size * blocks.size)), multiply);
    const auto add = [&](std::int64_t begin, std::int64_t end) noexcept {
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t kb = 0; kb < count; ++kb) {
          const T* from = partial.data() + kb * size + i * g.n;
          T* to = g.c + i * g.c_row;
          if (!g.accumulate && first + kb == 0)
            for (std::int64_t j = 0; j < g.n; ++j) to[j * g.c_col] = from[j];
          else
            for (std::int64_t j = 0; j < g.n; ++j) to[j * g.c_col] += from[j];
        }
    };
    par::chunks(g.m, std::max<std::int64_t>(1, chunk_sums / (g.n * count)), add);
  }
  gemm_finish(g, 0, g.m, 0, g.n);
}

template void gemm_finish<float>(const GemmProblem<float>&, std::int64_t, std::int64_t, std::int64_t,
                                 std::int64_t) noexcept;
template void gemm_finish<double>(const GemmProblem<double>&, std::int64_t, std::int64_t, std::int64_t,
                                  std::int64_t) noexcept;
template void gemm_small<float>(const GemmProblem<float>&, const GemmOperand<float>&,
                                const GemmOperand<float>&, bool) noexcept;
template void gemm_small<double>(const GemmProblem<double>&, const GemmOperand<double>&,
                                 const GemmOperand<double>&, bool) noexcept;
template void gemm_long<float>(const GemmProblem<float>&, const GemmOperand<float>&,
                               const GemmOperand<float>&);
template void gemm_long<double>(const GemmProblem<double>&, const GemmOperand<double>&,
                                const GemmOperand<double>&);

}  // namespace thalweg::kernels
