// Gather, scatter, selection of slices and one-hot. Depends on base, copy, index_range, par.
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
#include <thalweg/ops/kernels/index_range.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 16384;

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

/// The lines along `dim` of three operands of one shape (the operand indexed into may be longer along dim).
struct Lines {
  std::int64_t count = 1, length = 1;
  int rank = 0;
  std::int64_t extent[max_dims], strides[3][max_dims], step[3];

  Lines(const Dims& shape, int dim, const Dims& a, const Dims& b, const Dims& c) noexcept {
    const Dims* const all[3] = {&a, &b, &c};
    for (int i = 0; i < shape.size(); ++i) {
      if (i == dim) continue;
      extent[rank] = shape[i];
      count *= shape[i];
      for (int o = 0; o < 3; ++o) strides[o][rank] = (*all[o])[i];
      ++rank;
    }
    const bool scalar = shape.empty();
    length = scalar ? 1 : shape[dim];
    for (int o = 0; o < 3; ++o) step[o] = scalar ? 0 : (*all[o])[dim];
  }

  /// Whether neighbouring lines lie closer together than neighbours on a line.
  bool abreast() const noexcept {
    return rank > 0 && std::abs(strides[2][rank - 1]) < std::abs(step[2]) && extent[rank - 1] > 1;
  }

  /// f(offset in a, in b, in c, width): `width` lines side by side, in parallel.
  template <class F>
  void each(F&& f) const noexcept {
    if (length == 0 || count == 0) return;
    constexpr std::int64_t most = 64;  // lines: a few cache lines of each row
    const std::int64_t across = abreast() ? extent[rank - 1] : 1;
    const std::int64_t pieces = (across + most - 1) / most, width = std::min(across, most);
    par::chunks(count / across * pieces, std::max<std::int64_t>(1, grain_elements / (length * width)),
                [&](std::int64_t begin, std::int64_t end) {
                  for (std::int64_t item = begin; item < end; ++item) {
                    const std::int64_t first = item % pieces * most;
                    std::int64_t rest = item / pieces, at[3] = {0, 0, 0};
                    int i = rank - 1;
                    if (across > 1) {
                      for (int o = 0; o < 3; ++o) at[o] = first * strides[o][i];
                      --i;
                    }
                    for (; i >= 0; --i) {
                      const std::int64_t index = rest % extent[i];
                      rest /= extent[i];
                      for (int o = 0; o < 3; ++o) at[o] += index * strides[o][i];
                    }
                    f(at[0], at[1], at[2], std::min(most, across - first));
                  }
                });
  }
  /// Distance of lines side by side.
  std::int64_t beside(int operand) const noexcept { return rank > 0 ? strides[operand][rank - 1] : 0; }
};

/// Asks for a dense line whose elements will be wanted in no order that the hardware could foresee, where most of them
/// will be: meanwhile the indices are looked at.
template <class T>
void ask_for(const T* line, std::int64_t size, std::int64_t wanted) noexcept {
  constexpr std::int64_t most = 32768;  // bytes: what the first cache can hold
  constexpr auto step = static_cast<std::int64_t>(64 / sizeof(T));
  if (size > 4 * wanted || size > most / static_cast<std::int64_t>(sizeof(T))) return;
  for (std::int64_t i = 0; i < size; i += step) __builtin_prefetch(line + i);
}

template <class T>
void put(T& to, T from) noexcept {
  to = from;
}
template <class T>
void add(T& to, T from) noexcept {
  to = static_cast<T>(to + from);
}

template <class T, class I, void combine(T&, T)>
bool scatter_lines(const View& dst, int dim, const ConstView& index, const ConstView& src) noexcept {
  const Lines lines(index.shape, dim, index.strides, src.strides, dst.strides);
  const std::int64_t length = lines.length, xs = lines.step[0], ss = lines.step[1], ds = lines.step[2];
  const std::int64_t xb = lines.beside(0), sb = lines.beside(1), db = lines.beside(2);
  const std::int64_t size = dst.shape.empty() ? 1 : dst.shape[dim];
  std::atomic<bool> good{true};
  lines.each([=, &good](std::int64_t x, std::int64_t s, std::int64_t d, std::int64_t width) {
    const I* const at = index.as<I>() + x;
    const T* const from = src.as<T>() + s;
    T* const to = dst.as<T>() + d;
    if (width == 1 && ds == 1) ask_for(to, size, length);
    if (!lines_in_range(at, length, xs, width, xb, size)) return good.store(false, std::memory_order_relaxed);
    if (width == 1 && xs == 1 && ss == 1 && ds == 1)
      for (std::int64_t j = 0; j < length; ++j) combine(to[static_cast<std::int64_t>(at[j])], from[j]);
    else
      for (std::int64_t j = 0; j < length; ++j)
        for (std::int64_t l = 0; l < width; ++l)
          combine(to[static_cast<std::int64_t>(at[j * xs + l * xb]) * ds + l * db], from[j * ss + l * sb]);
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

template <class T>
void repeat(T* dst, T value, std::int64_t n) noexcept {
  constexpr std::int64_t step = 32;
  std::int64_t i = 0;
  for (; i + step <= n; i += step)
    for (std::int64_t j = 0; j < step; ++j) dst[i + j] = value;
  for (; i < n; ++i) dst[i] = value;
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
        if (width == 1 && ss == 1) ask_for(from, size, length);
        if (!lines_in_range(at, length, xs, width, xb, size)) return good.store(false, std::memory_order_relaxed);
        if (width == 1 && xs == 1 && ss == 1 && ds == 1)
          for (std::int64_t j = 0; j < length; ++j) to[j] = from[static_cast<std::int64_t>(at[j])];
        else if (width == 1)
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
      good = scatter_lines<decltype(t), decltype(i), put<decltype(t)>>(dst, dim, index, src);
    });
  });
  return good;
}

bool scatter_add(const View& dst, int dim, const ConstView& index, const ConstView& src) noexcept {
  bool good = true;
  with_index_type(index.dtype, [&](auto i) {
    with_numbers(dst.dtype, [&](auto t) {
      good = scatter_lines<decltype(t), decltype(i), add<decltype(t)>>(dst, dim, index, src);
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
      const std::int64_t n = dst.shape[dim];
      if (p.total > grain_elements) {
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
