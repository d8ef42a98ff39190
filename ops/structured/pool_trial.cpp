// Pooling on trial: naive references, samples, bad arguments. Depends on pool_support.hpp. Invariant:
// references walk every window of every image by index and use no kernel.
#include <cmath>
#include <limits>

#include <thalweg/ops/structured/pool_support.hpp>

namespace thalweg::ops {
namespace {

using kernels::PoolGeometry;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Calls f(index in the image, position) for every element of the window at `index` of the pooled image.
template <class F>
void each_in_window(const PoolGeometry& g, const Dims& index, F f) {
  Dims at = index;
  const int rank = index.size();
  for (std::int64_t i = 0; i < g.kernel[0]; ++i)
    for (std::int64_t j = 0; j < g.kernel[1]; ++j) {
      at[rank - 2] = index[rank - 2] * g.stride[0] - g.padding[0] + i * g.dilation[0];
      at[rank - 1] = index[rank - 1] * g.stride[1] - g.padding[1] + j * g.dilation[1];
      if (at[rank - 2] < 0 || at[rank - 2] >= g.in[0] || at[rank - 1] < 0 || at[rank - 1] >= g.in[1])
        continue;
      f(at, i * g.kernel[1] + j);
    }
}

/// Elements of one window that count in its mean.
double window_size(const PoolGeometry& g, const Dims& index, bool count_padding) {
  double n = 0;
  if (!count_padding) {
    each_in_window(g, index, [&](const Dims&, std::int64_t) { n += 1; });
    return n;
  }
  n = 1;
  for (int d = 0; d < 2; ++d) {
    const std::int64_t start = index[index.size() - 2 + d] * g.stride[d] - g.padding[d];
    n *= static_cast<double>(std::min(start + g.kernel[d], g.in[d] + g.padding[d]) - start);
  }
  return n;
}

/// A window for which the result has the same size as for many others: with a number one more or less, with
/// its two directions the other way round. What hands such a window on wrongly is not saved by shape checks.
const Dims loose_image{1, 1, 21, 21};
template <class Options>
Options loose() {
  Options t{.kernel = {4, 5}, .stride = {11, 12}, .padding = {1, 2}};
  if constexpr (requires { t.dilation; }) t.dilation = {1, 2};
  return t;
}

/// What every pooling is tried with; `draw` makes an image.
template <class Attrs, class Draw>
void window_samples(SampleList& s, Draw draw) {
  const auto add = [&](const Dims& shape, Attrs t, const char* note) { s.add({draw(shape)}, t, note); };
  add({2, 3, 4, 6}, {}, "");
  add({2, 4, 4}, {}, "one image");
  add({1, 2, 5, 7}, {.kernel = {3}, .stride = {2}, .padding = {1}}, "3x3 stride 2 padded");
  add({1, 2, 5, 6}, {.kernel = {3, 2}, .stride = {1, 2}, .padding = {1, 0}}, "overlapping");
  add({1, 1, 7, 6}, {.kernel = {2}, .stride = {3}, .ceil_mode = true}, "gaps, ceil");
  add({1, 2, 5, 5}, {.kernel = {2}, .ceil_mode = true}, "ceil");
  add({1, 1, 6, 5}, {.kernel = {3}, .stride = {2}, .padding = {1}, .ceil_mode = true}, "ceil, padded");
  add({2, 1, 3, 4}, {.kernel = {3, 4}}, "the whole image");
  add({1, 1, 17, 17}, {.kernel = {17, 16}, .stride = {1}}, "window above 256");
  add({0, 2, 4, 4}, {}, "empty batch");
  add({2, 0, 4, 4}, {}, "no channels");
  add({3, 7, 2, 2}, {}, "2x2 maps");
  add({3, 5, 4, 4}, {}, "4x4 maps");
  add({2, 3, 8, 8}, {}, "8x8 maps");
  add({1, 3, 16, 16}, {}, "16x16 maps");
  add({1, 1, 6, 38}, {}, "wide");
  add({1, 2, 5, 5}, {}, "odd");
  add(loose_image, loose<Attrs>(), "many windows give this size");
}

template <class Attrs>
void window_errors(ErrorList& e, const char* op) {
  const Tensor x = zeros({1, 2, 4, 5});
  const auto add = [&](Attrs t, const char* text) { e.add<ValueError>({x}, t, text, "ValueError"); };
  add({.kernel = {}}, "kernel is [], wanted one number or two");
  add({.kernel = {2, 2, 2}}, "kernel is [2,2,2], wanted one number or two");
  add({.kernel = {0}}, "out of range: kernel is [0], wanted 1 to 32767");
  add({.kernel = {2, INT64_MAX}}, "kernel is [2,9223372036854775807]");
  add({.stride = {0, 1}}, "stride is [0,1], wanted 1 to 2147483647");
  add({.stride = {INT64_MIN}}, "stride is [-9223372036854775808]");
  add({.stride = {1, 1, 1}}, "stride is [1,1,1], wanted one number or two");
  add({.padding = {-1}}, "padding is [-1], wanted 0 to 32767");
  add({.padding = {2}}, "padding is [2], wanted at most half the kernel [2,2]");
  e.add<ShapeError>(
      {x}, Attrs{.kernel = {5, 2}},
      std::string(op) + ": window larger than the padded image: x is f32[1,2,4,5], wanted height 5",
      "ShapeError");
  e.add<ShapeError>({zeros({4, 5})}, Attrs{}, "not an image: x is f32[4,5], wanted [N, C, H, W]",
                    "ShapeError");
  e.add<ShapeError>({zeros({1, 1, 0, 5})}, Attrs{}, "an image without elements", "ShapeError");
  e.add<DTypeError>({zeros({1, 2, 4, 5}, DType::i64)}, Attrs{}, "x is i64[1,2,4,5], wanted f32 or f64",
                    "DTypeError");
  e.add<ValueError>({Tensor()}, Attrs{}, "undefined tensor", "ValueError");
}

template <class Attrs>
void gradient_errors(ErrorList& e, const std::vector<Tensor>& rest) {
  const auto with = [&](Tensor g) {
    std::vector<Tensor> in{std::move(g)};
    in.insert(in.end(), rest.begin(), rest.end());
    return in;
  };
  const Attrs t{.height = 4, .width = 6};
  e.add<ShapeError>(with(zeros({1, 2, 3, 2})), t, "g is f32[1,2,3,2], wanted [1,2,2,3]", "ShapeError");
  e.add<ShapeError>(with(zeros({2, 3})), t, "not an image: g is f32[2,3]", "ShapeError");
  e.add<DTypeError>(with(zeros({1, 2, 2, 3}, DType::i64)), t, "not a floating tensor", "DTypeError");
  e.add<ShapeError>(with(zeros({1, 2, 2, 3})), Attrs{.height = 1, .width = 6}, "window larger", "ShapeError");
  e.add<ShapeError>(with(zeros({1, 2, 2, 3})), Attrs{.height = -1, .width = 6}, "without elements",
                    "ShapeError");
  e.add<ValueError>(with(zeros({1, 2, 2, 3})), Attrs{.height = INT64_MAX, .width = 6}, "too large",
                    "ValueError");
  Attrs none = t;
  none.window.stride = {0};
  e.add<ValueError>(with(zeros({1, 2, 2, 3})), none, "stride is [0]", "ValueError");
  e.add<ValueError>(with(Tensor()), t, "undefined tensor", "ValueError");
}

/// The windows over which the gradient ops are tried, with the size of the image.
template <class Options, class F>
void gradient_windows(F f) {
  f(Dims{2, 3, 4, 6}, Options{});
  f(Dims{2, 5, 5}, Options{.kernel = {3}, .stride = {2}, .padding = {1}});
  f(Dims{1, 2, 5, 6}, Options{.kernel = {3, 2}, .stride = {1, 2}, .padding = {1, 0}});
  f(Dims{1, 1, 7, 6}, Options{.kernel = {2}, .stride = {3}, .ceil_mode = true});
  f(Dims{1, 1, 17, 17}, Options{.kernel = {17, 16}, .stride = {1}});
  f(Dims{0, 2, 4, 4}, Options{});
  f(Dims{3, 7, 2, 2}, Options{});
  f(Dims{3, 5, 4, 4}, Options{});
  f(Dims{2, 3, 8, 8}, Options{});
  f(Dims{1, 3, 16, 16}, Options{});
  f(Dims{1, 1, 7, 38}, Options{});
  f(Dims{1, 2, 5, 5}, Options{});
  f(loose_image, loose<Options>());
}

/// Positions in the range of a window, of the dtype that is due; some fall on padding.
Tensor positions(SampleList& s, const MaxPoolOptions& t, const Dims& image) {
  const PoolGeometry g = geometry_of(window_of(t), image);
  const Tensor p = s.integers(with_plane(image, g.out), 0, g.kernel[0] * g.kernel[1]);
  return p.to(kernels::pool_index_dtype(g));
}

Tensor pooled_normal(SampleList& s, const Window& w, const Dims& image) {
  return s.normal(with_plane(image, geometry_of(w, image).out));
}

}  // namespace

// ---- max ----

std::vector<Tensor> MaxPool2d::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const PoolGeometry g = geometry_of(window_of(t), in[0].shape());
  const Dims shape = with_plane(in[0].shape(), g.out);
  Tensor y = zeros(shape, DType::f64), position = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    double best = -infinity, at = 0;
    bool found = false;
    each_in_window(g, index, [&](const Dims& from, std::int64_t p) {
      const double x = value_at(in[0], from);
      if (found && (std::isnan(best) || x <= best)) return;
      best = x, at = static_cast<double>(p), found = true;
    });
    set_value(y, index, best);
    set_value(position, index, at);
  });
  return {y, position};
}

