// The forward convolution and the gradient of its input, which is one too, with turned weights: transformed
// data of a block of tiles stays in the shared cache, is multiplied panel by panel, and each panel's products
// go back to pixels at once. Depends on winograd_plan, gemm_kernels, fault and par.
#include <thalweg/ops/kernels/winograd.hpp>

#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/gemm_kernels.hpp>
#include <thalweg/ops/kernels/winograd_plan.hpp>

namespace thalweg::kernels {
namespace {

using namespace winograd;

constexpr std::int64_t least_block = 1 << 19,
                       most_block = 4 << 20;    // floats of transformed data alive at once
constexpr std::int64_t weights_per_block = 2;   // a block has half as many as all transformed weights
constexpr std::int64_t group_floats = 1 << 19;  // transformed weights alive at once where one block is all
constexpr std::int64_t product_tiles = 64;      // tiles whose products one chunk holds
constexpr std::int64_t weight_run = 32;         // input channels whose weights are transformed together
constexpr std::int64_t bias_pixels = 16;

// Where it pays, as measured against the direct path: with fewer channels the transforms, with fewer tiles
// the weights' transforms eat up what is gained, and products must be fewer by 7 : 5 at least.
constexpr std::int64_t least_channels = 16, least_tiles = 4;

/// What is convolved: x [batch, from.channels, ...] to y [batch, to.channels, ...].
struct Problem {
  std::int64_t batch = 0;
  Maps from, to;
  std::int64_t padding[2] = {};
  const float* x = nullptr;
  const float* w = nullptr;
  std::int64_t w_to = 0, w_from = 0;  ///< floats between the kernels of two channels
  bool turned = false;                ///< kernels are read backwards
  const float* bias = nullptr;
  Activation act = Activation::none;
  float* y = nullptr;
};

class Convolution {
 public:
  explicit Convolution(const Problem& p)
      : p_(p),
        tiles_(winograd_tiles()),
        lanes_(tiles_.lanes),
        plan_(planned(p)),
        data_(plan_, p.from, plan_.sizes.in, p.padding[0] - plan_.sizes.skipped,
              p.padding[1] - plan_.sizes.skipped),
        result_(plan_, p.to, plan_.sizes.out, 0, 0),
        weights_(p.to.channels, lanes_, p.from.channels, plan_.points),
        row_(round_up(p.from.channels, lanes_) + 16),
        point_(plan_.most_tiles(plan_.block_strips) * row_ + skew),
        item_strips_(std::clamp<std::int64_t>(product_tiles / plan_.most_tiles(1), 1, plan_.block_strips)),
        product_point_(plan_.most_tiles(item_strips_) * panel + skew),
        group_(panels_of_a_group()),
        v_(static_cast<std::size_t>(plan_.points * point_)),
        u_(static_cast<std::size_t>(weights_.start(group_))),
        bias_(static_cast<std::size_t>(weights_.channels * bias_pixels)),
        pieces_(std::max({data_.buffer_size(plan_, lanes_), 9 * weight_run * lanes_,
                          plan_.points * product_point_ + result_.buffer_size(plan_, lanes_)})) {}

  void run() {
    repeat_bias();
    const bool whole = group_ == weights_.count();
    if (whole) transform_weights(0, group_);
    const WinogradTiles::Stage stage = tiles_.schemes[static_cast<int>(plan_.scheme)].data;
    for (std::int64_t first = 0; first < plan_.all_strips(); first += plan_.block_strips) {
      const std::int64_t last = std::min(first + plan_.block_strips, plan_.all_strips());
      transform(plan_, data_, stage, p_.x, first, last, pieces_, v_.data(), [&](std::int64_t c) {
        return Place{c, row_, point_};
      });
      for (std::int64_t q = 0; q < weights_.count(); q += group_) {
        const std::int64_t end = std::min(q + group_, weights_.count());
        if (!whole) transform_weights(q, end);
        multiply(first, last, q, end);
      }
    }
  }

