// Linear layers: inference, one gemm with its epilogue, derivatives, reference, samples. Depends on
// functions.hpp, kernels/gemm, kernels/copy, fmt. Invariant: leading dims of x are a batch that shares one
// weight.
#include <thalweg/ops/structured/linear.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/library.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {
namespace {

using kernels::Activation;

/// Everything but the last dimension as one.
Tensor as_rows(const Tensor& t) {
  const std::int64_t columns = t.shape().back();
  Dims lead(t.shape().data(), t.dim() - 1);
  if (t.dim() == 2) return t;
  return reshape(t, {numel(lead), columns});
}

void infer_linear(const Ins& in, Outs& out) {
  static const char* const names[] = {"x", "w", "b"};
  const bool bias = in.has(2);
  for (int i = 0; i < 2; ++i) require_present(in, i, names[i]);
  for (int i = 0; i < (bias ? 3 : 2); ++i) {
    require_floating(in, i, names[i]);
    if (in[i].dtype != in[0].dtype)
      in.fail<DTypeError>(names[i], describe(in[i]), name(in[0].dtype),
                          "operands of different dtypes; use to()");
  }
  if (in[0].shape.empty()) in.fail<ShapeError>("x", describe(in[0]), "1 dimension or more", "no features");
  if (in[1].shape.size() != 2) in.fail<ShapeError>("w", describe(in[1]), "[out, in]", "not a matrix");
  const std::int64_t features = in[0].shape.back(), outputs = in[1].shape[0];
  if (in[1].shape[1] != features)
    in.fail<ShapeError>("", fmt::format("x {} and w {}", describe(in[0]), describe(in[1])),
                        fmt::format("w [out, {}]", features),
                        fmt::format("features differ ({} vs {})", features, in[1].shape[1]));
  if (bias && !(in[2].shape == Dims{outputs}))
    in.fail<ShapeError>("b", describe(in[2]), to_string(Dims{outputs}), "bias does not fit the outputs");
  Dims shape = in[0].shape;
  shape.back() = outputs;
  out.add(in[0].dtype, shape);
}

void run_linear(const Ins& in, const View& y, Activation act) {
  const ConstView &x = in[0], &w = in[1];
  const int rank = x.shape.size();
  kernels::GemmArgs g;
  g.dtype = y.dtype;
  g.m = rank > 1 ? x.shape[rank - 2] : 1;
  g.n = w.shape[0];
  g.k = w.shape[1];
  g.a = x.data, g.a_row = rank > 1 ? x.strides[rank - 2] : 0, g.a_col = x.strides[rank - 1];
  g.b = w.data, g.b_row = w.strides[1], g.b_col = w.strides[0];
  g.c = y.data, g.c_row = rank > 1 ? y.strides[rank - 2] : g.n, g.c_col = 1;
  g.act = act;
  const bool strided = in.has(2) && in[2].strides[0] != 1 && g.n > 1;
  const mem::Scratch<char> dense(strided ? static_cast<std::size_t>(g.n) * itemsize(g.dtype) : 0);
  if (in.has(2)) g.bias = in[2].data;
  if (strided) {
    kernels::copy(in[2], View{dense.data(), g.dtype, {g.n}, {1}});
    g.bias = dense.data();
  }
  if (rank <= 2) return kernels::gemm(g);
  const Dims batch(x.shape.data(), rank - 2);
  g.tall = numel(batch) > 1;
  kernels::gemm_batched(g, {batch, Dims(x.strides.data(), rank - 2), Dims::filled(rank - 2, 0),
                            Dims(y.strides.data(), rank - 2)});
}

/// The gradient before the activation, step by step as the activation's own op computes it.
Tensor through_activation(Vjp& v, Activation act) {
  if (act == Activation::none) return v.g();
  const Tensor y = v.out();
  switch (act) {
    case Activation::relu:
      return apply<ReluGradient>(v.g(), y);
    case Activation::sigmoid:
      return v.g() * (y * (1 - y));
    default:
      return v.g() * (1 - y * y);
  }
}

double activated(double x, Activation act) {
  switch (act) {
    case Activation::relu:
      return x <= 0 ? 0 : x;
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
    default:
      return x;
  }
}

/// Every output far from relu's kink, on both sides of it: positive features, weights of one sign for each
/// output.
void relu_samples(SampleList& s) {
  const auto weights = [&](std::int64_t outputs, std::int64_t features) {
    Tensor signs = empty({outputs, 1}, DType::f64);
    for (std::int64_t i = 0; i < outputs; ++i) set_value(signs, {i, 0}, i % 2 == 0 ? 1 : -1);
    return s.uniform({outputs, features}, 0.3, 1) * signs;
  };
  const auto bias = [&](std::int64_t outputs) { return s.uniform({outputs}, -0.1, 0.1); };
  s.add({s.uniform({3, 4}, 0.5, 1.5), weights(2, 4), bias(2)});
  s.add({s.uniform({3, 4}, 0.5, 1.5), weights(2, 4), Tensor()}, NoAttrs{}, "no bias");
  s.add({s.uniform({4}, 0.5, 1.5), weights(3, 4), bias(3)}, NoAttrs{}, "one row");
  s.add({s.uniform({2, 3, 4}, 0.5, 1.5), weights(2, 4), bias(2)}, NoAttrs{}, "leading dims");
  s.add({s.normal({0, 4}), s.normal({2, 4}), s.normal({2})}, NoAttrs{}, "empty batch");
  s.add({s.normal({3, 0}), s.normal({2, 0}), from<double>({1, -1}, {2})}, NoAttrs{}, "no features");
  s.add({s.uniform({17, 9}, 0.5, 1.5), weights(19, 9), bias(19)}, NoAttrs{}, "tile edges");
  const Tensor none = zeros({2, 3}, DType::f64);
  s.add_kink({none, s.normal({4, 3}), zeros({4}, DType::f64)}, NoAttrs{},
             {none, zeros({4, 3}, DType::f64), zeros({4}, DType::f64)}, "at 0");
}

}  // namespace

