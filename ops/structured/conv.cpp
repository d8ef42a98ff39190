// Convolution: inference, kernel calls, derivatives, references. Depends on functions.hpp, kernels/conv,
// kernels/copy and conv_geometry. Samples and bad arguments are in conv_trial.cpp.
#include <thalweg/ops/structured/conv.hpp>

#include <optional>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/library.hpp>
#include <thalweg/ops/structured/conv_geometry.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

using kernels::Activation;
using kernels::ConvGeometry;
using kernels::ConvPath;

/// An operand as the kernels want it: contiguous, copied where it is not.
class Dense {
 public:
  Dense(const Ins& in, int i) {
    if (!in.has(i)) return;
    data_ = in[i].data;
    if (is_contiguous(in[i])) return;
    copy_.emplace(static_cast<std::size_t>(numel(in[i].shape)) * itemsize(in[i].dtype));
    kernels::copy(in[i], View{copy_->data(), in[i].dtype, in[i].shape, contiguous_strides(in[i].shape)});
    data_ = copy_->data();
  }
  operator const void*() const noexcept { return data_; }

 private:
  const void* data_ = nullptr;
  std::optional<mem::Scratch<char>> copy_;
};

template <ConvPath P>
void force(bool on) {
  kernels::force_conv_path(on ? P : ConvPath::automatic);
}

template <ConvPath P>
constexpr Path path_of(const char* name, double bound = 0) {
  return {name, &force<P>, [] { return kernels::conv_count(P); }, bound};
}
constexpr Path channels_path = path_of<ConvPath::channels>("channels");
constexpr Path product_path = path_of<ConvPath::product>("product");
constexpr Path planes_path = path_of<ConvPath::planes>("planes");
constexpr Path winograd_path = path_of<ConvPath::winograd>("winograd", 16);

/// Calls f(index in y, index in w, index in x) for every term of the sum.
template <class F>
void for_each_term(const ConvGeometry& g, F f) {
  const Dims outer{g.batch, g.out_channels, g.out[0], g.out[1]};
  const Dims inner{g.in_channels / g.groups, g.kernel[0], g.kernel[1]};
  for_each_index(outer, [&](const Dims& y) {
    for_each_index(inner, [&](const Dims& k) {
      const std::int64_t iy = y[2] * g.stride[0] - g.padding[0] + k[1] * g.dilation[0],
                         ix = y[3] * g.stride[1] - g.padding[1] + k[2] * g.dilation[1];
      if (iy < 0 || iy >= g.in[0] || ix < 0 || ix >= g.in[1]) return;
      const std::int64_t c = y[1] / (g.out_channels / g.groups) * inner[0] + k[0];
      f(y, Dims{y[1], k[0], k[1], k[2]}, Dims{y[0], c, iy, ix});
    });
  });
}

using Geometry = ConvGeometry (*)(const Ins&, const ConvAttrs&);
ConvGeometry geometry_of(const std::vector<Tensor>& in, const ConvAttrs& t, Geometry geometry) {
  ConstView views[3];
  std::uint64_t present = 0;
  for (std::size_t i = 0; i < in.size(); ++i)
    if (in[i].defined()) views[i] = in[i].view(), present |= std::uint64_t{1} << i;
  return geometry({"conv2d", {}, static_cast<int>(in.size()), views, present}, t);
}

Dims image_size(const Dims& shape) { return {shape[2], shape[3]}; }
ConvAttrs with_size(const ConvAttrs& t, const Dims& size) {
  ConvAttrs r = t;
  r.size = size;
  return r;
}
ConvAttrs without_size(const ConvAttrs& t) { return with_size(t, {}); }

}  // namespace

template <Activation Act>
const Path Conv2dWith<Act>::paths[4] = {channels_path, product_path, planes_path, winograd_path};
const Path Conv2dInputGradient::paths[4] = {channels_path, product_path, planes_path, winograd_path};
const Path Conv2dWeightGradient::paths[3] = {channels_path, planes_path, winograd_path};

template <Activation Act>
void Conv2dWith<Act>::infer(const Ins& in, const Attrs& t, Outs& out) {
  const ConvGeometry g = conv_geometry(in, t);
  out.add(in[0].dtype, {g.batch, g.out_channels, g.out[0], g.out[1]});
}

template <Activation Act>
void Conv2dWith<Act>::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::conv_forward(conv_geometry(in, t), out[0].dtype, Dense(in, 0), Dense(in, 1), Dense(in, 2), Act,
                        out[0].data);
}

template <Activation Act>
void Conv2dWith<Act>::vjp(Vjp& v, const Attrs& t) {
  const Tensor dz = plain ? v.g() : apply<ReluGradient>(v.g(), v.out());
  if (v.needs(0))
    v.set(0, apply<Conv2dInputGradient>(with_size(t, image_size(v.in_meta(0).shape)), dz, v.in(1)));
  if (v.needs(1))
    v.set(1, apply<Conv2dWeightGradient>(with_size(t, image_size(v.in_meta(1).shape)), dz, v.in(0)));
  if (v.needs(2)) v.set(2, sum(dz, {.dims = {0, 2, 3}}));
}

