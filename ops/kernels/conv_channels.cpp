// See conv_channels.hpp: forward and input gradient. Depends on base/memory, par, copy, gemm_pack and the
// convolution's parts. Block sizes were measured; the number of taps in one chain follows from the number of
// channels alone.
#include <thalweg/ops/kernels/conv_channels.hpp>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/conv_kernels.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/gemm_pack.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t block_bytes = 8 << 20;     // both maps of a block of images
constexpr std::int64_t chunk_products = 1 << 19;  // multiply-adds of a chunk
constexpr std::int64_t chain_length = 512;        // about so many multiply-adds between two visits to C
constexpr std::int64_t most_segments = 64;        // taps of one chain
constexpr std::int64_t unit_tiles = 16;           // tiles of rows that share a panel of weights
constexpr std::int64_t chunk_packed = 1 << 14;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }
std::int64_t round_up(std::int64_t a, std::int64_t b) noexcept { return ceil_div(a, b) * b; }

/// Columns of the destination's channels: all panels but the last have the same width.
struct Panels {
  std::int64_t count = 0, width = 0;
  Panels(std::int64_t channels, std::int64_t nr, std::int64_t lanes) noexcept {
    if (channels == 0) return;
    width = round_up(ceil_div(channels, ceil_div(channels, nr)), lanes);
    count = ceil_div(channels, width);
  }
};

/// A rectangle of positions with the same taps, in tiles of rows along its longest side.
template <class T>
struct Rectangle {
  TapGroup y, x;
  std::int64_t count[3], source[3], dest[3];  // of images, rows and columns, and their steps
  int along = 0;
  std::int64_t run_tiles = 0, tiles = 0, units = 0;

  Rectangle(const TapGroup& y_, const TapGroup& x_, std::int64_t images, const ChannelsMap<T>& s,
            const ChannelsMap<T>& d, std::int64_t mr) noexcept
      : y(y_),
        x(x_),
        count{images, y.count, x.count},
        source{s.image, y.source_step * s.y, x.source_step * s.x},
        dest{d.image, y.step * d.y, x.step * d.x} {
    if (images < images_inside_from)
      for (int i = 1; i < 3; ++i)
        if (count[i] > count[along]) along = i;
    run_tiles = ceil_div(count[along], mr);
    tiles = run_tiles * (count[0] * count[1] * count[2] / count[along]);
    units = ceil_div(tiles, unit_tiles);
  }
};

template <class T>
class ChannelsConv {
 public:
  explicit ChannelsConv(const TapProblem<T>& p)
      : p_(p),
        kernels_(conv_kernels<T>()),
        panels_(p.dest_channels, kernels_.nr, kernels_.lanes),
        dest_group_(round_up(p.dest_channels, kernels_.lanes)),
        source_step_(pixel_step<T>(p.groups * p.source_channels)),
        dest_step_(pixel_step<T>(p.groups * dest_group_)),
        block_(image_block(p.batch, static_cast<std::int64_t>(sizeof(T)) * image_elements())),
        taps_(p.taps[0] * p.taps[1]),
        weights_(static_cast<std::size_t>(p.groups * panels_.count * panel_elements())),
        bias_(static_cast<std::size_t>(p.bias ? p.groups * dest_group_ : 1)),
        source_(static_cast<std::size_t>(block_ * p.source_size[0] * p.source_size[1] * source_step_)),
        dest_(static_cast<std::size_t>(block_ * p.dest_size[0] * p.dest_size[1] * dest_step_)),
        groups_y_(static_cast<std::size_t>(p.dest_size[0])),
        groups_x_(static_cast<std::size_t>(p.dest_size[1])) {}

  void run() noexcept {
    pack_weights();
    pack_bias();
    const std::int64_t ny = tap_groups(p_.axis[0], p_.backward, groups_y_.data());
    const std::int64_t nx = tap_groups(p_.axis[1], p_.backward, groups_x_.data());
    for (std::int64_t first = 0; first < p_.batch; first += block_) {
      images_ = std::min(block_, p_.batch - first);
      from_ = channels_map(source_.data(), images_, p_.source_size[1], p_.source_size[0], source_step_);
      to_ = channels_map(dest_.data(), images_, p_.dest_size[1], p_.dest_size[0], dest_step_);
      turn_source(first);
      for (std::int64_t y = 0; y < ny; ++y)
        for (std::int64_t x = 0; x < nx; ++x)
          rectangle({groups_y_[static_cast<std::size_t>(y)], groups_x_[static_cast<std::size_t>(x)], images_,
                     from_, to_, kernels_.mr});
      turn_dest(first);
    }
  }

 private:
  std::int64_t image_elements() const noexcept {
    return p_.source_size[0] * p_.source_size[1] * source_step_ +
           p_.dest_size[0] * p_.dest_size[1] * dest_step_;
  }
  std::int64_t panel_elements() const noexcept {
    return p_.taps[0] * p_.taps[1] * p_.source_channels * panels_.width;
  }

