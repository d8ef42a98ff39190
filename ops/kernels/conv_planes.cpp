// See conv_planes.hpp: forward and input gradient. Depends on base/memory, par and the convolution's parts.
// Invariant: a row's position on its plane, and so which lanes a pixel meets, follows from the geometry alone.
#include <thalweg/ops/kernels/conv_planes.hpp>

#include <cmath>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/conv_kernels.hpp>
#include <thalweg/ops/kernels/conv_rows.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/stream.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t most_terms = 256;           // source channels times taps
constexpr std::int64_t chunk_products = 1 << 19;   // multiply-adds of a chunk
constexpr std::int64_t widest_tile = 8 * 64;       // elements of a tile on the stack

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }
std::int64_t round_up(std::int64_t a, std::int64_t b) noexcept { return ceil_div(a, b) * b; }

/// The rows of the source that rows [first, end) of the destination read: begin and how many.
template <class T>
void rows_read(const TapProblem<T>& p, std::int64_t first, std::int64_t end, std::int64_t& begin,
               std::int64_t& count) noexcept {
  std::int64_t low = p.source_size[0], high = 0;
  for (std::int64_t i = first; i < end; ++i) {
    const TapGroup g = taps_at(p.axis[0], p.backward, i);
    if (g.taps == 0) continue;
    const std::int64_t last = g.source + (g.taps - 1) * g.source_tap;
    low = std::min({low, g.source, last});
    high = std::max({high, g.source + 1, last + 1});
  }
  begin = low;
  count = std::max<std::int64_t>(0, high - low);
}

template <class T>
bool all_finite(const T* p, std::int64_t n) noexcept {
  T sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += p[i] * T{0};  // 0, or NaN for anything not finite
  return sum == 0;
}

template <class T>
class PlanesConv {
 public:
  explicit PlanesConv(const TapProblem<T>& p) noexcept
      : p_(p),
        kernels_(conv_kernels<T>()),
        layout_(row_layout(p.axis[1], p.backward, kernels_.lanes)),
        dest_step_{p.backward ? p.axis[0].stride : 1, p.backward ? p.axis[1].stride : 1},
        blocks_(ceil_div(p.dest_channels, kernels_.mr)) {
    // Half as many rows until the source's part fits; 0: not even one row does.
    for (rows_ = p.dest_size[0]; rows_ > 0; rows_ /= 2) {
      std::int64_t begin, most = 0, count;
      for (std::int64_t r = 0; r < p.dest_size[0]; r += rows_) {
        rows_read(p, r, std::min(r + rows_, p.dest_size[0]), begin, count);
        most = std::max(most, count);
      }
      if (p.source_channels * most * layout_.row <= plane_elements<T> && (rows_ <= 8 || row_products() * rows_ <= chunk_products))
        break;
    }
  }

  bool applies() const noexcept {
    return rows_ > 0 && p_.source_channels * p_.taps[0] * p_.taps[1] <= most_terms && layout_.taps <= most_row_taps;
  }

  void run() {
    const std::int64_t terms = p_.source_channels * p_.taps[0] * p_.taps[1], mr = kernels_.mr;
    const mem::Scratch<T> weights(static_cast<std::size_t>(p_.groups * blocks_ * terms * mr)),
        bias(static_cast<std::size_t>(p_.groups * blocks_ * mr));
    weights_ = weights.data(), bias_ = bias.data();
    pack();
    const auto vector = static_cast<std::uintptr_t>(kernels_.lanes) * sizeof(T);
    const auto plane = static_cast<std::size_t>(p_.dest_size[0] * p_.dest_size[1]) * sizeof(T);
    stream_ = p_.batch * p_.groups * p_.dest_channels * static_cast<std::int64_t>(plane) >= stream_bytes &&
              reinterpret_cast<std::uintptr_t>(p_.dest) % vector == 0 && plane % vector == 0 &&
              p_.dest_size[1] % kernels_.lanes == 0;
    const std::int64_t row_blocks = ceil_div(p_.dest_size[0], rows_), units = p_.batch * p_.groups * row_blocks;
    par::chunks(units, std::max<std::int64_t>(1, chunk_products / std::max<std::int64_t>(1, row_products() * rows_)),
                [&](std::int64_t begin, std::int64_t end) noexcept {
                  for (std::int64_t i = begin; i < end; ++i)
                    unit(i / row_blocks / p_.groups, i / row_blocks % p_.groups, i % row_blocks * rows_);
                  if (stream_) stream_fence();
                });
  }

 private:
  std::int64_t row_products() const noexcept {
    return p_.dest_size[1] * p_.dest_channels * p_.source_channels * p_.taps[0] * p_.taps[1];
  }

