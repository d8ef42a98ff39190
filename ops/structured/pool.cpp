// Pooling: inference, kernel calls, derivatives, the public functions. Depends on functions.hpp,
// pool_support.hpp. Invariant: every op checks its window before it asks for the geometry.
#include <thalweg/ops/structured/pool.hpp>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/structured/pool_support.hpp>

namespace thalweg::ops {
namespace {

template <class BackwardAttrs, class Options>
BackwardAttrs with_image(const Options& t, const Dims& image) {
  return {.window = t, .height = image[image.size() - 2], .width = image.back()};
}

template <class BackwardAttrs>
kernels::PoolGeometry geometry_of_gradient(const BackwardAttrs& t, const Dims& pooled) {
  const std::int64_t planes = numel(Dims(pooled.data(), pooled.size() - 2));
  return geometry_of(window_of(t.window), planes, t.height, t.width);
}

}  // namespace

// ---- max ----

void MaxPool2d::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_pool(in, 0, "x", t);
  const kernels::PoolGeometry g = geometry_of(window_of(t), in[0].shape);
  const Dims shape = with_plane(in[0].shape, g.out);
  out.add(in[0].dtype, shape);
  out.add(kernels::pool_index_dtype(g), shape);
}

void MaxPool2d::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::max_pool(in[0], out[0], out[1], geometry_of(window_of(t), in[0].shape));
}

void MaxPool2d::vjp(Vjp& v, const Attrs& t) {
  v.set(0, apply<MaxPool2dBackward>(with_image<MaxPool2dBackward::Attrs>(t, v.in_meta(0).shape), v.g(),
                                    v.out(1)));
}

void MaxPool2dBackward::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_pool_gradient(in, t.window, t.height, t.width);
  check_positions(in, in[0].shape, geometry_of_gradient(t, in[0].shape));
  const std::int64_t plane[] = {t.height, t.width};
  out.add(in[0].dtype, with_plane(in[0].shape, plane));
}

void MaxPool2dBackward::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::max_pool_backward(in[0], in[1], out[0], geometry_of_gradient(t, in[0].shape));
}

void MaxPool2dBackward::vjp(Vjp& v, const Attrs& t) {
  v.set(0, apply<MaxPool2dGather>(t.window, v.g(), v.in(1)));
}

void MaxPool2dGather::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_pool(in, 0, "x", t);
  const kernels::PoolGeometry g = geometry_of(window_of(t), in[0].shape);
  const Dims shape = with_plane(in[0].shape, g.out);
  check_positions(in, shape, g);
  out.add(in[0].dtype, shape);
}

void MaxPool2dGather::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::max_pool_gather(in[0], in[1], out[0], geometry_of(window_of(t), in[0].shape));
}

void MaxPool2dGather::vjp(Vjp& v, const Attrs& t) {
  v.set(0, apply<MaxPool2dBackward>(with_image<MaxPool2dBackward::Attrs>(t, v.in_meta(0).shape), v.g(),
                                    v.in(1)));
}

// ---- mean ----

void AvgPool2d::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_pool(in, 0, "x", t);
  out.add(in[0].dtype, with_plane(in[0].shape, geometry_of(window_of(t), in[0].shape).out));
}

void AvgPool2d::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::avg_pool(in[0], out[0], geometry_of(window_of(t), in[0].shape), t.count_include_pad);
}

void AvgPool2d::vjp(Vjp& v, const Attrs& t) {
  v.set(0, apply<AvgPool2dBackward>(with_image<AvgPool2dBackward::Attrs>(t, v.in_meta(0).shape), v.g()));
}

void AvgPool2dBackward::infer(const Ins& in, const Attrs& t, Outs& out) {
  check_pool_gradient(in, t.window, t.height, t.width);
  const std::int64_t plane[] = {t.height, t.width};
  out.add(in[0].dtype, with_plane(in[0].shape, plane));
}

void AvgPool2dBackward::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::avg_pool_backward(in[0], out[0], geometry_of_gradient(t, in[0].shape), t.window.count_include_pad);
}

void AvgPool2dBackward::vjp(Vjp& v, const Attrs& t) { v.set(0, apply<AvgPool2d>(t.window, v.g())); }

}  // namespace thalweg::ops

namespace thalweg {

Tensor max_pool2d(Arg x, const MaxPoolOptions& options) { return apply<ops::MaxPool2d>(options, x); }
Tensor avg_pool2d(Arg x, const AvgPoolOptions& options) { return apply<ops::AvgPool2d>(options, x); }

void describe_pool(std::vector<OpInfo>& to) { describe_all(ops::PoolOps{}, to); }

}  // namespace thalweg
