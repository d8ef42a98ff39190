// The pointwise driver: walks any layout and dtype with contiguous kernels. Depends on base, par, the plan of
// the walk, and stream. Invariant: a block is read whole before it is written, so that the destination may be
// one of the sources.
#include <thalweg/ops/kernels/pointwise.hpp>

#include <algorithm>

#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/pointwise_walk.hpp>
#include <thalweg/ops/kernels/stream.hpp>
#include <thalweg/ops/kernels/transpose_tile.hpp>

namespace thalweg::kernels {
namespace {

using detail::Access;
using detail::Cursor;
using detail::max_operands;
using detail::max_sources;
using detail::Operand;
using detail::Walk;

constexpr std::int64_t grain = 32768;  // elements of one parallel chunk; part of the determinism contract
constexpr std::int64_t tiles_grain = 4;
constexpr std::int64_t small = 512;  // elements up to which a call is one block, whatever its dtype

struct Buffers {
  alignas(64) char bytes[max_operands][detail::block_bytes];
  const char* splat[max_operands] = {};  // the element that a buffer is filled with
};

/// The operand's element, repeated `count` times in its buffer; filled anew only when it is another one.
const void* repeated(const Walk& w, int k, std::int64_t offset, std::int64_t count, Buffers& to) noexcept {
  const Operand& o = w.operand[k];
  const char* element = o.data + offset * o.itemsize;
  if (to.splat[k] != element) o.convert(to.bytes[k], 1, element, 0, count);
  to.splat[k] = element;
  return to.bytes[k];
}

/// Runs the kernel on part of a row and puts the result where `offset` of the destination says.
void run_piece(const Walk& w, const void* const* src, std::int64_t offset, std::int64_t count,
               Buffers& buffers) noexcept {
  const Operand& o = w.operand[0];
  char* const to = o.data + offset * o.itemsize;
  if (o.access == Access::gathered) {
    w.fn(src, buffers.bytes[0], count, w.attrs);
    o.convert(to, o.stride[w.rank - 1], buffers.bytes[0], 1, count);
  } else if (w.stream) {
    w.fn(src, buffers.bytes[0], count, w.attrs);
    stream_block(to, buffers.bytes[0], count * o.itemsize);
  } else {
    w.fn(src, to, count, w.attrs);
  }
}

/// The elements [begin, end) of the walk, in row-major order, by pieces of rows.
void run_rows(const Walk& w, std::int64_t begin, std::int64_t end) noexcept {
  Buffers buffers;
  bool in_place = !w.stream && w.operand[0].access != Access::gathered;
  for (int k = 1; k < w.operands; ++k)
    in_place = in_place && (w.operand[k].access == Access::flat || w.operand[k].access == Access::row);
  const std::int64_t longest = in_place ? end - begin : w.block();
  Cursor c(w, begin);
  for (std::int64_t i = begin; i < end;) {
    const std::int64_t count = std::min({end - i, c.row_left(w), longest});
    const void* src[max_sources];
    for (int k = 1; k < w.operands; ++k) {
      const Operand& o = w.operand[k];
      if (o.access == Access::number || o.access == Access::splat) {
        src[k - 1] = repeated(w, k, c.offset[k], std::min(w.block(), w.row()), buffers);
      } else if (o.access == Access::gathered) {
        o.convert(buffers.bytes[k], 1, o.data + c.offset[k] * o.itemsize, o.stride[w.rank - 1], count);
        src[k - 1] = buffers.bytes[k];
      } else {
        src[k - 1] = o.data + c.offset[k] * o.itemsize;
      }
    }
    run_piece(w, src, c.offset[0], count, buffers);
    c.advance(w, count);
    i += count;
  }
  if (w.stream) stream_fence();
}

/// As run_rows for short rows: what is not dense is gathered over many of them before the kernel is called.
void run_gathered(const Walk& w, std::int64_t begin, std::int64_t end) noexcept {
  Buffers buffers;
  const int inner = w.rank - 1;
  Cursor c(w, begin);
  for (std::int64_t i = begin; i < end;) {
    const std::int64_t count = std::min(end - i, w.block());
    const void* src[max_sources];
    for (int k = 1; k < w.operands; ++k) {
      const Operand& o = w.operand[k];
      src[k - 1] = o.access == Access::flat     ? o.data + i * o.itemsize
                   : o.access == Access::number ? repeated(w, k, 0, w.block(), buffers)
                                                : buffers.bytes[k];
    }
    const bool in_place = w.operand[0].access == Access::flat;
    const Cursor start = c;
    for (std::int64_t done = 0; done < count;) {
      const std::int64_t n = std::min(count - done, c.row_left(w));
      for (int k = 1; k < w.operands; ++k) {
        const Operand& o = w.operand[k];
        if (o.access != Access::flat && o.access != Access::number)
          o.convert(buffers.bytes[k] + done * w.compute_size, 1, o.data + c.offset[k] * o.itemsize,
                    o.stride[inner], n);
      }
      c.advance(w, n);
      done += n;
    }
    const Operand& to = w.operand[0];
    w.fn(src, in_place ? to.data + i * to.itemsize : buffers.bytes[0], count, w.attrs);
    Cursor at = start;
    for (std::int64_t done = 0; !in_place && done < count;) {
      const std::int64_t n = std::min(count - done, at.row_left(w));
      to.convert(to.data + at.offset[0] * to.itemsize, to.stride[inner],
                 buffers.bytes[0] + done * w.compute_size, 1, n);
      at.advance(w, n);
      done += n;
    }
    i += count;
  }
}

/// How the last two dimensions are cut into tiles: `rows` by tile_columns, along the rows first, because that
/// stays on the source's memory pages.
struct Tiling {
  std::int64_t rows, row_tiles, column_tiles, total;
  explicit Tiling(const Walk& w) noexcept
      : rows(64 / w.compute_size),
        row_tiles((w.shape[w.rank - 2] + rows - 1) / rows),
        column_tiles((w.row() + detail::tile_columns - 1) / detail::tile_columns),
        total(row_tiles * column_tiles) {
    for (int d = 0; d < w.rank - 2; ++d) total *= w.shape[d];
  }
};

struct TileBuffers {
  alignas(64) char bytes[detail::max_tiles][64 * detail::tile_columns];
};

void run_tile(const Walk& w, const Tiling& t, std::int64_t index, Buffers& buffers, TileBuffers& tiles) noexcept {
  const int last = w.rank - 1;
  const std::int64_t r0 = index % t.row_tiles * t.rows;
  const std::int64_t c0 = index / t.row_tiles % t.column_tiles * detail::tile_columns;
  const std::int64_t rows = std::min(t.rows, w.shape[last - 1] - r0);
  const std::int64_t columns = std::min(detail::tile_columns, w.row() - c0);
  std::int64_t flat = index / (t.row_tiles * t.column_tiles);
  for (int d = last - 1; d < w.rank; ++d) flat *= w.shape[d];
  Cursor c(w, flat + r0 * w.row() + c0);
  for (int k = 1; k < w.operands; ++k) {
    const Operand& o = w.operand[k];
    if (o.access != Access::tile) continue;
    const char* from = o.data + c.offset[k] * o.itemsize;
    char* const to = tiles.bytes[o.tile];
    if (o.itemsize == 4)
      transpose_tile(reinterpret_cast<std::uint32_t*>(to), detail::tile_columns,
                     reinterpret_cast<const std::uint32_t*>(from), o.stride[last], rows, columns, t.rows);
    else
      transpose_tile(reinterpret_cast<std::uint64_t*>(to), detail::tile_columns,
                     reinterpret_cast<const std::uint64_t*>(from), o.stride[last], rows, columns, t.rows);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const void* src[max_sources];
    for (int k = 1; k < w.operands; ++k) {
      const Operand& o = w.operand[k];
      const char* from = o.data + c.offset[k] * o.itemsize;
      if (o.access == Access::tile) {
        src[k - 1] = tiles.bytes[o.tile] + r * detail::tile_columns * o.itemsize;
      } else if (o.access == Access::number || o.access == Access::splat) {
        src[k - 1] = repeated(w, k, c.offset[k], detail::tile_columns, buffers);
      } else if (o.access == Access::gathered) {
        o.convert(buffers.bytes[k], 1, from, o.stride[last], columns);
        src[k - 1] = buffers.bytes[k];
      } else {
        src[k - 1] = from;
      }
    }
    run_piece(w, src, c.offset[0], columns, buffers);
    for (int k = 0; k < w.operands; ++k) c.offset[k] += w.operand[k].stride[last - 1];
  }
}

[[gnu::noinline]] void walk_any(PointwiseFn fn, DType compute, const ConstView* src, int n_src,
                                const View& dst, const void* attrs, std::int64_t n, bool stream) {
  // Shorter rows are cheaper to gather together than to call a kernel for.
  constexpr std::int64_t long_row = 48;
  Walk w;
  w.fn = fn;
  w.attrs = attrs;
  detail::plan_walk(w, compute, src, n_src, dst, stream, n == numel(dst.shape));
  if (w.tiles > 0) {
    const Tiling t(w);
    par::chunks(t.total, tiles_grain, [&](std::int64_t begin, std::int64_t end) {
      Buffers buffers;
      TileBuffers tiles;
      for (std::int64_t i = begin; i < end; ++i) run_tile(w, t, i, buffers, tiles);
      if (w.stream) stream_fence();
    });
  } else if (w.rank == 1 || w.row() >= long_row) {
    par::chunks(n, grain, [&w](std::int64_t begin, std::int64_t end) { run_rows(w, begin, end); });
  } else {
    par::chunks(n, grain, [&w](std::int64_t begin, std::int64_t end) { run_gathered(w, begin, end); });
  }
}

/// Everything dense and of the compute dtype: the kernel is called on the whole, or on chunks of it.
void walk_dense(PointwiseFn fn, const void* const* src, int n_src, void* dst, std::int64_t size,
                const void* attrs, std::int64_t n, bool stream) {
  if (n <= grain) {
    const par::FloatEnvironment environment;
    fn(src, dst, n, attrs);
    return;
  }
  par::chunks(n, grain, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) char buffer[detail::block_bytes];
    const std::int64_t longest = stream ? detail::block_bytes / size : end - begin;
    for (std::int64_t i = begin; i < end; i += longest) {
      const void* part[max_sources];
      for (int k = 0; k < n_src; ++k) part[k] = static_cast<const char*>(src[k]) + i * size;
      char* const to = static_cast<char*>(dst) + i * size;
      const std::int64_t count = std::min(longest, end - i);
      fn(part, stream ? buffer : to, count, attrs);
      if (stream) stream_block(to, buffer, count * size);
    }
    if (stream) stream_fence();
  });
}

