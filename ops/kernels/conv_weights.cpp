// Weight gradient with channels last: for each tap, the product of two maps over their common pixels.
// Depends on base/memory, par, copy and the convolution's parts. Invariant: how the pixels are cut into
// chains and partial sums follows from the geometry alone.
#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/conv_channels.hpp>
#include <thalweg/ops/kernels/conv_kernels.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t chain_length = 512;        // about so many pixels between two visits to C
constexpr std::int64_t most_segments = 64;        // runs of pixels of one chain
constexpr std::int64_t unit_tiles = 16;           // tiles of rows that share a panel
constexpr std::int64_t wanted_units = 16;         // fewer, and the pixels are cut into partial sums
constexpr std::int64_t chunk_products = 1 << 19;  // multiply-adds of a chunk
constexpr std::int64_t chunk_added = 1 << 14;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }
std::int64_t round_up(std::int64_t a, std::int64_t b) noexcept { return ceil_div(a, b) * b; }

/// The output positions along one axis at which a tap meets the input.
struct Meeting {
  std::int64_t out = 0, in = 0, count = 0;
};
Meeting meeting(const ConvGeometry& g, int axis, std::int64_t tap) noexcept {
  Meeting m;
  const std::int64_t shift = tap * g.dilation[axis] - g.padding[axis], step = g.stride[axis];
  m.out = shift >= 0 ? 0 : ceil_div(-shift, step);
  m.in = m.out * step + shift;
  const std::int64_t room = g.in[axis] - m.in;
  m.count = room <= 0 ? 0 : std::clamp<std::int64_t>(g.out[axis] - m.out, 0, (room - 1) / step + 1);
  return m;
}

/// One of the two maps: channels of the result's rows, or of its columns.
template <class T>
struct Side {
  const T* from = nullptr;
  std::int64_t channels = 0, step = 0, size[2] = {}, stride[2] = {1, 1};
  bool input = false;  ///< positions are the input's, not the output's
  ChannelsMap<T> map;
};

template <class T>
class WeightsConv {
 public:
  WeightsConv(const ConvGeometry& g, const T* dy, const T* x, T* dw)
      : g_(g),
        dw_(dw),
        kernels_(conv_kernels<T>()),
        taps_(g.kernel[0] * g.kernel[1]),
        x_(side(x, g.in_channels, g.in, true)),
        y_(side(dy, g.out_channels, g.out, false)),
        rows_of_x_(prefer_rows_of_x()),
        rows_((rows_of_x_ ? x_ : y_).channels),
        cols_((rows_of_x_ ? y_ : x_).channels),
        width_(cols_ == 0
                   ? 1
                   : round_up(ceil_div(cols_, ceil_div(cols_, std::int64_t{kernels_.nr})), kernels_.lanes)),
        panels_(ceil_div(cols_, width_)),
        c_row_(round_up(cols_, kernels_.lanes)),
        block_(image_block(g.batch, static_cast<std::int64_t>(sizeof(T)) * image_elements())),
        units_(g.groups * taps_ * ceil_div(rows_, unit_tiles * kernels_.mr) * panels_),
        splits_(std::clamp<std::int64_t>(units_ == 0 ? 1 : ceil_div(wanted_units, units_), 1,
                                         ceil_div(segments(block_, g.out[0], g.out[1]), at_once(block_)))),
        part_(g.groups * taps_ * rows_ * c_row_),
        parts_(static_cast<std::size_t>(splits_ * part_)),
        x_data_(static_cast<std::size_t>(block_ * x_.size[0] * x_.size[1] * x_.step)),
        y_data_(static_cast<std::size_t>(block_ * y_.size[0] * y_.size[1] * y_.step)) {}