  /// Panels [tap][source channel][width] of each group.
  void pack_weights() noexcept {
    const std::int64_t width = panels_.width, channels = p_.source_channels;
    par::chunks(
        p_.groups * panels_.count * channels, std::max<std::int64_t>(1, chunk_packed / (taps_ * width)),
        [&](std::int64_t begin, std::int64_t end) noexcept {
          for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t c = i % channels, panel = i / channels % panels_.count,
                               group = i / channels / panels_.count, first = panel * width;
            const T* from = p_.weights + group * p_.weights_group + c * p_.weights_source;
            T* to = weights_.data() + i / channels * panel_elements() + c * width;
            pack_taps({from, p_.weights_dest, 1}, first, std::min(width, p_.dest_channels - first), to);
          }
        });
  }

  void pack_taps(const GemmOperand<T>& from, std::int64_t first, std::int64_t count, T* to) const noexcept {
    constexpr std::int64_t at_once = 16;
    const std::int64_t width = panels_.width;
    T rows[at_once * 256 / static_cast<std::int64_t>(sizeof(T))];
    for (std::int64_t t = 0; t < taps_; t += at_once) {
      const std::int64_t n = std::min(at_once, taps_ - t);
      gemm_pack_panel(from, first, count, t, n, width, rows);
      for (std::int64_t r = 0; r < n; ++r)
        std::copy_n(rows + r * width, width, to + (t + r) * p_.source_channels * width);
    }
  }

  void pack_bias() noexcept {
    if (!p_.bias) return;
    for (std::int64_t g = 0; g < p_.groups; ++g) {
      T* to = bias_.data() + g * dest_group_;
      std::copy_n(p_.bias + g * p_.dest_channels, p_.dest_channels, to);
      std::fill(to + p_.dest_channels, to + dest_group_, T{0});
    }
  }

  void turn_source(std::int64_t first) noexcept {
    const std::int64_t channels = p_.groups * p_.source_channels,
                       pixels = p_.source_size[0] * p_.source_size[1];
    const Dims shape{images_, channels, pixels};
    copy({p_.source + first * channels * pixels, dtype_of<T>, shape, {channels * pixels, pixels, 1}},
         {from_.data, dtype_of<T>, shape, {from_.image, 1, from_.x}});
  }

  void turn_dest(std::int64_t first) noexcept {
    const std::int64_t channels = p_.dest_channels, pixels = p_.dest_size[0] * p_.dest_size[1];
    const Dims shape{images_, p_.groups, channels, pixels};
    copy({to_.data, dtype_of<T>, shape, {to_.image, dest_group_, 1, to_.x}},
         {p_.dest + first * p_.groups * channels * pixels,
          dtype_of<T>,
          shape,
          {p_.groups * channels * pixels, channels * pixels, pixels, 1}});
  }

  void rectangle(const Rectangle<T>& r) noexcept {
    const std::int64_t items = r.units * panels_.count * p_.groups;
    const std::int64_t work = std::min(r.tiles, unit_tiles) * kernels_.mr * panels_.width *
                              std::max<std::int64_t>(1, r.y.taps * r.x.taps * p_.source_channels);
    par::chunks(items, std::max<std::int64_t>(1, chunk_products / work),
                [&](std::int64_t begin, std::int64_t end) noexcept {
                  for (std::int64_t i = begin; i < end; ++i)
                    unit(r, i % panels_.count, i / panels_.count % p_.groups,
                         i / panels_.count / p_.groups * unit_tiles);
                });
  }

  /// Up to unit_tiles tiles of one rectangle, times one panel of weights.
  void unit(const Rectangle<T>& r, std::int64_t panel, std::int64_t group, std::int64_t tile) noexcept {
    const std::int64_t taps = r.y.taps * r.x.taps, width = panels_.width;
    const std::int64_t at_once = std::clamp<std::int64_t>(
        chain_length / std::max<std::int64_t>(1, p_.source_channels), 1, most_segments);
    std::int64_t a_at[most_segments], b_at[most_segments];
    ConvTile<T> t;
    t.a_row = r.source[r.along];
    t.b = weights_.data() + (group * panels_.count + panel) * panel_elements();
    t.b_row = width;
    t.a_at = a_at, t.b_at = b_at;
    t.k = p_.source_channels;
    t.c_row = r.dest[r.along];
    t.cols = std::min(width, p_.dest_channels - panel * width);
    for (std::int64_t first = 0; first == 0 || first < taps; first += at_once) {
      t.segments = std::min(at_once, taps - first);
      for (std::int64_t s = 0; s < t.segments; ++s) {
        const std::int64_t ty = (first + s) / r.x.taps, tx = (first + s) % r.x.taps;
        a_at[s] = (r.y.source + ty * r.y.source_tap) * from_.y + (r.x.source + tx * r.x.source_tap) * from_.x;
        b_at[s] = ((r.y.tap + ty * r.y.tap_step) * p_.taps[1] + r.x.tap + tx * r.x.tap_step) *
                  p_.source_channels * width;
      }
      t.add = first > 0;
      const bool last = first + at_once >= taps;
      t.bias = last && p_.bias ? bias_.data() + group * dest_group_ + panel * width : nullptr;
      t.relu = last && p_.relu;
      for (std::int64_t i = tile, end = std::min(r.tiles, tile + unit_tiles); i < end; ++i)
        place(r, i, group, panel, t), kernels_.rows(t);
    }
  }

  /// Where tile `i` of a rectangle begins.
  void place(const Rectangle<T>& r, std::int64_t i, std::int64_t group, std::int64_t panel,
             ConvTile<T>& t) noexcept {
    std::int64_t outer = i / r.run_tiles, at[3];
    for (int d = 2; d >= 0; --d) {
      if (d == r.along) continue;
      at[d] = outer % r.count[d];
      outer /= r.count[d];
    }
    at[r.along] = i % r.run_tiles * kernels_.mr;
    t.rows = std::min<std::int64_t>(kernels_.mr, r.count[r.along] - at[r.along]);
    t.a = from_.data + group * p_.source_channels;
    t.c = to_.data + r.y.first * to_.y + r.x.first * to_.x + group * dest_group_ + panel * panels_.width;
    for (int d = 0; d < 3; ++d) {
      t.a += at[d] * r.source[d];
      t.c += at[d] * r.dest[d];
    }
  }

  const TapProblem<T>& p_;
  const ConvKernels<T>& kernels_;
  const Panels panels_;
  const std::int64_t dest_group_, source_step_, dest_step_, block_, taps_;
  mem::Scratch<T> weights_, bias_, source_, dest_;
  mem::Scratch<TapGroup> groups_y_, groups_x_;
  std::int64_t images_ = 0;
  ChannelsMap<T> from_, to_;
};

