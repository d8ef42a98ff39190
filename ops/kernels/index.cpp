// Gather, scatter, selection of slices and one-hot. Depends on base, copy, index_lines, index_range, par.
// Invariant: work is split over places of the destination that no other task writes; along `dim` the sources
// are taken in rising order.
#include <thalweg/ops/kernels/index.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <span>
#include <type_traits>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/copy_plan.hpp>
#include <thalweg/ops/kernels/index_lines.hpp>
#include <thalweg/ops/kernels/index_range.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = index_grain;

/// Calls f(I{}) with the C++ type of the indices.
template <class F>
void with_index_type(DType d, F&& f) noexcept {
  if (d == DType::i64)
    f(std::int64_t{});
  else
    f(std::int32_t{});
}

/// Calls f(T{}) with an unsigned type of the element's size: enough where bits only move.
template <class F>
void with_bits(DType d, F&& f) noexcept {
  if (itemsize(d) == 8)
    f(std::uint64_t{});
  else if (itemsize(d) == 4)
    f(std::uint32_t{});
  else
    f(std::uint8_t{});
}

template <class F>
void with_numbers(DType d, F&& f) noexcept {
  switch (d) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i64:
      return f(std::uint64_t{});  // unsigned sums wrap, with the same bits
    case DType::i32:
      return f(std::uint32_t{});
    default:
      return f(std::uint8_t{});
  }
}

template <class T>
void put(T& to, T from) noexcept {
  to = from;
}
template <class T>
void add(T& to, T from) noexcept {
  to = static_cast<T>(to + from);
}

template <class T>
void repeat(T* dst, T value, std::int64_t n) noexcept {
  constexpr std::int64_t step = 32;
  std::int64_t i = 0;
  for (; i + step <= n; i += step)
    for (std::int64_t j = 0; j < step; ++j) dst[i + j] = value;
  for (; i < n; ++i) dst[i] = value;
}

/// With `start`, each line of dst becomes that number before it is added to.
template <class T, class I, void combine(T&, T)>
bool scatter_lines(const View& dst, int dim, const ConstView& index, const ConstView& src, const T* start) noexcept {
  const Lines lines(index.shape, dim, index.strides, src.strides, dst.strides);
  const std::int64_t length = lines.length, xs = lines.step[0], ss = lines.step[1], ds = lines.step[2];
  const std::int64_t xb = lines.beside(0), sb = lines.beside(1), db = lines.beside(2);
  const std::int64_t size = dst.shape.empty() ? 1 : dst.shape[dim];
  std::atomic<bool> good{true};
  lines.each([=, &good](std::int64_t x, std::int64_t s, std::int64_t d, std::int64_t width) {
    const I* const at = index.as<I>() + x;
    const T* const from = src.as<T>() + s;
    T* const to = dst.as<T>() + d;
    if (start != nullptr) repeat(to, *start, size);
    if (width == 1 && xs == 1 && ss == 1 && ds == 1) {
      if (start == nullptr) NextLine<T>(to, size, length).ask_all();
      if (!each_in_range(at, length, size, NextLine<T>(to + db, size, length),
                         [=](std::int64_t j) { combine(to[static_cast<std::int64_t>(at[j])], from[j]); }))
        good.store(false, std::memory_order_relaxed);
    } else if (!lines_in_range(at, length, xs, width, xb, size)) {
      good.store(false, std::memory_order_relaxed);
    } else {
      for (std::int64_t j = 0; j < length; ++j)
        for (std::int64_t l = 0; l < width; ++l)
          combine(to[static_cast<std::int64_t>(at[j * xs + l * xb]) * ds + l * db], from[j * ss + l * sb]);
    }
  });
  return good.load();
}

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

/// For each of `places` the sources whose index names it, in rising order.
class SourcesOf {
 public:
  template <class I>
  SourcesOf(const I* index, std::int64_t step, std::int64_t n, std::int64_t places)
      : first_(static_cast<std::size_t>(places + 2)), order_(static_cast<std::size_t>(n)) {
    std::int64_t* const next = first_.data() + 1;  // becomes the first of the place after
    std::fill_n(first_.data(), places + 2, std::int64_t{0});
    for (std::int64_t j = 0; j < n; ++j) ++next[static_cast<std::int64_t>(index[j * step]) + 1];
    for (std::int64_t p = 1; p < places; ++p) next[p] += next[p - 1];
    for (std::int64_t j = 0; j < n; ++j) order_.data()[next[static_cast<std::int64_t>(index[j * step])]++] = j;
  }
  std::span<const std::int64_t> operator[](std::int64_t place) const noexcept {
    const std::int64_t* const first = first_.data() + place;
    return {order_.data() + first[0], static_cast<std::size_t>(first[1] - first[0])};
  }

