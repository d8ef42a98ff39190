// The gradient of the weights, the exact adjoint of the forward convolution: for each point the transformed
// gradients times the transformed data, summed over the tiles, then back to 3x3. Depends on winograd_plan,
// gemm_kernels and par. Invariant: the sum runs over blocks of tiles in rising order, within a block in rising
// order too.
#include <thalweg/ops/kernels/gemm_kernels.hpp>
#include <thalweg/ops/kernels/winograd.hpp>
#include <thalweg/ops/kernels/winograd_plan.hpp>

namespace thalweg::kernels {
namespace {

using namespace winograd;

constexpr std::int64_t block_floats = 4 << 20;  // transformed data and gradients alive at once
constexpr std::int64_t group_floats = 3 << 20;  // products alive at once
constexpr std::int64_t row_run = 16;            // output channels whose kernels are written together

class WeightGradient {
 public:
  WeightGradient(const ConvGeometry& g, const float* gradient, const float* x, float* dw)
      : gradient_(gradient), x_(x), dw_(dw), tiles_(winograd_tiles()), lanes_(tiles_.lanes), plan_(planned(g)),
        data_(plan_, {g.in_channels, {g.in[0], g.in[1]}}, plan_.sizes.in,
              g.padding[0] - plan_.sizes.skipped, g.padding[1] - plan_.sizes.skipped),
        result_(plan_, {g.out_channels, {g.out[0], g.out[1]}}, plan_.sizes.out, 0, 0),
        v_place_(g.in_channels, lanes_, plan_.most_tiles(plan_.block_strips), plan_.points),
        y_place_(g.out_channels, lanes_, plan_.most_tiles(plan_.block_strips), plan_.points),
        row_length_(v_place_.channels),
        point_(panel * row_length_ + skew),
        group_(panels_of_a_group()),
        v_(static_cast<std::size_t>(v_place_.size())),
        y_(static_cast<std::size_t>(y_place_.size())),
        products_(static_cast<std::size_t>(group_ * plan_.points * point_)),
        pieces_(std::max({data_.buffer_size(plan_, lanes_), result_.buffer_size(plan_, lanes_),
                          9 * row_run * lanes_})) {}

  void run() {
    const WinogradTiles::Scheme& scheme = tiles_.schemes[static_cast<int>(plan_.scheme)];
    const std::int64_t panels = y_place_.count();
    for (std::int64_t first = 0; first < plan_.all_strips(); first += plan_.block_strips) {
      const std::int64_t last = std::min(first + plan_.block_strips, plan_.all_strips());
      const std::int64_t tiles = plan_.first_tile(last) - plan_.first_tile(first);
      transform(plan_, data_, scheme.data, x_, first, last, pieces_, v_.data(),
                [&](std::int64_t c) { return v_place_.place(c); });
      transform(plan_, result_, scheme.gradient, gradient_, first, last, pieces_, y_.data(),
                [&](std::int64_t c) { return y_place_.place(c); });
      for (std::int64_t q = 0; q < panels; q += group_) {
        multiply(q, std::min(q + group_, panels), tiles, first > 0);
        if (last == plan_.all_strips()) write(q, std::min(q + group_, panels));
      }
    }
  }

 private:
  static Plan planned(const ConvGeometry& g) {
    Plan plan(g.batch, g.in, g.out, g.padding);
    plan.cut_blocks(block_floats / (plan.points * (g.in_channels + g.out_channels)));
    return plan;
  }

  /// All panels where products of several blocks of tiles are added up, else as many as fit beside the data.
  std::int64_t panels_of_a_group() const noexcept {
    const std::int64_t all = y_place_.count();
    if (plan_.block_strips < plan_.all_strips()) return all;
    return std::clamp<std::int64_t>(group_floats / (plan_.points * point_), 1, all);
  }

