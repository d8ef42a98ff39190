// Copy, cast and fill of strided arrays: memcpy for dense rows, 4 x 4 register blocks for transposes, typed
// rows else. Depends on base and par. Invariant: every destination element is written exactly once.
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/copy_plan.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_bytes = 1 << 17;  // about 10 us of copying
constexpr std::int64_t transpose_tile =
    32;  // 32 x 32 doubles are 8 KiB on each side: both fit a first-level cache

template <class D, class S>
inline D convert(S x) noexcept {
  if constexpr (std::is_same_v<D, bool>) {
    return x != S{0};
  } else if constexpr (std::is_floating_point_v<S> && std::is_integral_v<D>) {
    // An out-of-range conversion is undefined in C++, so the range is tested; 2^63 is exact in both floating
    // types.
    constexpr S above = static_cast<S>(std::numeric_limits<D>::max() / 2 + 1) * S{2};
    constexpr S lowest = static_cast<S>(std::numeric_limits<D>::min());
    if (x >= above) return std::numeric_limits<D>::max();
    if (x > lowest) return static_cast<D>(x);
    return x <= lowest ? std::numeric_limits<D>::min() : D{0};  // the last is NaN
  } else {
    return static_cast<D>(x);
  }
}

/// A bool may come from the user's memory, where any byte but 0 means true; as a C++ bool only 0 and 1 are defined.
template <class S>
inline S load(const S* p) noexcept {
  if constexpr (std::is_same_v<S, bool>) return *reinterpret_cast<const unsigned char*>(p) != 0;
  else return *p;
}

/// One row: dst[i * ds] = cast(src[i * ss]) for i < n.
using RowFn = void (*)(void* dst, std::int64_t ds, const void* src, std::int64_t ss, std::int64_t n);

template <class D, class S>
inline constexpr bool lanes_convert = !std::is_same_v<D, bool> && !std::is_same_v<S, bool> &&
                                      !(std::is_floating_point_v<S> && std::is_integral_v<D>);

/// Eight elements at a time: -O2 alone does not vectorise these loops.
template <class D, class S>
void convert_dense(D* d, const S* s, std::int64_t n) noexcept {
  std::int64_t i = 0;
  if constexpr (lanes_convert<D, S>) {
    typedef S VS
        __attribute__((vector_size(8 * sizeof(S))));  // g++ drops the attribute from a dependent `using`
    typedef D VD __attribute__((vector_size(8 * sizeof(D))));
    for (; i + 8 <= n; i += 8) {
      VS v;
      std::memcpy(&v, s + i, sizeof v);
      const VD w = __builtin_convertvector(v, VD);
      std::memcpy(d + i, &w, sizeof w);
    }
  }
  for (; i < n; ++i) d[i] = convert<D, S>(load(s + i));
}

template <class D, class S>
void convert_row(void* dst, std::int64_t ds, const void* src, std::int64_t ss, std::int64_t n) {
  D* d = static_cast<D*>(dst);
  const S* s = static_cast<const S*>(src);
  if (ss == 0) {
    const D value = convert<D, S>(load(s));
    if (ds == 1)
      std::fill_n(d, n, value);
    else
      for (std::int64_t i = 0; i < n; ++i) d[i * ds] = value;
  } else if (ds == 1 && ss == 1) {
    if constexpr (std::is_same_v<D, S>)
      std::memcpy(d, s, static_cast<std::size_t>(n) * sizeof(D));
    else
      convert_dense<D, S>(d, s, n);
  } else {
    for (std::int64_t i = 0; i < n; ++i) d[i * ds] = convert<D, S>(load(s + i * ss));
  }
}

template <class D>
constexpr RowFn row_from(DType src) noexcept {
  switch (src) {
    case DType::f32:
      return convert_row<D, float>;
    case DType::f64:
      return convert_row<D, double>;
    case DType::i64:
      return convert_row<D, std::int64_t>;
    case DType::i32:
      return convert_row<D, std::int32_t>;
    case DType::u8:
      return convert_row<D, std::uint8_t>;
    case DType::boolean:
      return convert_row<D, bool>;
  }
  return nullptr;
}