 private:
  mem::Scratch<std::int64_t> first_, order_;
};

/// dst = base, then each slice of src added to its place. A task writes some elements of some slices of dst, and adds
/// to them while they are in the first cache.
template <class T>
void add_slices(const ConstView& base, const View& dst, int dim, const SourcesOf& sources, const ConstView& src) {
  const CopyPlan from = other_dims(dst.shape, dim, dst.strides, base.strides);
  const CopyPlan p = other_dims(src.shape, dim, dst.strides, src.strides);  // the same order of elements
  const std::int64_t fs = from.src[from.rank - 1], ds = from.dst[from.rank - 1], places = dst.shape[dim];
  // Where slices are columns, neighbours share cache lines, so a task takes short pieces of many.
  const std::int64_t most = std::abs(dst.strides[dim]) < std::abs(ds) ? 64 : 4096;
  const std::int64_t pieces = (from.total + most - 1) / most;
  par::chunks(places * pieces, std::max<std::int64_t>(1, grain_elements / std::min(from.total, most)),
              [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t item = first; item < last; ++item) {
                  const std::int64_t place = item % places, begin = item / places * most;
                  const std::int64_t end = std::min(begin + most, from.total);
                  T* const to = dst.as<T>() + place * dst.strides[dim];
                  const T* const old = base.as<T>() + place * base.strides[dim];
                  if (fs == 0 && ds == 1)
                    walk_rows(from, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t n, std::int64_t) {
                      repeat(to + d, old[s], n);
                    });
                  else
                    slice<T, put<T>, put_row<T>>(from, begin, end, to, old);
                  for (const std::int64_t j : sources[place])
                    slice<T, add<T>, add_row<T>>(p, begin, end, to, src.as<T>() + j * src.strides[dim]);
                }
              });
}

}  // namespace

bool gather(const ConstView& src, int dim, const ConstView& index, const View& dst) noexcept {
  const Lines lines(index.shape, dim, index.strides, src.strides, dst.strides);
  const std::int64_t length = lines.length, xs = lines.step[0], ss = lines.step[1], ds = lines.step[2];
  const std::int64_t xb = lines.beside(0), sb = lines.beside(1), db = lines.beside(2);
  const std::int64_t size = src.shape.empty() ? 1 : src.shape[dim];
  std::atomic<bool> good{true};
  with_index_type(index.dtype, [&](auto i) {
    with_bits(dst.dtype, [&](auto t) {
      using I = decltype(i);
      using T = decltype(t);
      lines.each([=, &src, &index, &dst, &good](std::int64_t x, std::int64_t s, std::int64_t d, std::int64_t width) {
        const I* const at = index.as<I>() + x;
        const T* const from = src.as<T>() + s;
        T* const to = dst.as<T>() + d;
        if (width == 1 && xs == 1 && ss == 1 && ds == 1) {
          NextLine<T>(from, size, length).ask_all();
          if (!each_in_range(at, length, size, NextLine<T>(from + sb, size, length),
                             [=](std::int64_t j) { to[j] = from[static_cast<std::int64_t>(at[j])]; }))
            good.store(false, std::memory_order_relaxed);
          return;
        }
        if (!lines_in_range(at, length, xs, width, xb, size)) return good.store(false, std::memory_order_relaxed);
        if (width == 1)
          for (std::int64_t j = 0; j < length; ++j) to[j * ds] = from[static_cast<std::int64_t>(at[j * xs]) * ss];
        else
          for (std::int64_t j = 0; j < length; ++j)
            for (std::int64_t l = 0; l < width; ++l)
              to[j * ds + l * db] = from[static_cast<std::int64_t>(at[j * xs + l * xb]) * ss + l * sb];
      });
    });
  });
  return good.load();
}

bool scatter(const View& dst, int dim, const ConstView& index, const ConstView& src) noexcept {
  bool good = true;
  with_index_type(index.dtype, [&](auto i) {
    with_bits(dst.dtype, [&](auto t) {
      good = scatter_lines<decltype(t), decltype(i), put<decltype(t)>>(dst, dim, index, src, nullptr);
    });
  });
  return good;
}

