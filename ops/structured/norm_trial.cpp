// Batch normalisation on trial: naive references, samples, bad arguments. Depends on norm.hpp. Invariant:
// references sum channel by channel in f64 and use no kernel.
#include <cmath>
#include <string>

#include <thalweg/ops/structured/norm.hpp>

namespace thalweg::ops {
namespace {

/// f(value, channel, index) over all elements.
template <class F>
void each_value(const Tensor& t, F f) {
  for_each_index(t.shape(), [&](const Dims& index) { f(value_at(t, index), index[1], index); });
}

double number(const Tensor& t, std::int64_t c, double otherwise) {
  return t.defined() ? value_at(t, {c}) : otherwise;
}

void add_to(Tensor& t, std::int64_t c, double v) { set_value(t, {c}, value_at(t, {c}) + v); }

double count_of(const Tensor& x) {
  return static_cast<double>(x.numel()) / static_cast<double>(x.shape()[1] > 0 ? x.shape()[1] : 1);
}

Tensor normalised(const Tensor& x, const Tensor& mean, const Tensor& variance, const Tensor& weight,
                  const Tensor& bias, double eps) {
  Tensor y = zeros(x.shape(), DType::f64);
  each_value(x, [&](double v, std::int64_t c, const Dims& index) {
    const double r = 1 / std::sqrt(value_at(variance, {c}) + eps);
    set_value(y, index, (v - value_at(mean, {c})) * (r * number(weight, c, 1)) + number(bias, c, 0));
  });
  return y;
}

Tensor spread(SampleList& s, std::int64_t channels) { return s.uniform({channels}, 0.5, 2); }

const Dims sample_shapes[] = {{5, 3},     {2, 3, 4},     {2, 2, 3, 2},  {2, 1, 2, 2, 2},
                              {7, 19},    {1, 2, 3},     {3, 0, 2},     {37, 2, 3},
                              {2, 3, 65}, {3, 2, 7, 11}, {3, 70, 2, 2}, {2, 2, 9, 15}};

void vector_errors(ErrorList& e, const Tensor& x, const Tensor& c) {
  e.add<ShapeError>({x, zeros({4}), Tensor()}, BatchNormOptions{},
                    "weight is f32[4], wanted [3] for x f32[2,3,4]", "ShapeError");
  e.add<ShapeError>({x, c, zeros({3, 1})}, BatchNormOptions{}, "bias is f32[3,1], wanted [3]", "ShapeError");
  e.add<DTypeError>({x, zeros({3}, DType::f64), Tensor()}, BatchNormOptions{}, "weight is f64[3], wanted f32",
                    "DTypeError");
}

}  // namespace

std::vector<Tensor> BatchNorm::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Tensor& x = in[0];
  const double n = count_of(x);
  Tensor mean = zeros({x.shape()[1]}, DType::f64), variance = zeros({x.shape()[1]}, DType::f64);
  each_value(x, [&](double v, std::int64_t c, const Dims&) { add_to(mean, c, v / n); });
  each_value(x, [&](double v, std::int64_t c, const Dims&) {
    const double d = v - value_at(mean, {c});
    add_to(variance, c, d * d / n);
  });
  return {normalised(x, mean, variance, in[1], in[2], t.eps), mean, variance};
}

void BatchNorm::samples(SampleList& s) {
  for (const Dims& shape : sample_shapes) s.add({s.normal(shape), spread(s, shape[1]), s.normal({shape[1]})});
  s.add({s.normal({4, 3}), Tensor(), Tensor()}, Attrs{}, "plain");
  s.add({s.normal({4, 3, 2}), spread(s, 3), Tensor()}, Attrs{}, "no bias");
  s.add({s.normal({4, 3, 2}), Tensor(), s.normal({3})}, Attrs{.eps = 0.1}, "no weight");
  s.add({s.normal({2, 2, 70}), Tensor(), Tensor()}, Attrs{.eps = 0}, "eps 0");
  s.add({s.uniform({3, 2, 5}, 3, 5), spread(s, 2), s.normal({2})}, Attrs{.eps = 0.5}, "far from 0");
}