 private:
  static Plan planned(const Problem& p) {
    Plan plan(p.batch, p.from.size, p.to.size, p.padding);
    const std::int64_t weights = plan.points * p.from.channels * p.to.channels;
    plan.cut_blocks(std::clamp(weights / weights_per_block, least_block, most_block) /
                    (plan.points * p.from.channels));
    return plan;
  }

  /// All panels where several blocks of tiles need them, else as many as fit beside the data.
  std::int64_t panels_of_a_group() const noexcept {
    const std::int64_t all = weights_.count();
    if (plan_.block_strips < plan_.all_strips()) return all;
    return std::clamp<std::int64_t>(group_floats / weights_.start(1), 1, all);
  }

  void repeat_bias() noexcept {
    if (p_.bias == nullptr) return;
    for (std::int64_t c = 0; c < weights_.channels; c += lanes_)
      for (std::int64_t i = 0; i < bias_pixels; ++i)
        for (std::int64_t l = 0; l < lanes_; ++l)
          bias_[static_cast<std::size_t>((c * bias_pixels) + i * lanes_ + l)] =
              p_.bias[std::min(c + l, p_.to.channels - 1)];
  }

  /// Rows of weights are too short for the processor to notice; it does no harm to reach past the end.
  static void prefetch(const float* from, std::int64_t count) noexcept {
    for (std::int64_t i = 0; i < count; i += 16) __builtin_prefetch(from + i);
  }

  void transform_weights(std::int64_t q0, std::int64_t q1) {
    const WinogradTiles::Stage stage = tiles_.schemes[static_cast<int>(plan_.scheme)].weights;
    const std::int64_t c0 = q0 * panel, c1 = std::min(q1 * panel, weights_.channels);
    const std::int64_t runs = ceil_div(p_.from.channels, weight_run), tap = p_.turned ? -lanes_ : lanes_;
    const std::int64_t chunks = (c1 - c0) / lanes_;
    par::chunks(chunks * runs, chunk_vectors / (plan_.points * weight_run),
                [&](std::int64_t begin, std::int64_t end) noexcept {
                  const Pieces::Lease lease(pieces_, begin, chunks * runs);
                  float* const buffer = lease.data();
                  for (std::int64_t item = begin; item < end; ++item) {
                    // The order in which the kernels lie in memory.
                    const std::int64_t c = c0 + (p_.w_from == 9 ? item / runs : item % chunks) * lanes_;
                    const std::int64_t k = (p_.w_from == 9 ? item % runs : item / chunks) * weight_run;
                    const std::int64_t n = std::min(weight_run, p_.from.channels - k),
                                       planes = p_.to.channels - c;
                    const float* const w = p_.w + c * p_.w_to + k * p_.w_from;
                    if (p_.w_from == 9) {
                      for (std::int64_t l = 0; l < std::min(lanes_, planes); ++l)
                        prefetch(w + l * p_.w_to + 9 * weight_run, 9 * weight_run);
                      tiles_.load(w, p_.w_to, planes, 1, 9 * n, buffer, 0);
                    } else {
                      for (std::int64_t i = 0; i < n; ++i) {
                        prefetch(w + i * p_.w_from + 9 * lanes_, 9 * lanes_);
                        tiles_.load(w + i * p_.w_from, p_.w_to, planes, 1, 9, buffer + i * 9 * lanes_, 0);
                      }
                    }
                    const Place at = weights_.place(c);
                    stage(buffer + (p_.turned ? 8 * lanes_ : 0), {3 * tap, tap, 9 * lanes_},
                          u_.data() + at.offset - weights_.start(q0) + k * at.tile,
                          {plan_.sizes.points * at.point, at.point, at.tile}, n);
                  }
                });
  }

