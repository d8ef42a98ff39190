// Winograd's convolution and its two gradients: against naive f64 loops over sizes up to every tile edge, on
// every instruction set; equal bits at any thread count; bias and activation; non-finite values; the fault.
#include <cmath>
#include <limits>

#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/winograd.hpp>

using namespace kernel_test;
using thalweg::kernels::Activation;
using thalweg::kernels::ConvGeometry;
namespace kernels = thalweg::kernels;

namespace {

ConvGeometry geometry(std::int64_t batch, std::int64_t in, std::int64_t out, std::int64_t height,
                      std::int64_t width, std::int64_t pad0, std::int64_t pad1) {
  ConvGeometry g;
  g.batch = batch, g.in_channels = in, g.out_channels = out;
  g.in[0] = height, g.in[1] = width;
  g.padding[0] = pad0, g.padding[1] = pad1;
  for (int i = 0; i < 2; ++i) g.kernel[i] = 3, g.out[i] = g.in[i] + 2 * g.padding[i] - 2;
  return g;
}

/// Every product of the convolution: f(index in x, in w, in y).
template <class F>
void each_product(const ConvGeometry& g, F&& f) {
  for (std::int64_t n = 0; n < g.batch; ++n)
    for (std::int64_t o = 0; o < g.out_channels; ++o)
      for (std::int64_t c = 0; c < g.in_channels; ++c)
        for (std::int64_t i = 0; i < g.out[0]; ++i)
          for (std::int64_t j = 0; j < g.out[1]; ++j)
            for (std::int64_t p = 0; p < 9; ++p) {
              const std::int64_t r = i + p / 3 - g.padding[0], s = j + p % 3 - g.padding[1];
              if (r < 0 || s < 0 || r >= g.in[0] || s >= g.in[1]) continue;
              f(((n * g.in_channels + c) * g.in[0] + r) * g.in[1] + s, (o * g.in_channels + c) * 9 + p,
                ((n * g.out_channels + o) * g.out[0] + i) * g.out[1] + j);
            }
}

struct Case {
  ConvGeometry g;
  Array<float> x, w, y;
  explicit Case(const ConvGeometry& geometry_)
      : g(geometry_),
        x({g.batch, g.in_channels, g.in[0], g.in[1]}),
        w({g.out_channels, g.in_channels, 3, 3}),
        y({g.batch, g.out_channels, g.out[0], g.out[1]}) {
    x.random(1), w.random(2), y.random(3);
  }
  static float* data(Array<float>& a) { return static_cast<float*>(a.view().data); }
  void forward(Array<float>& to, const float* bias = nullptr, Activation act = Activation::none) {
    kernels::winograd_forward(g, data(x), data(w), bias, act, data(to));
  }
  void input_gradient(Array<float>& to) { kernels::winograd_input_gradient(g, data(y), data(w), data(to)); }
  void weight_gradient(Array<float>& to) { kernels::winograd_weight_gradient(g, data(y), data(x), data(to)); }
};

/// What is to be reached, and the sum of magnitudes of its terms, the largest of which is the scale of a
/// tile.
struct Expected {
  std::vector<double> value, magnitude;
  explicit Expected(std::int64_t n) : value(static_cast<std::size_t>(n)), magnitude(value) {}
  void add(std::int64_t at, double x) {
    value[static_cast<std::size_t>(at)] += x;
    magnitude[static_cast<std::size_t>(at)] += std::abs(x);
  }
  /// Worst error in units of eps * magnitude; tiles share their errors, so the largest magnitude counts.
  double error(Array<float>& got) const {
    double worst = 0, scale = 1e-300;
    for (double m : magnitude) scale = std::max(scale, m);
    for (std::int64_t i = 0; i < got.size(); ++i)
      worst = std::max(worst, std::abs(double{got[i]} - value[static_cast<std::size_t>(i)]));
    return worst / scale / static_cast<double>(std::numeric_limits<float>::epsilon());
  }
};

constexpr double bound = 16;

void check(const ConvGeometry& g) {
  INFO("batch " << g.batch << ", channels " << g.in_channels << " -> " << g.out_channels << ", map "
                << g.in[0] << "x" << g.in[1] << ", padding " << g.padding[0] << ", " << g.padding[1]);
  REQUIRE(kernels::winograd_applies(g));
  Case c(g);
  Expected y(c.y.size()), dx(c.x.size()), dw(c.w.size());
  each_product(g, [&](std::int64_t i, std::int64_t k, std::int64_t o) {
    y.add(o, double{c.x[i]} * double{c.w[k]});
    dx.add(i, double{c.y[o]} * double{c.w[k]});
    dw.add(k, double{c.y[o]} * double{c.x[i]});
  });
  on_targets([&] {
    Array<float> got_y(c.y.shape()), got_dx(c.x.shape()), got_dw(c.w.shape());
    c.forward(got_y), c.input_gradient(got_dx), c.weight_gradient(got_dw);
    CHECK(y.error(got_y) <= bound);
    CHECK(dx.error(got_dx) <= bound);
    CHECK(dw.error(got_dw) <= bound);
    CHECK(got_y.guards_intact());
    CHECK(got_dx.guards_intact());
    CHECK(got_dw.guards_intact());
  });
}

}  // namespace

TEST_CASE("winograd matches the naive convolution and its gradients on every small map and padding") {
  for (std::int64_t height = 1; height <= 9; ++height)
    for (std::int64_t width = 1; width <= 9; ++width)
      for (std::int64_t pad = 0; pad < 4; ++pad) {
        const ConvGeometry g = geometry(2, 3, 2, height, width, pad / 2, pad % 2);
        if (g.out[0] < 1 || g.out[1] < 1)
          CHECK(!kernels::winograd_applies(g));
        else
          check(g);
      }
}

TEST_CASE("winograd matches the naive convolution at the edges of panels, vectors and register tiles") {
  for (std::int64_t channels : {1, 7, 8, 15, 16, 17, 47, 48, 49, 70})
    for (std::int64_t map : {2, 4, 5}) {
      check(geometry(3, channels, 5, map, map, 1, 1));
      check(geometry(3, 5, channels, map, map, 1, 1));
    }
}

TEST_CASE("winograd over many images, long rows, several strips and blocks") {
  check(geometry(5, 33, 18, 6, 6, 1, 1));
  check(geometry(67, 2, 3, 4, 4, 1, 1));
  check(geometry(1, 2, 3, 45, 3, 1, 1));
  check(geometry(1, 2, 3, 3, 117, 0, 1));
  check(geometry(2, 2, 1, 41, 70, 1, 0));
}
