// Winograd's convolution and its two gradients: against naive f64 loops over sizes up to every tile edge, on
// every instruction set; equal bits at any thread count; bias and activation; non-finite values; the fault.
#include <algorithm>
#include <array>
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

/// One element of a result.
struct Element {
  double value = 0, magnitude = 1e-300;
  void add(float a, float b) {
    const double term = double{a} * double{b};
    value += term, magnitude += std::abs(term);
  }
  double error(float got) const {
    return std::abs(double{got} - value) / magnitude /
           static_cast<double>(std::numeric_limits<float>::epsilon());
  }
};

std::int64_t draw(std::mt19937& engine, std::int64_t n) {
  return static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(n));
}

void check(const ConvGeometry& g) {
  INFO("batch " << g.batch << ", channels " << g.in_channels << " -> " << g.out_channels << ", map "
                << g.in[0] << "x" << g.in[1] << ", padding " << g.padding[0] << ", " << g.padding[1]);
  REQUIRE(kernels::winograd_applies(g));
  Case c(g);
  Expected y(c.y.size()), dx(c.x.size()), dw(c.w.size());
  const float *const cx = Case::data(c.x), *const cw = Case::data(c.w), *const cy = Case::data(c.y);
  each_product(g, [&](std::int64_t i, std::int64_t k, std::int64_t o) {
    y.add(o, double{cx[i]} * double{cw[k]});
    dx.add(i, double{cy[o]} * double{cw[k]});
    dw.add(k, double{cy[o]} * double{cx[i]});
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

TEST_CASE("winograd over many images, long rows, several strips, blocks and groups of weights") {
  check(geometry(5, 33, 18, 6, 6, 1, 1));
  check(geometry(67, 2, 3, 4, 4, 1, 1));
  check(geometry(1, 2, 3, 45, 3, 1, 1));
  check(geometry(1, 2, 3, 3, 117, 0, 1));
  check(geometry(2, 2, 1, 41, 70, 1, 0));
  check(geometry(120, 2, 3, 32, 32, 1, 1));
  check(geometry(1, 70, 250, 4, 4, 1, 1));
  check(geometry(1, 200, 200, 2, 2, 1, 1));
}

TEST_CASE(
    "winograd keeps each element within 16 eps of its own sum of magnitudes on the layers of a VGG net") {
  std::mt19937 engine(5);
  std::normal_distribution<float> normal;
  for (const auto& layer : {std::array{64, 128, 16}, {256, 256, 8}, {512, 512, 4}, {512, 512, 2}}) {
    const std::int64_t in = layer[0], out = layer[1], map = layer[2];
    INFO(in << " -> " << out << " on " << map);
    constexpr std::int64_t batch = 8;
    Case c(geometry(batch, in, out, map, map, 1, 1));
    for (Array<float>* a : {&c.x, &c.w, &c.y}) a->generate([&](std::int64_t) { return normal(engine); });
    Array<float> y(c.y.shape()), dx(c.x.shape()), dw(c.w.shape());
    c.forward(y), c.input_gradient(dx), c.weight_gradient(dw);
    const float *const cx = Case::data(c.x), *const cw = Case::data(c.w), *const cy = Case::data(c.y);
    double worst = 0;
    for (int sample = 0; sample < 200; ++sample) {
      Element want_y, want_dx, want_dw;
      const std::int64_t n = draw(engine, batch), o = draw(engine, out), k = draw(engine, in),
                         p = draw(engine, 9);
      const std::int64_t i = draw(engine, map), j = draw(engine, map);
      const auto at_x = [&](std::int64_t b, std::int64_t ch, std::int64_t r, std::int64_t s) {
        return ((b * in + ch) * map + r) * map + s;
      };
      const auto at_y = [&](std::int64_t b, std::int64_t ch, std::int64_t r, std::int64_t s) {
        return ((b * out + ch) * map + r) * map + s;
      };
      const auto inside = [&](std::int64_t r, std::int64_t s) {
        return r >= 0 && s >= 0 && r < map && s < map;
      };
      for (std::int64_t t = 0; t < 9; ++t) {
        const std::int64_t r = t / 3 - 1, s = t % 3 - 1;
        for (std::int64_t ch = 0; inside(i + r, j + s) && ch < in; ++ch)
          want_y.add(cx[at_x(n, ch, i + r, j + s)], cw[(o * in + ch) * 9 + t]);
        for (std::int64_t ch = 0; inside(i - r, j - s) && ch < out; ++ch)
          want_dx.add(cy[at_y(n, ch, i - r, j - s)], cw[(ch * in + k) * 9 + t]);
      }
      for (std::int64_t b = 0; b < batch; ++b)
        for (std::int64_t r = 0; r < map; ++r)
          for (std::int64_t s = 0; s < map; ++s)
            if (inside(r + p / 3 - 1, s + p % 3 - 1))
              want_dw.add(cy[at_y(b, o, r, s)], cx[at_x(b, k, r + p / 3 - 1, s + p % 3 - 1)]);
      worst = std::max({worst, want_y.error(y[at_y(n, o, i, j)]), want_dx.error(dx[at_x(n, k, i, j)]),
                        want_dw.error(dw[(o * in + k) * 9 + p])});
    }
    CHECK(worst <= bound);
  }
}

TEST_CASE("the bits of winograd do not depend on the number of threads") {
  for (const ConvGeometry& g : {geometry(64, 50, 60, 8, 8, 1, 1), geometry(40, 20, 70, 7, 9, 0, 1),
                                geometry(8, 200, 210, 4, 4, 1, 1), geometry(30, 200, 210, 2, 2, 1, 1)}) {
    Case c(g);
    on_targets([&] {
      std::vector<float> bits[3];
      on_threads([&] {
        const thalweg::par::Rendezvous all_take_part;
        Array<float> got[] = {Array<float>(c.y.shape()), Array<float>(c.x.shape()),
                              Array<float>(c.w.shape())};
        c.forward(got[0]);
        CHECK((thalweg::par::num_threads() != 2 || thalweg::par::last_distinct_threads() == 2));
        c.input_gradient(got[1]), c.weight_gradient(got[2]);
        CHECK((thalweg::par::num_threads() != 2 || thalweg::par::last_distinct_threads() == 2));
        for (int i = 0; i < 3; ++i) {
          if (bits[i].empty()) bits[i] = got[i].values();
          CHECK(same_bits(got[i].values(), bits[i]));
        }
      });
    });
  }
}

TEST_CASE("winograd's bias and activation are the bits of three steps") {
  for (std::int64_t map : {2, 5, 6}) {
    Case c(geometry(3, 4, 21, map, map, 1, 1));
    Array<float> bias({21});
    bias.random(7);
    on_targets([&] {
      Array<float> plain(c.y.shape()), with_bias(c.y.shape()), with_relu(c.y.shape()), relu(c.y.shape());
      c.forward(plain), c.forward(with_bias, Case::data(bias));
      c.forward(with_relu, Case::data(bias), Activation::relu), c.forward(relu, nullptr, Activation::relu);
      for (std::int64_t i = 0; i < plain.size(); ++i) {
        const float sum = plain[i] + bias[i / (map * map) % 21];
        CHECK(with_bias[i] == sum);
        CHECK(with_relu[i] == std::max(0.0f, sum));
        CHECK(relu[i] == std::max(0.0f, plain[i]));
      }
    });
  }
}

TEST_CASE("winograd makes non-finite what the direct sum makes so, and gives zeros for zeros") {
  for (std::int64_t map : {2, 3, 5, 8})
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
      for (int which = 0; which < 3; ++which) {
        Case c(geometry(2, 3, 2, map, map, 1, 1));
        Array<float>& spoilt = which == 0 ? c.x : which == 1 ? c.w : c.y;
        const std::int64_t at = spoilt.size() * 2 / 3;
        spoilt[at] = bad;
        std::vector<char> y(static_cast<std::size_t>(c.y.size())), dx(static_cast<std::size_t>(c.x.size())),
            dw(static_cast<std::size_t>(c.w.size()));
        each_product(c.g, [&](std::int64_t i, std::int64_t k, std::int64_t o) {
          if (which == 0 && i == at) y[static_cast<std::size_t>(o)] = dw[static_cast<std::size_t>(k)] = 1;
          if (which == 1 && k == at) y[static_cast<std::size_t>(o)] = dx[static_cast<std::size_t>(i)] = 1;
          if (which == 2 && o == at) dx[static_cast<std::size_t>(i)] = dw[static_cast<std::size_t>(k)] = 1;
        });
        on_targets([&] {
          Array<float> got_y(c.y.shape()), got_dx(c.x.shape()), got_dw(c.w.shape());
          c.forward(got_y), c.input_gradient(got_dx), c.weight_gradient(got_dw);
          const auto covers = [](Array<float>& got, const std::vector<char>& expected) {
            bool all = true;
            for (std::int64_t i = 0; i < got.size(); ++i)
              all = all && (!expected[static_cast<std::size_t>(i)] || !std::isfinite(got[i]));
            return all;
          };
          CHECK(covers(got_y, y));
          CHECK(covers(got_dx, dx));
          CHECK(covers(got_dw, dw));
        });
      }
  Case c(geometry(2, 3, 2, 7, 7, 1, 0));
  c.w.generate([](std::int64_t) { return 0; });
  c.y.generate([](std::int64_t) { return 0; });
  on_targets([&] {
    Array<float> y(c.y.shape()), dx(c.x.shape()), dw(c.w.shape());
    c.forward(y), c.input_gradient(dx), c.weight_gradient(dw);
    for (Array<float>* a : {&y, &dx, &dw})
      for (std::int64_t i = 0; i < a->size(); ++i) CHECK((*a)[i] == 0);
  });
}

TEST_CASE("the planted fault at the edge of tiles shows where the last tile row is ragged, and only there") {
  const auto differs = [](std::int64_t map) {
    Case c(geometry(1, 2, 3, map, map, 1, 1));
    Array<float> sound(c.y.shape()), faulty(c.y.shape());
    c.forward(sound);
    const kernels::fault::Scope planted(kernels::Fault::winograd_edge);
    c.forward(faulty);
    return !same_bits(sound.values(), faulty.values());
  };
  CHECK(differs(7));
  CHECK(!differs(8));
}

TEST_CASE("winograd takes 3x3 kernels of one group, and is preferred where it has far fewer products") {
  ConvGeometry g = geometry(8, 64, 64, 8, 8, 1, 1);
  using kernels::ConvDirection;
  for (auto d : {ConvDirection::forward, ConvDirection::input_gradient, ConvDirection::weight_gradient}) {
    CHECK(kernels::winograd_pays(g, d));
    CHECK(kernels::winograd_pays(geometry(1, 64, 64, 2, 2, 1, 1), d));
    CHECK(!kernels::winograd_pays(geometry(8, 3, 64, 8, 8, 1, 1), d));
    CHECK(!kernels::winograd_pays(geometry(1, 64, 64, 4, 4, 1, 1), d));
  }
  CHECK(kernels::winograd_pays(geometry(8, 64, 64, 4, 4, 0, 0), ConvDirection::forward));
  CHECK(!kernels::winograd_pays(geometry(8, 64, 64, 4, 4, 0, 0), ConvDirection::input_gradient));
  const auto refused = [&](auto change) {
    ConvGeometry other = g;
    change(other);
    return !kernels::winograd_applies(other);
  };
  CHECK(refused([](ConvGeometry& o) { o.groups = 2; }));
  CHECK(refused([](ConvGeometry& o) { o.kernel[1] = 1; }));
  CHECK(refused([](ConvGeometry& o) { o.stride[0] = 2; }));
  CHECK(refused([](ConvGeometry& o) { o.dilation[1] = 2; }));
  CHECK(refused([](ConvGeometry& o) { o.padding[0] = 2; }));
  CHECK(refused([](ConvGeometry& o) { o.batch = 0; }));
}
