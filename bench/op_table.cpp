// The one table of structured ops' calls: shapes and attributes, small and large. Depends on the op structs.
// Invariant: 64 elements or 8 x 8 small, 4 M elements large (matrix products: 1024^3), so that rows can be compared.
#include "ops.hpp"

#include <thalweg/ops/structured/conv.hpp>
#include <thalweg/ops/structured/embedding.hpp>
#include <thalweg/ops/structured/index.hpp>
#include <thalweg/ops/structured/linear.hpp>
#include <thalweg/ops/structured/loss.hpp>
#include <thalweg/ops/structured/matmul.hpp>
#include <thalweg/ops/structured/norm.hpp>
#include <thalweg/ops/structured/norm_groups.hpp>
#include <thalweg/ops/structured/pool.hpp>
#include <thalweg/ops/structured/random.hpp>
#include <thalweg/ops/structured/reduce.hpp>
#include <thalweg/ops/structured/scan.hpp>
#include <thalweg/ops/structured/shape.hpp>
#include <thalweg/ops/structured/softmax.hpp>
#include <thalweg/thalweg.hpp>

namespace bench {

using thalweg::Dims;
using thalweg::Tensor;
namespace ops = thalweg::ops;

namespace {

/// Rows and columns of a square operand.
std::int64_t side(bool large) { return large ? 2048 : 8; }
Tensor square(bool large, double low = -2, double high = 2) { return uniform({side(large), side(large)}, low, high); }
template <class A>
std::shared_ptr<const void> attrs(A a) {
  return std::make_shared<const A>(std::move(a));
}

template <int... D>
OpCall over(bool large) {
  return {.in = {square(large)}, .attrs = attrs(thalweg::Over{.dims = Dims{D...}})};
}
template <class Attrs, int... D>
OpCall along(bool large) {
  return {.in = {square(large)}, .attrs = attrs(Attrs{D...})};
}
OpCall near_one(bool large) {  // products that neither vanish nor overflow
  return {.in = {square(large, large ? 0.99999 : 0.9, large ? 1.00001 : 1.1)}, .attrs = attrs(thalweg::Over{})};
}
OpCall cumprod(bool large) { return {.in = {square(large, 0.99, 1.01)}, .attrs = attrs(ops::CumProd::Attrs{-1})}; }
OpCall others(bool large) { return {.in = {square(large, 0.99, 1.01)}, .attrs = attrs(ops::ProdOthers::Attrs{-1})}; }
OpCall recurrence(bool large) {
  return {.in = {square(large, -0.9, 0.9), square(large)}, .attrs = attrs(thalweg::RecurrenceOptions{})};
}

OpCall gather(bool large) {
  const std::int64_t n = side(large);
  return {.in = {square(large), indices({n, n}, n)}, .attrs = attrs(ops::IndexAttrs{1})};
}
OpCall scatter(bool large) {
  const std::int64_t n = side(large);
  return {.in = {square(large), indices({n, n}, n), square(large)}, .attrs = attrs(ops::IndexAttrs{1})};
}
OpCall index_select(bool large) {
  const std::int64_t n = side(large);
  return {.in = {square(large), indices({n}, n)}, .attrs = attrs(ops::IndexAttrs{0})};
}
OpCall index_add(bool large) {
  const std::int64_t n = side(large);
  return {.in = {square(large), indices({n}, n), square(large)}, .attrs = attrs(ops::IndexAttrs{0})};
}
OpCall one_hot(bool large) {
  return {.in = {indices({large ? 32768 : 8}, large ? 128 : 8)},
          .attrs = attrs(ops::OneHot::Attrs{.classes = large ? 128 : 8}), .numbers = {large ? 128 : 8}};
}

/// Scores of a batch, and their classes.
Tensor scores(bool large) { return large ? uniform({16384, 256}) : uniform({8, 8}); }
Tensor classes(bool large) { return large ? indices({16384}, 256) : indices({8}, 8); }
Tensor probabilities(bool large) {
  const Tensor p = uniform(scores(large).shape(), 0.1, 1);
  return p / p.sum({.dims = {1}, .keepdim = true});
}
Tensor one() { return thalweg::scalar(1.0); }
OpCall cross_entropy(bool large) { return {.in = {scores(large), classes(large), Tensor()}}; }
OpCall cross_entropy_backward(bool large) { return {.in = {one(), scores(large), classes(large), Tensor()}}; }
OpCall soft(bool large) { return {.in = {scores(large), probabilities(large)}}; }
OpCall soft_backward(bool large) { return {.in = {one(), scores(large), probabilities(large)}}; }
OpCall nll(bool large) { return {.in = {thalweg::log_softmax(scores(large), 1), classes(large), Tensor()}}; }
Tensor class_weights(bool large) { return uniform({large ? 256 : 8}, 0.5, 2); }
OpCall cross_entropy_weighted(bool large) { return {.in = {scores(large), classes(large), class_weights(large)}}; }
OpCall soft_weighted(bool large) { return {.in = {scores(large), probabilities(large), class_weights(large)}}; }
OpCall nll_weighted(bool large) {
  return {.in = {thalweg::log_softmax(scores(large), 1), classes(large), class_weights(large)}};
}
OpCall nll_backward(bool large) {
  return {.in = {one(), classes(large), Tensor()}, .attrs = attrs(ops::NllLossBackward::Attrs{.classes = large ? 256 : 8}),
          .numbers = {large ? 256 : 8}};
}

OpCall matmul(bool large) {
  const std::int64_t n = large ? 1024 : 8;
  return {.in = {uniform({n, n}), uniform({n, n})}, .flops = 2.0 * static_cast<double>(n * n * n)};
}
OpCall batched(bool large) {
  const std::int64_t n = large ? 64 : 2, k = large ? 128 : 4;
  return {.in = {uniform({n, k, k}), uniform({n, k, k})}, .flops = 2.0 * static_cast<double>(n * k * k * k)};
}
OpCall linear(bool large) {
  const std::int64_t n = large ? 1024 : 8;
  return {.in = {uniform({n, n}, -0.1, 0.1), uniform({n, n}, -1, 1), uniform({n})}, .flops = 2.0 * static_cast<double>(n * n * n)};
}
OpCall dropout(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::Dropout::Attrs{.p = 0.5, .key = {1, 2}})}; }

