// Selection of slices and sums into them. Depends on base, copy_plan, index_range, index_types, par, stream.
// Invariant: as in index.cpp; what is added to a place is added in the order of the sources, by one task.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/copy_plan.hpp>
#include <thalweg/ops/kernels/index.hpp>
#include <thalweg/ops/kernels/index_range.hpp>
#include <thalweg/ops/kernels/index_types.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/stream.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 16384;
constexpr std::int64_t piece = 4096;        // elements of a sum that are looked at together
constexpr std::int64_t ask_bytes = 8192;    // of what comes next: as much as the first cache easily takes
constexpr std::int64_t ask_rows = 32;       // and how many rows that may be
constexpr std::int64_t streamed_row = 512;  // bytes: of a shorter row, lines written in part would be too many

/// All dimensions but `dim` of dst and src.
CopyPlan other_dims(const Dims& shape, int dim, const Dims& dst, const Dims& src) noexcept {
  Dims s = shape, d = dst, f = src;
  s.erase(dim), d.erase(dim), f.erase(dim);
  return copy_plan(s, d, f, false);
}

template <class T>
void put_row(T* dst, const T* src, std::int64_t n) noexcept {
  std::memcpy(dst, src, static_cast<std::size_t>(n) * sizeof(T));
}
template <class T>
void add_row(T* __restrict dst, const T* __restrict src, std::int64_t n) noexcept {
  constexpr std::int64_t step = 32;  // of fixed length, so that the compilers use lanes
  std::int64_t i = 0;
  for (; i + step <= n; i += step)
    for (std::int64_t j = 0; j < step; ++j) dst[i + j] = static_cast<T>(dst[i + j] + src[i + j]);
  for (; i < n; ++i) dst[i] = static_cast<T>(dst[i] + src[i]);
}

/// combine(dst row, src row) over elements [begin, end) of a slice; `rows` does the same to dense rows.
template <class T, void combine(T&, T), void rows(T*, const T*, std::int64_t)>
void slice(const CopyPlan& p, std::int64_t begin, std::int64_t end, T* dst, const T* src) noexcept {
  const std::int64_t ds = p.dst[p.rank - 1], ss = p.src[p.rank - 1];
  walk_rows(p, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t n, std::int64_t) {
    if (ds == 1 && ss == 1)
      rows(dst + d, src + s, n);
    else
      for (std::int64_t i = 0; i < n; ++i) combine(dst[d + i * ds], src[s + i * ss]);
  });
}

