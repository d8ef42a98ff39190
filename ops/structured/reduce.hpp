// Reductions as ops. Depends on op.hpp and sample.hpp; kernels in ops/kernels/reduce.hpp and moments.hpp.
// Invariant: an empty `dims` means all dimensions; negative dims are resolved by infer and by vjp alike.
#pragma once

#include <thalweg/ops/functions/reduce.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

struct Sum {
  static constexpr Row row{.name = "sum", .formula = "y = sum of x over dims"};
  static constexpr bool linear = true;
  using Attrs = Over;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Mean {
  static constexpr Row row{.name = "mean", .formula = "y = (sum of x over dims) / n"};
  static constexpr bool linear = true;
  using Attrs = Over;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Prod {
  static constexpr Row row{.name = "prod", .formula = "y = product of x over dims"};
  using Attrs = Over;
  static constexpr NeedMask needs[] = {need_input(0)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// max and min over dims.
template <bool Largest>
struct Extreme {
  static constexpr Row row{.name = Largest ? "max" : "min",
                           .formula = Largest ? "y = largest x over dims" : "y = smallest x over dims",
                           .smooth = false,
                           .subgradient = "split evenly between ties",
                           .note = "NaN propagates, and gets the gradient"};
  using Attrs = Over;
  static constexpr NeedMask needs[] = {need_input(0) | need_output()};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};
using Max = Extreme<true>;
using Min = Extreme<false>;

/// max and min along one dim, with the position.
template <bool Largest>
struct ExtremeWithIndex {
  struct Attrs {
    std::int64_t dim = -1;
    bool keepdim = false;
  };
  static constexpr Row row{
      .name = Largest ? "max_with_index" : "min_with_index",
      .formula = Largest ? "y = largest x along dim, i = where" : "y = smallest x along dim, i = where",
      .smooth = false,
      .subgradient = "all to the returned index",
      .note = "the first NaN, else the first of equals"};
  static constexpr int n_out = 2;
  static constexpr NeedMask needs[] = {need_output(1)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};
using MaxWithIndex = ExtremeWithIndex<true>;
using MinWithIndex = ExtremeWithIndex<false>;

/// argmax and argmin along one dim, or over all (row-major position).
template <bool Largest>
struct ExtremeIndex {
  struct Attrs {
    Dims dim{};  ///< none: over all
    bool keepdim = false;
  };
  static constexpr Row row{.name = Largest ? "argmax" : "argmin",
                           .formula = Largest ? "y = where x is largest" : "y = where x is smallest",
                           .nondifferentiable = true,
                           .note = "the first NaN, else the first of equals"};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};
using Argmax = ExtremeIndex<true>;
using Argmin = ExtremeIndex<false>;

struct Var {
  static constexpr Row row{.name = "var", .formula = "y = sum (x - mean)^2 / (n - correction)"};
  using Attrs = VarianceOptions;
  static constexpr NeedMask needs[] = {need_input(0)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct StdDev {
  static constexpr Row row{.name = "stddev",
                           .formula = "y = sqrt(sum (x - mean)^2 / (n - correction))",
                           .subgradient = "0 where all x are equal"};
  using Attrs = VarianceOptions;
  static constexpr NeedMask needs[] = {need_input(0) | need_output()};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Norm {
  static constexpr Row row{.name = "norm",
                           .formula = "y = (sum |x|^p)^(1/p); max |x| for p = inf",
                           .smooth = false,
                           .subgradient = "0 where y = 0; p = inf: split evenly between ties"};
  using Attrs = NormOptions;
  static constexpr NeedMask needs[] = {need_input(0) | need_output()};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using ReduceOps =
    List<Sum, Mean, Prod, Max, Min, MaxWithIndex, MinWithIndex, Argmax, Argmin, Var, StdDev, Norm>;

}  // namespace thalweg::ops
