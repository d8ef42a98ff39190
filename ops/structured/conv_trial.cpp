// Samples and bad arguments of the convolution ops. Depends on conv.hpp and functions.hpp. Invariant: every
// attribute is reached by each op with values that differ between the two directions.
#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/structured/conv.hpp>

namespace thalweg::ops {
namespace {

using kernels::Activation;

struct Shapes {
  const char* note;
  Dims x, w, y;
  ConvAttrs attrs;
};

/// What each of the ops is tried on.
std::vector<Shapes> all_shapes() {
  return {
      {"plain", {2, 2, 4, 5}, {3, 2, 3, 2}, {2, 3, 2, 4}, {}},
      {"stride", {2, 2, 6, 5}, {2, 2, 2, 3}, {2, 2, 3, 3}, {.stride = {2, 1}}},
      {"stride larger than the kernel", {1, 2, 6, 7}, {2, 2, 2, 1}, {1, 2, 2, 3}, {.stride = {4, 3}}},
      {"padding", {2, 2, 3, 4}, {2, 2, 3, 3}, {2, 2, 3, 6}, {.padding = {1, 2}}},
      {"more padding than kernel", {1, 1, 2, 2}, {2, 1, 1, 2}, {1, 2, 6, 5}, {.padding = {2, 2}}},
      {"dilation", {1, 2, 6, 5}, {2, 2, 2, 3}, {1, 2, 3, 3}, {.padding = {0, 1}, .dilation = {3, 2}}},
      {"all at once",
       {2, 2, 7, 6},
       {2, 1, 3, 2},
       {2, 2, 3, 2},
       {.stride = {3, 4}, .padding = {2, 1}, .dilation = {1, 3}, .groups = 2}},
      {"stride and dilation with a common divisor",
       {1, 1, 9, 7},
       {2, 1, 3, 2},
       {1, 2, 2, 2},
       {.stride = {4, 3}, .dilation = {2, 3}}},
      // The same size for other numbers and for the other direction, so that no shape check sees a mistake.
      {"many geometries give this size",
       {1, 1, 21, 21},
       {1, 1, 4, 5},
       {1, 1, 2, 2},
       {.stride = {11, 12}, .padding = {1, 2}, .dilation = {1, 2}}},
      {"groups", {2, 4, 3, 3}, {6, 2, 2, 2}, {2, 6, 2, 2}, {.groups = 2}},
      {"depthwise", {2, 3, 4, 5}, {3, 1, 3, 3}, {2, 3, 4, 5}, {.padding = {1}, .groups = 3}},
      {"depthwise, two outputs each",
       {1, 2, 4, 4},
       {4, 1, 3, 2},
       {1, 4, 2, 2},
       {.stride = {2}, .padding = {1, 0}, .groups = 2}},
      {"1x1", {2, 3, 3, 4}, {2, 3, 1, 1}, {2, 2, 3, 4}, {}},
      {"1x1 map, 3x3 kernel", {3, 2, 1, 1}, {2, 2, 3, 3}, {3, 2, 1, 1}, {.padding = {1}}},
      {"2x2 map", {3, 2, 2, 2}, {2, 2, 3, 3}, {3, 2, 2, 2}, {.padding = {1}}},
      {"winograd", {2, 2, 5, 6}, {3, 2, 3, 3}, {2, 3, 5, 6}, {.padding = {1}}},
      {"tile edges", {9, 3, 2, 2}, {17, 3, 2, 2}, {9, 17, 3, 3}, {.padding = {1}}},
      {"empty batch", {0, 2, 4, 4}, {3, 2, 3, 3}, {0, 3, 2, 2}, {}},
      // Last, where the threads axis begins: it grows into many channels, not into large kernels.
      {"1x1 map", {2, 3, 1, 1}, {4, 3, 1, 1}, {2, 4, 1, 1}, {}},
  };
}

ConvAttrs sized(const ConvAttrs& t, const Dims& like) {
  ConvAttrs r = t;
  r.size = {like[2], like[3]};
  return r;
}

/// Every output far from relu's kink, on both sides of it: positive pixels, weights of one sign for each
/// output channel, so that what lies on padding alone is the bias.
void relu_samples(SampleList& s) {
  const auto signs = [](const Dims& shape) {
    Tensor t = empty(shape, DType::f64);
    for_each_index(shape, [&](const Dims& at) { set_value(t, at, at[0] % 2 == 0 ? 1 : -1); });
    return t;
  };
  s.add({s.uniform({2, 2, 3, 3}, 0.5, 1.5), s.uniform({3, 2, 2, 2}, 0.3, 1) * signs({3, 2, 2, 2}), Tensor()},
        ConvAttrs{}, "no bias");
  const Tensor none = zeros({2, 1, 2, 2}, DType::f64);
  s.add_kink({none, s.normal({3, 1, 2, 2}), zeros({3}, DType::f64)}, ConvAttrs{},
             {none, zeros({3, 1, 2, 2}, DType::f64), zeros({3}, DType::f64)}, "at 0");
  for (const Shapes& c : all_shapes())
    s.add({s.uniform(c.x, 0.5, 1.5), s.uniform(c.w, 0.3, 1) * signs(c.w),
           s.uniform({c.w[0]}, 0.05, 0.1) * signs({c.w[0]})},
          c.attrs, c.note);
}

/// What all of them refuse; `rest` are the operands after the two.
void common_errors(ErrorList& e, const Tensor& a, const Tensor& w, const std::vector<Tensor>& rest,
                   const ConvAttrs& good) {
  const auto operands = [&](const Tensor& first, const Tensor& second) {
    std::vector<Tensor> in{first, second};
    in.insert(in.end(), rest.begin(), rest.end());
    return in;
  };
  const auto value = [&](auto change, const char* text) {
    ConvAttrs t = good;
    change(t);
    e.add<ValueError>(operands(a, w), t, text, "ValueError");
  };
  value([](ConvAttrs& t) { t.stride = {0, 1}; }, "stride is [0,1], wanted 1 to");
  value([](ConvAttrs& t) { t.stride = {}; }, "stride is [], wanted one or two numbers");
  value([](ConvAttrs& t) { t.padding = {1, -1}; }, "padding is [1,-1], wanted 0 to");
  value([](ConvAttrs& t) { t.padding = {1, 1, 1}; }, "padding is [1,1,1], wanted one or two numbers");
  value([](ConvAttrs& t) { t.padding = {std::int64_t{1} << 62}; }, "out of range");
  value([](ConvAttrs& t) { t.dilation = {0}; }, "dilation is [0], wanted 1 to");
  value([](ConvAttrs& t) { t.groups = 0; }, "groups is 0, wanted 1 or more");
  ConvAttrs five = good;
  five.groups = 5;
  e.add<ShapeError>(operands(a, w), five, "do not fall into 5 groups", "ShapeError");
  e.add<ValueError>(operands(a, Tensor()), good, "undefined tensor", "ValueError");
  e.add<DTypeError>(operands(a.to(DType::i64), w), good, "is i64", "DTypeError");
  e.add<DTypeError>(operands(a, w.to(DType::f64)), good, "different dtypes", "DTypeError");
  e.add<ShapeError>(operands(zeros({4, 4}), w), good, "is f32[4,4], wanted [batch, channels, height, width]",
                    "ShapeError");
  e.add<ShapeError>(operands(a, zeros({3, 3})), good, "not of 4 dimensions", "ShapeError");
}

}  // namespace

template <Activation Act>
void Conv2dWith<Act>::samples(SampleList& s) {
  if constexpr (!plain) return relu_samples(s);
  s.add({s.normal({2, 2, 3, 3}), s.normal({3, 2, 2, 2}), Tensor()}, ConvAttrs{}, "no bias");
  for (const Shapes& c : all_shapes())
    s.add({s.normal(c.x), s.normal(c.w), s.normal({c.w[0]})}, c.attrs, c.note);
}

template <Activation Act>
void Conv2dWith<Act>::errors(ErrorList& e) {
  const Tensor x = zeros({2, 4, 5, 5}), w = zeros({6, 4, 3, 3});
  common_errors(e, x, w, {Tensor()}, {});
  e.add<ShapeError>({x, zeros({6, 2, 3, 3}), Tensor()},
                    fmt::format("{}: channels differ (4 in 1 groups vs 2): given x f32[2,4,5,5] and w "
                                "f32[6,2,3,3], wanted w [out, 4, ..]",
                                row.name),
                    "ShapeError");
  e.add<ShapeError>({x, w, zeros({5})}, "b is f32[5], wanted [6]", "ShapeError");
  e.add<DTypeError>({x, w, zeros({6}, DType::f64)}, "b is f64[6], wanted f32", "DTypeError");
  e.add<ShapeError>({x, zeros({6, 4, 6, 3}), Tensor()}, "kernel is larger than the padded input (6 vs 5)",
                    "ShapeError");
  e.add<ShapeError>({x, w, Tensor()}, ConvAttrs{.padding = {0, 1}, .dilation = {1, 4}},
                    "kernel is larger than the padded input (9 vs 7)", "ShapeError");
  e.add<ShapeError>({x, zeros({6, 4, 0, 3}), Tensor()}, "kernel is [0,3]", "ShapeError");
}

void Conv2dInputGradient::samples(SampleList& s) {
  s.add({s.normal({1, 2, 2, 2}), s.normal({2, 1, 2, 2})}, ConvAttrs{.stride = {3}, .size = {6, 7}},
        "pixels that no tap reads");
  for (const Shapes& c : all_shapes()) s.add({s.normal(c.y), s.normal(c.w)}, sized(c.attrs, c.x), c.note);
}

void Conv2dInputGradient::errors(ErrorList& e) {
  const Tensor g = zeros({2, 6, 3, 3}), w = zeros({6, 4, 3, 3});
  const ConvAttrs good{.size = {5, 5}};
  common_errors(e, g, w, {}, good);
  e.add<ShapeError>(
      {g, w}, ConvAttrs{.size = {5, 6}},
      "conv2d_input_gradient: not shaped like the convolution's output: g is f32[2,6,3,3], wanted "
      "[2,6,3,4]",
      "ShapeError");
  e.add<ShapeError>({zeros({2, 5, 3, 3}), w}, good, "g is f32[2,5,3,3], wanted [2,6,3,3]", "ShapeError");
  e.add<ValueError>({g, w}, ConvAttrs{}, "size is [], wanted one or two numbers", "ValueError");
  e.add<ValueError>({g, w}, ConvAttrs{.size = {5, -1}}, "size is [5,-1], wanted 0 to", "ValueError");
  e.add<ShapeError>({g, w}, ConvAttrs{.size = {2, 5}}, "kernel is larger than the padded input (3 vs 2)",
                    "ShapeError");
}

void Conv2dWeightGradient::samples(SampleList& s) {
  for (const Shapes& c : all_shapes()) s.add({s.normal(c.y), s.normal(c.x)}, sized(c.attrs, c.w), c.note);
}

void Conv2dWeightGradient::errors(ErrorList& e) {
  const Tensor g = zeros({2, 6, 3, 3}), x = zeros({2, 4, 5, 5});
  const ConvAttrs good{.size = {3}};
  common_errors(e, g, x, {}, good);
  e.add<ShapeError>(
      {g, x}, ConvAttrs{.size = {3, 2}},
      "conv2d_weight_gradient: not shaped like the convolution's output: g is f32[2,6,3,3], wanted "
      "[2,6,3,4]",
      "ShapeError");
  e.add<ShapeError>({zeros({3, 6, 3, 3}), x}, good, "g is f32[3,6,3,3], wanted [2,6,3,3]", "ShapeError");
  e.add<ValueError>({g, x}, ConvAttrs{.size = {0, 3}}, "size is [0,3], wanted 1 to", "ValueError");
  e.add<ShapeError>({g, x}, ConvAttrs{.size = {6}}, "kernel is larger than the padded input (6 vs 5)",
                    "ShapeError");
}

template struct Conv2dWith<Activation::none>;
template struct Conv2dWith<Activation::relu>;

}  // namespace thalweg::ops