void MaxPool2d::samples(SampleList& s) {
  window_samples<Attrs>(s, [&](const Dims& shape) { return s.distinct(shape); });
  s.add({s.distinct({1, 2, 6, 7})}, Attrs{.kernel = {2, 3}, .stride = {1}, .dilation = {2, 1}}, "dilated");
  s.add({s.distinct({1, 2, 6, 9})}, Attrs{.kernel = {3}, .stride = {2}, .padding = {1}, .dilation = {2, 3}},
        "dilated, padded");
  s.add_kink({s.distinct({1, 1, 3, 3})}, Attrs{.kernel = {2}, .stride = {1}, .padding = {1}, .dilation = {4}},
             {zeros({1, 1, 3, 3}, DType::f64)}, "a window of padding alone");
  const double nan = std::nan("");
  s.add_kink({from<double>({1, 1, 0, 2, 1, 1, 2, 2}, {1, 2, 4})}, Attrs{},
             {from<double>({1, 0, 0, 1, 0, 0, 0, 0}, {1, 2, 4})}, "ties");
  s.add_kink({from<double>({0, 3, 3, 3}, {1, 2, 2})}, Attrs{}, {from<double>({0, 1, 0, 0}, {1, 2, 2})},
             "ties");
  s.add_kink({from<double>({1, nan, 3, nan, 5, 6, nan, 8}, {2, 2, 2})}, Attrs{},
             {from<double>({0, 1, 0, 0, 0, 0, 1, 0}, {2, 2, 2})}, "NaN");
  s.add_kink({full({1, 3, 3}, -infinity, DType::f64)}, Attrs{.kernel = {3}, .stride = {2}, .padding = {1}},
             {from<double>({1, 1, 0, 1, 1, 0, 0, 0, 0}, {1, 3, 3})}, "-inf");
}