  void run() noexcept {
    for (std::int64_t first = 0; first < g_.batch; first += block_) {
      images_ = std::min(block_, g_.batch - first);
      turn(x_, x_data_.data(), first);
      turn(y_, y_data_.data(), first);
      const std::int64_t work = std::min(rows_, unit_tiles * kernels_.mr) * width_ * images_ *
                                std::max<std::int64_t>(1, g_.out[0] * g_.out[1] / splits_);
      par::chunks(units_ * splits_, std::max<std::int64_t>(1, chunk_products / work),
                  [&](std::int64_t begin, std::int64_t end) noexcept {
                    for (std::int64_t i = begin; i < end; ++i) unit(i % units_, i / units_, first > 0);
                  });
    }
    add_parts();
    const Dims shape{g_.groups, y_.channels, x_.channels, taps_};
    const std::int64_t row = c_row_, tap = rows_ * c_row_;
    copy({parts_.data(), dtype_of<T>, shape, {taps_ * tap, rows_of_x_ ? 1 : row, rows_of_x_ ? row : 1, tap}},
         {dw_, dtype_of<T>, shape, contiguous_strides(shape)});
  }

 private:
  Side<T> side(const T* from, std::int64_t channels, const std::int64_t size[2], bool input) const noexcept {
    Side<T> s;
    s.from = from;
    s.channels = channels / g_.groups;
    // Tiles read and panels load whole vectors, past the last channel of the last group too.
    s.step = pixel_step<T>(channels + kernels_.lanes);
    s.input = input;
    for (int i = 0; i < 2; ++i) s.size[i] = size[i], s.stride[i] = input ? g_.stride[i] : 1;
    return s;
  }
  /// The side that wastes less of a tile becomes the columns.
  bool prefer_rows_of_x() const noexcept {
    const auto cost = [&](std::int64_t rows, std::int64_t cols) {
      return round_up(rows, kernels_.mr) * round_up(cols, kernels_.lanes);
    };
    return cost(x_.channels, y_.channels) <= cost(y_.channels, x_.channels);
  }
  std::int64_t image_elements() const noexcept {
    return x_.size[0] * x_.size[1] * x_.step + y_.size[0] * y_.size[1] * y_.step;
  }
  /// A run is one position of all images, or one row of positions of one image.
  std::int64_t run_length(std::int64_t images, std::int64_t width) const noexcept {
    return images >= images_inside_from ? images : width;
  }
  std::int64_t segments(std::int64_t images, std::int64_t height, std::int64_t width) const noexcept {
    return images >= images_inside_from ? height * width : images * height;
  }
  std::int64_t at_once(std::int64_t images) const noexcept {
    return std::clamp<std::int64_t>(chain_length / std::max<std::int64_t>(1, run_length(images, g_.out[1])),
                                    1, most_segments);
  }

  void turn(Side<T>& s, T* data, std::int64_t first) noexcept {
    s.map = channels_map(data, images_, s.size[1], s.size[0], s.step);
    const std::int64_t channels = s.channels * g_.groups, pixels = s.size[0] * s.size[1];
    const Dims shape{images_, channels, pixels};
    copy({s.from + first * channels * pixels, dtype_of<T>, shape, {channels * pixels, pixels, 1}},
         {s.map.data, dtype_of<T>, shape, {s.map.image, 1, s.map.x}});
  }

  std::int64_t place(const Side<T>& s, std::int64_t image, std::int64_t y, std::int64_t x,
                     const Meeting m[2]) const noexcept {
    const std::int64_t at_y = (s.input ? m[0].in : m[0].out) + y * s.stride[0],
                       at_x = (s.input ? m[1].in : m[1].out) + x * s.stride[1];
    return image * s.map.image + at_y * s.map.y + at_x * s.map.x;
  }

