// Random fills: groups of words are made for the positions of a chunk, turned into numbers and put where the
// strides say. Depends on base, copy_plan, par and random_blocks.
#include <thalweg/ops/kernels/random.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/ops/kernels/copy_plan.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/random_blocks.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t batch_groups = 8;    // 512 words, on the stack
constexpr std::int64_t grain_batches = 32;  // 16384 words: some 10 us
constexpr std::int64_t grain_elements = 16384;

/// u < p for u of 24 bits is word >> 8 < this.
std::uint32_t threshold_of(double p) noexcept { return static_cast<std::uint32_t>(std::ceil(p * 0x1p24)); }

/// Calls make(words, groups, values) for batches of positions and stores the values. `per_group` is how many
/// elements come of a group. `make` also gets the position and count, for kernels that read a source.
template <class T, class Make>
void fill_with(const View& dst, RandomKey key, std::int64_t per_group, Make&& make) noexcept {
  const CopyPlan plan = copy_plan(dst.shape, dst.strides, dst.strides, true);
  const RandomBlocks& table = random_blocks();
  const std::int64_t per_batch = batch_groups * per_group, step = plan.dst[plan.rank - 1];
  T* const to = dst.as<T>();
  par::chunks((plan.total + per_batch - 1) / per_batch, grain_batches,
              [&](std::int64_t begin, std::int64_t end) {
                std::uint32_t words[batch_groups * random_group];
                T values[batch_groups * random_group];
                for (std::int64_t batch = begin; batch < end; ++batch) {
                  const std::int64_t first = batch * per_batch, n = std::min(per_batch, plan.total - first);
                  const std::int64_t groups = (n + per_group - 1) / per_group;
                  table.words(key.seed, key.offset, batch * batch_groups, groups, words);
                  make(words, groups, values, first, n);
                  const T* from = values;
                  walk_rows(plan, first, first + n,
                            [&](std::int64_t d, std::int64_t, std::int64_t count, std::int64_t) {
                              if (step == 1)
                                std::copy_n(from, count, to + d);
                              else
                                for (std::int64_t i = 0; i < count; ++i) to[d + i * step] = from[i];
                              from += count;
                            });
                }
              });
}

template <class T>
T uniform_of(const std::uint32_t* words, std::int64_t i) noexcept {
  if constexpr (sizeof(T) == 4)
    return philox_uniform_f32(words[i]);
  else
    return philox_uniform_f64(words[i / 32 * 64 + i % 32], words[i / 32 * 64 + i % 32 + 32]);
}

template <class T>
void uniform(const View& dst, double low, double high, RandomKey key) noexcept {
  const T from = static_cast<T>(low), span = static_cast<T>(high - low), top = static_cast<T>(high);
  const bool proper = low < high;
  fill_with<T>(dst, key, sizeof(T) == 4 ? 64 : 32,
               [&](const std::uint32_t* words, std::int64_t, T* values, std::int64_t, std::int64_t n) {
                 for (std::int64_t i = 0; i < n; ++i) {
                   const T x = from + span * uniform_of<T>(words, i);
                   // Rounding may reach the end that the interval leaves out.
                   values[i] = proper && x >= top ? std::max(from, std::nextafter(top, from)) : x;
                 }
               });
}

template <class T>
void normal(const View& dst, double mean, double deviation, RandomKey key) noexcept {
  const RandomBlocks& table = random_blocks();
  const T m = static_cast<T>(mean), s = static_cast<T>(deviation);
  fill_with<T>(dst, key, sizeof(T) == 4 ? 64 : 32,
               [&](const std::uint32_t* words, std::int64_t groups, T* values, std::int64_t, std::int64_t n) {
                 if constexpr (sizeof(T) == 4)
                   table.normal_f32(words, groups, values);
                 else
                   table.normal_f64(words, groups, values);
                 for (std::int64_t i = 0; i < n; ++i) values[i] = m + s * values[i];
               });
}

