// Layer and group normalisation: inference, kernel calls, derivatives, the public functions. Depends on
// functions.hpp, kernels/norm_groups, fmt. Invariant: what differs between the two is in their attributes'
// geometry alone.
#include <cmath>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/structured/dims.hpp>
#include <thalweg/ops/structured/norm_groups_support.hpp>

namespace thalweg::ops {
namespace {

using kernels::GroupGeometry;

void check_eps(const Ins& in, double eps) {
  if (!(eps >= 0 && std::isfinite(eps)))
    in.fail<ValueError>("eps", fmt::format("{}", eps), "a finite number, 0 or more",
                        "not an offset of a variance");
}

/// x at input i, and that its pieces have values.
void check_x(const Ins& in, int i, const LayerNormAttrs& t) {
  require_present(in, i, "x");
  require_floating(in, i, "x");
  const Dims& x = in[i].shape;
  if (t.dims < 1 || t.dims > x.size())
    in.fail<ValueError>("dims", fmt::format("{}", t.dims), fmt::format("1 to the {} of x", x.size()),
                        "not a number of trailing dimensions");
  if (geometry_of(x, t).piece() == 0)
    in.fail<ValueError>("x", describe(in[i]), "1 or more values to normalise", "no values");
  check_eps(in, t.eps);
}
void check_x(const Ins& in, int i, const GroupNormAttrs& t) {
  require_present(in, i, "x");
  require_floating(in, i, "x");
  const Dims& x = in[i].shape;
  if (x.size() < 2) in.fail<ShapeError>("x", describe(in[i]), "[N, C] or [N, C, ..]", "no channel dimension");
  if (t.groups < 1 || x[1] % t.groups != 0)
    in.fail<ValueError>("groups", fmt::format("{}", t.groups),
                        fmt::format("a divisor of the {} channels", x[1]), "channels cannot be split");
  if (geometry_of(x, t).piece() == 0)
    in.fail<ValueError>("x", describe(in[i]), "1 or more values to normalise", "no values");
  check_eps(in, t.eps);
}

/// Input i, of x's dtype and of this shape.
void check_numbers(const Ins& in, int i, const char* arg, int x, const Dims& wanted, bool optional) {
  if (optional && !in.has(i)) return;
  require_present(in, i, arg);
  if (in[i].dtype != in[x].dtype)
    in.fail<DTypeError>(arg, describe(in[i]), name(in[x].dtype), "operands of different dtypes; use to()");
  if (!(in[i].shape == wanted))
    in.fail<ShapeError>(arg, describe(in[i]), fmt::format("{} for x {}", to_string(wanted), describe(in[x])),
                        "shape does not fit");
}

ConstView optional_view(const Ins& in, int i) { return in.has(i) ? in[i] : ConstView{}; }

template <class Attrs>
void infer_forward(const Ins& in, const Attrs& t, Outs& out) {
  check_x(in, 0, t);
  const Dims& x = in[0].shape;
  check_numbers(in, 1, "weight", 0, numbers_of(x, t), true);
  check_numbers(in, 2, "bias", 0, numbers_of(x, t), true);
  out.add(in[0].dtype, x);
  out.add(in[0].dtype, pieces_of(x, t));
  out.add(in[0].dtype, pieces_of(x, t));
}

template <class Attrs>
void infer_backward(const Ins& in, const Attrs& t, Outs& out) {
  check_x(in, 1, t);
  const Dims& x = in[1].shape;
  check_numbers(in, 0, "g", 1, x, false);
  check_numbers(in, 2, "mean", 1, pieces_of(x, t), false);
  check_numbers(in, 3, "variance", 1, pieces_of(x, t), false);
  check_numbers(in, 4, "weight", 1, numbers_of(x, t), true);
  out.add(in[1].dtype, x);
  out.add(in[1].dtype, numbers_of(x, t));
  out.add(in[1].dtype, numbers_of(x, t));
}

template <class Attrs>
void run_forward(const Ins& in, const View* out, const Attrs& t) {
  kernels::group_norm(in[0], optional_view(in, 1), optional_view(in, 2), t.eps, out[0], out[1], out[2],
                      geometry_of(in[0].shape, t));
}

template <class Attrs>
void run_backward(const Ins& in, const View* out, const Attrs& t) {
  kernels::group_norm_backward(in[0], in[1], in[2], in[3], optional_view(in, 4), t.eps, out[0], out[1],
                               out[2], geometry_of(in[1].shape, t));
}

/// Tensors as [rows, groups, channels, run], so that they broadcast.
struct Canonical {
  GroupGeometry g;
  Dims shape() const { return {g.rows, g.groups, g.channels, g.run}; }
  Tensor full(const Tensor& t) const { return t.reshape(shape()); }
  Tensor pieces(const Tensor& t) const { return t.reshape({g.rows, g.groups, 1, 1}); }
  Tensor numbers(const Tensor& t) const { return t.reshape({1, g.groups, g.channels, 1}); }
  double n() const { return static_cast<double>(g.piece()); }
};
Tensor piece_sum(const Tensor& t) { return sum(t, {.dims = {2, 3}, .keepdim = true}); }
Tensor number_sum(const Tensor& t) { return sum(t, {.dims = {0, 3}}); }

template <class Backward, class Attrs>
void forward_vjp(Vjp& v, const Attrs& t) {
  if (!v.needs(0) && !v.needs(1)) {
    const Tensor g = v.g();
    const Dims numbers = numbers_of(g.shape(), t);
    return v.set(2, number_sum(Canonical{geometry_of(g.shape(), t)}.full(g)).reshape(numbers));
  }
  const Tensor x = v.in(0), mean = v.out(1);
  const Tensor in[] = {v.g(), x, mean, v.out(2), v.has_in(1) ? v.in(1) : Tensor()};
  std::vector<Tensor> d = apply_all<Backward>(t, in);
  if (v.needs(0)) {
    Tensor dx = std::move(d[0]);
    const Canonical as{geometry_of(x.shape(), t)};
    if (v.has_g(1)) dx = dx + expand(as.pieces(v.g(1)) / as.n(), as.shape()).reshape(x.shape());
    if (v.has_g(2)) {
      const Tensor by = (as.full(x) - as.pieces(mean)) * (as.pieces(v.g(2)) * (2 / as.n()));
      dx = dx + by.reshape(x.shape());
    }
    v.set(0, std::move(dx));
  }
  if (v.needs(1)) v.set(1, std::move(d[1]));
  if (v.needs(2)) v.set(2, std::move(d[2]));
}

// With d = x - mean, h = d r, k = g weight, B = sum k h over pieces, and u, p, q the gradients of dx,
// dweight, dbias, the inner product is the sum over pieces of r (sum u k - sum u sum k / n - B sum u h / n),
// plus sum p g h + q g.
template <class Backward, class Attrs>
void backward_vjp(Vjp& v, const Attrs& t) {
  const Tensor x0 = v.in(1), mean0 = v.in(2), variance0 = v.in(3), u0 = v.g(0);
  const Canonical as{geometry_of(x0.shape(), t)};
  const Tensor weight = v.has_in(4) ? as.numbers(v.in(4)) : Tensor();
  const auto weighted = [&](const Tensor& a) { return weight.defined() ? a * weight : a; };
  const Tensor g = as.full(v.in(0)), u = as.full(u0), p = as.numbers(v.g(1)), q = as.numbers(v.g(2));
  const Tensor r = rsqrt(as.pieces(variance0) + t.eps), d = as.full(x0) - as.pieces(mean0), h = d * r;
  if (v.needs(0) || v.needs(4)) {
    const Tensor in[] = {u0, x0, mean0, variance0, Tensor()};
    const Tensor by_k = as.full(apply_all<Backward>(t, in)[0]);
    if (v.needs(0)) v.set(0, (weighted(by_k) + (p * h + q)).reshape(x0.shape()));
    if (v.needs(4)) v.set(4, number_sum(g * by_k).reshape(numbers_of(x0.shape(), t)));
  }
  if (!v.needs(1) && !v.needs(2) && !v.needs(3)) return;
  const Tensor k = weighted(g), b = piece_sum(k * h), uh = piece_sum(u * h);
  const Tensor by_h = p * g - (u * b + k * uh) * (r / as.n());
  if (v.needs(1)) v.set(1, (by_h * r).reshape(x0.shape()));
  if (v.needs(2)) v.set(2, -(r * piece_sum(by_h)).reshape(mean0.shape()));
  if (v.needs(3)) {
    const Tensor by_r =
        piece_sum(u * k) - (piece_sum(u) * piece_sum(k) + b * uh) / as.n() + piece_sum(by_h * d);
    v.set(3, (by_r * (r * r * r) * -0.5).reshape(mean0.shape()));
  }
}

}  // namespace

void LayerNorm::infer(const Ins& in, const Attrs& t, Outs& out) { infer_forward(in, t, out); }
void LayerNorm::run(const Ins& in, const View* out, const Attrs& t) { run_forward(in, out, t); }
void LayerNorm::vjp(Vjp& v, const Attrs& t) { forward_vjp<LayerNormBackward>(v, t); }

void LayerNormBackward::infer(const Ins& in, const Attrs& t, Outs& out) { infer_backward(in, t, out); }
void LayerNormBackward::run(const Ins& in, const View* out, const Attrs& t) { run_backward(in, out, t); }
void LayerNormBackward::vjp(Vjp& v, const Attrs& t) { backward_vjp<LayerNormBackward>(v, t); }

void GroupNorm::infer(const Ins& in, const Attrs& t, Outs& out) { infer_forward(in, t, out); }
void GroupNorm::run(const Ins& in, const View* out, const Attrs& t) { run_forward(in, out, t); }
void GroupNorm::vjp(Vjp& v, const Attrs& t) { forward_vjp<GroupNormBackward>(v, t); }

void GroupNormBackward::infer(const Ins& in, const Attrs& t, Outs& out) { infer_backward(in, t, out); }
void GroupNormBackward::run(const Ins& in, const View* out, const Attrs& t) { run_backward(in, out, t); }
void GroupNormBackward::vjp(Vjp& v, const Attrs& t) { backward_vjp<GroupNormBackward>(v, t); }

}  // namespace thalweg::ops