void BatchNorm::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3, 4}), c = zeros({3});
  vector_errors(e, x, c);
  e.add<ValueError>(
      {zeros({1, 8}), Tensor(), Tensor()}, Attrs{},
      "batch_norm: one value per channel has no variance: x is f32[1,8], wanted 2 or more values for "
      "each of the 8 channels",
      "ValueError");
  e.add<ValueError>({zeros({0, 8, 2}), Tensor(), Tensor()}, Attrs{}, "no values to take statistics of",
                    "ValueError");
  e.add<ShapeError>({zeros({3}), Tensor(), Tensor()}, Attrs{}, "no channel dimension: x is f32[3]",
                    "ShapeError");
  e.add<DTypeError>({zeros({2, 3}, DType::i64), Tensor(), Tensor()}, Attrs{}, "not a floating tensor",
                    "DTypeError");
  e.add<ValueError>({Tensor(), c, c}, Attrs{}, "undefined tensor", "ValueError");
  e.add<ValueError>({x, c, c}, Attrs{.eps = -1e-9}, "eps is -1e-09, wanted a finite number, 0 or more",
                    "ValueError");
  e.add<ValueError>({x, c, c}, Attrs{.eps = std::nan("")}, "eps is nan", "ValueError");
  e.add<ValueError>({x, c, c}, Attrs{.eps = HUGE_VAL}, "eps is inf", "ValueError");
}

std::vector<Tensor> BatchNormBackward::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const Tensor &g = in[0], &x = in[1];
  const std::int64_t channels = x.shape()[1];
  const double n = count_of(x);
  Tensor dx = zeros(x.shape(), DType::f64), dweight = zeros({channels}, DType::f64),
         dbias = zeros({channels}, DType::f64);
  const auto r = [&](std::int64_t c) { return 1 / std::sqrt(value_at(in[3], {c}) + t.eps); };
  const auto h = [&](double v, std::int64_t c) { return (v - value_at(in[2], {c})) * r(c); };
  each_value(x, [&](double v, std::int64_t c, const Dims& index) {
    add_to(dbias, c, value_at(g, index));
    add_to(dweight, c, value_at(g, index) * (v - value_at(in[2], {c})));
  });
  for (std::int64_t c = 0; c < channels; ++c) set_value(dweight, {c}, value_at(dweight, {c}) * r(c));
  each_value(x, [&](double v, std::int64_t c, const Dims& index) {
    double centred = value_at(g, index);
    if (!t.given) centred -= value_at(dbias, {c}) / n + h(v, c) * value_at(dweight, {c}) / n;
    set_value(dx, index, number(in[4], c, 1) * r(c) * centred);
  });
  return {dx, dweight, dbias};
}

void BatchNormBackward::samples(SampleList& s) {
  for (const Dims& shape : sample_shapes) {
    const Dims channels{shape[1]};
    s.add({s.normal(shape), s.normal(shape), s.normal(channels), spread(s, shape[1]), spread(s, shape[1])});
  }
  s.add({s.normal({4, 3}), s.normal({4, 3}), s.normal({3}), spread(s, 3), Tensor()}, Attrs{.eps = 0.1},
        "plain");
  for (const Dims& shape : sample_shapes) {
    const Dims channels{shape[1]};
    s.add({s.normal(shape), s.normal(shape), s.normal(channels), spread(s, shape[1]), spread(s, shape[1])},
          Attrs{.given = true}, "given statistics");
  }
  s.add({s.normal({1, 3}), s.normal({1, 3}), s.normal({3}), spread(s, 3), Tensor()}, Attrs{.eps = 0.1, .given = true},
        "given, one value");
  s.add({s.normal({0, 3}), s.normal({0, 3}), s.normal({3}), spread(s, 3), spread(s, 3)}, Attrs{.given = true},
        "given, no values");
}

