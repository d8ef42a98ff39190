// Gather, scatter and one-hot. Depends on base, copy, index_lines, index_range, index_types, par.
// Invariant: work is split over places of the destination that no other task writes; along `dim` the sources
// are taken in rising order.
#include <thalweg/ops/kernels/index.hpp>

#include <algorithm>
#include <atomic>

#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/copy_plan.hpp>
#include <thalweg/ops/kernels/index_lines.hpp>
#include <thalweg/ops/kernels/index_range.hpp>
#include <thalweg/ops/kernels/index_types.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

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
      par::chunks(p.total, index_grain, [&](std::int64_t begin, std::int64_t end) {
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
