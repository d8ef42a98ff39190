// Copy, cast and fill of strided arrays: converted row by row, transposes tile by tile. Depends on base, par,
// stream and the row conversions. Invariant: every destination element is written exactly once.
#include <algorithm>
#include <cstring>

#include <thalweg/ops/kernels/convert_rows.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/copy_plan.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/stream.hpp>
#include <thalweg/ops/kernels/transpose_tile.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_bytes = 1 << 17;  // about 10 us of copying
constexpr std::int64_t block_bytes = 4096;     // converted at a time on the way to streamed stores
constexpr std::int64_t tile_columns = 128;     // of a transpose: 8 KiB a tile
constexpr std::int64_t tiles_grain = 16;

/// The last two dimensions of `p` are a transpose: dst rows are dense in the last, src in the one before. Tiles
/// follow one another along the rows, because that stays on the source's memory pages.
template <class T>
void copy_transposed(const CopyPlan& p, T* dst, const T* src) {
  constexpr auto size = static_cast<std::int64_t>(sizeof(T));
  const int rows_dim = p.rank - 2, cols_dim = p.rank - 1;
  const std::int64_t rows = p.extent[rows_dim], cols = p.extent[cols_dim];
  const std::int64_t row_tiles = (rows + tile_rows<T> - 1) / tile_rows<T>;
  const std::int64_t col_tiles = (cols + tile_columns - 1) / tile_columns;
  const std::int64_t matrices = p.total / (rows * cols);
  const bool stream = p.total * size >= stream_bytes;
  par::chunks(matrices * row_tiles * col_tiles, tiles_grain, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) T tile[tile_rows<T> * tile_columns];
    for (std::int64_t t = begin; t < end; ++t) {
      std::int64_t rest = t / (row_tiles * col_tiles);
      T* d = dst + p.dst_start;
      const T* s = src + p.src_start;
      for (int i = rows_dim - 1; i >= 0; --i) {
        d += rest % p.extent[i] * p.dst[i];
        s += rest % p.extent[i] * p.src[i];
        rest /= p.extent[i];
      }
      const std::int64_t r0 = t % row_tiles * tile_rows<T>, c0 = t / row_tiles % col_tiles * tile_columns;
      const std::int64_t height = std::min(tile_rows<T>, rows - r0), width = std::min(tile_columns, cols - c0);
      transpose_tile(tile, tile_columns, s + c0 * p.src[cols_dim] + r0, p.src[cols_dim], height, width,
                     tile_rows<T>);
      // Rows of the destination may all map to one cache set, so each is written in one go.
      for (std::int64_t r = 0; r < height; ++r) {
        T* const to = d + (r0 + r) * p.dst[rows_dim] + c0;
        if (stream)
          stream_block(to, tile + r * tile_columns, width * size);
        else
          std::memcpy(to, tile + r * tile_columns, static_cast<std::size_t>(width * size));
      }
    }
    if (stream) stream_fence();
  });
}

/// A dense row of the destination that goes around the caches.
void stream_row(ConvertRow convert, char* dst, const char* src, std::int64_t src_step, std::int64_t count,
                std::int64_t dst_size, std::int64_t src_size) noexcept {
  alignas(64) char buffer[block_bytes];
  const std::int64_t most = block_bytes / dst_size;
  for (std::int64_t i = 0; i < count; i += most) {
    const std::int64_t n = std::min(most, count - i);
    if (i == 0 || src_step != 0) convert(buffer, 1, src + i * src_step * src_size, src_step, n);
    stream_block(dst + i * dst_size, buffer, n * dst_size);
  }
}

/// Brings the dimension in which src is dense next to the row, when dst is dense in the row and src is not.
bool arrange_transpose(CopyPlan& p) noexcept {
  const int last = p.rank - 1;
  if (p.rank < 2 || p.dst[last] != 1 || p.src[last] == 1 || p.src[last] == 0 || p.row() < 4) return false;
  for (int i = 0; i < last; ++i) {
    if (p.src[i] != 1 || p.extent[i] < 4) continue;
    p.swap(i, last - 1);
    return true;
  }
  return false;
}

}  // namespace

void copy(const ConstView& src, const View& dst) noexcept {
  CopyPlan p = copy_plan(dst.shape, dst.strides, src.strides, false);
  if (p.total == 0) return;
  if (src.dtype == dst.dtype && arrange_transpose(p)) {
    if (itemsize(dst.dtype) == 4) return copy_transposed(p, dst.as<std::uint32_t>(), src.as<std::uint32_t>());
    if (itemsize(dst.dtype) == 8) return copy_transposed(p, dst.as<std::uint64_t>(), src.as<std::uint64_t>());
    return copy_transposed(p, dst.as<std::uint8_t>(), src.as<std::uint8_t>());
  }
  const ConvertRow convert = convert_row(dst.dtype, src.dtype);
  const auto dst_size = static_cast<std::int64_t>(itemsize(dst.dtype));
  const auto src_size = static_cast<std::int64_t>(itemsize(src.dtype));
  char* const to = dst.as<char>();
  const char* const from = src.as<char>();
  const std::int64_t dst_step = p.dst[p.rank - 1], src_step = p.src[p.rank - 1];
  // Plain copies are left to memcpy, whose long moves do not read the destination either.
  const bool stream = dst_step == 1 && (src.dtype != dst.dtype || src_step != 1) &&
                      p.row() * dst_size >= block_bytes && p.total * dst_size >= stream_bytes;
  par::chunks(p.total, grain_bytes / dst_size, [&](std::int64_t begin, std::int64_t end) {
    walk_rows(p, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t count, std::int64_t) {
      if (stream)
        stream_row(convert, to + d * dst_size, from + s * src_size, src_step, count, dst_size, src_size);
      else
        convert(to + d * dst_size, dst_step, from + s * src_size, src_step, count);
    });
    if (stream) stream_fence();
  });
}

void fill(const View& dst, double value) noexcept {
  copy(ConstView(&value, DType::f64, dst.shape, Dims::filled(dst.shape.size(), 0)), dst);
}

void fill(const View& dst, std::int64_t value) noexcept {
  copy(ConstView(&value, DType::i64, dst.shape, Dims::filled(dst.shape.size(), 0)), dst);
}

namespace {

[[gnu::noinline]] void fill_slabs(const View& dst, const Dims& first, const Dims& inner, double value) noexcept {
  View slab = dst;  // cut down to the box dimension by dimension, so that no element is written twice
  const auto moved = [&](int d, std::int64_t by) {
    return slab.as<char>() + by * slab.strides[d] * static_cast<std::int64_t>(itemsize(slab.dtype));
  };
  for (int d = 0; d < dst.shape.size(); ++d) {
    View side = slab;
    side.shape[d] = first[d];
    fill(side, value);
    side.data = moved(d, first[d] + inner[d]);
    side.shape[d] = dst.shape[d] - first[d] - inner[d];
    fill(side, value);
    slab.data = moved(d, first[d]);
    slab.shape[d] = inner[d];
  }
}

}  // namespace

void fill_around(const View& dst, const Dims& first, const Dims& inner, double value) noexcept {
  const bool small = numel(dst) * static_cast<std::int64_t>(itemsize(dst.dtype)) <= block_bytes;
  return small ? fill(dst, value) : fill_slabs(dst, first, inner, value);  // of a few elements all are filled sooner
}

}  // namespace thalweg::kernels