/// As walk_dense for a small call, with one number in place of some operands (bits of `numbers`).
[[gnu::noinline]] void walk_with_numbers(PointwiseFn fn, DType compute, const ConstView* src, int n_src,
                                         unsigned numbers, void* dst, const void* attrs, std::int64_t n) {
  alignas(64) char filled[max_sources][small * 8];
  const void* from[max_sources];
  for (int k = 0; k < n_src; ++k) {
    from[k] = src[k].data;
    if (((numbers >> k) & 1U) == 0) continue;
    convert_row(compute, src[k].dtype)(filled[k], 1, src[k].data, 0, n);
    from[k] = filled[k];
  }
  const par::FloatEnvironment environment;
  fn(from, dst, n, attrs);
}

bool is_one_number(const ConstView& v) noexcept {
  for (int d = 0; d < v.shape.size(); ++d)
    if (v.strides[d] != 0 && v.shape[d] != 1) return false;
  return true;
}

}  // namespace

void pointwise(PointwiseFn fn, DType compute, const ConstView* src, int n_src, const View& dst,
               const void* attrs) {
  const std::int64_t numel_dst = numel(dst.shape);
  const std::int64_t n = numel_dst - (fault::is(Fault::pointwise_tail) ? 1 : 0);
  if (n <= 0) return;
  const auto size = static_cast<std::int64_t>(itemsize(compute));
  bool dense = dst.dtype == compute && (numel_dst == 1 || is_contiguous(dst.shape, dst.strides));
  bool stream = numel_dst * size >= stream_bytes;
  unsigned numbers = 0;
  const void* from[max_sources];
  for (int k = 0; k < n_src; ++k) {
    from[k] = src[k].data;
    stream = stream && src[k].data != dst.data;  // in place the lines are in the cache already
    const bool same = src[k].dtype == compute;
    if (!dense || (same && (numel_dst == 1 || is_contiguous(src[k].shape, src[k].strides)))) continue;
    dense = numel_dst <= small && is_one_number(src[k]);
    numbers |= 1U << k;
  }
  if (!dense)
    walk_any(fn, compute, src, n_src, dst, attrs, n, stream);
  else if (numbers != 0)
    walk_with_numbers(fn, compute, src, n_src, numbers, dst.data, attrs, n);
  else
    walk_dense(fn, from, n_src, dst.data, size, attrs, n, stream);
}

}  // namespace thalweg::kernels