  void multiply(std::int64_t first, std::int64_t last, std::int64_t q0, std::int64_t q1) {
    const std::int64_t items = ceil_div(last - first, item_strips_);
    const std::int64_t work =
        plan_.points * p_.from.channels * std::min(panel, weights_.channels) * plan_.most_tiles(item_strips_);
    par::chunks(items * (q1 - q0), std::max<std::int64_t>(1, chunk_products / work),
                [&](std::int64_t begin, std::int64_t end) noexcept {
                  const Pieces::Lease lease(pieces_, begin, items * (q1 - q0));
                  for (std::int64_t i = begin; i < end; ++i) {
                    const std::int64_t strip = first + i % items * item_strips_, q = q0 + i / items;
                    const std::int64_t strip_end = std::min(strip + item_strips_, last);
                    const std::int64_t tile = plan_.first_tile(strip) - plan_.first_tile(first);
                    const std::int64_t count = plan_.first_tile(strip_end) - plan_.first_tile(strip);
                    products(v_.data() + tile * row_, count, q,
                             u_.data() + weights_.start(q) - weights_.start(q0), lease.data());
                    for (std::int64_t s = strip; s < strip_end; ++s)
                      write(s, (plan_.first_tile(s) - plan_.first_tile(strip)) * weights_.width(q), q,
                            lease.data());
                  }
                });
  }

  /// out[point][tile][channel of the panel] of `count` tiles.
  void products(const float* v, std::int64_t count, std::int64_t q, const float* u,
                float* out) const noexcept {
    const GemmKernels<float>& kernels = gemm_kernels<float>();
    const std::int64_t width = weights_.width(q), channels = p_.from.channels, chain = chain_of(channels);
    GemmTile<float> t;
    t.a_row = row_, t.a_col = 1;
    t.b_row = t.c_row = width;
    t.c_col = 1;
    for (std::int64_t point = 0; point < plan_.points; ++point)
      for (std::int64_t j = 0; j < width; j += kernels.nr)
        for (std::int64_t k = 0; k < channels; k += chain) {
          t.k = std::min(chain, channels - k);
          t.add = k > 0;
          t.b = u + point * weights_.point(q) + k * width + j;
          t.cols = std::min<std::int64_t>(kernels.nr, width - j);
          for (std::int64_t i = 0; i < count; i += kernels.mr) {
            t.a = v + point * point_ + i * row_ + k;
            t.c = out + point * product_point_ + i * width + j;
            t.rows = std::min<std::int64_t>(kernels.mr, count - i);
            kernels.strided(t);
          }
        }
  }

  /// The pixels of one strip and panel from the products, which start at piece[at].
  void write(std::int64_t strip, std::int64_t at, std::int64_t q, float* piece) const noexcept {
    const WinogradTiles::Stage stage = tiles_.schemes[static_cast<int>(plan_.scheme)].output;
    const std::int64_t size = plan_.sizes.out, width = weights_.width(q), row = result_.pitch * lanes_;
    float* const buffer = piece + plan_.points * product_point_;
    const std::int64_t top = strip % plan_.strips * plan_.strip_rows * size;
    const std::int64_t tile_rows = plan_.rows_of(strip);
    const std::int64_t height = p_.to.size[0], columns = p_.to.size[1];
    std::int64_t rows = std::min(tile_rows * size, height - top);
    if (fault::is(Fault::winograd_edge)) rows -= rows % size;
    for (std::int64_t l = 0; l < width; l += lanes_) {
      for (std::int64_t y = 0; y < tile_rows; ++y)
        stage(piece + at + y * plan_.tiles[1] * width + l,
              {plan_.sizes.points * product_point_, product_point_, width}, buffer + y * size * row,
              {row, lanes_, size * lanes_}, plan_.tiles[1]);
      const std::int64_t c = q * panel + l;
      finish(buffer, rows, c);
      tiles_.store(buffer, row, p_.y + ((strip / plan_.strips * p_.to.channels + c) * height + top) * columns,
                   height * columns, p_.to.channels - c, rows, columns);
    }
  }