bool scatter_add(const ConstView& base, const View& dst, int dim, const ConstView& index,
                 const ConstView& src) noexcept {
  // Where every line gets something and one number is all there is before, a line is filled when it is added to.
  bool fill_lines = base.dtype == dst.dtype && !dst.shape.empty() && numel(index.shape) > 0 && dst.strides[dim] == 1;
  for (int d = 0; d < dst.shape.size() && fill_lines; ++d)
    fill_lines = base.strides[d] == 0 && (d == dim || index.shape[d] == dst.shape[d]);
  if (!fill_lines) copy(base, dst);
  bool good = true;
  with_index_type(index.dtype, [&](auto i) {
    with_numbers(dst.dtype, [&](auto t) {
      using T = decltype(t);
      good = scatter_lines<T, decltype(i), add<T>>(dst, dim, index, src, fill_lines ? base.as<T>() : nullptr);
    });
  });
  return good;
}

void index_select(const ConstView& src, int dim, const ConstView& index, const View& dst) noexcept {
  const CopyPlan p = other_dims(dst.shape, dim, dst.strides, src.strides);
  if (p.total == 0) return;
  if (std::abs(dst.strides[dim]) < std::abs(p.dst[p.rank - 1]) && p.row() > 1) {
    // The places chosen lie side by side, so a slice is a column: the same index serves all lines.
    ConstView each(index.data, index.dtype, dst.shape, Dims::filled(dst.shape.size(), 0));
    each.strides[dim] = index.strides[0];
    gather(src, dim, each, dst);
    return;
  }
  with_index_type(index.dtype, [&](auto i) {
    with_bits(dst.dtype, [&](auto t) {
      using I = decltype(i);
      using T = decltype(t);
      const I* at = index.as<I>();
      const auto select = [&](std::int64_t j, std::int64_t begin, std::int64_t end) {
        const auto from = static_cast<std::int64_t>(at[j * index.strides[0]]);
        slice<T, put<T>, put_row<T>>(p, begin, end, dst.as<T>() + j * dst.strides[dim],
                         src.as<T>() + from * src.strides[dim]);
      };
      const std::int64_t n = dst.shape[dim], xs = index.strides[0], ss = src.strides[dim], ds = dst.strides[dim];
      if (p.total == 1) {  // a slice is an element
        par::chunks(n, grain_elements, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t j = begin; j < end; ++j)
            dst.as<T>()[j * ds] = src.as<T>()[static_cast<std::int64_t>(at[j * xs]) * ss];
        });
      } else if (p.total > grain_elements) {
        for (std::int64_t j = 0; j < n; ++j)
          par::chunks(p.total, grain_elements,
                      [&](std::int64_t begin, std::int64_t end) { select(j, begin, end); });
      } else {
        par::chunks(n, std::max<std::int64_t>(1, grain_elements / p.total),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t j = begin; j < end; ++j) select(j, 0, p.total);
                    });
      }
    });
  });
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

void one_hot(const ConstView& index, const View& dst, int dim) noexcept {
  fill(dst, 0);
  Dims shape = dst.shape, strides = dst.strides;
  shape.erase(dim), strides.erase(dim);
  const CopyPlan p = copy_plan(shape, strides, index.strides, false);
  if (p.total == 0 || numel(dst) == 0) return;
  const std::int64_t ds = p.dst[p.rank - 1], xs = p.src[p.rank - 1], step = dst.strides[dim];
  with_index_type(index.dtype, [&](auto i) {
    const auto mark = [&](auto t) {
      using I = decltype(i);
      using T = decltype(t);
      par::chunks(p.total, grain_elements, [&](std::int64_t begin, std::int64_t end) {
        walk_rows(p, begin, end, [&](std::int64_t d, std::int64_t x, std::int64_t n, std::int64_t) {
          for (std::int64_t e = 0; e < n; ++e)
            dst.as<T>()[d + e * ds + static_cast<std::int64_t>(index.as<I>()[x + e * xs]) * step] = T{1};
        });
      });
    };
    if (dst.dtype == DType::boolean)
      mark(bool{});
    else
      with_numbers(dst.dtype, mark);
  });
}

}  // namespace thalweg::kernels