void MaxPool2d::errors(ErrorList& e) {
  window_errors<Attrs>(e, "max_pool2d");
  const Tensor x = zeros({1, 2, 4, 5});
  e.add<ValueError>({x}, Attrs{.dilation = {0}}, "dilation is [0], wanted 1 to 2147483647", "ValueError");
  e.add<ValueError>({x}, Attrs{.dilation = {1, -1}}, "dilation is [1,-1]", "ValueError");
  e.add<ShapeError>({x}, Attrs{.dilation = {4}}, "wanted height 5 or more", "ShapeError");
  e.add<ShapeError>({x}, Attrs{.dilation = {1, 2147483647}}, "wanted width 2147483648 or more", "ShapeError");
}

std::vector<Tensor> MaxPool2dBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const std::int64_t plane[] = {t.height, t.width};
  Tensor dx = zeros(with_plane(in[0].shape(), plane), DType::f64);
  const PoolGeometry g = geometry_of(window_of(t.window), dx.shape());
  for_each_index(in[0].shape(), [&](const Dims& index) {
    each_in_window(g, index, [&](const Dims& to, std::int64_t p) {
      if (static_cast<double>(p) == value_at(in[1], index))
        set_value(dx, to, value_at(dx, to) + value_at(in[0], index));
    });
  });
  return {dx};
}

void MaxPool2dBackward::samples(SampleList& s) {
  const auto add = [&](const Dims& image, const MaxPoolOptions& t) {
    s.add({pooled_normal(s, window_of(t), image), positions(s, t, image)},
          Attrs{.window = t, .height = image[image.size() - 2], .width = image.back()});
  };
  gradient_windows<MaxPoolOptions>(add);
  add({1, 1, 6, 7}, {.kernel = {3}, .stride = {2}, .padding = {1}, .dilation = {2, 1}});
}