namespace thalweg {

Tensor layer_norm(Arg x, const Dims& shape, const Tensor& weight, const Tensor& bias,
                  LayerNormOptions options) {
  const int dims = shape.size();
  if (x.t.defined()) {
    const Dims& all = x.t.shape();
    bool fits = dims > 0 && dims <= all.size();
    for (int d = 1; fits && d <= dims; ++d) fits = all[all.size() - d] == shape[dims - d];
    if (!fits)
      throw_error<ShapeError>({.op = "layer_norm",
                               .arg = "shape",
                               .given = to_string(shape),
                               .wanted = "the last sizes of x " + x.t.describe(),
                               .what = "not the trailing dimensions",
                               .loc = thread_state.call_site ? thread_state.call_site : x.loc});
  }
  const Tensor in[] = {x.t, weight, bias};
  return std::move(apply_all<ops::LayerNorm>({.dims = dims, .eps = options.eps}, in, x.loc)[0]);
}

Tensor group_norm(Arg x, std::int64_t groups, const Tensor& weight, const Tensor& bias,
                  GroupNormOptions options) {
  const Tensor in[] = {x.t, weight, bias};
  return std::move(apply_all<ops::GroupNorm>({.groups = groups, .eps = options.eps}, in, x.loc)[0]);
}

void describe_norm_groups(std::vector<OpInfo>& to) { describe_all(ops::NormGroupOps{}, to); }

}  // namespace thalweg
