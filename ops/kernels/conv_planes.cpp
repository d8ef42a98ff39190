// See conv_planes.hpp: forward and input gradient. Depends on base/memory, par, stream and the convolution's
// parts. Invariant: which lane a pixel meets, and which source channels are summed together, follows from the geometry
// alone.
#include <thalweg/ops/kernels/conv_planes.hpp>

#include <algorithm>
#include <numeric>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/conv_kernels.hpp>
#include <thalweg/ops/kernels/conv_rows.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/stream.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t most_terms = 256;          // source channels times taps: one chain
constexpr std::int64_t channels_ahead = 4;        // whose rows are asked for
constexpr std::int64_t least_slab = 4;            // source channels laid out at a time, unless there are fewer
constexpr std::int64_t most_phases = 16;          // of the destination
constexpr std::int64_t chunk_products = 1 << 19;  // multiply-adds of a chunk
constexpr std::int64_t widest_tile = 8 * 64;      // elements of a tile on the stack

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }
std::int64_t round_up(std::int64_t a, std::int64_t b) noexcept { return ceil_div(a, b) * b; }

template <class T>
bool all_finite(const T* p, std::int64_t n) noexcept {
  T sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += p[i] * T{0};  // 0, or NaN for anything not finite
  return sum == 0;
}

/// The taps of one pair of phases of the destination, as many for each channel of a slab: places in the packed weights
/// and in the planes.
struct PhaseTerms {
  std::int64_t count = 0;
  std::int64_t a_at[most_terms], b_at[most_terms];
};

/// Taps that one phase of the destination meets, at most.
std::int64_t phase_taps(const PlaneAxis& a) noexcept {
  return ceil_div(a.taps, a.dest_step / std::gcd(a.dest_step, a.axis.dilation));
}

template <class T>
class PlanesConv {
 public:
  explicit PlanesConv(const TapProblem<T>& p) noexcept
      : p_(p),
        kernels_(conv_kernels<T>()),
        taps_(p.taps[0] * p.taps[1]),
        blocks_(ceil_div(p.dest_channels, kernels_.mr)) {
    const PlaneAxis y = plane_axis(p.axis[0], p.backward), x = plane_axis(p.axis[1], p.backward);
    phases_ = y.dest_step * x.dest_step;
    const std::int64_t products = p.dest_size[1] * y.dest_step * p.dest_channels * p.source_channels * taps_;
    const std::int64_t most_taps = phase_taps(y) * phase_taps(x);
    for (std::int64_t rows = y.positions; rows > 0; rows /= 2) {  // products are those of a row of positions
      layout_ = PlaneLayout(y, x, rows);
      const std::int64_t most = std::min(most_terms / most_taps, plane_elements<T> / layout_.plane);
      if (most >= std::min(p.source_channels, least_slab) && (rows <= 8 || products * rows <= chunk_products)) {
        const std::int64_t slabs = ceil_div(p.source_channels, std::max<std::int64_t>(1, most));
        slab_ = ceil_div(p.source_channels, std::max<std::int64_t>(1, slabs));
        break;
      }
      layout_.rows = 0;
    }
    unit_products_ = products * layout_.rows;
  }

  bool applies() const noexcept { return layout_.rows > 0 && slab_ > 0 && phases_ <= most_phases; }

  void run() {
    const auto padded = static_cast<std::size_t>(p_.groups * blocks_ * kernels_.mr);
    const mem::Scratch<T> weights(padded * static_cast<std::size_t>(p_.source_channels * taps_)), bias(padded);
    const mem::Scratch<PhaseTerms> phases(static_cast<std::size_t>(phases_));
    weights_ = weights.data(), bias_ = bias.data(), phase_terms_ = phases.data();
    pack();
    find_terms();
    const auto vector = static_cast<std::uintptr_t>(kernels_.lanes) * sizeof(T);
    const auto plane = static_cast<std::size_t>(p_.dest_size[0] * p_.dest_size[1]) * sizeof(T);
    stream_ = slab_ == p_.source_channels && p_.batch * p_.groups * p_.dest_channels * static_cast<std::int64_t>(plane) >= stream_bytes &&
              reinterpret_cast<std::uintptr_t>(p_.dest) % vector == 0 && plane % vector == 0;
    const std::int64_t row_blocks = ceil_div(layout_.y.positions, layout_.rows);
    par::chunks(p_.batch * p_.groups * row_blocks,
                std::max<std::int64_t>(1, chunk_products / std::max<std::int64_t>(1, unit_products_)),
                [&](std::int64_t begin, std::int64_t end) noexcept {
                  for (std::int64_t i = begin; i < end; ++i)
                    unit(i / row_blocks / p_.groups, i / row_blocks % p_.groups,
                         i % row_blocks * layout_.rows);
                  if (stream_) stream_fence();
                });
  }

