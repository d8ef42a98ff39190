// Convolution and its two gradients, on every path: against naive f64 loops over a sweep of geometries, on
// every instruction set; equal bits at any thread count; fused bias and relu; what is not finite beside
// padding; the choice of path.
#include <cmath>
#include <limits>

#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/conv.hpp>
#include <thalweg/ops/kernels/conv_taps.hpp>

using namespace kernel_test;
using thalweg::kernels::Activation;
using thalweg::kernels::ConvGeometry;
using thalweg::kernels::ConvPath;
namespace kernels = thalweg::kernels;

namespace {

class ForcedPath {
 public:
  explicit ForcedPath(ConvPath p) { kernels::force_conv_path(p); }
  ForcedPath(const ForcedPath&) = delete;
  ForcedPath& operator=(const ForcedPath&) = delete;
  ~ForcedPath() { kernels::force_conv_path(ConvPath::automatic); }
};

constexpr ConvPath paths[] = {ConvPath::channels, ConvPath::product, ConvPath::planes, ConvPath::winograd};

struct Two {
  std::int64_t y, x;
};

ConvGeometry geometry(std::int64_t batch, std::int64_t in, std::int64_t out, Two size, Two kernel,
                      Two stride = {1, 1}, Two padding = {0, 0}, Two dilation = {1, 1},
                      std::int64_t groups = 1) {
  ConvGeometry g;
  g.batch = batch, g.in_channels = in, g.out_channels = out, g.groups = groups;
  const Two given[] = {size, kernel, stride, padding, dilation};
  std::int64_t* const to[] = {g.in, g.kernel, g.stride, g.padding, g.dilation};
  for (int i = 0; i < 5; ++i) to[i][0] = given[i].y, to[i][1] = given[i].x;
  for (int i = 0; i < 2; ++i)
    g.out[i] = (g.in[i] + 2 * g.padding[i] - g.dilation[i] * (g.kernel[i] - 1) - 1) / g.stride[i] + 1;
  return g;
}

/// Every product of the convolution: f(index in x, in w, in y).
template <class F>
void each_product(const ConvGeometry& g, F&& f) {
  const std::int64_t in = g.in_channels / g.groups, out = g.out_channels / g.groups;
  for (std::int64_t n = 0; n < g.batch; ++n)
    for (std::int64_t o = 0; o < g.out_channels; ++o)
      for (std::int64_t c = 0; c < in; ++c)
        for (std::int64_t k = 0; k < g.kernel[0] * g.kernel[1]; ++k)
          for (std::int64_t i = 0; i < g.out[0]; ++i)
            for (std::int64_t j = 0; j < g.out[1]; ++j) {
              const std::int64_t r = i * g.stride[0] + k / g.kernel[1] * g.dilation[0] - g.padding[0],
                                 s = j * g.stride[1] + k % g.kernel[1] * g.dilation[1] - g.padding[1];
              if (r < 0 || s < 0 || r >= g.in[0] || s >= g.in[1]) continue;
              f(((n * g.in_channels + o / out * in + c) * g.in[0] + r) * g.in[1] + s,
                (o * in + c) * g.kernel[0] * g.kernel[1] + k,
                ((n * g.out_channels + o) * g.out[0] + i) * g.out[1] + j);
            }
}

template <class T>
struct Operands {
  ConvGeometry g;
  Array<T> x, w, y, b;
  explicit Operands(const ConvGeometry& geometry_)
      : g(geometry_),
        x({g.batch, g.in_channels, g.in[0], g.in[1]}),
        w({g.out_channels, g.in_channels / g.groups, g.kernel[0], g.kernel[1]}),
        y({g.batch, g.out_channels, g.out[0], g.out[1]}),
        b({g.out_channels}) {
    x.random(1), w.random(2), y.random(3), b.random(4);
  }
  void forward(Array<T>& to, bool bias = false, Activation act = Activation::none) {
    kernels::conv_forward(g, to.view().dtype, x.view().data, w.view().data, bias ? b.view().data : nullptr,
                          act, to.view().data);
  }
  void input_gradient(Array<T>& to) {
    kernels::conv_input_gradient(g, to.view().dtype, y.view().data, w.view().data, to.view().data);
  }
  void weight_gradient(Array<T>& to) {
    kernels::conv_weight_gradient(g, to.view().dtype, y.view().data, x.view().data, to.view().data);
  }
};

/// The exact result and the sums of its terms' magnitudes.
struct Expected {
  std::vector<double> value, magnitude;
  explicit Expected(std::int64_t n) : value(static_cast<std::size_t>(n)), magnitude(value) {}
  void add(std::int64_t at, double term) {
    value[static_cast<std::size_t>(at)] += term;
    magnitude[static_cast<std::size_t>(at)] += std::abs(term);
  }
  /// Worst error in eps of the element's own sum of magnitudes, or of the largest where tiles share errors.
  template <class T>
  double error(Array<T>& got, bool shared) const {
    double largest = 1e-300, worst = 0;
    for (double m : magnitude) largest = std::max(largest, m);
    for (std::int64_t i = 0; i < got.size(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      const double off = std::abs(double{got[i]} - value[k]);
      if (!(off == 0)) worst = std::max(worst, off / (shared ? largest : magnitude[k]));
      if (std::isnan(off)) return off;
    }
    return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
  }
};

template <class T>
void check(const ConvGeometry& g) {
  Operands<T> op(g);
  Expected y(op.y.size()), dx(op.x.size()), dw(op.w.size());
  each_product(g, [&](std::int64_t i, std::int64_t k, std::int64_t o) {
    y.add(o, double{op.x[i]} * double{op.w[k]});
    dx.add(i, double{op.y[o]} * double{op.w[k]});
    dw.add(k, double{op.y[o]} * double{op.x[i]});
  });
  for (ConvPath path : paths) {
    INFO("path " << static_cast<int>(path) << ", x " << thalweg::to_string(op.x.shape()) << ", w "
                 << thalweg::to_string(op.w.shape()) << ", y " << thalweg::to_string(op.y.shape()));
    const ForcedPath forced(path);
    const bool shared = path == ConvPath::winograd;
    const double bound = shared ? 16 : 12;
    Array<T> got_y(op.y.shape()), got_dx(op.x.shape()), got_dw(op.w.shape());
    op.forward(got_y), op.input_gradient(got_dx), op.weight_gradient(got_dw);
    CHECK(y.error(got_y, shared) <= bound);
    CHECK(dx.error(got_dx, shared) <= bound);
    CHECK(dw.error(got_dw, shared) <= bound);
    CHECK((got_y.guards_intact() && got_dx.guards_intact() && got_dw.guards_intact()));
  }
}

std::vector<ConvGeometry> sweep() {
  std::vector<ConvGeometry> all;
  for (std::int64_t batch : {1, 7, 8, 9, 17})
    all.push_back(geometry(batch, 3, 5, {4, 5}, {3, 2}, {1, 1}, {1, 0}));
  for (std::int64_t out : {1, 7, 8, 9, 15, 16, 17, 33, 49})
    all.push_back(geometry(2, 2, out, {3, 3}, {2, 2}));
  for (std::int64_t in : {1, 8, 9, 17, 33}) all.push_back(geometry(8, in, 3, {2, 2}, {3, 3}, {1, 1}, {1, 1}));
  for (std::int64_t stride : {1, 2, 3, 5})
    for (std::int64_t dilation : {1, 2, 3})
      for (std::int64_t padding : {0, 1, 4})
        all.push_back(
            geometry(2, 2, 2, {9, 11}, {3, 4}, {stride, 4 - dilation}, {padding, 1}, {dilation, 2}));
  all.push_back(geometry(2, 1, 2, {3, 3}, {1, 2}, {4, 1}, {3, 5}));   // mostly padding
  all.push_back(geometry(1, 2, 2, {1, 40}, {1, 9}, {1, 2}, {0, 4}));  // one row
  all.push_back(geometry(1, 2, 2, {40, 1}, {9, 1}, {2, 1}, {4, 0}));  // one column
  all.push_back(geometry(3, 6, 8, {5, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 2));
  all.push_back(geometry(9, 6, 18, {4, 4}, {2, 3}, {2, 1}, {1, 1}, {1, 2}, 6));  // depthwise, three each
  all.push_back(geometry(2, 5, 5, {9, 33}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 5));
  all.push_back(geometry(2, 5, 5, {16, 16}, {5, 5}, {2, 2}, {2, 2}, {1, 1}, 5));
  all.push_back(geometry(9, 70, 50, {3, 4}, {1, 1}));
  all.push_back(geometry(2, 12, 20, {5, 7}, {1, 1}, {1, 1}, {0, 0}, {2, 3}, 4));
  all.push_back(geometry(1, 3, 10, {23, 50}, {7, 7}, {2, 2}, {3, 3}));
  all.push_back(geometry(12, 8, 6, {6, 7}, {3, 3}, {1, 1}, {1, 0}));
  // Many channels on one side, few on the other: planes take them slab by slab.
  all.push_back(geometry(2, 60, 3, {9, 16}, {3, 3}, {1, 1}, {1, 1}));
  all.push_back(geometry(2, 3, 70, {9, 13}, {5, 4}, {2, 1}, {2, 1}));
  all.push_back(geometry(1, 50, 2, {16, 32}, {3, 5}, {2, 2}, {1, 1}, {2, 1}));
  all.push_back(geometry(2, 66, 4, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 2));
  return all;
}

}  // namespace

TEST_CASE("a convolution and its gradients match naive loops on every path, over all attributes and edges") {
  on_targets([] {
    for (const ConvGeometry& g : sweep()) {
      check<float>(g);
      check<double>(g);
    }
  });
}

TEST_CASE("several blocks of images, chains of taps and partial sums") {
  for (const ConvGeometry& g :
       {geometry(50, 10, 10, {40, 40}, {2, 1}, {1, 1}, {1, 0}),
        geometry(20, 3, 9, {10, 48}, {5, 5}, {1, 1}, {2, 2}),
        geometry(3, 600, 20, {3, 3}, {3, 3}, {1, 1}, {1, 1}), geometry(2, 4, 150, {20, 70}, {1, 1}),
        geometry(2, 3, 5, {200, 180}, {7, 7}, {2, 2}, {3, 3})})
    check<float>(g);
}

TEST_CASE("the bits of a convolution do not depend on the number of threads") {
  for (const ConvGeometry& g : {geometry(16, 20, 70, {12, 9}, {3, 3}, {1, 1}, {1, 1}),
                                geometry(1, 3, 30, {60, 70}, {5, 5}, {2, 1}, {2, 2}),
                                geometry(1, 90, 70, {20, 20}, {1, 1}), geometry(6, 90, 70, {20, 20}, {1, 1}),
                                geometry(3, 24, 24, {30, 30}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 24),
                                geometry(4, 3, 60, {32, 20}, {3, 3}, {1, 1}, {1, 1})}) {
    Operands<float> op(g);
    on_targets([&] {
      for (ConvPath path : paths) {
        const ForcedPath forced(path);
        std::vector<float> bits;
        on_threads([&] {
          Array<float> y(op.y.shape()), dx(op.x.shape()), dw(op.w.shape());
          op.forward(y, true), op.input_gradient(dx), op.weight_gradient(dw);
          std::vector<float> all = y.values();
          for (Array<float>* a : {&dx, &dw}) {
            const std::vector<float> more = a->values();
            all.insert(all.end(), more.begin(), more.end());
          }
          if (bits.empty()) bits = all;
          CHECK(same_bits(all, bits));
        });
      }
    });
  }
}

TEST_CASE("a fused bias and relu has the bits of the separate steps on the direct paths") {
  on_targets([] {
    for (ConvPath path : {ConvPath::channels, ConvPath::planes})
      for (const auto& [in, groups] : {std::pair{6, 1}, std::pair{6, 3}, std::pair{60, 1}}) {
        const ForcedPath forced(path);
        Operands<float> op(geometry(9, in, 21, {5, 18}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, groups));
        Array<float> plain(op.y.shape()), fused(op.y.shape());
        op.forward(plain), op.forward(fused, true, Activation::relu);
        for (std::int64_t i = 0; i < plain.size(); ++i)
          plain[i] = std::max(0.0F, plain[i] + op.b[i / (op.g.out[0] * op.g.out[1]) % 21]);
        CHECK(same_bits(fused.values(), plain.values()));
      }
  });
}

TEST_CASE("what is not finite spreads along the terms of a sum only, not over padding") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  on_targets([&] {
    for (ConvPath path : {ConvPath::channels, ConvPath::planes})
      for (float special : {nan, inf}) {
        const ForcedPath forced(path);
        Operands<float> op(geometry(1, 1, 1, {4, 5}, {3, 3}, {1, 1}, {1, 1}));
        Array<float> y(op.y.shape()), dx(op.x.shape()), dw(op.w.shape());
        op.w[0] = special;  // the tap up and left: not of the first row and column
        op.forward(y), op.input_gradient(dx);
        for (std::int64_t i = 0; i < 20; ++i) {
          CHECK(std::isfinite(y[i]) == (i < 5 || i % 5 == 0));
          CHECK(std::isfinite(dx[i]) == (i >= 15 || i % 5 == 4));
        }
        op.y[0] = special;  // meets the input under all taps but those above and to the left
        op.weight_gradient(dw);
        for (std::int64_t i = 0; i < 9; ++i) CHECK(std::isfinite(dw[i]) == (i < 3 || i % 3 == 0));
      }
  });
}

TEST_CASE("an empty batch gives nothing, and a weight gradient of zeros; no channels give the bias") {
  for (ConvPath path : paths) {
    const ForcedPath forced(path);
    Operands<float> op(geometry(0, 2, 3, {4, 4}, {3, 3}));
    Array<float> y(op.y.shape()), dx(op.x.shape()), dw(op.w.shape());
    op.forward(y), op.input_gradient(dx), op.weight_gradient(dw);
    for (std::int64_t i = 0; i < dw.size(); ++i) CHECK(dw[i] == 0);
    Operands<float> none(geometry(2, 0, 3, {4, 4}, {3, 3}));
    Array<float> bias(none.y.shape()), nothing(none.w.shape());
    none.forward(bias, true), none.weight_gradient(nothing);
    for (std::int64_t i = 0; i < bias.size(); ++i) CHECK(bias[i] == none.b[i / 4 % 3]);
  }
}

TEST_CASE("groups of taps cover every position once, with the taps that naive loops find") {
  for (std::int64_t in : {1, 2, 5, 12})
    for (std::int64_t kernel : {1, 2, 3, 5})
      for (std::int64_t stride : {1, 2, 3, 4})
        for (std::int64_t dilation : {1, 2, 3})
          for (std::int64_t padding : {0, 1, 3, 6}) {
            const std::int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
            if (room < 0) continue;
            const kernels::TapAxis axis{in, room / stride + 1, kernel, stride, padding, dilation};
            for (bool backward : {false, true}) {
              std::vector<kernels::TapGroup> groups(static_cast<std::size_t>(backward ? in : axis.out));
              groups.resize(static_cast<std::size_t>(kernels::tap_groups(axis, backward, groups.data())));
              std::vector<int> seen(static_cast<std::size_t>(in * axis.out * kernel)), covered(seen);
              for (const kernels::TapGroup& g : groups)
                for (std::int64_t i = 0; i < g.count; ++i) {
                  const std::int64_t at = g.first + i * g.step;
                  ++covered[static_cast<std::size_t>(at)];
                  for (std::int64_t t = 0; t < g.taps; ++t) {
                    const std::int64_t from = g.source + i * g.source_step + t * g.source_tap,
                                       x = backward ? at : from, y = backward ? from : at;
                    ++seen[static_cast<std::size_t>((x * axis.out + y) * kernel + g.tap + t * g.tap_step)];
                  }
                }
              bool right = true;
              for (std::int64_t p = 0; p < (backward ? in : axis.out); ++p)
                right &= covered[static_cast<std::size_t>(p)] == 1;
              for (std::int64_t x = 0; x < in; ++x)
                for (std::int64_t y = 0; y < axis.out; ++y)
                  for (std::int64_t k = 0; k < kernel; ++k)
                    right &= seen[static_cast<std::size_t>((x * axis.out + y) * kernel + k)] ==
                             (y * stride - padding + k * dilation == x ? 1 : 0);
              CHECK(right);
            }
          }
}

TEST_CASE("the path follows the geometry, can be forced, and is counted") {
  const auto ran = [](const ConvGeometry& g) {
    std::int64_t before[kernels::conv_paths];
    for (int i = 0; i < kernels::conv_paths; ++i) before[i] = kernels::conv_count(static_cast<ConvPath>(i));
    Operands<float> op(g);
    Array<float> y(op.y.shape());
    op.forward(y);
    for (int i = 0; i < kernels::conv_paths; ++i)
      if (kernels::conv_count(static_cast<ConvPath>(i)) > before[i]) return static_cast<ConvPath>(i);
    return ConvPath::automatic;
  };
  const ConvGeometry deep = geometry(2, 64, 64, {8, 8}, {3, 3}, {1, 1}, {1, 1});
  CHECK(ran(deep) == ConvPath::winograd);
  kernels::set_conv_winograd(false);
  CHECK(!kernels::conv_winograd());
  CHECK(ran(deep) == ConvPath::channels);
  kernels::set_conv_winograd(true);
  CHECK(ran(geometry(2, 8, 8, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 8)) == ConvPath::planes);
  CHECK(ran(geometry(2, 64, 64, {8, 8}, {3, 3}, {2, 2})) == ConvPath::channels);
  CHECK(ran(geometry(2, 64, 64, {8, 8}, {1, 1})) == ConvPath::product);
  CHECK(ran(geometry(2, 64, 64, {7, 7}, {1, 1})) == ConvPath::channels);
  CHECK(ran(geometry(2, 64, 3, {8, 8}, {3, 3}, {1, 1}, {1, 1})) == ConvPath::planes);
  CHECK(ran(geometry(2, 64, 3, {4, 4}, {3, 3}, {1, 1}, {1, 1})) == ConvPath::channels);
  const ForcedPath forced(ConvPath::planes);
  CHECK(ran(geometry(2, 8, 8, {8, 8}, {3, 3})) == ConvPath::planes);
  CHECK(ran(geometry(1, 512, 2, {4, 4}, {3, 3})) == ConvPath::planes);
  CHECK(ran(geometry(1, 1, 2, {20, 20}, {17, 17})) == ConvPath::channels);  // too many terms of one channel
}