  /// Rows and columns of one tap's product, over one part of the pixels of this block of images.
  void unit(std::int64_t item, std::int64_t split, bool add) noexcept {
    const std::int64_t panel = item % panels_, row_blocks = ceil_div(rows_, unit_tiles * kernels_.mr);
    const std::int64_t row = item / panels_ % row_blocks * unit_tiles * kernels_.mr;
    const std::int64_t tap = item / panels_ / row_blocks % taps_, group = item / panels_ / row_blocks / taps_;
    const Meeting m[2] = {meeting(g_, 0, tap / g_.kernel[1]), meeting(g_, 1, tap % g_.kernel[1])};
    const Side<T>&a = rows_of_x_ ? x_ : y_, &b = rows_of_x_ ? y_ : x_;
    const bool inside = images_ >= images_inside_from;
    const std::int64_t runs = m[0].count * m[1].count == 0 ? 0 : segments(images_, m[0].count, m[1].count);
    const std::int64_t step = at_once(images_), chains = ceil_div(runs, step);
    const std::int64_t begin = chains * split / splits_ * step,
                       end = std::min(runs, chains * (split + 1) / splits_ * step);
    std::int64_t a_at[most_segments], b_at[most_segments];
    ConvTile<T> t;
    t.a_col = inside ? a.map.image : a.stride[1] * a.map.x;
    t.b = b.map.data + group * b.channels + panel * width_;
    t.b_row = inside ? b.map.image : b.stride[1] * b.map.x;
    t.a_at = a_at, t.b_at = b_at;
    t.k = run_length(images_, m[1].count);
    t.c_row = c_row_;
    t.cols = std::min(width_, cols_ - panel * width_);
    T* c = parts_.data() + split * part_ + (group * taps_ + tap) * rows_ * c_row_ + panel * width_;
    for (std::int64_t first = begin; first == begin || first < end; first += step) {
      t.segments = std::max<std::int64_t>(0, std::min(step, end - first));
      for (std::int64_t s = 0; s < t.segments; ++s) {
        const std::int64_t i = first + s, across = inside ? m[1].count : m[0].count;
        const std::int64_t image = inside ? 0 : i / across, y = inside ? i / across : i % across,
                           x = inside ? i % across : 0;
        a_at[s] = place(a, image, y, x, m);
        b_at[s] = place(b, image, y, x, m);
      }
      t.add = add || first > begin;
      for (std::int64_t i = row; i < std::min(rows_, row + unit_tiles * kernels_.mr); i += kernels_.mr) {
        t.a = a.map.data + group * a.channels + i;
        t.rows = std::min<std::int64_t>(kernels_.mr, rows_ - i);
        t.c = c + i * c_row_;
        kernels_.columns(t);
      }
    }
  }

  /// Partial sums, added pairwise.
  void add_parts() noexcept {
    for (std::int64_t step = 1; step < splits_; step *= 2)
      for (std::int64_t s = 0; s + step < splits_; s += 2 * step) {
        T *to = parts_.data() + s * part_, *from = to + step * part_;
        par::chunks(part_, chunk_added, [&](std::int64_t begin, std::int64_t end) noexcept {
          for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
        });
      }
  }

  const ConvGeometry& g_;
  T* dw_;
  const ConvKernels<T>& kernels_;
  const std::int64_t taps_;
  Side<T> x_, y_;
  const bool rows_of_x_;
  const std::int64_t rows_, cols_, width_, panels_, c_row_, block_, units_, splits_, part_;
  mem::Scratch<T> parts_, x_data_, y_data_;
  std::int64_t images_ = 0;
};

}  // namespace

template <class T>
void conv_channels_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw) {
  const std::int64_t elements = g.out_channels * (g.in_channels / g.groups) * g.kernel[0] * g.kernel[1];
  if (elements == 0) return;
  if (g.batch == 0) return fill(View{dw, dtype_of<T>, {elements}, {1}}, 0);
  WeightsConv<T>(g, dy, x, dw).run();
}

template void conv_channels_weights<float>(const ConvGeometry&, const float*, const float*, float*);
template void conv_channels_weights<double>(const ConvGeometry&, const double*, const double*, double*);

}  // namespace thalweg::kernels
