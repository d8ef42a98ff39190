// Ops that read or write where an index tensor says. Depends on op.hpp and sample.hpp; kernels in
// ops/kernels/index.hpp. Invariant: index ranges are checked in check(), and kernels trust them, but for
// gather, scatter_add and index_select, whose kernels look at a stretch of the index just before they use it.
#pragma once

#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

struct IndexAttrs {
  std::int64_t dim = 0;
};

/// Inputs x, index.
struct Gather {
  static constexpr Row row{
      .name = "gather", .formula = "y[..,i,..] = x[..,index[..,i,..],..]", .conditions = 2};
  static constexpr bool linear = true;
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(1)};
  using Attrs = IndexAttrs;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, index, source.
struct ScatterAdd {
  static constexpr Row row{.name = "scatter_add",
                           .formula = "y = x with y[..,index[..,i,..],..] += source[..,i,..]",
                           .conditions = 2};
  static constexpr bool linear = true;
  static constexpr int n_in = 3;
  static constexpr NeedMask needs[] = {0, 0, need_input(1)};
  using Attrs = IndexAttrs;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, index.
struct IndexSelect {
  static constexpr Row row{
      .name = "index_select", .formula = "y[..,i,..] = x[..,index[i],..]", .conditions = 2};
  static constexpr bool linear = true;
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(1)};
  using Attrs = IndexAttrs;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Inputs x, index, source.
struct IndexAdd {
  static constexpr Row row{
      .name = "index_add", .formula = "y = x with y[..,index[i],..] += source[..,i,..]", .conditions = 2};
  static constexpr bool linear = true;
  static constexpr int n_in = 3;
  static constexpr NeedMask needs[] = {0, 0, need_input(1)};
  using Attrs = IndexAttrs;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void check(const Ins& in, const Attrs& t);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

struct OneHot {
  static constexpr Row row{
      .name = "one_hot", .formula = "y[..,c] = (index[..] == c)", .nondifferentiable = true};
  struct Attrs {
    std::int64_t classes = 0;
    DType dtype = DType::f32;
  };
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void check(const Ins& in, const Attrs& t);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using IndexOps = List<Gather, ScatterAdd, IndexSelect, IndexAdd, OneHot>;

}  // namespace thalweg::ops
