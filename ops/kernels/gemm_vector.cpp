// The loops around matrix times vector: outputs in blocks, k in segments, either of them shared among
// threads. Depends on base/memory, par, fault and the gemm parts.
#include <thalweg/ops/kernels/gemm_vector.hpp>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/gemm_vector_kernels.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t chunk_bytes = 1 << 17;  // of the matrix, read by one chunk: about 2 us on one core
constexpr std::int64_t few_blocks = 16;        // fewer blocks of outputs than this share out k as well

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

template <class T>
struct Product {
  const GemmProblem<T>& g;
  const GemmOperand<T>& w;
  const T* x;
  std::int64_t x_step;
  std::int64_t k;  // what is really summed: all of g.k, but for the planted fault

  /// Whether the matrix is read along its outputs.
  bool columns() const noexcept { return w.lane_step == 1 && (w.k_step != 1 || g.k == 1) && g.n > 1; }
  std::int64_t segments() const noexcept { return ceil_div(g.k, gemm_segment); }

  /// Segment s of the sums of outputs [first, first + count).
  void sum(std::int64_t s, std::int64_t first, std::int64_t count, T* out) const noexcept {
    const auto& kernels = gemm_vector_kernels<T>();
    const std::int64_t k0 = s * gemm_segment, length = std::min(gemm_segment, k - k0);
    alignas(64) T dense_x[gemm_segment], dense_w[gemm_segment];
    const T* xs = x + k0 * x_step;
    if (x_step != 1) {
      for (std::int64_t p = 0; p < length; ++p) dense_x[p] = xs[p * x_step];
      xs = dense_x;
    }
    const T* ws = w.data + first * w.lane_step + k0 * w.k_step;
    if (columns()) return kernels.columns(ws, w.k_step, xs, length, count, out);
    if (w.k_step == 1 || g.k == 1) return kernels.rows(ws, w.lane_step, count, xs, 0, length, out);
    for (std::int64_t j = 0; j < count; ++j) {
      for (std::int64_t p = 0; p < length; ++p) dense_w[p] = ws[j * w.lane_step + p * w.k_step];
      kernels.rows(dense_w, 0, 1, xs, 0, length, out + j);
    }
  }

  /// Segments [begin, end) of the sum of output j: out[s - begin].
  void dot(std::int64_t j, std::int64_t begin, std::int64_t end, T* out) const noexcept {
    std::int64_t s = begin;
    if (w.k_step == 1 && x_step == 1) {
      s = std::min(end, k / gemm_segment);  // the whole ones are summed side by side
      const T *ws = w.data + j * w.lane_step + begin * gemm_segment, *xs = x + begin * gemm_segment;
      gemm_vector_kernels<T>().rows(ws, gemm_segment, s - begin, xs, gemm_segment, gemm_segment, out);
    }
    for (; s < end; ++s) sum(s, j, 1, out + s - begin);
  }

  void finish(std::int64_t first, std::int64_t count, const T* sums) const noexcept {
    T* y = g.c + first * g.c_col;
    for (std::int64_t j = 0; j < count; ++j) {
      T& to = y[j * g.c_col];
      to = g.accumulate ? to + sums[j] : sums[j];
    }
    gemm_finish(g, 0, 1, first, count);
  }

  /// Outputs [first, first + count), count <= gemm_vector_columns, from beginning to end.
  void whole(std::int64_t first, std::int64_t count) const noexcept {
    T sums[gemm_vector_columns], more[gemm_vector_columns];
    sum(0, first, count, sums);
    for (std::int64_t s = 1; s < segments(); ++s) {
      sum(s, first, count, more);
      for (std::int64_t j = 0; j < count; ++j) sums[j] += more[j];
    }
    finish(first, count, sums);
  }
};

/// Few outputs of many segments: threads share out the segments. sums: n for each segment.
template <class T>
void long_sums(const Product<T>& product, std::int64_t block, T* sums) {
  const std::int64_t n = product.g.n, segments = product.segments();
  const std::int64_t bytes = gemm_segment * static_cast<std::int64_t>(sizeof(T));
  if (n == 1)
    return par::chunks(segments, chunk_bytes / bytes, [&](std::int64_t begin, std::int64_t end) noexcept {
      product.dot(0, begin, end, sums + begin);
    });
  const std::int64_t blocks = ceil_div(n, block);
  par::chunks(blocks * segments, std::max<std::int64_t>(1, chunk_bytes / (std::min(block, n) * bytes)),
              [&](std::int64_t begin, std::int64_t end) noexcept {
                for (std::int64_t item = begin; item < end; ++item) {
                  const std::int64_t first = item / segments * block, s = item % segments;
                  product.sum(s, first, std::min(block, n - first), sums + s * n + first);
                }
              });
}

}  // namespace

template <class T>
void gemm_vector(const GemmProblem<T>& g, const GemmOperand<T>& w, const T* x, std::int64_t x_step,
                 bool serial) {
  const Product<T> product{g, w, x, x_step, g.k - (fault::is(Fault::gemm_k_tail) ? 1 : 0)};
  const auto size = static_cast<std::int64_t>(sizeof(T));
  const std::int64_t depth = std::min(g.k, gemm_segment), segments = product.segments();
  // Along dense columns a block is wide, for the sake of long stretches of memory, but leaves work for
  // others.
  const std::int64_t block =
      product.columns() ? std::clamp(g.n / 4 / 64 * 64, 512 / size, depth > 256 ? gemm_vector_columns : 512)
                        : std::clamp<std::int64_t>(chunk_bytes / (depth * size) / 8 * 8, 8, 256);
  const std::int64_t blocks = ceil_div(g.n, block);
  if (serial || segments == 1 || blocks >= few_blocks) {
    const std::int64_t grain = std::max<std::int64_t>(1, chunk_bytes / (block * g.k * size));
    const auto run = [&](std::int64_t begin, std::int64_t end) noexcept {
      for (std::int64_t b = begin; b < end; ++b) product.whole(b * block, std::min(block, g.n - b * block));
    };
    if (serial) return run(0, blocks);
    return par::chunks(blocks, grain, run);
  }
  const mem::Scratch<T> sums(static_cast<std::size_t>(g.n * segments));
  long_sums(product, block, sums.data());
  for (std::int64_t s = 1; s < segments; ++s)
    for (std::int64_t j = 0; j < g.n; ++j) sums[static_cast<std::size_t>(j)] += sums.data()[s * g.n + j];
  product.finish(0, g.n, sums.data());
}

template void gemm_vector<float>(const GemmProblem<float>&, const GemmOperand<float>&, const float*,
                                 std::int64_t, bool);
template void gemm_vector<double>(const GemmProblem<double>&, const GemmOperand<double>&, const double*,
                                  std::int64_t, bool);

}  // namespace thalweg::kernels