/// Equal dtypes move as unsigned integers of their size, so that every bit pattern survives.
RowFn row_fn(DType dst, DType src) noexcept {
  if (dst == src) {
    const std::size_t size = itemsize(dst);
    return size == 8   ? convert_row<std::uint64_t, std::uint64_t>
           : size == 4 ? convert_row<std::uint32_t, std::uint32_t>
                       : convert_row<std::uint8_t, std::uint8_t>;
  }
  switch (dst) {
    case DType::f32:
      return row_from<float>(src);
    case DType::f64:
      return row_from<double>(src);
    case DType::i64:
      return row_from<std::int64_t>(src);
    case DType::i32:
      return row_from<std::int32_t>(src);
    case DType::u8:
      return row_from<std::uint8_t>(src);
    case DType::boolean:
      return row_from<bool>(src);
  }
  return nullptr;
}

/// dst[i * ld + j] = src[j * ls + i] for i < rows, j < cols, both at most transpose_tile.
template <class T>
void transpose_block(T* dst, std::int64_t ld, const T* src, std::int64_t ls, std::int64_t rows,
                     std::int64_t cols) noexcept {
  std::int64_t i = 0;
  if constexpr (sizeof(T) == 4) {
    typedef T V __attribute__((vector_size(16)));
    for (; i + 4 <= rows; i += 4) {
      std::int64_t j = 0;
      for (; j + 4 <= cols; j += 4) {
        V a, b, c, d;
        std::memcpy(&a, src + j * ls + i, 16);
        std::memcpy(&b, src + (j + 1) * ls + i, 16);
        std::memcpy(&c, src + (j + 2) * ls + i, 16);
        std::memcpy(&d, src + (j + 3) * ls + i, 16);
        const V ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
                ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
        const V cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
                cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
        const V out[4] = {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5),
                          __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
                          __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                          __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
        for (int r = 0; r < 4; ++r) std::memcpy(dst + (i + r) * ld + j, &out[r], 16);
      }
      for (; j < cols; ++j)
        for (int r = 0; r < 4; ++r) dst[(i + r) * ld + j] = src[j * ls + i + r];
    }
  }
  for (; i < rows; ++i)
    for (std::int64_t j = 0; j < cols; ++j) dst[i * ld + j] = src[j * ls + i];
}

/// The last two dimensions of `p` are a transpose: dst rows are dense in the last, src in the one before.
template <class T>
void copy_transposed(const CopyPlan& p, T* dst, const T* src) {
  const int rows_dim = p.rank - 2, cols_dim = p.rank - 1;
  const std::int64_t rows = p.extent[rows_dim], cols = p.extent[cols_dim];
  const std::int64_t row_tiles = (rows + transpose_tile - 1) / transpose_tile;
  const std::int64_t col_tiles = (cols + transpose_tile - 1) / transpose_tile;
  const std::int64_t matrices = p.total / (rows * cols);
  constexpr std::int64_t grain =
      grain_bytes / static_cast<std::int64_t>(sizeof(T)) / (transpose_tile * transpose_tile);
  par::chunks(matrices * row_tiles * col_tiles, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      std::int64_t rest = t / (row_tiles * col_tiles);
      T* d = dst + p.dst_start;
      const T* s = src + p.src_start;
      for (int i = rows_dim - 1; i >= 0; --i) {
        d += rest % p.extent[i] * p.dst[i];
        s += rest % p.extent[i] * p.src[i];
        rest /= p.extent[i];
      }
      const std::int64_t i0 = t / col_tiles % row_tiles * transpose_tile, j0 = t % col_tiles * transpose_tile;
      transpose_block(d + i0 * p.dst[rows_dim] + j0, p.dst[rows_dim], s + j0 * p.src[cols_dim] + i0,
                      p.src[cols_dim], std::min(transpose_tile, rows - i0),
                      std::min(transpose_tile, cols - j0));
    }
  });
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
  const RowFn row = row_fn(dst.dtype, src.dtype);
  const auto dst_size = static_cast<std::int64_t>(itemsize(dst.dtype));
  const auto src_size = static_cast<std::int64_t>(itemsize(src.dtype));
  char* const to = dst.as<char>();
  const char* const from = src.as<char>();
  const std::int64_t dst_step = p.dst[p.rank - 1], src_step = p.src[p.rank - 1];
  par::chunks(p.total, grain_bytes / dst_size, [&](std::int64_t begin, std::int64_t end) {
    walk_rows(p, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t count, std::int64_t) {
      row(to + d * dst_size, dst_step, from + s * src_size, src_step, count);
    });
  });
}

void fill(const View& dst, double value) noexcept {
  copy(ConstView(&value, DType::f64, dst.shape, Dims::filled(dst.shape.size(), 0)), dst);
}

void fill(const View& dst, std::int64_t value) noexcept {
  copy(ConstView(&value, DType::i64, dst.shape, Dims::filled(dst.shape.size(), 0)), dst);
}

}  // namespace thalweg::kernels