template <class T>
void bernoulli(const View& dst, double p, RandomKey key) noexcept {
  const std::uint32_t threshold = threshold_of(p);
  fill_with<T>(dst, key, 64,
               [&](const std::uint32_t* words, std::int64_t, T* values, std::int64_t, std::int64_t n) {
                 for (std::int64_t i = 0; i < n; ++i) values[i] = static_cast<T>(words[i] >> 8 < threshold);
               });
}

template <class T>
void integers(const View& dst, std::int64_t low, std::int64_t high, RandomKey key) noexcept {
  const std::uint64_t span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  fill_with<T>(
      dst, key, 32, [&](const std::uint32_t* words, std::int64_t, T* values, std::int64_t, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
          const std::int64_t at = i / 32 * 64 + i % 32;
          const std::uint64_t u = std::uint64_t{words[at]} << 32 | words[at + 32];
          // The high word of u * span: each value has its share of 2^64 to within one part.
          __extension__ using Wide = unsigned __int128;
          const auto scaled = static_cast<std::uint64_t>(static_cast<Wide>(u) * span >> 64);
          values[i] = static_cast<T>(static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + scaled));
        }
      });
}

template <class T>
void dropout_of(const ConstView& src, const View& dst, double p, RandomKey key) noexcept {
  const RandomBlocks& table = random_blocks();
  const std::uint32_t threshold = threshold_of(p);
  const T scale = static_cast<T>(1 / (1 - p));
  const CopyPlan from = copy_plan(src.shape, src.strides, src.strides, true);
  const std::int64_t step = from.src[from.rank - 1];
  fill_with<T>(dst, key, 64,
               [&](const std::uint32_t* words, std::int64_t, T* values, std::int64_t first, std::int64_t n) {
                 T* to = values;
                 walk_rows(from, first, first + n,
                           [&](std::int64_t, std::int64_t s, std::int64_t count, std::int64_t) {
                             const T* x = src.as<T>() + s;
                             if (step == 1)
                               std::copy_n(x, count, to);
                             else
                               for (std::int64_t i = 0; i < count; ++i) to[i] = x[i * step];
                             to += count;
                           });
                 if constexpr (sizeof(T) == 4)
                   table.dropout_f32(words, threshold, scale, values, values, n);
                 else
                   table.dropout_f64(words, threshold, scale, values, values, n);
               });
}

void scaled(float scale, const float* src, float* dst, std::int64_t n) noexcept {
  random_blocks().scale_f32(scale, src, dst, n);
}
void scaled(double scale, const double* src, double* dst, std::int64_t n) noexcept {
  random_blocks().scale_f64(scale, src, dst, n);
}

/// n neighbours: all zero, or all of src's times `scale`.
template <class T>
void drop_or_scale(bool kept, T scale, const T* src, T* dst, std::int64_t n) noexcept {
  constexpr std::int64_t few = 32;
  if (n <= few) {  // no branch: what the draws say cannot be foreseen
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    const Bits mask = Bits{0} - static_cast<Bits>(kept);
    for (std::int64_t i = 0; i < n; ++i) dst[i] = std::bit_cast<T>(std::bit_cast<Bits>(src[i] * scale) & mask);
  } else if (kept) {
    scaled(scale, src, dst, n);
  } else {
    std::fill_n(dst, n, T{0});
  }
}

template <class T>
void drop_or_scale_spaced(bool kept, T scale, const T* src, std::int64_t ss, T* dst, std::int64_t ds,
                          std::int64_t n) noexcept {
  if (!kept && ds == 1)
    std::fill_n(dst, n, T{0});
  else if (kept)
    for (std::int64_t i = 0; i < n; ++i) dst[i * ds] = src[i * ss] * scale;
  else
    for (std::int64_t i = 0; i < n; ++i) dst[i * ds] = T{0};
}

