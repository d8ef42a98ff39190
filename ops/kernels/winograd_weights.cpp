// The gradient of the weights, the exact adjoint of the forward convolution: for each point the transformed
// gradients times the transformed data, summed over the tiles, then back to 3x3. Depends on winograd_plan,
// gemm_kernels and par. Invariant: the sum runs over blocks of tiles in rising order, within a block in
// rising order too.
#include <thalweg/ops/kernels/gemm_kernels.hpp>
#include <thalweg/ops/kernels/winograd.hpp>
#include <thalweg/ops/kernels/winograd_plan.hpp>

namespace thalweg::kernels {
namespace {

using namespace winograd;

constexpr std::int64_t least_block = 1 << 20,
                       most_block = 5 << 20;  // floats of transformed maps alive at once
constexpr std::int64_t enough_panels = 16;    // to keep threads busy with whole panels
constexpr std::int64_t row_run = 16;          // output channels whose kernels are written together

class WeightGradient {
 public:
  WeightGradient(const ConvGeometry& g, const float* gradient, const float* x, float* dw)
      : gradient_(gradient),
        x_(x),
        dw_(dw),
        tiles_(winograd_tiles()),
        lanes_(tiles_.lanes),
        plan_(planned(g)),
        data_(plan_, {g.in_channels, {g.in[0], g.in[1]}}, plan_.sizes.in, g.padding[0] - plan_.sizes.skipped,
              g.padding[1] - plan_.sizes.skipped),
        result_(plan_, {g.out_channels, {g.out[0], g.out[1]}}, plan_.sizes.out, 0, 0),
        v_place_(g.in_channels, lanes_, plan_.most_tiles(plan_.block_strips), plan_.points),
        y_place_(g.out_channels, lanes_, plan_.most_tiles(plan_.block_strips), plan_.points),
        columns_(v_place_.count()),
        panels_(y_place_.count() * columns_),
        point_(panel * std::min(panel, v_place_.channels) + skew),
        at_once_(plan_.block_strips == plan_.all_strips() && panels_ >= enough_panels),
        v_(static_cast<std::size_t>(v_place_.size())),
        y_(static_cast<std::size_t>(y_place_.size())),
        products_(at_once_ ? 1 : static_cast<std::size_t>(panels_ * plan_.points * point_)),
        pieces_(std::max({data_.buffer_size(plan_, lanes_), result_.buffer_size(plan_, lanes_),
                          9 * row_run * lanes_ + (at_once_ ? plan_.points * point_ : 0)})) {}

  void run() {
    const WinogradTiles::Scheme& scheme = tiles_.schemes[static_cast<int>(plan_.scheme)];
    for (std::int64_t first = 0; first < plan_.all_strips(); first += plan_.block_strips) {
      const std::int64_t last = std::min(first + plan_.block_strips, plan_.all_strips());
      const std::int64_t tiles = plan_.first_tile(last) - plan_.first_tile(first);
      transform(plan_, data_, scheme.data, x_, first, last, pieces_, v_.data(),
                [&](std::int64_t c) { return v_place_.place(c); });
      transform(plan_, result_, scheme.gradient, gradient_, first, last, pieces_, y_.data(),
                [&](std::int64_t c) { return y_place_.place(c); });
      if (at_once_)
        multiply_and_write(tiles);
      else
        multiply(tiles, first > 0);
    }
    if (!at_once_) write();
  }

 private:
  static Plan planned(const ConvGeometry& g) {
    Plan plan(g.batch, g.in, g.out, g.padding);
    const std::int64_t products = plan.points * g.in_channels * g.out_channels;
    plan.cut_blocks(std::clamp(products, least_block, most_block) /
                    (plan.points * (g.in_channels + g.out_channels)));
    return plan;
  }

  /// Both panels of one chunk, whose products never leave its cache.
  void multiply_and_write(std::int64_t tiles) {
    // A row of kernels is written in the time of about 16 tiles.
    const std::int64_t grain =
        std::max<std::int64_t>(1, chunk_products / (plan_.points * point_ * (tiles + 16)));
    par::chunks(panels_, grain, [&](std::int64_t begin, std::int64_t end) noexcept {
      const Pieces::Lease lease(pieces_, begin, panels_);
      float* const products = lease.data() + 9 * row_run * lanes_;
      for (std::int64_t i = begin; i < end; ++i) {
        for (std::int64_t p = 0; p < plan_.points; ++p)
          multiply_panels(i / columns_, i % columns_, p, tiles, false, products + p * point_);
        for (std::int64_t r = 0; r < panel; r += row_run) write_rows(i, r, products, lease.data());
      }
    });
  }

