// Batch normalisation: inference, kernel calls, derivatives, the public functions. Depends on functions.hpp,
// kernels/norm, fmt. Invariant: channels are dimension 1; with r = 1 / sqrt(variance + eps), d = x - mean.
#include <thalweg/ops/structured/norm.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/norm.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

kernels::ChannelGeometry channels_of(const Dims& shape) {
  return {shape[0], shape[1], numel(Dims(shape.data() + 2, shape.size() - 2))};
}

/// x at input i: floating, with channels.
void check_channels(const Ins& in, int i, const char* arg) {
  require_present(in, i, arg);
  require_floating(in, i, arg);
  if (in[i].shape.size() < 2)
    in.fail<ShapeError>(arg, describe(in[i]), "[N, C] or [N, C, ..]", "no channel dimension");
}

/// Input i as one number per channel of the x at input `x`.
void check_vector(const Ins& in, int i, const char* arg, int x, bool optional) {
  if (optional && !in.has(i)) return;
  require_present(in, i, arg);
  if (in[i].dtype != in[x].dtype)
    in.fail<DTypeError>(arg, describe(in[i]), name(in[x].dtype), "operands of different dtypes; use to()");
  const Dims wanted{in[x].shape[1]};
  if (!(in[i].shape == wanted))
    in.fail<ShapeError>(arg, describe(in[i]), fmt::format("{} for x {}", to_string(wanted), describe(in[x])),
                        "not one number per channel");
}

void check_eps(const Ins& in, double eps) {
  if (!(eps >= 0 && std::isfinite(eps)))
    in.fail<ValueError>("eps", fmt::format("{}", eps), "a finite number, 0 or more",
                        "not an offset of a variance");
}

/// Statistics need two values per channel.
void check_values(const Ins& in, int x) {
  const kernels::ChannelGeometry g = channels_of(in[x].shape);
  const std::int64_t n = g.rows * g.run;
  if (n < 2)
    in.fail<ValueError>("x", describe(in[x]),
                        fmt::format("2 or more values for each of the {} channels", g.channels),
                        n == 1 ? "one value per channel has no variance" : "no values to take statistics of");
}

ConstView optional_view(const Ins& in, int i) { return in.has(i) ? in[i] : ConstView{}; }

/// One number per channel as a tensor that broadcasts against x of this rank.
Tensor beside(const Tensor& c, int rank) {
  Dims shape = Dims::filled(rank - 1, 1);
  shape[0] = c.shape()[0];
  return reshape(c, shape);
}

Tensor channel_sum(const Tensor& t) {
  Dims dims{0};
  for (int d = 2; d < t.dim(); ++d) dims.push_back(d);
  return sum(t, {.dims = dims});
}

/// weight * t, or t.
Tensor weighted(const Tensor& weight, const Tensor& t) { return weight.defined() ? weight * t : t; }

double values_per_channel(const Dims& shape) {
  const kernels::ChannelGeometry g = channels_of(shape);
  return static_cast<double>(g.rows * g.run);
}

}  // namespace

// ---- training ----

void BatchNorm::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_channels(in, 0, "x");
  check_vector(in, 1, "weight", 0, true);
  check_vector(in, 2, "bias", 0, true);
  check_eps(in, t.eps);
  check_values(in, 0);
  out.add(in[0].dtype, in[0].shape);
  out.add(in[0].dtype, {in[0].shape[1]});
  out.add(in[0].dtype, {in[0].shape[1]});
}

void BatchNorm::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::batch_norm(in[0], optional_view(in, 1), optional_view(in, 2), t.eps, out[0], out[1], out[2],
                      channels_of(in[0].shape));
}

void BatchNorm::vjp(Vjp& v, const Attrs& t) {
  if (!v.needs(0) && !v.needs(1)) return v.set(2, channel_sum(v.g()));
  const Tensor x = v.in(0), mean = v.out(1);
  const Tensor in[] = {v.g(), x, mean, v.out(2), v.has_in(1) ? v.in(1) : Tensor()};
  std::vector<Tensor> d = apply_all<BatchNormBackward>({.eps = t.eps}, in);
  if (v.needs(0)) {
    Tensor dx = std::move(d[0]);
    const double n = values_per_channel(x.shape());
    if (v.has_g(1)) dx = dx + beside(v.g(1), x.dim()) / n;
    if (v.has_g(2)) dx = dx + (x - beside(mean, x.dim())) * (beside(v.g(2), x.dim()) * (2 / n));
    v.set(0, std::move(dx));
  }
  if (v.needs(1)) v.set(1, std::move(d[1]));
  if (v.needs(2)) v.set(2, std::move(d[2]));
}

void BatchNormBackward::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_channels(in, 1, "x");
  require_present(in, 0, "g");
  if (in[0].dtype != in[1].dtype)
    in.fail<DTypeError>("g", describe(in[0]), name(in[1].dtype), "operands of different dtypes");
  if (!(in[0].shape == in[1].shape))
    in.fail<ShapeError>("g", describe(in[0]), describe(in[1]), "shapes differ");
  check_vector(in, 2, "mean", 1, false);
  check_vector(in, 3, "variance", 1, false);
  check_vector(in, 4, "weight", 1, true);
  check_eps(in, t.eps);
  if (!t.given) check_values(in, 1);
  out.add(in[0].dtype, in[0].shape);
  out.add(in[0].dtype, {in[0].shape[1]});
  out.add(in[0].dtype, {in[0].shape[1]});
}