OpCall dropout_channels(bool large) {
  return {.in = {large ? uniform({32, 32, 64, 64}) : uniform({1, 2, 6, 6})},
          .attrs = attrs(ops::Dropout::Attrs{.p = 0.5, .key = {1, 2}})};
}
OpCall embedding(bool large) {
  return {.in = {uniform({large ? 32768 : 8, large ? 256 : 8}), indices({large ? 16384 : 8}, large ? 32768 : 8)}};
}

OpCall softmax(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::SoftmaxAttrs{-1})}; }
OpCall softmax_columns(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::SoftmaxAttrs{0})}; }
OpCall softmax_backward(bool large) {
  return {.in = {square(large), thalweg::softmax(square(large), 1)}, .attrs = attrs(ops::SoftmaxAttrs{-1})};
}
OpCall log_softmax_backward(bool large) {
  return {.in = {square(large), thalweg::log_softmax(square(large), 1)}, .attrs = attrs(ops::SoftmaxAttrs{-1})};
}

OpCall to_vector(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::ShapeAttrs{Dims{side(large) * side(large)}})}; }
OpCall transposed_to_vector(bool large) {
  return {.in = {square(large).t()}, .attrs = attrs(ops::ShapeAttrs{Dims{side(large) * side(large)}})};
}
OpCall permute(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::Permute::Attrs{Dims{1, 0}})}; }
OpCall expand(bool large) {
  return {.in = {uniform({1, side(large)})}, .attrs = attrs(ops::ShapeAttrs{Dims{side(large), side(large)}})};
}
OpCall squeeze(bool large) { return {.in = {uniform({side(large), 1, side(large)})}, .attrs = attrs(ops::Squeeze::Attrs{Dims{1}})}; }
OpCall slice(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::Slice::Attrs{.dim = 1, .start = 1, .end = -1})}; }
OpCall slice_backward(bool large) {
  const std::int64_t n = side(large);
  return {.in = {uniform({n, n - 2})},
          .attrs = attrs(ops::SliceBackward::Attrs{.size = n, .slice = {.dim = 1, .start = 1, .end = n - 1}}), .numbers = {n}};
}
OpCall select(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::Select::Attrs{.dim = 0, .index = 3})}; }
OpCall flip(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::Flip::Attrs{Dims{1}})}; }
OpCall pad(bool large) {
  return {.in = {square(large)}, .attrs = attrs(ops::Pad::Attrs{.before = {1, 1}, .after = {1, 1}, .value = 0})};
}
OpCall clone(bool large) { return {.in = {square(large)}}; }
OpCall clone_transposed(bool large) { return {.in = {square(large).t()}}; }
OpCall cast(bool large) { return {.in = {square(large)}, .attrs = attrs(ops::Cast::Attrs{thalweg::DType::f64})}; }
OpCall cat(bool large) {
  const std::int64_t n = side(large);
  const std::vector<Tensor> in{uniform({n / 2, n}), uniform({n / 2, n})};
  return {.in = in, .attrs = attrs(ops::Cat::Attrs{0, {n / 2, n / 2}})};
}
OpCall cat_columns(bool large) {
  const std::int64_t n = side(large);
  const std::vector<Tensor> in{uniform({n, n / 2}), uniform({n, n / 2})};
  return {.in = in, .attrs = attrs(ops::Cat::Attrs{1, {n / 2, n / 2}})};
}
OpCall stack(bool large) {
  const std::int64_t n = side(large);
  return {.in = {uniform({n / 2, n}), uniform({n / 2, n})}, .attrs = attrs(ops::Stack::Attrs{0})};
}