void MaxPool2dBackward::errors(ErrorList& e) {
  const Tensor p = zeros({1, 2, 2, 3}, DType::u8), g = zeros({1, 2, 2, 3});
  gradient_errors<Attrs>(e, {p});
  const Attrs t{.height = 4, .width = 6};
  e.add<ShapeError>({g, zeros({1, 2, 3, 2}, DType::u8)}, t, "positions is u8[1,2,3,2], wanted [1,2,2,3]",
                    "ShapeError");
  e.add<DTypeError>({g, zeros({1, 2, 2, 3}, DType::i32)}, t, "positions is i32[1,2,2,3], wanted u8",
                    "DTypeError");
  e.add<ValueError>({g, Tensor()}, t, "undefined tensor", "ValueError");
}

std::vector<Tensor> MaxPool2dGather::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const PoolGeometry g = geometry_of(window_of(t), in[0].shape());
  Tensor y = zeros(in[1].shape(), DType::f64);
  for_each_index(in[1].shape(), [&](const Dims& index) {
    each_in_window(g, index, [&](const Dims& from, std::int64_t p) {
      if (static_cast<double>(p) == value_at(in[1], index)) set_value(y, index, value_at(in[0], from));
    });
  });
  return {y};
}

void MaxPool2dGather::samples(SampleList& s) {
  gradient_windows<MaxPoolOptions>([&](const Dims& image, const MaxPoolOptions& t) {
    s.add({s.normal(image), positions(s, t, image)}, t);
  });
}

void MaxPool2dGather::errors(ErrorList& e) {
  const Tensor x = zeros({1, 2, 4, 6});
  e.add<ShapeError>({x, zeros({1, 2, 3, 2}, DType::u8)}, "positions is u8[1,2,3,2], wanted [1,2,2,3]",
                    "ShapeError");
  e.add<DTypeError>({x, zeros({1, 2, 2, 3}, DType::i64)}, "positions is i64[1,2,2,3], wanted u8",
                    "DTypeError");
  e.add<ValueError>({x, Tensor()}, "undefined tensor", "ValueError");
  e.add<ValueError>({x, zeros({1, 2, 2, 3}, DType::u8)}, Attrs{.kernel = {-1}}, "kernel is [-1]",
                    "ValueError");
  e.add<ShapeError>({zeros({4, 6}), zeros({2, 3}, DType::u8)}, "not an image", "ShapeError");
}

// ---- mean ----

std::vector<Tensor> AvgPool2d::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const PoolGeometry g = geometry_of(window_of(t), in[0].shape());
  Tensor y = zeros(with_plane(in[0].shape(), g.out), DType::f64);
  for_each_index(y.shape(), [&](const Dims& index) {
    const double size = window_size(g, index, t.count_include_pad);
    double total = 0;
    each_in_window(g, index, [&](const Dims& from, std::int64_t) { total += value_at(in[0], from); });
    set_value(y, index, size > 0 ? total / size : 0);
  });
  return {y};
}

void AvgPool2d::samples(SampleList& s) {
  window_samples<Attrs>(s, [&](const Dims& shape) { return s.normal(shape); });
  s.add({s.normal({1, 2, 5, 7})},
        Attrs{.kernel = {3}, .stride = {2}, .padding = {1}, .count_include_pad = false},
        "padding not counted");
  s.add({s.normal({1, 1, 4, 4})},
        Attrs{.kernel = {2}, .stride = {3}, .padding = {1}, .ceil_mode = true, .count_include_pad = false},
        "ceil, padding not counted");
}

void AvgPool2d::errors(ErrorList& e) { window_errors<Attrs>(e, "avg_pool2d"); }

std::vector<Tensor> AvgPool2dBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const std::int64_t plane[] = {t.height, t.width};
  Tensor dx = zeros(with_plane(in[0].shape(), plane), DType::f64);
  const PoolGeometry g = geometry_of(window_of(t.window), dx.shape());
  for_each_index(in[0].shape(), [&](const Dims& index) {
    const double size = window_size(g, index, t.window.count_include_pad);
    each_in_window(g, index, [&](const Dims& to, std::int64_t) {
      set_value(dx, to, value_at(dx, to) + value_at(in[0], index) / size);
    });
  });
  return {dx};
}

void AvgPool2dBackward::samples(SampleList& s) {
  const auto add = [&](const Dims& image, const AvgPoolOptions& t) {
    s.add({pooled_normal(s, window_of(t), image)},
          Attrs{.window = t, .height = image[image.size() - 2], .width = image.back()});
  };
  gradient_windows<AvgPoolOptions>(add);
  add({1, 2, 5, 7}, {.kernel = {3}, .stride = {2}, .padding = {1}, .count_include_pad = false});
}

void AvgPool2dBackward::errors(ErrorList& e) { gradient_errors<Attrs>(e, {}); }

}  // namespace thalweg::ops