  /// products[pair of panels][point][output channel][input channel] (+)= sum over the block's tiles.
  void multiply(std::int64_t tiles, bool add) {
    const std::int64_t rows = plan_.sizes.points;
    const std::int64_t grain = std::max<std::int64_t>(1, chunk_products / (tiles * point_ * rows));
    par::chunks(panels_ * rows, grain, [&](std::int64_t begin, std::int64_t end) noexcept {
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t p = i % rows * rows; p < (i % rows + 1) * rows; ++p)
          multiply_panels(i / rows / columns_, i / rows % columns_, p, tiles, add,
                          products_.data() + (i / rows * plan_.points + p) * point_);
    });
  }

  void write() {
    constexpr std::int64_t runs = panel / row_run;
    par::chunks(panels_ * runs, 8, [&](std::int64_t begin, std::int64_t end) noexcept {
      const Pieces::Lease lease(pieces_, begin, panels_ * runs);
      for (std::int64_t i = begin; i < end; ++i)
        write_rows(i / runs, i % runs * row_run, products_.data() + i / runs * plan_.points * point_,
                   lease.data());
    });
  }

  void multiply_panels(std::int64_t q, std::int64_t column, std::int64_t p, std::int64_t tiles, bool add,
                       float* out) const noexcept {
    const GemmKernels<float>& kernels = gemm_kernels<float>();
    const std::int64_t width = v_place_.width(column), height = y_place_.width(q);
    const float* const a = y_.data() + y_place_.start(q) + p * y_place_.point(q);
    const float* const b = v_.data() + v_place_.start(column) + p * v_place_.point(column);
    GemmTile<float> t;
    t.a_row = 1, t.a_col = height;
    t.b_row = width;
    t.c_row = width, t.c_col = 1;
    const std::int64_t chain = chain_of(tiles);
    for (std::int64_t j = 0; j < width; j += kernels.nr)
      for (std::int64_t k = 0; k < tiles; k += chain) {
        t.k = std::min(chain, tiles - k);
        t.add = add || k > 0;
        t.b = b + k * width + j;
        t.cols = std::min<std::int64_t>(kernels.nr, width - j);
        for (std::int64_t i = 0; i < height; i += kernels.mr) {
          t.a = a + k * height + i;
          t.c = out + i * width + j;
          t.rows = std::min<std::int64_t>(kernels.mr, height - i);
          kernels.strided(t);
        }
      }
  }

  /// The kernels of output channels [row, row + row_run) of a pair of panels.
  void write_rows(std::int64_t pair, std::int64_t row, const float* products, float* buffer) const noexcept {
    const WinogradTiles::Stage stage = tiles_.schemes[static_cast<int>(plan_.scheme)].weight_gradient;
    const std::int64_t in = data_.maps.channels, width = v_place_.width(pair % columns_);
    const std::int64_t r = pair / columns_ * panel + row;
    const std::int64_t n = std::min(row_run, result_.maps.channels - r);
    if (n <= 0) return;
    for (std::int64_t l = 0; l < width; l += lanes_) {
      const std::int64_t c = pair % columns_ * panel + l;
      stage(products + row * width + l, {plan_.sizes.points * point_, point_, width}, buffer,
            {3 * lanes_, lanes_, 9 * lanes_}, n);
      for (std::int64_t i = 0; i < n; ++i)
        tiles_.store(buffer + i * 9 * lanes_, 0, dw_ + ((r + i) * in + c) * 9, 9, in - c, 1, 9);
    }
  }

  const float* const gradient_;
  const float* const x_;
  float* const dw_;
  const WinogradTiles& tiles_;
  const std::int64_t lanes_;
  const Plan plan_;
  const Side data_, result_;
  const Panels v_place_, y_place_;
  const std::int64_t columns_, panels_;  // panels of input channels, and pairs of panels
  const std::int64_t point_;             // floats between the products of two points
  const bool at_once_;                   // no products are kept between phases
  mem::Scratch<float> v_, y_, products_;
  Pieces pieces_;
};

}  // namespace

void winograd_weight_gradient(const ConvGeometry& g, const float* dy, const float* x, float* dw) {
  WeightGradient(g, dy, x, dw).run();
}

}  // namespace thalweg::kernels