/// How many dense rows of `bytes` to ask for in advance: they come in no order that the hardware could foresee.
std::int64_t rows_ahead(std::int64_t bytes) noexcept {
  return std::clamp<std::int64_t>(ask_bytes / bytes, 1, ask_rows);
}
template <class T>
void ask(const T* row, std::int64_t n) noexcept {
  const char* const at = reinterpret_cast<const char*>(row);
  const std::int64_t bytes = std::min(n * static_cast<std::int64_t>(sizeof(T)), ask_bytes);
  for (std::int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
}

/// Copies n dense rows of `length` elements, row at[j] of src to place j.
template <class T, class I>
void copy_rows(T* dst, std::int64_t dst_step, const T* src, std::int64_t src_step, const I* at, std::int64_t step,
               std::int64_t n, std::int64_t length) noexcept {
  const std::int64_t ahead = rows_ahead(length * static_cast<std::int64_t>(sizeof(T)));
  const auto row = [&](std::int64_t j) { return src + static_cast<std::int64_t>(at[j * step]) * src_step; };
  for (std::int64_t j = 0; j < n; ++j) {
    if (j + ahead < n) ask(row(j + ahead), length);
    put_row(dst + j * dst_step, row(j), length);
  }
}

/// Slices of src into dst: `places` walks where they go in dst and which indices name them, `p` the elements of one.
template <class T, class I>
bool select_slices(const CopyPlan& places, const CopyPlan& p, T* dst, const T* src, std::int64_t src_step,
                   const I* index, std::int64_t size) noexcept {
  const std::int64_t ds = places.dst[places.rank - 1], xs = places.src[places.rank - 1];
  const bool dense = p.rank == 1 && p.dst[0] == 1 && p.src[0] == 1;
  const auto from = [=](I at) { return src + static_cast<std::int64_t>(at) * src_step; };
  std::atomic<bool> good{true};
  if (p.total > grain_elements) {
    walk_rows(places, 0, places.total, [&](std::int64_t d, std::int64_t x, std::int64_t n, std::int64_t) {
      if (!in_range(index + x, xs, n, size)) return good.store(false, std::memory_order_relaxed);
      for (std::int64_t j = 0; j < n; ++j)
        par::chunks(p.total, grain_elements, [&](std::int64_t begin, std::int64_t end) {
          slice<T, put<T>, put_row<T>>(p, begin, end, dst + d + j * ds, from(index[x + j * xs]));
        });
    });
    return good.load();
  }
  par::chunks(places.total, grain_elements / p.total, [&](std::int64_t first, std::int64_t last) {
    walk_rows(places, first, last, [&](std::int64_t d, std::int64_t x, std::int64_t n, std::int64_t) {
      const I* const at = index + x;
      if (!in_range(at, xs, n, size)) return good.store(false, std::memory_order_relaxed);
      if (p.total == 1)
        for (std::int64_t j = 0; j < n; ++j) dst[d + j * ds] = *from(at[j * xs]);
      else if (dense)
        copy_rows(dst + d + p.dst_start, ds, src + p.src_start, src_step, at, xs, n, p.total);
      else
        for (std::int64_t j = 0; j < n; ++j)
          slice<T, put<T>, put_row<T>>(p, 0, p.total, dst + d + j * ds, from(at[j * xs]));
    });
  });
  return good.load();
}

/// For each of `places` the sources whose index names it, in rising order.
class SourcesOf {
 public:
  template <class I>
  SourcesOf(const I* index, std::int64_t step, std::int64_t n, std::int64_t places)
      : count(n), first_(static_cast<std::size_t>(places + 2)), order_(static_cast<std::size_t>(n)) {
    std::int64_t* const next = first_.data() + 1;  // becomes the first of the place after
    std::fill_n(first_.data(), places + 2, std::int64_t{0});
    for (std::int64_t j = 0; j < n; ++j) ++next[static_cast<std::int64_t>(index[j * step]) + 1];
    for (std::int64_t p = 1; p < places; ++p) next[p] += next[p - 1];
    for (std::int64_t j = 0; j < n; ++j) order_.data()[next[static_cast<std::int64_t>(index[j * step])]++] = j;
  }
  /// Sources [first(place), first(place + 1)) of all `count`, which stand together place by place.
  std::int64_t first(std::int64_t place) const noexcept { return first_[static_cast<std::size_t>(place)]; }
  std::int64_t operator[](std::int64_t i) const noexcept { return order_[static_cast<std::size_t>(i)]; }
  const std::int64_t count;

 private:
  mem::Scratch<std::int64_t> first_, order_;
};

/// Whether sums of `total` elements in dense rows of n go around the caches. (Selected rows do not: with reads from
/// everywhere beside them, such stores are slower than others where the memory is busy.)
bool streams(std::int64_t n, std::int64_t total, std::size_t size) noexcept {
  const auto bytes = static_cast<std::int64_t>(size);
  return bytes >= 4 && n * bytes >= streamed_row && total * bytes >= stream_bytes;
}

/// Pieces of slices that are dense in all three operands, but that base may repeat one number.
template <class T>
struct DenseSums {
  const SourcesOf& sources;
  T* dst;
  const T* base;
  const T* src;
  std::int64_t dst_step, base_step, src_step;  // from slice to slice
  bool repeats, stream;

  /// Elements [begin, end) of the slices at places [first, last).
  void run(std::int64_t first, std::int64_t last, std::int64_t begin, std::int64_t end) const noexcept {
    alignas(64) T sum[piece], blank[piece];
    const std::int64_t n = end - begin, ahead = rows_ahead(n * static_cast<std::int64_t>(sizeof(T)));
    const bool alike = repeats && base_step == 0 && stream;  // places without a source are
    if (alike) repeat(blank, *base, n);
    for (std::int64_t place = first, q = sources.first(first); place < last; ++place) {
      T* const to = dst + place * dst_step + begin;
      const std::int64_t stop = sources.first(place + 1);
      if (q == stop && alike) {
        stream_block(to, blank, n * static_cast<std::int64_t>(sizeof(T)));
        continue;
      }
      T* const out = stream ? sum : to;
      const T* const old = base + place * base_step + (repeats ? 0 : begin);
      repeats ? repeat(out, *old, n) : put_row(out, old, n);
      for (; q < stop; ++q) {
        if (q + ahead < sources.count) ask(src + sources[q + ahead] * src_step + begin, n);
        add_row(out, src + sources[q] * src_step + begin, n);
      }
      if (stream) stream_block(to, sum, n * static_cast<std::int64_t>(sizeof(T)));
    }
    if (stream) stream_fence();
  }
};

/// dst = base, then each slice of src added to its place. A task writes some elements of some slices of dst, and adds
/// to them while they are in the first cache.
template <class T>
void add_slices(const ConstView& base, const View& dst, int dim, const SourcesOf& sources, const ConstView& src) {
  const CopyPlan from = other_dims(dst.shape, dim, dst.strides, base.strides);
  const CopyPlan p = other_dims(src.shape, dim, dst.strides, src.strides);  // the same order of elements
  const std::int64_t fs = from.src[from.rank - 1], ds = from.dst[from.rank - 1], places = dst.shape[dim];
  const bool dense = from.rank == 1 && p.rank == 1 && ds == 1 && p.src[0] == 1 && (fs == 0 || fs == 1);
  const DenseSums<T> sums{.sources = sources,
                          .dst = dst.as<T>() + p.dst_start,
                          .base = base.as<T>() + from.src_start,
                          .src = src.as<T>() + p.src_start,
                          .dst_step = dst.strides[dim],
                          .base_step = base.strides[dim],
                          .src_step = src.strides[dim],
                          .repeats = fs == 0,
                          .stream = streams(from.total, numel(dst), sizeof(T))};
  // Where slices are columns, neighbours share cache lines, so a task takes short pieces of many.
  const std::int64_t most = std::abs(dst.strides[dim]) < std::abs(ds) ? 64 : piece;
  const std::int64_t pieces = (from.total + most - 1) / most;
  par::chunks(places * pieces, std::max<std::int64_t>(1, grain_elements / std::min(from.total, most)),
              [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t item = first; item < last;) {
                  const std::int64_t place = item % places, begin = item / places * most;
                  const std::int64_t end = std::min(begin + most, from.total);
                  const std::int64_t beyond = dense ? std::min(place + last - item, places) : place + 1;
                  item += beyond - place;
                  if (dense) {
                    sums.run(place, beyond, begin, end);
                    continue;
                  }
                  T* const to = dst.as<T>() + place * dst.strides[dim];
                  const T* const old = base.as<T>() + place * base.strides[dim];
                  if (fs == 0 && ds == 1)
                    walk_rows(from, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t n, std::int64_t) {
                      repeat(to + d, old[s], n);
                    });
                  else
                    slice<T, put<T>, put_row<T>>(from, begin, end, to, old);
                  for (std::int64_t q = sources.first(place); q < sources.first(place + 1); ++q)
                    slice<T, add<T>, add_row<T>>(p, begin, end, to, src.as<T>() + sources[q] * src.strides[dim]);
                }
              });
}

}  // namespace

