// Reductions as ops. Depends on op.hpp and sample.hpp; kernels in ops/kernels/reduce.hpp.
// Invariant: an empty `dims` means all dimensions; negative dims are resolved by infer and by vjp alike.
#pragma once

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

using ReduceOps = List<Sum, Mean>;

}  // namespace thalweg::ops
