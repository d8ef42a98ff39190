// Gather, scatter, selection of slices and one-hot. Depends on base, copy, par.
// Invariant: work is split over places of the destination that no other task writes; along `dim` the sources
// are taken in rising order.
#include <thalweg/ops/kernels/index.hpp>

#include <algorithm>
#include <type_traits>

#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/copy_plan.hpp>
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

  /// f(offset in a, in b, in c) for every line, in parallel.
  template <class F>
  void each(F&& f) const noexcept {
    if (length == 0) return;
    par::chunks(count, std::max<std::int64_t>(1, grain_elements / length),
                [&](std::int64_t begin, std::int64_t end) {
                  for (std::int64_t line = begin; line < end; ++line) {
                    std::int64_t rest = line, at[3] = {0, 0, 0};
                    for (int i = rank - 1; i >= 0; --i) {
                      const std::int64_t index = rest % extent[i];
                      rest /= extent[i];
                      for (int o = 0; o < 3; ++o) at[o] += index * strides[o][i];
                    }
                    f(at[0], at[1], at[2]);
                  }
                });
  }
};

template <class T>
void put(T& to, T from) noexcept {
  to = from;
}
template <class T>
void add(T& to, T from) noexcept {
  to = static_cast<T>(to + from);
}

template <class T, class I, void combine(T&, T)>
void scatter_lines(const View& dst, int dim, const ConstView& index, const ConstView& src) noexcept {
  const Lines lines(index.shape, dim, index.strides, src.strides, dst.strides);
  lines.each([&](std::int64_t x, std::int64_t s, std::int64_t d) {
    const I* at = index.as<I>() + x;
    const T* from = src.as<T>() + s;
    T* to = dst.as<T>() + d;
    for (std::int64_t j = 0; j < lines.length; ++j)
      combine(to[static_cast<std::int64_t>(at[j * lines.step[0]]) * lines.step[2]], from[j * lines.step[1]]);
  });
}

/// All dimensions but `dim` of dst and src.
CopyPlan other_dims(const Dims& shape, int dim, const Dims& dst, const Dims& src) noexcept {
  Dims s = shape, d = dst, f = src;
  s.erase(dim), d.erase(dim), f.erase(dim);
  return copy_plan(s, d, f, false);
}

/// combine(dst row, src row) over elements [begin, end) of a slice.
template <class T, void combine(T&, T)>
void slice(const CopyPlan& p, std::int64_t begin, std::int64_t end, T* dst, const T* src) noexcept {
  const std::int64_t ds = p.dst[p.rank - 1], ss = p.src[p.rank - 1];
  walk_rows(p, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t n, std::int64_t) {
    if (ds == 1 && ss == 1)
      for (std::int64_t i = 0; i < n; ++i) combine(dst[d + i], src[s + i]);
    else
      for (std::int64_t i = 0; i < n; ++i) combine(dst[d + i * ds], src[s + i * ss]);
  });
}

template <class I>
std::int64_t scan_range(const ConstView& index, std::int64_t size) noexcept {
  const CopyPlan p = copy_plan(index.shape, index.strides, index.strides, true);
  const std::int64_t step = p.src[p.rank - 1];
  std::int64_t found = -1;
  walk_rows(p, 0, p.total, [&](std::int64_t, std::int64_t s, std::int64_t n, std::int64_t position) {
    if (found >= 0) return;
    const I* x = index.as<I>() + s;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto value = static_cast<std::int64_t>(x[i * step]);
      if (value >= 0 && value < size) continue;
      found = position + i;
      return;
    }
  });
  return found;
}

}  // namespace

std::int64_t first_out_of_range(const ConstView& index, std::int64_t size) noexcept {
  if (numel(index) == 0) return -1;
  return index.dtype == DType::i64 ? scan_range<std::int64_t>(index, size)
                                   : scan_range<std::int32_t>(index, size);
}

void gather(const ConstView& src, int dim, const ConstView& index, const View& dst) noexcept {
  const Lines lines(index.shape, dim, index.strides, src.strides, dst.strides);
  with_index_type(index.dtype, [&](auto i) {
    with_bits(dst.dtype, [&](auto t) {
      using I = decltype(i);
      using T = decltype(t);
      lines.each([&](std::int64_t x, std::int64_t s, std::int64_t d) {
        const I* at = index.as<I>() + x;
        const T* from = src.as<T>() + s;
        T* to = dst.as<T>() + d;
        for (std::int64_t j = 0; j < lines.length; ++j)
          to[j * lines.step[2]] = from[static_cast<std::int64_t>(at[j * lines.step[0]]) * lines.step[1]];
      });
    });
  });
}

void scatter(const View& dst, int dim, const ConstView& index, const ConstView& src) noexcept {
  with_index_type(index.dtype, [&](auto i) {
    with_bits(dst.dtype, [&](auto t) {
      scatter_lines<decltype(t), decltype(i), put<decltype(t)>>(dst, dim, index, src);
    });
  });
}

void scatter_add(const View& dst, int dim, const ConstView& index, const ConstView& src) noexcept {
  with_index_type(index.dtype, [&](auto i) {
    with_numbers(dst.dtype, [&](auto t) {
      scatter_lines<decltype(t), decltype(i), add<decltype(t)>>(dst, dim, index, src);
    });
  });
}

void index_select(const ConstView& src, int dim, const ConstView& index, const View& dst) noexcept {
  const CopyPlan p = other_dims(dst.shape, dim, dst.strides, src.strides);
  if (p.total == 0) return;
  with_index_type(index.dtype, [&](auto i) {
    with_bits(dst.dtype, [&](auto t) {
      using I = decltype(i);
      using T = decltype(t);
      const I* at = index.as<I>();
      const auto select = [&](std::int64_t j, std::int64_t begin, std::int64_t end) {
        const auto from = static_cast<std::int64_t>(at[j * index.strides[0]]);
        slice<T, put<T>>(p, begin, end, dst.as<T>() + j * dst.strides[dim],
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

void index_add(const View& dst, int dim, const ConstView& index, const ConstView& src) noexcept {
  const CopyPlan p = other_dims(src.shape, dim, dst.strides, src.strides);
  const std::int64_t n = src.shape[dim];
  if (p.total == 0 || n == 0) return;
  with_index_type(index.dtype, [&](auto i) {
    with_numbers(dst.dtype, [&](auto t) {
      using I = decltype(i);
      using T = decltype(t);
      const I* at = index.as<I>();
      // Each task owns some places of a slice and adds all sources to them in order.
      par::chunks(p.total, std::max<std::int64_t>(64, grain_elements / n),
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t j = 0; j < n; ++j) {
                      const auto to = static_cast<std::int64_t>(at[j * index.strides[0]]);
                      slice<T, add<T>>(p, begin, end, dst.as<T>() + to * dst.strides[dim],
                                       src.as<T>() + j * src.strides[dim]);
                    }
                  });
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