template <class T>
void drop_slices(const ConstView& src, const View& dst, double p, RandomKey key) noexcept {
  const RandomBlocks& table = random_blocks();
  const std::uint32_t threshold = threshold_of(p);
  const T scale = static_cast<T>(1 / (1 - p));
  Dims shape = dst.shape, to = dst.strides, from = src.strides;
  for (Dims* d : {&shape, &to, &from}) d->erase(0), d->erase(0);
  const CopyPlan plan = copy_plan(shape, to, from, false);
  const std::int64_t channels = dst.shape[1], ds = plan.dst[plan.rank - 1], ss = plan.src[plan.rank - 1];
  const auto drop = [=](bool kept, const T* x, T* y, std::int64_t begin, std::int64_t end) {
    if (plan.rank == 1 && ds == 1 && ss == 1)
      return drop_or_scale(kept, scale, x + plan.src_start + begin, y + plan.dst_start + begin, end - begin);
    walk_rows(plan, begin, end, [&](std::int64_t d, std::int64_t s, std::int64_t n, std::int64_t) {
      if (ds == 1 && ss == 1)
        drop_or_scale(kept, scale, x + s, y + d, n);
      else
        drop_or_scale_spaced(kept, scale, x + s, ss, y + d, ds, n);
    });
  };
  par::chunks(dst.shape[0] * channels * plan.total, grain_elements, [&](std::int64_t begin, std::int64_t end) {
    std::uint32_t words[random_group];
    std::int64_t slice = begin / plan.total, first = slice * plan.total, drawn = -1;
    for (std::int64_t n = slice / channels, c = slice % channels; begin < end; ++slice, first += plan.total) {
      if (slice / random_group != drawn) {
        drawn = slice / random_group;
        table.words(key.seed, key.offset, drawn, 1, words);
      }
      const std::int64_t last = std::min(end, first + plan.total);
      drop(words[slice % random_group] >> 8 >= threshold, src.as<T>() + n * src.strides[0] + c * src.strides[1],
           dst.as<T>() + n * dst.strides[0] + c * dst.strides[1], begin - first, last - first);
      begin = last;
      if (++c == channels) c = 0, ++n;
    }
  });
}

}  // namespace

void random_uniform(const View& dst, double low, double high, RandomKey key) noexcept {
  if (dst.dtype == DType::f32)
    uniform<float>(dst, low, high, key);
  else
    uniform<double>(dst, low, high, key);
}

void random_normal(const View& dst, double mean, double deviation, RandomKey key) noexcept {
  if (dst.dtype == DType::f32)
    normal<float>(dst, mean, deviation, key);
  else
    normal<double>(dst, mean, deviation, key);
}

void random_bernoulli(const View& dst, double p, RandomKey key) noexcept {
  switch (dst.dtype) {
    case DType::f32:
      return bernoulli<float>(dst, p, key);
    case DType::f64:
      return bernoulli<double>(dst, p, key);
    case DType::i64:
      return bernoulli<std::int64_t>(dst, p, key);
    case DType::i32:
      return bernoulli<std::int32_t>(dst, p, key);
    case DType::u8:
      return bernoulli<std::uint8_t>(dst, p, key);
    case DType::boolean:
      return bernoulli<bool>(dst, p, key);
  }
}

void random_integers(const View& dst, std::int64_t low, std::int64_t high, RandomKey key) noexcept {
  switch (dst.dtype) {
    case DType::f32:
      return integers<float>(dst, low, high, key);
    case DType::f64:
      return integers<double>(dst, low, high, key);
    case DType::i64:
      return integers<std::int64_t>(dst, low, high, key);
    case DType::i32:
      return integers<std::int32_t>(dst, low, high, key);
    case DType::u8:
      return integers<std::uint8_t>(dst, low, high, key);
    case DType::boolean:
      return integers<bool>(dst, low, high, key);
  }
}

void dropout(const ConstView& src, const View& dst, double p, RandomKey key) noexcept {
  if (dst.dtype == DType::f32)
    dropout_of<float>(src, dst, p, key);
  else
    dropout_of<double>(src, dst, p, key);
}

void dropout_channels(const ConstView& src, const View& dst, double p, RandomKey key) noexcept {
  if (numel(dst) == dst.shape[0] * dst.shape[1]) return dropout(src, dst, p, key);  // one element for each draw
  if (dst.dtype == DType::f32)
    drop_slices<float>(src, dst, p, key);
  else
    drop_slices<double>(src, dst, p, key);
}

}  // namespace thalweg::kernels