template <Activation Act>
void LinearWith<Act>::infer(const Ins& in, const NoAttrs&, Outs& out) {
  infer_linear(in, out);
}

template <Activation Act>
void LinearWith<Act>::run(const Ins& in, const View* out, const NoAttrs&) {
  run_linear(in, out[0], Act);
}

template <Activation Act>
void LinearWith<Act>::vjp(Vjp& v, const NoAttrs&) {
  const Tensor dz = through_activation(v, Act);
  if (v.needs(0)) v.set(0, matmul(dz, v.in(1)));
  if (v.needs(1)) v.set(1, matmul(transpose(as_rows(dz), 0, 1), as_rows(v.in(0))));
  if (v.needs(2)) v.set(2, sum(as_rows(dz), {.dims = {0}}));
}

template <Activation Act>
std::vector<Tensor> LinearWith<Act>::reference(const std::vector<Tensor>& in, const NoAttrs&) {
  const Tensor &x = in[0], &w = in[1];
  Dims shape = x.shape();
  shape.back() = w.shape()[0];
  Tensor y = zeros(shape, DType::f64);
  for_each_index(shape, [&](const Dims& index) {
    Dims at = index;
    double total = 0;
    for (std::int64_t k = 0; k < w.shape()[1]; ++k) {
      at.back() = k;
      total += value_at(x, at) * value_at(w, {index.back(), k});
    }
    if (in[2].defined()) total += value_at(in[2], {index.back()});
    set_value(y, index, activated(total, Act));
  });
  return {y};
}

template <Activation Act>
void LinearWith<Act>::samples(SampleList& s) {
  if constexpr (Act == Activation::relu) return relu_samples(s);
  s.add({s.normal({3, 4}), s.normal({2, 4}), s.normal({2})});
  s.add({s.normal({3, 4}), s.normal({2, 4}), Tensor()}, NoAttrs{}, "no bias");
  s.add({s.normal({4}), s.normal({3, 4}), s.normal({3})}, NoAttrs{}, "one row");
  s.add({s.normal({2, 3, 4}), s.normal({2, 4}), s.normal({2})}, NoAttrs{}, "leading dims");
  s.add({s.normal({0, 4}), s.normal({2, 4}), s.normal({2})}, NoAttrs{}, "empty batch");
  s.add({s.normal({3, 0}), s.normal({2, 0}), s.normal({2})}, NoAttrs{}, "no features");
  s.add({s.normal({17, 9}), s.normal({19, 9}), s.normal({19})}, NoAttrs{}, "tile edges");
}

template <Activation Act>
void LinearWith<Act>::errors(ErrorList& e) {
  const Tensor x = zeros({3, 4}), w = zeros({2, 4});
  e.add<ShapeError>({zeros({3, 5}), w, Tensor()},
                    std::string(row.name) +
                        ": features differ (5 vs 4): given x f32[3,5] and w f32[2,4], wanted w [out, 5]",
                    "ShapeError");
  e.add<ShapeError>({x, w, zeros({3})}, "b is f32[3], wanted [2]", "ShapeError");
  e.add<ShapeError>({zeros({}), w, Tensor()}, "no features", "ShapeError");
  e.add<ShapeError>({x, zeros({4}), Tensor()}, "w is f32[4], wanted [out, in]", "ShapeError");
  e.add<DTypeError>({x, zeros({2, 4}, DType::f64), Tensor()}, "different dtypes", "DTypeError");
  e.add<DTypeError>({zeros({3, 4}, DType::i64), w, Tensor()}, "x is i64[3,4]", "DTypeError");
  e.add<ValueError>({x, Tensor(), Tensor()}, "undefined tensor: w is undefined", "ValueError");
}

template struct LinearWith<Activation::none>;
template struct LinearWith<Activation::relu>;
template struct LinearWith<Activation::sigmoid>;
template struct LinearWith<Activation::tanh>;

}  // namespace thalweg::ops

namespace thalweg {

Tensor linear(Arg x, Arg w, const Tensor& b, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return apply<ops::LinearRelu>(x, w, b);
    case Activation::sigmoid:
      return apply<ops::LinearSigmoid>(x, w, b);
    case Activation::tanh:
      return apply<ops::LinearTanh>(x, w, b);
    default:
      return apply<ops::Linear>(x, w, b);
  }
}

void describe_linear(std::vector<OpInfo>& to) { describe_all(ops::LinearOps{}, to); }

}  // namespace thalweg
