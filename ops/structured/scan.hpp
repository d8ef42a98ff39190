// Running sums, running products, products of all but one and linear recurrences as ops. Depends on op.hpp, sample.hpp; kernels in
// ops/kernels/reduce.hpp and moments.hpp.
// Invariant: the four are closed under vjp (with pointwise ops, pad and slice), and divide by nothing: zeros
// are exact.
#pragma once

#include <thalweg/ops/functions/reduce.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

struct ScanAttrs {
  std::int64_t dim = -1;
  bool reverse = false;
};

struct CumSum {
  static constexpr Row row{.name = "cumsum", .formula = "y_i = x_0 + .. + x_i along dim"};
  static constexpr bool linear = true;
  using Attrs = ScanAttrs;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct CumProd {
  static constexpr Row row{.name = "cumprod", .formula = "y_i = x_0 x_1 .. x_i along dim"};
  using Attrs = ScanAttrs;
  static constexpr NeedMask needs[] = {need_input(0) | need_output()};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct Recurrence {
  static constexpr Row row{.name = "recurrence", .formula = "y_i = b_i + a_i y_(i-1) along dim"};
  using Attrs = RecurrenceOptions;
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(0) | need_output(), need_input(0)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Part of prod's gradient.
struct ProdOthers {
  static constexpr Row row{.name = "prod_others", .formula = "y_i = product of x_k over all k but i along dim"};
  struct Attrs {
    std::int64_t dim = -1;
  };
  static constexpr NeedMask needs[] = {need_input(0)};
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// x one place further along `dim` (`by` = 1; -1: nearer), the free place filled with `value`.
Tensor shifted(const Tensor& x, int dim, int by, double value);

using ScanOps = List<CumSum, CumProd, Recurrence, ProdOthers>;

}  // namespace thalweg::ops