bool index_select(const ConstView& src, int dim, const ConstView& index, const View& dst) noexcept {
  Dims shape = dst.shape, to = dst.strides, from = src.strides, places_to;
  from.erase(dim);
  for (int i = 0; i < index.shape.size(); ++i) {
    places_to.push_back(to[dim]);
    shape.erase(dim), to.erase(dim);
  }
  const CopyPlan p = copy_plan(shape, to, from, false);
  const std::int64_t size = src.shape[dim], src_step = src.strides[dim];
  if (p.total == 0) return first_out_of_range(index, size) < 0;
  if (places_to.size() == 1 && std::abs(places_to[0]) < std::abs(p.dst[p.rank - 1]) && p.row() > 1) {
    // The places chosen lie side by side, so a slice is a column: the same index serves all lines.
    ConstView each(index.data, index.dtype, dst.shape, Dims::filled(dst.shape.size(), 0));
    each.strides[dim] = index.strides[0];
    return gather(src, dim, each, dst);
  }
  const CopyPlan places = copy_plan(index.shape, places_to, index.strides, true);
  if (places.total == 0) return true;
  bool good = true;
  with_index_type(index.dtype, [&](auto i) {
    with_bits(dst.dtype, [&](auto t) {
      using T = decltype(t);
      good = select_slices(places, p, dst.as<T>(), src.as<T>(), src_step, index.as<decltype(i)>(), size);
    });
  });
  return good;
}

void index_add(const ConstView& base, const View& dst, int dim, const ConstView& index, const ConstView& src) {
  if (numel(dst) == 0) return;
  with_index_type(index.dtype, [&](auto i) {
    with_numbers(dst.dtype, [&](auto t) {
      using I = decltype(i);
      using T = decltype(t);
      add_slices<T>(base, dst, dim, SourcesOf(index.as<I>(), index.strides[0], index.shape[0], dst.shape[dim]), src);
    });
  });
}


}  // namespace thalweg::kernels