void BatchNormBackward::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::batch_norm_backward(in[0], in[1], in[2], in[3], optional_view(in, 4), t.eps, t.given, out[0], out[1],
                               out[2], channels_of(in[0].shape));
}

// With h = d r, A = sum g, B = sum g h, w = weight r, and u, p, q the gradients of dx, dweight, dbias, the
// inner product is w (sum u g - A sum u / n - B sum u h / n) + p B + q A, summed over channels; without the terms in
// 1 / n for given statistics.
void BatchNormBackward::vjp(Vjp& v, const Attrs& t) {
  const Tensor g = v.in(0), x = v.in(1), mean = v.in(2), variance = v.in(3);
  const Tensor weight = v.has_in(4) ? v.in(4) : Tensor();
  const Tensor u = v.g(0), p = v.g(1), q = v.g(2);
  const int rank = x.dim();
  const double n = values_per_channel(x.shape());
  const Tensor r = rsqrt(variance + t.eps), w = weighted(weight, r);
  const Tensor d = x - beside(mean, rank), h = d * beside(r, rank);
  if (v.needs(0)) {
    const Tensor in[] = {u, x, mean, variance, weight};
    v.set(0, apply_all<BatchNormBackward>(t, in)[0] + (beside(p, rank) * h + beside(q, rank)));
  }
  if (!v.needs(1) && !v.needs(2) && !v.needs(3) && !v.needs(4)) return;
  Tensor by_w = channel_sum(u * g), by_h = g * beside(p, rank);  // by_w: the part of the inner product that w multiplies
  if (!t.given) {
    const Tensor b = channel_sum(g * h), uh = channel_sum(u * h);
    by_w = by_w - (channel_sum(g) * channel_sum(u) + b * uh) / n;
    by_h = by_h - g * beside(w * uh / n, rank) - u * beside(w * b / n, rank);
  }
  if (v.needs(1)) v.set(1, by_h * beside(r, rank));
  if (v.needs(2)) v.set(2, -(r * channel_sum(by_h)));
  if (v.needs(3)) {
    const Tensor by_r = weighted(weight, by_w) + channel_sum(by_h * d);
    v.set(3, by_r * (r * r * r) * -0.5);
  }
  if (v.needs(4)) v.set(4, r * by_w);
}

// ---- inference ----

void BatchNormInference::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_channels(in, 0, "x");
  check_vector(in, 1, "mean", 0, false);
  check_vector(in, 2, "variance", 0, false);
  check_vector(in, 3, "weight", 0, true);
  check_vector(in, 4, "bias", 0, true);
  check_eps(in, t.eps);
  out.add(in[0].dtype, in[0].shape);
}

void BatchNormInference::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::channel_normalise(in[0], in[1], in[2], optional_view(in, 3), optional_view(in, 4), t.eps, out[0],
                             channels_of(in[0].shape));
}

void BatchNormInference::vjp(Vjp& v, const Attrs& t) {
  const Tensor g = v.g(), weight = v.has_in(3) ? v.in(3) : Tensor();
  const bool scaled = v.needs(0) || v.needs(1) || v.needs(2);
  const Tensor variance = scaled || v.needs(3) ? v.in(2) : Tensor();
  std::vector<Tensor> d(3);  // of x, weight and bias: at once where x must be read at all
  if (v.needs(2) || v.needs(3)) {
    const Tensor in[] = {g, v.in(0), v.in(1), variance, weight};
    d = apply_all<BatchNormBackward>({.eps = t.eps, .given = true}, in);
  } else if (v.needs(1) || v.needs(4)) {
    d[2] = channel_sum(g);
  }
  if (v.needs(3)) v.set(3, d[1]);
  if (v.needs(4)) v.set(4, d[2]);
  if (!scaled) return;
  if (v.needs(0) && d[0].defined()) v.set(0, std::move(d[0]));
  const Tensor r = rsqrt(variance + t.eps), w = weighted(weight, r);
  if (v.needs(0) && !d[1].defined()) v.set(0, g * beside(w, g.dim()));
  if (v.needs(1)) v.set(1, -(w * d[2]));
  if (v.needs(2)) v.set(2, w * d[1] * r * -0.5);
}

}  // namespace thalweg::ops

namespace thalweg {

BatchNormResult batch_norm(Arg x, const Tensor& weight, const Tensor& bias, BatchNormOptions options) {
  const Tensor in[] = {x.t, weight, bias};
  std::vector<Tensor> out = apply_all<ops::BatchNorm>(options, in, x.loc);
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

Tensor batch_norm_inference(Arg x, const Tensor& mean, const Tensor& variance, const Tensor& weight,
                            const Tensor& bias, BatchNormOptions options) {
  return apply<ops::BatchNormInference>(options, x, mean, variance, weight, bias);
}

void describe_norm(std::vector<OpInfo>& to) { describe_all(ops::NormOps{}, to); }

}  // namespace thalweg