  void finish(float* buffer, std::int64_t rows, std::int64_t c) const noexcept {
    if (p_.bias == nullptr && p_.act == Activation::none) return;
    const auto apply = gemm_kernels<float>().finish;
    const float* const bias = p_.bias == nullptr ? nullptr : bias_.data() + c * bias_pixels;
    const std::int64_t pixels = rows * result_.pitch;
    for (std::int64_t i = 0; i < pixels; i += bias_pixels)
      apply(buffer + i * lanes_, bias, std::min(bias_pixels, pixels - i) * lanes_, p_.act);
  }

  const Problem p_;
  const WinogradTiles& tiles_;
  const std::int64_t lanes_;
  const Plan plan_;
  const Side data_, result_;
  const Panels weights_;
  const std::int64_t row_, point_;  // of the data: floats between tiles and between points
  const std::int64_t item_strips_, product_point_, group_;
  mem::Scratch<float> v_, u_, bias_;
  Pieces pieces_;
};

}  // namespace

bool winograd_applies(const ConvGeometry& g) noexcept {
  bool fits = g.groups == 1 && g.batch > 0 && g.in_channels > 0 && g.out_channels > 0;
  for (int i = 0; i < 2; ++i)
    fits = fits && g.kernel[i] == 3 && g.stride[i] == 1 && g.dilation[i] == 1 && g.padding[i] >= 0 &&
           g.padding[i] <= 1 && g.out[i] > 0;
  return fits;
}

bool winograd_pays(const ConvGeometry& g, ConvDirection direction) noexcept {
  if (!winograd_applies(g) || std::min(g.in_channels, g.out_channels) < least_channels) return false;
  const bool turned = direction == ConvDirection::input_gradient;
  const std::int64_t padding[2] = {turned ? 2 - g.padding[0] : g.padding[0],
                                   turned ? 2 - g.padding[1] : g.padding[1]};
  const Plan plan(g.batch, turned ? g.out : g.in, turned ? g.in : g.out, padding);
  const std::int64_t tiles = plan.tiles[0] * plan.tiles[1];
  if (plan.scheme != WinogradScheme::pair && g.batch * tiles < least_tiles) return false;
  std::int64_t direct = 1;  // products of an image and a pair of channels, but for those with padding
  for (int i = 0; i < 2; ++i) {
    std::int64_t taps = 0;
    for (std::int64_t k = -g.padding[i]; k < 3 - g.padding[i]; ++k)
      taps += std::max<std::int64_t>(0, std::min(g.out[i], g.in[i] - k) - std::max<std::int64_t>(0, -k));
    direct *= taps;
  }
  return 7 * plan.points * tiles <= 5 * direct;
}

void winograd_forward(const ConvGeometry& g, const float* x, const float* w, const float* bias,
                      Activation act, float* y) {
  Problem p{.batch = g.batch,
            .from = {g.in_channels, {g.in[0], g.in[1]}},
            .to = {g.out_channels, {g.out[0], g.out[1]}},
            .padding = {g.padding[0], g.padding[1]},
            .x = x,
            .w = w,
            .w_to = 9 * g.in_channels,
            .w_from = 9,
            .bias = bias,
            .act = act,
            .y = y};
  Convolution(p).run();
}

void winograd_input_gradient(const ConvGeometry& g, const float* dy, const float* w, float* dx) {
  Problem p{.batch = g.batch,
            .from = {g.out_channels, {g.out[0], g.out[1]}},
            .to = {g.in_channels, {g.in[0], g.in[1]}},
            .padding = {2 - g.padding[0], 2 - g.padding[1]},
            .x = dy,
            .w = w,
            .w_to = 9,
            .w_from = 9 * g.in_channels,
            .turned = true,
            .y = dx};
  Convolution(p).run();
}

}  // namespace thalweg::kernels
