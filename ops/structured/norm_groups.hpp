// Layer and group normalisation as ops, with their gradients as ops of their own: one formula over
// [rows, groups, channels, run], of which layer normalisation has one group and runs of 1. Mean and variance
// of each piece (row, group) are outputs of the first and inputs of the second, so that the gradient's own
// gradient flows back through them; the ops are closed under vjp with pointwise ops and sums. Depends on
// op.hpp, sample.hpp, functions/norm.hpp. Invariant: n is the number of values of a piece, r = 1 /
// sqrt(variance + eps).
#pragma once

#include <thalweg/ops/functions/norm.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

struct LayerNormAttrs {
  std::int64_t dims = 1;  ///< how many trailing dimensions are normalised together
  double eps = 1e-5;
};
struct GroupNormAttrs {
  std::int64_t groups = 1;
  double eps = 1e-5;
};

/// What the forward ops save, and what the backward ops read.
inline constexpr NeedMask piece_statistics = need_input(0) | need_output(1) | need_output(2);
inline constexpr NeedMask all_of_five =
    need_input(0) | need_input(1) | need_input(2) | need_input(3) | need_input(4);

/// Inputs x, weight, bias (these two may be absent); outputs y, mean, variance.
struct LayerNorm {
  static constexpr Row row{
      .name = "layer_norm",
      .formula = "y = weight (x - mean) r + bias, mean and r over the trailing dimensions"};
  using Attrs = LayerNormAttrs;
  static constexpr int n_in = 3;
  static constexpr int n_out = 3;
  static constexpr NeedMask needs[] = {piece_statistics | need_input(1), piece_statistics | need_input(1), 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, x, mean, variance, weight (may be absent); outputs dx, dweight, dbias. dx is the gradient
/// through the statistics too.
struct LayerNormBackward {
  static constexpr Row row{
      .name = "layer_norm_backward",
      .formula =
          "dx = r (g weight - sum(g weight) / n - (x - mean) r^2 sum(g weight (x - mean)) "
          "/ n), dweight = sum(r g (x - mean)), dbias = sum(g)"};
  using Attrs = LayerNormAttrs;
  static constexpr int n_in = 5;
  static constexpr int n_out = 3;
  static constexpr NeedMask needs[] = {all_of_five, all_of_five, all_of_five, all_of_five};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, weight, bias (these two may be absent); outputs y, mean, variance.
struct GroupNorm {
  static constexpr Row row{
      .name = "group_norm",
      .formula = "y = weight (x - mean) r + bias, mean and r over the channels of a group"};
  using Attrs = GroupNormAttrs;
  static constexpr int n_in = 3;
  static constexpr int n_out = 3;
  static constexpr NeedMask needs[] = {piece_statistics | need_input(1), piece_statistics | need_input(1), 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, x, mean, variance, weight (may be absent); outputs dx, dweight, dbias.
struct GroupNormBackward {
  static constexpr Row row{
      .name = "group_norm_backward",
      .formula =
          "dx = r (g weight - sum(g weight) / n - (x - mean) r^2 sum(g weight (x - mean)) "
          "/ n), dweight = sum(r g (x - mean)), dbias = sum(g)"};
  using Attrs = GroupNormAttrs;
  static constexpr int n_in = 5;
  static constexpr int n_out = 3;
  static constexpr NeedMask needs[] = {all_of_five, all_of_five, all_of_five, all_of_five};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using NormGroupOps = List<LayerNorm, LayerNormBackward, GroupNorm, GroupNormBackward>;

}  // namespace thalweg::ops