 private:
  /// [group][block of rows][source channel][tap][mr], zeros past the last channel.
  void pack() noexcept {
    const std::int64_t mr = kernels_.mr;
    T *to = weights_, *b = bias_;
    for (std::int64_t g = 0; g < p_.groups; ++g)
      for (std::int64_t d = 0; d < blocks_ * mr; d += mr) {
        for (std::int64_t i = 0; i < mr; ++i)
          *b++ = p_.bias && d + i < p_.dest_channels ? p_.bias[g * p_.dest_channels + d + i] : T{0};
        const T* from = p_.weights + g * p_.weights_group + d * p_.weights_dest;
        for (std::int64_t c = 0; c < p_.source_channels; ++c)
          for (std::int64_t t = 0; t < taps_; ++t)
            for (std::int64_t i = 0; i < mr; ++i)
              *to++ = d + i < p_.dest_channels ? from[i * p_.weights_dest + c * p_.weights_source + t] : T{0};
      }
  }

  void find_terms() noexcept {
    for (std::int64_t phase = 0; phase < phases_; ++phase) {
      PhaseTerms& to = phase_terms_[phase];
      to.count = 0;
      for (std::int64_t c = 0; c < slab_; ++c)
        for (std::int64_t t = 0; t < taps_; ++t) {
          const std::int64_t at = tap_place(layout_, phase / layout_.x.dest_step, phase % layout_.x.dest_step,
                                            t / p_.taps[1], t % p_.taps[1]);
          if (at < 0) continue;
          to.a_at[to.count] = (c * taps_ + t) * kernels_.mr;
          to.b_at[to.count++] = c * layout_.plane + at;
        }
    }
  }

  /// Positions first, first + 1, .. of the vertical axis, of one group of one image: source channels slab by slab.
  void unit(std::int64_t image, std::int64_t group, std::int64_t first) const noexcept {
    alignas(64) T planes[plane_elements<T> + plane_slack];
    const std::int64_t pixels = p_.source_size[0] * p_.source_size[1];
    const T* from = p_.source + (image * p_.groups + group) * p_.source_channels * pixels;
    for (std::int64_t c = 0; c < p_.source_channels; c += slab_) {
      const std::int64_t channels = std::min(slab_, p_.source_channels - c);
      for (std::int64_t i = 0; i < channels; ++i) {
        if (c + i + channels_ahead < p_.source_channels) ask_for(from + (c + i + channels_ahead) * pixels, first);
        lay_plane(layout_, first, from + (c + i) * pixels, p_.source_size[0], p_.source_size[1],
                  planes + i * layout_.plane);
      }
      std::fill_n(planes + channels * layout_.plane, plane_slack, T{0});
      add_slab(planes, image, group, first, c, channels);
    }
  }

