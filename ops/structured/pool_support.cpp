// See pool_support.hpp. Depends on fmt.
#include <thalweg/ops/structured/pool_support.hpp>

#include <fmt/format.h>

namespace thalweg::ops {
namespace {

constexpr std::int64_t most_kernel = 32767;  // so that positions fit 31 bits
constexpr std::int64_t most_step = 2147483647;

Dims pair_of(const Dims& d, const Dims& otherwise) {
  if (d.empty()) return otherwise;
  return d.size() == 1 ? Dims{d[0], d[0]} : d;
}

/// One or two numbers (or none, where there is a default) in [low, high].
void check_pair(const Ins& in, const char* arg, const Dims& d, bool optional, std::int64_t low,
                std::int64_t high) {
  if (d.size() > 2 || (d.empty() && !optional))
    in.fail<ValueError>(arg, to_string(d), "one number or two", "not a size for height and width");
  for (const std::int64_t v : d)
    if (v < low || v > high)
      in.fail<ValueError>(arg, to_string(d), fmt::format("{} to {}", low, high), "out of range");
}

void check_options(const Ins& in, const Dims& kernel, const Dims& stride, const Dims& padding) {
  check_pair(in, "kernel", kernel, false, 1, most_kernel);
  check_pair(in, "stride", stride, true, 1, most_step);
  check_pair(in, "padding", padding, false, 0, most_kernel);
  const Dims k = pair_of(kernel, {}), p = pair_of(padding, {});
  for (int d = 0; d < 2; ++d)
    if (2 * p[d] > k[d])
      in.fail<ValueError>("padding", to_string(padding),
                          fmt::format("at most half the kernel {}", to_string(kernel)),
                          "windows of padding alone");
}

void check_options(const Ins& in, const MaxPoolOptions& t) {
  check_options(in, t.kernel, t.stride, t.padding);
  check_pair(in, "dilation", t.dilation, false, 1, most_step);
}
void check_options(const Ins& in, const AvgPoolOptions& t) {
  check_options(in, t.kernel, t.stride, t.padding);
}

/// The window must fit the padded image. `given` describes the image.
void check_fit(const Ins& in, const char* arg, const std::string& given, const Window& w, std::int64_t height,
               std::int64_t width) {
  const kernels::PoolGeometry g = geometry_of(w, 1, height, width);
  const char* const names[] = {"height", "width"};
  for (int d = 0; d < 2; ++d) {
    if (g.in[d] < 1)
      in.fail<ShapeError>(arg, given, "1 or more rows and columns", "an image without elements");
    if (g.out[d] < 1)
      in.fail<ShapeError>(
          arg, given,
          fmt::format("{} {} or more", names[d], w.dilation[d] * (w.kernel[d] - 1) + 1 - 2 * w.padding[d]),
          "window larger than the padded image");
  }
}

void check_image(const Ins& in, int i, const char* arg) {
  require_present(in, i, arg);
  require_floating(in, i, arg);
  const int rank = in[i].shape.size();
  if (rank != 3 && rank != 4)
    in.fail<ShapeError>(arg, describe(in[i]), "[N, C, H, W] or [C, H, W]", "not an image");
}

template <class Options>
void check_image_of(const Ins& in, int i, const char* arg, const Options& t) {
  check_image(in, i, arg);
  check_options(in, t);
  const Dims& s = in[i].shape;
  check_fit(in, arg, describe(in[i]), window_of(t), s[s.size() - 2], s.back());
}

template <class Options>
void check_gradient_of(const Ins& in, const Options& t, std::int64_t height, std::int64_t width) {
  check_image(in, 0, "g");
  check_options(in, t);
  if (height > most_step || width > most_step)
    in.fail<ValueError>("image", to_string(Dims{height, width}), fmt::format("at most {}", most_step),
                        "too large");
  check_fit(in, "image", to_string(Dims{height, width}), window_of(t), height, width);
  const kernels::PoolGeometry g = geometry_of(window_of(t), 1, height, width);
  const Dims wanted = with_plane(in[0].shape, g.out);
  if (!(in[0].shape == wanted))
    in.fail<ShapeError>("g", describe(in[0]), to_string(wanted), "gradient does not fit the pooled image");
}

}  // namespace

Window window_of(const MaxPoolOptions& t) {
  const Dims kernel = pair_of(t.kernel, {});
  return {kernel, pair_of(t.stride, kernel), pair_of(t.padding, {}), pair_of(t.dilation, {}), t.ceil_mode};
}

Window window_of(const AvgPoolOptions& t) {
  const Dims kernel = pair_of(t.kernel, {});
  return {kernel, pair_of(t.stride, kernel), pair_of(t.padding, {}), {1, 1}, t.ceil_mode};
}

kernels::PoolGeometry geometry_of(const Window& w, std::int64_t planes, std::int64_t height,
                                  std::int64_t width) {
  kernels::PoolGeometry g;
  g.planes = planes;
  g.in[0] = height, g.in[1] = width;
  for (int d = 0; d < 2; ++d) {
    g.kernel[d] = w.kernel[d], g.stride[d] = w.stride[d];
    g.padding[d] = w.padding[d], g.dilation[d] = w.dilation[d];
    const std::int64_t room = g.in[d] + 2 * g.padding[d] - g.dilation[d] * (g.kernel[d] - 1) - 1;
    if (room < 0) continue;  // out stays 0
    g.out[d] = (room + (w.ceil_mode ? g.stride[d] - 1 : 0)) / g.stride[d] + 1;
    // A last window that begins behind the image has nothing to say.
    if ((g.out[d] - 1) * g.stride[d] >= g.in[d] + g.padding[d]) --g.out[d];
  }
  return g;
}

kernels::PoolGeometry geometry_of(const Window& w, const Dims& image) {
  const int rank = image.size();
  return geometry_of(w, numel(Dims(image.data(), rank - 2)), image[rank - 2], image[rank - 1]);
}

Dims with_plane(const Dims& shape, const std::int64_t* plane) {
  Dims s = shape;
  s[s.size() - 2] = plane[0];
  s[s.size() - 1] = plane[1];
  return s;
}

void check_pool(const Ins& in, int i, const char* arg, const MaxPoolOptions& t) {
  check_image_of(in, i, arg, t);
}
void check_pool(const Ins& in, int i, const char* arg, const AvgPoolOptions& t) {
  check_image_of(in, i, arg, t);
}

void check_pool_gradient(const Ins& in, const MaxPoolOptions& t, std::int64_t height, std::int64_t width) {
  check_gradient_of(in, t, height, width);
}
void check_pool_gradient(const Ins& in, const AvgPoolOptions& t, std::int64_t height, std::int64_t width) {
  check_gradient_of(in, t, height, width);
}

void check_positions(const Ins& in, const Dims& pooled, const kernels::PoolGeometry& g) {
  require_present(in, 1, "positions");
  const DType wanted = kernels::pool_index_dtype(g);
  if (in[1].dtype != wanted)
    in.fail<DTypeError>("positions", describe(in[1]), name(wanted), "positions of another dtype");
  if (!(in[1].shape == pooled))
    in.fail<ShapeError>("positions", describe(in[1]), to_string(pooled),
                        "positions do not fit the pooled image");
}

}  // namespace thalweg::ops