  /// [group][block of rows][source channel][tap][mr], zeros past the last channel.
  void pack() noexcept {
    const std::int64_t taps = p_.taps[0] * p_.taps[1], mr = kernels_.mr;
    T *to = weights_, *b = bias_;
    for (std::int64_t g = 0; g < p_.groups; ++g)
      for (std::int64_t d = 0; d < blocks_ * mr; d += mr) {
        for (std::int64_t i = 0; i < mr; ++i)
          *b++ = p_.bias && d + i < p_.dest_channels ? p_.bias[g * p_.dest_channels + d + i] : T{0};
        for (std::int64_t c = 0; c < p_.source_channels; ++c)
          for (std::int64_t t = 0; t < taps; ++t)
            for (std::int64_t i = 0; i < mr; ++i)
              *to++ = d + i < p_.dest_channels ? p_.weights[g * p_.weights_group + (d + i) * p_.weights_dest +
                                                            c * p_.weights_source + t]
                                               : T{0};
      }
  }

  void unit(std::int64_t image, std::int64_t group, std::int64_t first) const noexcept {
    alignas(64) T planes[plane_elements<T>];
    const std::int64_t end = std::min(first + rows_, p_.dest_size[0]);
    std::int64_t begin, count;
    rows_read(p_, first, end, begin, count);
    const std::int64_t pixels = p_.source_size[0] * p_.source_size[1];
    const T* from = p_.source + (image * p_.groups + group) * p_.source_channels * pixels;
    for (std::int64_t c = 0; c < p_.source_channels; ++c)
      lay_rows(from + c * pixels + begin * p_.source_size[1], count, p_.source_size[1], layout_,
               planes + c * count * layout_.row);
    for (std::int64_t block = 0; block < blocks_; ++block)
      for (std::int64_t phase = 0; phase < std::min(dest_step_[1], p_.dest_size[1]); ++phase)
        for (std::int64_t r = 0; r < std::min(dest_step_[0], end - first); ++r)
          rows_of_phase(image, group, block, phase, first + r, end, planes, begin, count);
  }

  /// Rows `row`, row + step, .. < end of a block of channels, columns phase, phase + step, ..
  void rows_of_phase(std::int64_t image, std::int64_t group, std::int64_t block, std::int64_t phase,
                     std::int64_t row, std::int64_t end, const T* planes, std::int64_t begin,
                     std::int64_t count) const noexcept {
    const std::int64_t mr = kernels_.mr, terms = p_.source_channels * p_.taps[0] * p_.taps[1];
    RowTap taps[most_row_taps];
    const std::int64_t across = row_taps(p_.axis[1], p_.backward, phase, layout_, taps);
    std::int64_t a_at[most_terms], b_at[most_terms];
    ConvTile<T> t;
    t.a = weights_ + (group * blocks_ + block) * terms * mr;
    t.a_row = 1;
    t.a_at = a_at, t.b_at = b_at;
    t.k = 1;
    t.rows = std::min(mr, p_.dest_channels - block * mr);
    t.row_bias = p_.bias ? bias_ + (group * blocks_ + block) * mr : nullptr;
    t.relu = p_.relu;
    const std::int64_t pixels = p_.dest_size[0] * p_.dest_size[1];
    T* dest = p_.dest + ((image * p_.groups + group) * p_.dest_channels + block * mr) * pixels + phase;
    TapGroup known;
    for (bool fresh = true; row < end; row += dest_step_[0], fresh = false) {
      const TapGroup g = taps_at(p_.axis[0], p_.backward, row);
      if (fresh || g.tap != known.tap || g.taps != known.taps) {
        t.segments = 0;
        for (std::int64_t c = 0; c < p_.source_channels; ++c)
          for (std::int64_t y = 0; y < g.taps; ++y)
            for (std::int64_t x = 0; x < across; ++x) {
              a_at[t.segments] = ((c * p_.taps[0] + g.tap + y * g.tap_step) * p_.taps[1] + taps[x].tap) * mr;
              b_at[t.segments++] = (c * count + y * g.source_tap) * layout_.row + taps[x].at;
            }
        known = g;
      }
      t.b = planes + (g.taps > 0 ? g.source - begin : 0) * layout_.row;
      tiles(t, dest + row * p_.dest_size[1], ceil_div(p_.dest_size[1] - phase, dest_step_[1]));
    }
  }