  /// products[q - q0][point][output channel of the panel][input channel] (+)= sum over the block's tiles.
  void multiply(std::int64_t q0, std::int64_t q1, std::int64_t tiles, bool add) {
    const std::int64_t columns = v_place_.count(), rows = plan_.sizes.points;
    const std::int64_t grain =
        std::max<std::int64_t>(1, (1 << 20) / (tiles * panel * std::min(panel, row_length_) * rows));
    par::chunks((q1 - q0) * rows * columns, grain, [&](std::int64_t begin, std::int64_t end) noexcept {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t q = q0 + i / columns / rows, p0 = i / columns % rows * rows;
        for (std::int64_t p = p0; p < p0 + rows; ++p)
          multiply_panels(q, i % columns, p, tiles, add,
                          products_.data() + ((q - q0) * plan_.points + p) * point_);
      }
    });
  }

  void multiply_panels(std::int64_t q, std::int64_t column, std::int64_t p, std::int64_t tiles, bool add,
                       float* out) const noexcept {
    const GemmKernels<float>& kernels = gemm_kernels<float>();
    const std::int64_t width = v_place_.width(column), height = y_place_.width(q);
    const float* const a = y_.data() + y_place_.start(q) + p * y_place_.point(q);
    const float* const b = v_.data() + v_place_.start(column) + p * v_place_.point(column);
    GemmTile<float> t;
    t.k = tiles;
    t.a_row = 1, t.a_col = height;
    t.b_row = width;
    t.c_row = row_length_, t.c_col = 1;
    t.add = add;
    for (std::int64_t j = 0; j < width; j += kernels.nr) {
      t.b = b + j;
      t.cols = std::min<std::int64_t>(kernels.nr, width - j);
      for (std::int64_t i = 0; i < height; i += kernels.mr) {
        t.a = a + i;
        t.c = out + i * row_length_ + column * panel + j;
        t.rows = std::min<std::int64_t>(kernels.mr, height - i);
        kernels.strided(t);
      }
    }
  }

  void write(std::int64_t q0, std::int64_t q1) {
    const WinogradTiles::Stage stage = tiles_.schemes[static_cast<int>(plan_.scheme)].weight_gradient;
    const std::int64_t in = data_.maps.channels, out = result_.maps.channels;
    const std::int64_t r0 = q0 * panel, r1 = std::min(q1 * panel, out);
    const std::int64_t chunks = ceil_div(in, lanes_), runs = ceil_div(r1 - r0, row_run);
    par::chunks(chunks * runs, 4, [&](std::int64_t begin, std::int64_t end) noexcept {
      const Pieces::Lease lease(pieces_);
      float* const buffer = lease.data();
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t r = r0 + item / chunks * row_run, c = item % chunks * lanes_;
        const std::int64_t n = std::min(row_run, r1 - r), q = (r - r0) / panel;
        stage(products_.data() + q * plan_.points * point_ + (r - r0) % panel * row_length_ + c,
              {plan_.sizes.points * point_, point_, row_length_}, buffer, {3 * lanes_, lanes_, 9 * lanes_}, n);
        for (std::int64_t i = 0; i < n; ++i)
          tiles_.store(buffer + i * 9 * lanes_, 0, dw_ + ((r + i) * in + c) * 9, 9, in - c, 1, 9);
      }
    });
  }

  const float* const gradient_;
  const float* const x_;
  float* const dw_;
  const WinogradTiles& tiles_;
  const std::int64_t lanes_;
  const Plan plan_;
  const Side data_, result_;
  const Panels v_place_, y_place_;
  const std::int64_t row_length_, point_;  // of the products: floats between rows and between points
  const std::int64_t group_;
  mem::Scratch<float> v_, y_, products_;
  Pieces pieces_;
};

}  // namespace

void winograd_weight_gradient(const ConvGeometry& g, const float* dy, const float* x, float* dw) {
  WeightGradient(g, dy, x, dw).run();
}

}  // namespace thalweg::kernels