void BatchNormBackward::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3, 4}), c = zeros({3}), none;
  e.add<ShapeError>({zeros({2, 4, 3}), x, c, c, none}, Attrs{},
                    "shapes differ: g is f32[2,4,3], wanted f32[2,3,4]", "ShapeError");
  e.add<DTypeError>({zeros({2, 3, 4}, DType::f64), x, c, c, none}, Attrs{}, "g is f64[2,3,4], wanted f32",
                    "DTypeError");
  e.add<ShapeError>({x, x, zeros({2}), c, none}, Attrs{}, "mean is f32[2], wanted [3]", "ShapeError");
  e.add<ShapeError>({x, x, c, zeros({}), none}, Attrs{}, "variance is f32[], wanted [3]", "ShapeError");
  e.add<ShapeError>({x, x, c, c, zeros({4})}, Attrs{}, "weight is f32[4], wanted [3]", "ShapeError");
  e.add<DTypeError>({x, x, c, zeros({3}, DType::f64), none}, Attrs{}, "variance is f64[3], wanted f32",
                    "DTypeError");
  e.add<ValueError>({x, x, none, c, none}, Attrs{}, "undefined tensor: mean", "ValueError");
  e.add<ValueError>({none, x, c, c, none}, Attrs{}, "undefined tensor: g", "ValueError");
  e.add<ValueError>({x, none, c, c, none}, Attrs{}, "undefined tensor: x", "ValueError");
  e.add<ValueError>({x, x, c, c, none}, Attrs{.eps = -1}, "eps is -1", "ValueError");
  e.add<ShapeError>({c, c, c, c, none}, Attrs{}, "no channel dimension", "ShapeError");
  e.add<ValueError>({zeros({1, 3}), zeros({1, 3}), c, c, none}, Attrs{}, "each of the 3 channels",
                    "ValueError");
}

std::vector<Tensor> BatchNormInference::reference(const std::vector<Tensor>& in, const Attrs& t) {
  return {normalised(in[0], in[1], in[2], in[3], in[4], t.eps)};
}

void BatchNormInference::samples(SampleList& s) {
  for (const Dims& shape : sample_shapes) {
    const Dims c{shape[1]};
    s.add({s.normal(shape), s.normal(c), spread(s, shape[1]), spread(s, shape[1]), s.normal(c)});
  }
  s.add({s.normal({1, 3}), s.normal({3}), spread(s, 3), Tensor(), Tensor()}, Attrs{}, "plain, one row");
  s.add({s.normal({4, 3, 2}), s.normal({3}), spread(s, 3), spread(s, 3), Tensor()}, Attrs{.eps = 0},
        "no bias");
  s.add({s.normal({4, 3, 2}), s.normal({3}), spread(s, 3), Tensor(), s.normal({3})}, Attrs{.eps = 0.1},
        "no weight");
  s.add({s.normal({0, 3}), s.normal({3}), spread(s, 3), spread(s, 3), s.normal({3})}, Attrs{}, "empty batch");
}

void BatchNormInference::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3, 4}), c = zeros({3}), none;
  e.add<ShapeError>(
      {x, zeros({4}), c, none, none}, Attrs{},
      "batch_norm_inference: not one number per channel: mean is f32[4], wanted [3] for x f32[2,3,4]",
      "ShapeError");
  e.add<ShapeError>({x, c, zeros({3, 1}), none, none}, Attrs{}, "variance is f32[3,1]", "ShapeError");
  e.add<ShapeError>({x, c, c, zeros({2}), none}, Attrs{}, "weight is f32[2]", "ShapeError");
  e.add<ShapeError>({x, c, c, c, zeros({2})}, Attrs{}, "bias is f32[2]", "ShapeError");
  e.add<DTypeError>({x, c, zeros({3}, DType::f64), none, none}, Attrs{}, "variance is f64[3], wanted f32",
                    "DTypeError");
  e.add<DTypeError>({zeros({2, 3}, DType::i32), c, c, none, none}, Attrs{}, "not a floating tensor",
                    "DTypeError");
  e.add<ShapeError>({c, c, c, none, none}, Attrs{}, "no channel dimension", "ShapeError");
  e.add<ValueError>({x, none, c, none, none}, Attrs{}, "undefined tensor: mean", "ValueError");
  e.add<ValueError>({x, c, none, none, none}, Attrs{}, "undefined tensor: variance", "ValueError");
  e.add<ValueError>({x, c, c, none, none}, Attrs{.eps = std::nan("")}, "eps is nan", "ValueError");
}

}  // namespace thalweg::ops