  /// One row of the destination in tiles; straight to memory where whole vectors fit.
  void tiles(ConvTile<T>& t, T* dest, std::int64_t columns) const noexcept {
    const std::int64_t lanes = kernels_.lanes, pixels = p_.dest_size[0] * p_.dest_size[1];
    const std::int64_t width = round_up(ceil_div(columns, ceil_div(columns, std::int64_t{kernels_.nr})), lanes);
    const T* b = t.b;
    for (std::int64_t j = 0; j < columns; j += width, t.b += width) {
      alignas(64) T own[widest_tile];
      t.cols = std::min(width, columns - j);
      const bool direct = dest_step_[1] == 1 && t.cols % lanes == 0;
      t.c = direct ? dest + j : own;
      t.c_row = direct ? pixels : width;
      t.stream = direct && stream_;
      kernels_.columns(t);
      for (std::int64_t i = 0; !direct && i < t.rows; ++i) {
        T* to = dest + i * pixels + j * dest_step_[1];
        for (std::int64_t l = 0; l < t.cols; ++l) to[l * dest_step_[1]] = own[i * width + l];
      }
    }
    t.b = b;
  }

  const TapProblem<T>& p_;
  const ConvKernels<T>& kernels_;
  const RowLayout layout_;
  const std::int64_t dest_step_[2], blocks_;
  std::int64_t rows_ = 0;
  T *weights_ = nullptr, *bias_ = nullptr;
  bool stream_ = false;
};

}  // namespace

RowLayout row_layout(const TapAxis& a, bool backward, std::int64_t lanes) noexcept {
  RowLayout l;
  l.phases = backward ? 1 : a.stride;
  l.taps = a.kernel;
  const std::int64_t positions = backward ? ceil_div(a.in, a.stride) : a.out;
  std::int64_t low = 0, high = 0;
  for (std::int64_t phase = 0; phase < (backward ? a.stride : 1); ++phase)
    for (std::int64_t k = 0; k < a.kernel; ++k) {
      const std::int64_t at = backward ? phase + a.padding - k * a.dilation : k * a.dilation - a.padding;
      const std::int64_t shift = (at - ((at % a.stride) + a.stride) % a.stride) / a.stride;
      low = std::min(low, shift), high = std::max(high, shift);
    }
  l.left = -low;
  l.phase = l.left + round_up(positions, lanes) + high;
  l.row = l.phase * l.phases;
  return l;
}

std::int64_t row_taps(const TapAxis& a, bool backward, std::int64_t phase, const RowLayout& l,
                      RowTap* to) noexcept {
  std::int64_t n = 0;
  for (std::int64_t k = 0; k < a.kernel; ++k) {
    const std::int64_t at = backward ? phase + a.padding - k * a.dilation : k * a.dilation - a.padding;
    const std::int64_t rest = ((at % a.stride) + a.stride) % a.stride, shift = (at - rest) / a.stride;
    if (backward && rest != 0) continue;
    to[n++] = {k, (backward ? 0 : rest * l.phase) + l.left + shift};
  }
  return n;
}

template <class T>
void lay_rows(const T* from, std::int64_t rows, std::int64_t width, const RowLayout& l, T* to) noexcept {
  for (std::int64_t r = 0; r < rows; ++r, from += width)
    for (std::int64_t phase = 0; phase < l.phases; ++phase, to += l.phase) {
      const std::int64_t there = phase < width ? ceil_div(width - phase, l.phases) : 0,
                         n = std::min(there, l.phase - l.left);
      std::fill_n(to, l.left, T{0});
      if (l.phases == 1)
        std::copy_n(from, n, to + l.left);
      else
        for (std::int64_t j = 0; j < n; ++j) to[l.left + j] = from[phase + j * l.phases];
      std::fill(to + l.left + n, to + l.phase, T{0});
    }
}

template <class T>
bool planes_apply(const TapProblem<T>& problem) noexcept {
  return PlanesConv<T>(problem).applies();
}

template <class T>
bool conv_planes(const TapProblem<T>& p) {
  if (!all_finite(p.weights, p.groups * p.weights_group)) return false;
  if (p.batch * p.dest_channels * p.dest_size[0] * p.dest_size[1] > 0) PlanesConv<T>(p).run();
  return true;
}

template void lay_rows<float>(const float*, std::int64_t, std::int64_t, const RowLayout&, float*) noexcept;
template void lay_rows<double>(const double*, std::int64_t, std::int64_t, const RowLayout&, double*) noexcept;
template bool planes_apply<float>(const TapProblem<float>&) noexcept;
template bool planes_apply<double>(const TapProblem<double>&) noexcept;
template bool conv_planes<float>(const TapProblem<float>&);
template bool conv_planes<double>(const TapProblem<double>&);

}  // namespace thalweg::kernels
