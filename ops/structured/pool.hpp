// Pooling as ops. max_pool2d also gives the position of each maximum in its window, one byte where that is
// enough; its gradient scatters to these positions and the gradient of that gathers from them, so the three
// are closed under vjp, as are mean pooling and its adjoint. Depends on op.hpp, sample.hpp,
// functions/pool.hpp. Invariant: the image's size is an attribute wherever the input does not tell it.
#pragma once

#include <thalweg/ops/functions/pool.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

struct MaxPool2d {
  static constexpr Row row{.name = "max_pool2d",
                           .formula = "y = max x over each window",
                           .smooth = false,
                           .subgradient = "ties: all to the first of equals, row by row"};
  using Attrs = MaxPoolOptions;
  static constexpr int n_out = 2;  ///< values, positions in the window (u8, or i32 for windows above 256)
  static constexpr NeedMask needs[] = {need_output(1)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs g, positions.
struct MaxPool2dBackward {
  struct Attrs {
    MaxPoolOptions window{};
    std::int64_t height = 0;  ///< of the image
    std::int64_t width = 0;
  };
  static constexpr Row row{.name = "max_pool2d_backward",
                           .formula = "dx = sum of g over the windows whose position names the element",
                           .conditions = 2};
  static constexpr int n_in = 2;
  static constexpr bool linear = true;
  static constexpr NeedMask needs[] = {need_input(1), 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, positions.
struct MaxPool2dGather {
  static constexpr Row row{.name = "max_pool2d_gather",
                           .formula = "y = the element of each window at its position",
                           .conditions = 2,
                           .note = "0 where the position is outside the image"};
  using Attrs = MaxPoolOptions;
  static constexpr int n_in = 2;
  static constexpr bool linear = true;
  static constexpr NeedMask needs[] = {need_input(1), 0};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct AvgPool2d {
  static constexpr Row row{.name = "avg_pool2d", .formula = "y = sum of x over each window / its size"};
  using Attrs = AvgPoolOptions;
  static constexpr bool linear = true;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Input g.
struct AvgPool2dBackward {
  struct Attrs {
    AvgPoolOptions window{};
    std::int64_t height = 0;
    std::int64_t width = 0;
  };
  static constexpr Row row{.name = "avg_pool2d_backward",
                           .formula = "dx = sum of g / size over the windows that hold the element"};
  static constexpr bool linear = true;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using PoolOps = List<MaxPool2d, MaxPool2dBackward, MaxPool2dGather, AvgPool2d, AvgPool2dBackward>;

}  // namespace thalweg::ops