OpCall two(bool large) { return {.in = {square(large), square(large)}}; }
OpCall kl(bool large) { return {.in = {square(large, -4, -0.1), square(large, 0.05, 1)}}; }
OpCall bce(bool large) { return {.in = {square(large, -6, 6), square(large, 0, 1)}}; }

/// Images and kernels of a convolution: 32 channels of 64 x 64 in a batch of 32 large.
Tensor images(bool large) { return large ? uniform({32, 32, 64, 64}) : uniform({1, 2, 6, 6}); }
Tensor filters(bool large) { return large ? uniform({32, 32, 3, 3}) : uniform({2, 2, 3, 3}); }
double conv_flops(bool large) { return large ? 2.0 * 32 * 32 * 32 * (3 * 64 - 2) * (3 * 64 - 2) : 0; }
OpCall conv(bool large) {
  return {.in = {images(large), filters(large), uniform({large ? 32 : 2})}, .attrs = attrs(ops::ConvAttrs{.padding = {1, 1}}),
          .flops = conv_flops(large)};
}
OpCall conv_to_input(bool large) {
  const std::int64_t n = large ? 64 : 6;
  return {.in = {images(large), filters(large)}, .attrs = attrs(ops::ConvAttrs{.padding = {1, 1}, .size = {n, n}}),
          .flops = conv_flops(large)};
}
OpCall conv_to_weights(bool large) {
  return {.in = {images(large), images(large)}, .attrs = attrs(ops::ConvAttrs{.padding = {1, 1}, .size = {3, 3}}),
          .flops = conv_flops(large)};
}