template <class T>
TapProblem<T> common(const ConvGeometry& g, const T* w) noexcept {
  TapProblem<T> p;
  p.batch = g.batch, p.groups = g.groups;
  p.weights = w;
  for (int i = 0; i < 2; ++i) {
    p.taps[i] = g.kernel[i];
    p.axis[i] = {g.in[i], g.out[i], g.kernel[i], g.stride[i], g.padding[i], g.dilation[i]};
  }
  p.weights_group = g.out_channels / g.groups * (g.in_channels / g.groups) * g.kernel[0] * g.kernel[1];
  return p;
}

}  // namespace

std::int64_t image_block(std::int64_t batch, std::int64_t bytes_per_image) noexcept {
  const std::int64_t fits =
      std::max<std::int64_t>(1, block_bytes / std::max<std::int64_t>(1, bytes_per_image));
  if (batch <= fits) return batch;
  if (fits < images_inside_from && batch >= images_inside_from) return images_inside_from;
  const std::int64_t block = ceil_div(batch, ceil_div(batch, fits));  // equal blocks, whole tiles
  return block >= images_inside_from ? round_up(block, images_inside_from) : block;
}

template <class T>
TapProblem<T> forward_problem(const ConvGeometry& g, const T* x, const T* w, const T* bias, Activation act,
                              T* y) noexcept {
  TapProblem<T> p = common(g, w);
  p.source_channels = g.in_channels / g.groups, p.dest_channels = g.out_channels / g.groups;
  for (int i = 0; i < 2; ++i) p.source_size[i] = g.in[i], p.dest_size[i] = g.out[i];
  p.weights_source = g.kernel[0] * g.kernel[1];
  p.weights_dest = p.source_channels * p.weights_source;
  p.source = x, p.dest = y;
  p.bias = bias, p.relu = act == Activation::relu;
  return p;
}

template <class T>
TapProblem<T> input_gradient_problem(const ConvGeometry& g, const T* dy, const T* w, T* dx) noexcept {
  TapProblem<T> p = common(g, w);
  p.backward = true;
  p.source_channels = g.out_channels / g.groups, p.dest_channels = g.in_channels / g.groups;
  for (int i = 0; i < 2; ++i) p.source_size[i] = g.out[i], p.dest_size[i] = g.in[i];
  p.weights_dest = g.kernel[0] * g.kernel[1];
  p.weights_source = p.dest_channels * p.weights_dest;
  p.source = dy, p.dest = dx;
  return p;
}

template <class T>
void conv_channels(const TapProblem<T>& problem) {
  if (problem.batch * problem.dest_channels * problem.dest_size[0] * problem.dest_size[1] == 0) return;
  ChannelsConv<T>(problem).run();
}

template TapProblem<float> forward_problem(const ConvGeometry&, const float*, const float*, const float*,
                                           Activation, float*) noexcept;
template TapProblem<double> forward_problem(const ConvGeometry&, const double*, const double*, const double*,
                                            Activation, double*) noexcept;
template TapProblem<float> input_gradient_problem(const ConvGeometry&, const float*, const float*,
                                                  float*) noexcept;
template TapProblem<double> input_gradient_problem(const ConvGeometry&, const double*, const double*,
                                                   double*) noexcept;
template void conv_channels<float>(const TapProblem<float>&);
template void conv_channels<double>(const TapProblem<double>&);

}  // namespace thalweg::kernels