template <Activation Act>
std::vector<Tensor> Conv2dWith<Act>::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const ConvGeometry g = geometry_of(in, t, conv_geometry);
  Tensor y = zeros({g.batch, g.out_channels, g.out[0], g.out[1]}, DType::f64);
  for_each_term(g, [&](const Dims& to, const Dims& w, const Dims& x) {
    set_value(y, to, value_at(y, to) + value_at(in[1], w) * value_at(in[0], x));
  });
  for_each_index(y.shape(), [&](const Dims& at) {
    double value = value_at(y, at);
    if (in[2].defined()) value += value_at(in[2], {at[1]});
    set_value(y, at, !plain && value <= 0 ? 0 : value);
  });
  return {y};
}

void Conv2dInputGradient::infer(const Ins& in, const Attrs& t, Outs& out) {
  const ConvGeometry g = input_gradient_geometry(in, t);
  out.add(in[0].dtype, {g.batch, g.in_channels, g.in[0], g.in[1]});
}

void Conv2dInputGradient::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::conv_input_gradient(input_gradient_geometry(in, t), out[0].dtype, Dense(in, 0), Dense(in, 1),
                               out[0].data);
}

void Conv2dInputGradient::vjp(Vjp& v, const Attrs& t) {
  if (v.needs(0)) v.set(0, apply<Conv2d>(without_size(t), v.g(), v.in(1), Tensor()));
  if (v.needs(1))
    v.set(1, apply<Conv2dWeightGradient>(with_size(t, image_size(v.in_meta(1).shape)), v.in(0), v.g()));
}

std::vector<Tensor> Conv2dInputGradient::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const ConvGeometry g = geometry_of(in, t, input_gradient_geometry);
  Tensor dx = zeros({g.batch, g.in_channels, g.in[0], g.in[1]}, DType::f64);
  for_each_term(g, [&](const Dims& y, const Dims& w, const Dims& x) {
    set_value(dx, x, value_at(dx, x) + value_at(in[1], w) * value_at(in[0], y));
  });
  return {dx};
}

void Conv2dWeightGradient::infer(const Ins& in, const Attrs& t, Outs& out) {
  const ConvGeometry g = weight_gradient_geometry(in, t);
  out.add(in[0].dtype, {g.out_channels, g.in_channels / g.groups, g.kernel[0], g.kernel[1]});
}

void Conv2dWeightGradient::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::conv_weight_gradient(weight_gradient_geometry(in, t), out[0].dtype, Dense(in, 0), Dense(in, 1),
                                out[0].data);
}

void Conv2dWeightGradient::vjp(Vjp& v, const Attrs& t) {
  if (v.needs(0)) v.set(0, apply<Conv2d>(without_size(t), v.in(1), v.g(), Tensor()));
  if (v.needs(1))
    v.set(1, apply<Conv2dInputGradient>(with_size(t, image_size(v.in_meta(1).shape)), v.in(0), v.g()));
}

std::vector<Tensor> Conv2dWeightGradient::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const ConvGeometry g = geometry_of(in, t, weight_gradient_geometry);
  Tensor dw = zeros({g.out_channels, g.in_channels / g.groups, g.kernel[0], g.kernel[1]}, DType::f64);
  for_each_term(g, [&](const Dims& y, const Dims& w, const Dims& x) {
    set_value(dw, w, value_at(dw, w) + value_at(in[0], y) * value_at(in[1], x));
  });
  return {dw};
}

template struct Conv2dWith<Activation::none>;
template struct Conv2dWith<Activation::relu>;

}  // namespace thalweg::ops

namespace thalweg {

Tensor conv2d(Arg x, Arg w, const Tensor& b, const Conv2dOptions& options) {
  const ops::ConvAttrs attrs{options.stride, options.padding, options.dilation, options.groups, {}};
  switch (options.activation) {
    case Activation::none:
      return apply<ops::Conv2d>(attrs, x, w, b);
    case Activation::relu:
      return apply<ops::Conv2dRelu>(attrs, x, w, b);
    default:
      throw_error<ValueError>({.op = "conv2d",
                               .arg = "activation",
                               .given = options.activation == Activation::tanh ? "tanh" : "sigmoid",
                               .wanted = "none or relu",
                               .what = "no fused form; apply it to the result",
                               .loc = x.loc});
  }
}

void set_winograd(bool on) { kernels::set_conv_winograd(on); }
bool winograd_enabled() { return kernels::conv_winograd(); }

void describe_conv(std::vector<OpInfo>& to) { describe_all(ops::ConvOps{}, to); }

}  // namespace thalweg
