// Depends on pool.hpp, fmt.
#include <thalweg/nn/pool.hpp>

#include <fmt/format.h>

namespace thalweg::nn {
namespace {

/// No stride stands for the kernel.
Dims stride_of(Pair stride) { return stride == Pair(0) ? Dims{} : stride.dims(); }

std::string describe_window(const char* layer, Pair kernel, Pair stride, Pair padding) {
  std::string text = fmt::format("{}({}x{}", layer, kernel.vertical, kernel.horizontal);
  if (!(stride == Pair(0) || stride == kernel)) text += fmt::format(", stride {}", to_string(stride));
  if (!(padding == Pair(0))) text += fmt::format(", padding {}", to_string(padding));
  return text + ")";
}

}  // namespace

Tensor MaxPool2d::operator()(Arg x) const {
  const Call call(*this, x);
  return call.done(max_pool2d(x, {.kernel = kernel.dims(),
                                  .stride = stride_of(stride),
                                  .padding = padding.dims(),
                                  .dilation = dilation.dims(),
                                  .ceil_mode = ceil_mode}));
}

std::string MaxPool2d::describe() const { return describe_window("MaxPool2d", kernel, stride, padding); }

Tensor AvgPool2d::operator()(Arg x) const {
  const Call call(*this, x);
  return call.done(avg_pool2d(x, {.kernel = kernel.dims(),
                                  .stride = stride_of(stride),
                                  .padding = padding.dims(),
                                  .ceil_mode = ceil_mode,
                                  .count_include_pad = count_include_pad}));
}

std::string AvgPool2d::describe() const { return describe_window("AvgPool2d", kernel, stride, padding); }

Tensor GlobalAveragePooling2d::operator()(Arg x) const {
  const Call call(*this, x);
  if (x.t.defined() && x.t.dim() != 4)
    throw_error<ShapeError>({.op = "GlobalAveragePooling2d",
                             .arg = "x",
                             .given = x.t.describe(),
                             .wanted = "[N, C, H, W]",
                             .what = "not a batch of images",
                             .loc = x.loc});
  return call.done(mean(x, {.dims = {2, 3}}));
}

}  // namespace thalweg::nn
