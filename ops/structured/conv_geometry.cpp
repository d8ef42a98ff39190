// See conv_geometry.hpp. Depends on structured/dims and fmt.
#include <thalweg/ops/structured/conv_geometry.hpp>

#include <fmt/format.h>

#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

constexpr std::int64_t largest_extent = std::int64_t{1} << 30;  // sums and products of two stay in 63 bits

void pair(const Ins& in, const char* arg, const Dims& given, std::int64_t least, std::int64_t to[2]) {
  if (given.size() != 1 && given.size() != 2)
    in.fail<ValueError>(arg, to_string(given), "one or two numbers", "one for each dimension of an image");
  for (int i = 0; i < 2; ++i) {
    to[i] = given[given.size() == 2 ? i : 0];
    if (to[i] < least || to[i] > largest_extent)
      in.fail<ValueError>(arg, to_string(given), fmt::format("{} to {}", least, largest_extent),
                          "out of range");
  }
}

/// Attributes, ranks and dtypes: what is common to the three.
kernels::ConvGeometry begin(const Ins& in, const ConvAttrs& t, const char* const* names, int n) {
  for (int i = 0; i < 2; ++i) require_present(in, i, names[i]);
  for (int i = 0; i < n; ++i) {
    if (!in.has(i)) continue;
    require_floating(in, i, names[i]);
    if (in[i].dtype != in[0].dtype)
      in.fail<DTypeError>(names[i], describe(in[i]), name(in[0].dtype),
                          "operands of different dtypes; use to()");
  }
  for (int i = 0; i < 2; ++i)
    if (in[i].shape.size() != 4)
      in.fail<ShapeError>(
          names[i], describe(in[i]),
          names[i][0] == 'w' ? "[out, in / groups, height, width]" : "[batch, channels, height, width]",
          "not of 4 dimensions");
  kernels::ConvGeometry g;
  pair(in, "stride", t.stride, 1, g.stride);
  pair(in, "padding", t.padding, 0, g.padding);
  pair(in, "dilation", t.dilation, 1, g.dilation);
  if (t.groups < 1) in.fail<ValueError>("groups", fmt::to_string(t.groups), "1 or more", "no group");
  g.groups = t.groups;
  return g;
}

void require_divisible(const Ins& in, const char* arg, int i, int dim, std::int64_t groups) {
  if (in[i].shape[dim] % groups != 0)
    in.fail<ShapeError>(arg, describe(in[i]), fmt::format("channels divisible by {}", groups),
                        fmt::format("{} channels do not fall into {} groups", in[i].shape[dim], groups));
}

/// The output's size; the kernel must fit into the padded input.
void finish(const Ins& in, kernels::ConvGeometry& g) {
  for (int i = 0; i < 2; ++i) {
    const std::int64_t room = g.in[i] + 2 * g.padding[i], reach = g.dilation[i] * (g.kernel[i] - 1) + 1;
    if (g.kernel[i] < 1 || g.kernel[i] > largest_extent || g.in[i] > largest_extent)
      in.fail<ShapeError>("kernel", fmt::format("[{},{}]", g.kernel[0], g.kernel[1]),
                          fmt::format("1 to {}", largest_extent),
                          "kernel or image without extent, or too large");
    if (reach > room)
      in.fail<ShapeError>("kernel", fmt::format("[{},{}]", g.kernel[0], g.kernel[1]),
                          fmt::format("at most {} {} with its dilation", room, i == 0 ? "rows" : "columns"),
                          fmt::format("kernel is larger than the padded input ({} vs {})", reach, room));
    g.out[i] = (room - reach) / g.stride[i] + 1;
  }
}

void require_output(const Ins& in, const kernels::ConvGeometry& g) {
  const Dims wanted{g.batch, g.out_channels, g.out[0], g.out[1]};
  if (!(in[0].shape == wanted))
    in.fail<ShapeError>("g", describe(in[0]), to_string(wanted), "not shaped like the convolution's output");
}

}  // namespace

kernels::ConvGeometry conv_geometry(const Ins& in, const ConvAttrs& t) {
  static const char* const names[] = {"x", "w", "b"};
  kernels::ConvGeometry g = begin(in, t, names, 3);
  const Dims &x = in[0].shape, &w = in[1].shape;
  require_divisible(in, "x", 0, 1, g.groups);
  require_divisible(in, "w", 1, 0, g.groups);
  if (w[1] != x[1] / g.groups)
    in.fail<ShapeError>("", fmt::format("x {} and w {}", describe(in[0]), describe(in[1])),
                        fmt::format("w [out, {}, ..]", x[1] / g.groups),
                        fmt::format("channels differ ({} in {} groups vs {})", x[1], g.groups, w[1]));
  if (in.has(2) && !(in[2].shape == Dims{w[0]}))
    in.fail<ShapeError>("b", describe(in[2]), to_string(Dims{w[0]}), "bias does not fit the output channels");
  g.batch = x[0], g.in_channels = x[1], g.out_channels = w[0];
  for (int i = 0; i < 2; ++i) g.in[i] = x[2 + i], g.kernel[i] = w[2 + i];
  finish(in, g);
  return g;
}

kernels::ConvGeometry input_gradient_geometry(const Ins& in, const ConvAttrs& t) {
  static const char* const names[] = {"g", "w"};
  kernels::ConvGeometry g = begin(in, t, names, 2);
  const Dims &y = in[0].shape, &w = in[1].shape;
  pair(in, "size", t.size, 0, g.in);
  require_divisible(in, "w", 1, 0, g.groups);
  g.batch = y[0], g.in_channels = w[1] * g.groups, g.out_channels = w[0];
  for (int i = 0; i < 2; ++i) g.kernel[i] = w[2 + i];
  finish(in, g);
  require_output(in, g);
  return g;
}

kernels::ConvGeometry weight_gradient_geometry(const Ins& in, const ConvAttrs& t) {
  static const char* const names[] = {"g", "x"};
  kernels::ConvGeometry g = begin(in, t, names, 2);
  const Dims &y = in[0].shape, &x = in[1].shape;
  pair(in, "size", t.size, 1, g.kernel);
  require_divisible(in, "g", 0, 1, g.groups);
  require_divisible(in, "x", 1, 1, g.groups);
  g.batch = x[0], g.in_channels = x[1], g.out_channels = y[1];
  for (int i = 0; i < 2; ++i) g.in[i] = x[2 + i];
  finish(in, g);
  require_output(in, g);
  return g;
}

}  // namespace thalweg::ops