/// 4 M elements of 32 channels, and the same after pooling by 2.
Tensor maps(bool large) { return large ? uniform({32, 32, 64, 64}) : uniform({1, 2, 6, 6}); }
Tensor pooled_maps(bool large) { return large ? uniform({32, 32, 32, 32}) : uniform({1, 2, 3, 3}); }
Tensor positions(bool large) { return indices(pooled_maps(large).shape(), 4).to(thalweg::DType::u8); }
std::int64_t map_side(bool large) { return large ? 64 : 6; }
Tensor per_channel(bool large) { return uniform({large ? 32 : 2}, 0.5, 1.5); }
OpCall max_pool(bool large) { return {.in = {maps(large)}, .attrs = attrs(thalweg::MaxPoolOptions{})}; }
OpCall max_pool_backward(bool large) {
  const std::int64_t n = map_side(large);
  return {.in = {pooled_maps(large), positions(large)}, .attrs = attrs(ops::MaxPool2dBackward::Attrs{.height = n, .width = n})};
}
OpCall max_pool_gather(bool large) {
  return {.in = {maps(large), positions(large)}, .attrs = attrs(thalweg::MaxPoolOptions{})};
}
OpCall avg_pool(bool large) { return {.in = {maps(large)}, .attrs = attrs(thalweg::AvgPoolOptions{})}; }
OpCall avg_pool_backward(bool large) {
  const std::int64_t n = map_side(large);
  return {.in = {pooled_maps(large)}, .attrs = attrs(ops::AvgPool2dBackward::Attrs{.height = n, .width = n})};
}
/// Rows that are normalised, and maps in groups of four channels.
OpCall layer_norm(bool large) {
  const Dims n{side(large)};
  return {.in = {square(large), uniform(n), uniform(n)}, .attrs = attrs(ops::LayerNormAttrs{})};
}
OpCall layer_norm_backward(bool large) {
  const Dims n{side(large)};
  return {.in = {square(large), square(large), uniform(n), uniform(n, 0.5, 2), uniform(n)},
          .attrs = attrs(ops::LayerNormAttrs{})};
}
OpCall group_norm(bool large) {
  return {.in = {maps(large), per_channel(large), per_channel(large)}, .attrs = attrs(ops::GroupNormAttrs{.groups = 2})};
}
OpCall group_norm_backward(bool large) {
  const Tensor x = maps(large);
  const Dims pieces{x.shape()[0], 2};
  return {.in = {x, maps(large), uniform(pieces), uniform(pieces, 0.5, 2), per_channel(large)},
          .attrs = attrs(ops::GroupNormAttrs{.groups = 2})};
}
OpCall batch_norm(bool large) { return {.in = {maps(large), per_channel(large), per_channel(large)}}; }
OpCall batch_norm_backward(bool large) {
  return {.in = {maps(large), maps(large), per_channel(large), per_channel(large), per_channel(large)}};
}
OpCall batch_norm_inference(bool large) {
  return {.in = {maps(large), per_channel(large), per_channel(large), per_channel(large), per_channel(large)}, .frozen = 0b110};
}

constexpr const char* part_of_backward = "libtorch computes it inside a backward pass only: see the row of its forward op";

}  // namespace

