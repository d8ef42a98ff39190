// The pointwise driver: walks any layout and dtype with contiguous kernels. Depends on base, par and the row
// conversions. Invariant: a block is read whole before it is written, so that the destination may be one of
// the sources.
#include <thalweg/ops/kernels/pointwise.hpp>

#include <algorithm>
#include <cstdlib>

#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/pointwise_convert.hpp>

namespace thalweg::kernels {
namespace {

constexpr int max_sources = 5;
constexpr int max_operands = max_sources + 1;  // the destination is operand 0
constexpr std::int64_t block = 512;    // elements gathered at a time: six buffers stay in the first cache
constexpr std::int64_t grain = 32768;  // elements of one parallel chunk; part of the determinism contract

struct Operand {
  char* data = nullptr;
  std::int64_t stride[max_dims] = {};  // in elements, by dimension of the walk
  std::int64_t itemsize = 1;
  bool same = false;    // of the compute dtype: kernels may read or write it in place
  bool dense = false;   // and dense over the whole walk
  bool scalar = false;  // one element for all: converted once per chunk
};

/// One call, its dimensions merged as far as all operands allow. Operand 0 is the destination.
struct Walk {
  PointwiseFn fn = nullptr;
  const void* attrs = nullptr;
  int operands = 0;
  int rank = 0;
  std::int64_t shape[max_dims] = {};
  std::int64_t compute_size = 4;
  bool rows_in_place = false;  // every operand can be used in place along the innermost row
  Operand operand[max_operands];
  detail::LoadRow load[max_operands] = {};
  detail::StoreRow store = nullptr;
};

/// A position of the walk: coordinates, and the element offset of each operand.
struct Cursor {
  std::int64_t at[max_dims];
  std::int64_t offset[max_operands];
};

void start_at(const Walk& w, std::int64_t flat, Cursor& c) noexcept {
  for (int k = 0; k < w.operands; ++k) c.offset[k] = 0;
  for (int d = w.rank - 1; d >= 0; --d) {
    c.at[d] = flat % w.shape[d];
    flat /= w.shape[d];
    for (int k = 0; k < w.operands; ++k) c.offset[k] += c.at[d] * w.operand[k].stride[d];
  }
}

/// Moves on by `n` elements of the innermost row, at most to its end; then the next row begins.
void advance(const Walk& w, Cursor& c, std::int64_t n) noexcept {
  int d = w.rank - 1;
  c.at[d] += n;
  for (int k = 0; k < w.operands; ++k) c.offset[k] += n * w.operand[k].stride[d];
  for (; d > 0 && c.at[d] == w.shape[d]; --d) {
    c.at[d] = 0;
    ++c.at[d - 1];
    for (int k = 0; k < w.operands; ++k)
      c.offset[k] += w.operand[k].stride[d - 1] - w.shape[d] * w.operand[k].stride[d];
  }
}

std::int64_t row_left(const Walk& w, const Cursor& c) noexcept {
  return w.shape[w.rank - 1] - c.at[w.rank - 1];
}

struct Buffers {
  alignas(64) char bytes[max_operands][block * 8];
};

/// Where the next `count` elements of operand k can be used in place; nullptr when they must be gathered.
void* in_place(const Walk& w, int k, const Cursor& c, std::int64_t flat, std::int64_t count) noexcept {
  const Operand& o = w.operand[k];
  if (o.dense) return o.data + flat * o.itemsize;
  if (o.same && o.stride[w.rank - 1] == 1 && row_left(w, c) >= count)
    return o.data + c.offset[k] * o.itemsize;
  return nullptr;
}

/// Gathers operands (bits of `which`) for `count` elements from `c`, which is left at their end.
void gather(const Walk& w, unsigned which, Cursor& c, std::int64_t count, Buffers& to) noexcept {
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t n = std::min(count - done, row_left(w, c));
    for (int k = 1; k < w.operands; ++k) {
      const Operand& o = w.operand[k];
      if ((which >> k) & 1U)
        w.load[k](o.data + c.offset[k] * o.itemsize, o.stride[w.rank - 1],
                  to.bytes[k] + done * w.compute_size, n);
    }
    advance(w, c, n);
    done += n;
  }
}

void scatter(const Walk& w, Cursor c, std::int64_t count, const Buffers& from) noexcept {
  const Operand& o = w.operand[0];
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t n = std::min(count - done, row_left(w, c));
    w.store(from.bytes[0] + done * w.compute_size, o.data + c.offset[0] * o.itemsize, o.stride[w.rank - 1],
            n);
    advance(w, c, n);
    done += n;
  }
}

/// The elements [begin, end) of the walk, in row-major order.
void run_range(const Walk& w, std::int64_t begin, std::int64_t end) noexcept {
  Buffers buffers;
  for (int k = 1; k < w.operands; ++k)
    if (w.operand[k].scalar) w.load[k](w.operand[k].data, 0, buffers.bytes[k], std::min(block, end - begin));
  Cursor c;
  start_at(w, begin, c);
  for (std::int64_t i = begin; i < end;) {
    const std::int64_t count = std::min(end - i, w.rows_in_place ? row_left(w, c) : block);
    const void* src[max_sources];
    unsigned gathered = 0;
    for (int k = 1; k < w.operands; ++k) {
      const void* place = w.operand[k].scalar ? buffers.bytes[k] : in_place(w, k, c, i, count);
      if (place == nullptr) gathered |= 1U << k;
      src[k - 1] = place != nullptr ? place : buffers.bytes[k];
    }
    void* const dst = in_place(w, 0, c, i, count);
    const Cursor start = c;
    gather(w, gathered, c, count, buffers);
    w.fn(src, dst != nullptr ? dst : buffers.bytes[0], count, w.attrs);
    if (dst == nullptr) scatter(w, start, count, buffers);
    i += count;
  }
}