  /// The rows of a channel that a unit needs, on their way from memory: they are too short for the processor to guess.
  void ask_for(const T* channel, std::int64_t first) const noexcept {
    const std::int64_t height = p_.source_size[0], width = p_.source_size[1], step = layout_.y.phases;
    const std::int64_t begin = std::clamp<std::int64_t>((first + layout_.y.low) * step, 0, height),
                       end = std::clamp<std::int64_t>((first + layout_.rows + layout_.y.high) * step, 0, height);
    constexpr std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(T));
    for (std::int64_t at = begin * width; at < end * width; at += line) __builtin_prefetch(channel + at);
  }

  /// What channels c, c + 1, .. of the source give to every channel of the destination.
  void add_slab(const T* planes, std::int64_t image, std::int64_t group, std::int64_t first, std::int64_t c,
                std::int64_t channels) const noexcept {
    ConvTile<T> t;
    t.a_row = 1;
    t.k = 1;
    const bool last = c + channels == p_.source_channels;
    t.add = c > 0;
    t.relu = last && p_.relu;
    const std::int64_t mr = kernels_.mr, step_y = layout_.y.dest_step, step_x = layout_.x.dest_step;
    for (std::int64_t block = 0; block < blocks_; ++block) {
      t.a = weights_ + ((group * blocks_ + block) * p_.source_channels + c) * taps_ * mr;
      t.rows = std::min(mr, p_.dest_channels - block * mr);
      t.row_bias = last && p_.bias ? bias_ + (group * blocks_ + block) * mr : nullptr;
      T* dest = p_.dest + ((image * p_.groups + group) * p_.dest_channels + block * mr) * p_.dest_size[0] *
                              p_.dest_size[1];
      for (std::int64_t r = 0; r < step_y; ++r)
        for (std::int64_t s = 0; s < step_x; ++s) {
          const PhaseTerms& terms = phase_terms_[r * step_x + s];
          t.a_at = terms.a_at, t.b_at = terms.b_at;
          t.segments = terms.count / slab_ * channels;
          t.b = planes;
          const std::int64_t rows = std::min(layout_.rows, ceil_div(p_.dest_size[0] - r, step_y) - first),
                             columns = ceil_div(p_.dest_size[1] - s, step_x);
          if (rows > 0 && columns > 0)
            tiles(t, dest + (r + first * step_y) * p_.dest_size[1] + s, rows, columns);
        }
    }
  }

  /// Rows of whole vectors go straight to memory; others are one run, zeros between them included, cut up
  /// later.
  void tiles(ConvTile<T> t, T* dest, std::int64_t rows, std::int64_t columns) const noexcept {
    const std::int64_t pixels = p_.dest_size[0] * p_.dest_size[1];
    const T* planes = t.b;
    if (columns % kernels_.lanes == 0 && layout_.x.dest_step == 1) {
      const std::int64_t width = tile_width(columns);
      t.c_row = pixels;
      t.stream = stream_;
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; j += width) {
          t.b = planes + i * layout_.pitch + j;
          t.c = dest + i * layout_.y.dest_step * p_.dest_size[1] + j;
          t.cols = std::min(width, columns - j);
          kernels_.columns(t);
        }
      return;
    }
    alignas(64) T own[widest_tile];
    if (t.add) std::fill_n(own, widest_tile, T{0});
    const std::int64_t run = (rows - 1) * layout_.pitch + columns, width = tile_width(run);
    t.c = own;
    t.c_row = width;
    t.stream = false;
    for (std::int64_t q = 0; q < run; q += width) {
      t.b = planes + q;
      t.cols = std::min(width, run - q);
      const auto cut = [&](auto move) {
        for (std::int64_t i = q / layout_.pitch; i * layout_.pitch < q + t.cols; ++i) {
          const std::int64_t begin = std::max<std::int64_t>(0, q - i * layout_.pitch),
                             end = std::min(columns, q + t.cols - i * layout_.pitch);
          if (begin < end)
            move(t, own + i * layout_.pitch + begin - q, end - begin,
                 dest + i * layout_.y.dest_step * p_.dest_size[1] + begin * layout_.x.dest_step);
        }
      };
      if (t.add) cut([this](auto&&... to) { take(to...); });
      kernels_.columns(t);
      cut([this](auto&&... to) { put(to...); });
    }
  }
  std::int64_t tile_width(std::int64_t columns) const noexcept {
    return round_up(ceil_div(columns, ceil_div(columns, std::int64_t{kernels_.nr})), kernels_.lanes);
  }

  /// n elements of each row of a tile to their places in the destination.
  void put(const ConvTile<T>& t, const T* from, std::int64_t n, T* to) const noexcept {
    const std::int64_t step = layout_.x.dest_step, pixels = p_.dest_size[0] * p_.dest_size[1];
    for (std::int64_t o = 0; o < t.rows; ++o, from += t.c_row, to += pixels) {
      if (step == 1)
        std::copy_n(from, n, to);
      else
        for (std::int64_t j = 0; j < n; ++j) to[j * step] = from[j];
    }
  }

  /// The other way round.
  void take(const ConvTile<T>& t, T* to, std::int64_t n, const T* from) const noexcept {
    const std::int64_t step = layout_.x.dest_step, pixels = p_.dest_size[0] * p_.dest_size[1];
    for (std::int64_t o = 0; o < t.rows; ++o, to += t.c_row, from += pixels)
      for (std::int64_t j = 0; j < n; ++j) to[j] = from[j * step];
  }

  const TapProblem<T>& p_;
  const ConvKernels<T>& kernels_;
  const std::int64_t taps_, blocks_;
  std::int64_t phases_ = 1, unit_products_ = 0, slab_ = 0;
  PlaneLayout layout_;
  T *weights_ = nullptr, *bias_ = nullptr;
  PhaseTerms* phase_terms_ = nullptr;
  bool stream_ = false;
};

}  // namespace

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

template bool planes_apply<float>(const TapProblem<float>&) noexcept;
template bool planes_apply<double>(const TapProblem<double>&) noexcept;
template bool conv_planes<float>(const TapProblem<float>&);
template bool conv_planes<double>(const TapProblem<double>&);

}  // namespace thalweg::kernels