const std::vector<OpEntry>& op_table() {
  static const std::vector<OpEntry> table{
      {"sum", "", &over<>},
      {"sum", "rows", &over<1>, "", "sum 1"},
      {"sum", "columns", &over<0>, "", "sum 0"},
      {"mean", "", &over<>},
      {"prod", "", &near_one},
      {"max", "", &over<>},
      {"min", "", &over<>},
      {"max", "rows", &over<1>, "", "max 1"},
      {"max_with_index", "", &along<ops::MaxWithIndex::Attrs, -1>},
      {"min_with_index", "", &along<ops::MinWithIndex::Attrs, -1>},
      {"max_with_index", "columns", &along<ops::MaxWithIndex::Attrs, 0>, "", "max_with_index 0"},
      {"argmax", "", &along<ops::Argmax::Attrs>},
      {"argmin", "", &along<ops::Argmin::Attrs>},
      {"argmax", "rows", [](bool l) { return OpCall{.in = {square(l)}, .attrs = attrs(ops::Argmax::Attrs{.dim = {1}})}; }, "", "argmax 1"},
      {"var", "", &along<ops::Var::Attrs>},
      {"stddev", "", &along<ops::StdDev::Attrs>},
      {"var", "rows", [](bool l) { return OpCall{.in = {square(l)}, .attrs = attrs(ops::Var::Attrs{.dims = {1}})}; }, "", "var 1"},
      {"norm", "", &along<ops::Norm::Attrs>},
      {"cumsum", "", &along<ops::CumSum::Attrs, -1>},
      {"cumsum", "columns", &along<ops::CumSum::Attrs, 0>, "", "cumsum 0"},
      {"cumprod", "", &cumprod},
      {"prod_others", "", &others, "libtorch has no product of all but one"},
      {"recurrence", "", &recurrence, "libtorch has no first-order linear filter"},
      {"gather", "", &gather},
      {"scatter_add", "", &scatter},
      {"index_select", "", &index_select},
      {"index_add", "", &index_add},
      {"one_hot", "", &one_hot},
      {"cross_entropy", "", &cross_entropy},
      {"cross_entropy_backward", "", &cross_entropy_backward, part_of_backward},
      {"cross_entropy_soft", "", &soft},
      {"cross_entropy_soft_backward", "", &soft_backward, part_of_backward},
      {"nll_loss", "", &nll},
      {"nll_loss_backward", "", &nll_backward, part_of_backward},
      {"cross_entropy", "weighted", &cross_entropy_weighted, "", "cross_entropy_weighted"},
      {"cross_entropy_soft_weighted", "", &soft_weighted, "", "cross_entropy_weighted"},
      {"nll_loss", "weighted", &nll_weighted, "", "nll_loss_weighted"},
      {"squared_difference", "", &two},
      {"absolute_difference", "", &two},
      {"kl_term", "", &kl},
      {"bce_with_logits", "", &bce},
      {"bce_probability_term", "", [](bool l) { return OpCall{.in = {square(l, 0.05, 0.95), square(l, 0, 1)}}; }},
      {"relu_gradient", "", [](bool l) { return OpCall{.in = {square(l), thalweg::relu(square(l))}}; }},
      {"matmul", "", &matmul},
      {"matmul", "batched", &batched},
      {"linear", "", &linear},
      {"linear_relu", "", &linear},
      {"linear_sigmoid", "", &linear},
      {"linear_tanh", "", &linear},
      {"conv2d", "", &conv},
      {"conv2d_relu", "", &conv},
      {"conv2d_input_gradient", "", &conv_to_input, part_of_backward},
      {"conv2d_weight_gradient", "", &conv_to_weights, part_of_backward},
      {"max_pool2d", "", &max_pool},
      {"max_pool2d_backward", "", &max_pool_backward, part_of_backward},
      {"max_pool2d_gather", "", &max_pool_gather, "libtorch computes it inside a second derivative only"},
      {"avg_pool2d", "", &avg_pool},
      {"avg_pool2d_backward", "", &avg_pool_backward, part_of_backward},
      {"batch_norm", "", &batch_norm},
      {"batch_norm_backward", "", &batch_norm_backward, part_of_backward},
      {"batch_norm_inference", "", &batch_norm_inference},
      {"layer_norm", "", &layer_norm},
      {"layer_norm_backward", "", &layer_norm_backward, part_of_backward},
      {"group_norm", "", &group_norm},
      {"group_norm_backward", "", &group_norm_backward, part_of_backward},
      {"dropout", "", &dropout, "", "", false},
      {"dropout_channels", "", &dropout_channels, "", "", false},
      {"alpha_dropout", "", &dropout, "", "", false},
      {"embedding", "", &embedding},
      {"softmax", "", &softmax},
      {"softmax", "columns", &softmax_columns, "", "softmax 0"},
      {"softmax_backward", "", &softmax_backward},
      {"log_softmax", "", &softmax},
      {"log_softmax_backward", "", &log_softmax_backward},
      {"logsumexp", "", &along<ops::LogSumExp::Attrs, -1>},
      {"view", "", &to_vector},
      {"reshape_copy", "", &transposed_to_vector},
      {"reshape", "", &to_vector},
      {"flatten", "", &along<ops::Flatten::Attrs>},
      {"transpose", "", &along<ops::Transpose::Attrs>},
      {"permute", "", &permute},
      {"expand", "", &expand},
      {"squeeze", "", &squeeze},
      {"unsqueeze", "", &along<ops::Unsqueeze::Attrs, 1>},
      {"slice", "", &slice},
      {"slice_backward", "", &slice_backward},
      {"select", "", &select},
      {"flip", "", &flip},
      {"pad", "", &pad},
      {"clone", "", &clone},
      {"clone", "transposed", &clone_transposed},
      {"cast", "", &cast},
      {"cat", "", &cat},
      {"cat", "columns", &cat_columns, "", "cat 1"},
      {"stack", "", &stack},
  };
  return table;
}

}  // namespace bench