/// Fills shape and strides, outermost first: by falling stride of the destination, without dimensions of
/// extent 1, and with neighbours merged wherever every operand steps through both alike.
void merge_dims(Walk& w, const Dims& shape, const Dims* const* strides) noexcept {
  int order[max_dims];
  int rank = 0;
  for (int d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    int at = rank++;
    for (; at > 0 && std::abs((*strides[0])[order[at - 1]]) < std::abs((*strides[0])[d]); --at)
      order[at] = order[at - 1];
    order[at] = d;
  }
  for (int i = 0; i < rank; ++i) {
    const int d = order[i];
    bool merged = w.rank > 0;
    for (int k = 0; k < w.operands && merged; ++k)
      merged = w.operand[k].stride[w.rank - 1] == (*strides[k])[d] * shape[d];
    if (!merged) w.shape[w.rank++] = 1;
    w.shape[w.rank - 1] *= shape[d];
    for (int k = 0; k < w.operands; ++k) w.operand[k].stride[w.rank - 1] = (*strides[k])[d];
  }
  if (w.rank == 0) {  // a single element
    w.rank = 1;
    w.shape[0] = 1;
    for (int k = 0; k < w.operands; ++k) w.operand[k].stride[0] = 1;
  }
}

void set_operand(Walk& w, int k, const void* data, DType dtype, DType compute) noexcept {
  Operand& o = w.operand[k];
  o.data = static_cast<char*>(const_cast<void*>(data));
  o.itemsize = static_cast<std::int64_t>(itemsize(dtype));
  o.same = dtype == compute;
  o.dense = o.same;
  o.scalar = k > 0;
  std::int64_t step = 1;
  for (int d = w.rank - 1; d >= 0; --d) {
    o.dense = o.dense && o.stride[d] == step;
    o.scalar = o.scalar && o.stride[d] == 0;
    step *= w.shape[d];
  }
  if (k == 0)
    w.store = detail::store_row(compute, dtype);
  else
    w.load[k] = detail::load_row(dtype, compute);
}

[[gnu::noinline]] void walk_any(PointwiseFn fn, DType compute, const ConstView* src, int n_src,
                                const View& dst, const void* attrs, std::int64_t n) {
  // Shorter rows are cheaper to gather together than to call a kernel for.
  constexpr std::int64_t long_row = 48;
  Walk w;
  w.fn = fn;
  w.attrs = attrs;
  w.operands = n_src + 1;
  w.compute_size = static_cast<std::int64_t>(itemsize(compute));
  const Dims* strides[max_operands] = {&dst.strides};
  for (int k = 1; k <= n_src; ++k) strides[k] = &src[k - 1].strides;
  merge_dims(w, dst.shape, strides);
  set_operand(w, 0, dst.data, dst.dtype, compute);
  for (int k = 1; k <= n_src; ++k) set_operand(w, k, src[k - 1].data, src[k - 1].dtype, compute);
  w.rows_in_place = w.shape[w.rank - 1] >= long_row;
  for (int k = 0; k < w.operands; ++k)
    w.rows_in_place = w.rows_in_place && w.operand[k].same && w.operand[k].stride[w.rank - 1] == 1;
  par::chunks(n, grain, [&w](std::int64_t begin, std::int64_t end) { run_range(w, begin, end); });
}

/// Everything dense and of the compute dtype: the kernel is called on the whole, or on chunks of it.
void walk_dense(PointwiseFn fn, const void* const* src, int n_src, void* dst, std::int64_t size,
                const void* attrs, std::int64_t n) {
  if (n <= grain) {
    const par::FloatEnvironment environment;
    fn(src, dst, n, attrs);
    return;
  }
  par::chunks(n, grain, [&](std::int64_t begin, std::int64_t end) {
    const void* part[max_sources];
    for (int k = 0; k < n_src; ++k) part[k] = static_cast<const char*>(src[k]) + begin * size;
    fn(part, static_cast<char*>(dst) + begin * size, end - begin, attrs);
  });
}

/// As walk_dense for at most one block, with one number in place of some operands (bits of `numbers`).
[[gnu::noinline]] void walk_with_numbers(PointwiseFn fn, DType compute, const ConstView* src, int n_src,
                                         unsigned numbers, void* dst, const void* attrs, std::int64_t n) {
  alignas(64) char filled[max_sources][block * 8];
  const void* from[max_sources];
  for (int k = 0; k < n_src; ++k) {
    from[k] = src[k].data;
    if (((numbers >> k) & 1U) == 0) continue;
    detail::load_row(src[k].dtype, compute)(src[k].data, 0, filled[k], n);
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
  bool dense = dst.dtype == compute && (numel_dst == 1 || is_contiguous(dst.shape, dst.strides));
  unsigned numbers = 0;
  const void* from[max_sources];
  for (int k = 0; k < n_src && dense; ++k) {
    from[k] = src[k].data;
    const bool same = src[k].dtype == compute;
    if (same && (numel_dst == 1 || is_contiguous(src[k].shape, src[k].strides))) continue;
    dense = numel_dst <= block && is_one_number(src[k]);
    numbers |= 1U << k;
  }
  if (!dense)
    walk_any(fn, compute, src, n_src, dst, attrs, n);
  else if (numbers != 0)
    walk_with_numbers(fn, compute, src, n_src, numbers, dst.data, attrs, n);
  else
    walk_dense(fn, from, n_src, dst.data, static_cast<std::int64_t>(itemsize(compute)), attrs, n);
}

}  // namespace thalweg::kernels
