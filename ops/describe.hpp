// describe<Op>(): everything the harness, the benchmarks and the reference need of an op, with its type erased. The only
// template of that side: whatever enumerates ops loops over OpInfo. Depends on op.hpp, sample.hpp.
#pragma once

#include <thalweg/ops/kernels/simd/mutant.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg {

struct OpInfo {
  OpDef* def = nullptr;
  const Row* row = nullptr;
  bool linear = false;      ///< the output is linear in all differentiable inputs together
  bool multilinear = false; ///< linear in each differentiable input with the others fixed
  bool random = false;      ///< takes a RandomKey in its attributes
  std::span<const Path> paths{};
  void (*samples)(SampleList&) = nullptr;   ///< null for pointwise ops: made from the row
  void (*errors)(ErrorList&) = nullptr;
  /// Naive f64 forward: inputs are contiguous f64 (or i64) tensors; one f64 tensor per output. Null: no reference.
  std::vector<Tensor> (*reference)(const std::vector<Tensor>& in, const void* attrs) = nullptr;
  /// Pointwise: the forward of one element; `x` holds the operands.
  double (*scalar_reference)(const double* x, const void* attrs) = nullptr;
  /// Pointwise: backward kernels (f64) whose k-th arithmetic step is corrupted as simd::mutation_plan() says.
  kernels::PointwiseFn mutant_backward[3] = {};
  /// Further attribute values to try (pointwise ops with attributes).
  std::vector<std::shared_ptr<const void>> (*attr_samples)() = nullptr;

  const char* name() const noexcept { return def->name; }
  bool pointwise() const noexcept { return def->kind == OpKind::pointwise; }
};

namespace ops::detail {

template <class Op>
double call_scalar_reference(const double* x, const void* p) {
  constexpr int n = PointwiseTraits<Op>::arity;
  const Attributes<Op>& attrs = attrs_as<Op>(p);
  if constexpr (n == 1) {
    if constexpr (requires { Op::ref(1.0, attrs); }) return Op::ref(x[0], attrs);
    else return Op::ref(x[0]);
  } else if constexpr (n == 2) {
    if constexpr (requires { Op::ref(1.0, 1.0, attrs); }) return Op::ref(x[0], x[1], attrs);
    else return Op::ref(x[0], x[1]);
  } else {
    if constexpr (requires { Op::ref(1.0, 1.0, 1.0, attrs); }) return Op::ref(x[0], x[1], x[2], attrs);
    else return Op::ref(x[0], x[1], x[2]);
  }
}

template <class Op>
void describe_pointwise(OpInfo& info) {
  using MutantLane = simd::Mutant<simd::Block<double>>;
  info.scalar_reference = &call_scalar_reference<Op>;
  info.mutant_backward[0] = simd::block_backward_or_null<Op, 0, MutantLane>();
  if constexpr (PointwiseTraits<Op>::arity > 1) info.mutant_backward[1] = simd::block_backward_or_null<Op, 1, MutantLane>();
  if constexpr (PointwiseTraits<Op>::arity > 2) info.mutant_backward[2] = simd::block_backward_or_null<Op, 2, MutantLane>();
  if constexpr (requires { Op::attr_samples(); })
    info.attr_samples = [] {
      std::vector<std::shared_ptr<const void>> all;
      for (const Attributes<Op>& a : Op::attr_samples()) all.push_back(std::make_shared<const Attributes<Op>>(a));
      return all;
    };
}

}  // namespace ops::detail

template <class Op>
OpInfo describe() {
  OpInfo info{.def = &ops::op_def<Op>(), .row = &Op::row};
  if constexpr (requires { Op::linear; }) info.linear = Op::linear;
  if constexpr (requires { Op::multilinear; }) info.multilinear = Op::multilinear;
  if constexpr (requires { Op::random; }) info.random = Op::random;
  if constexpr (requires { Op::paths; }) info.paths = Op::paths;
  if constexpr (requires { &Op::errors; }) info.errors = &Op::errors;
  if constexpr (ops::PointwiseOp<Op>) {
    ops::detail::describe_pointwise<Op>(info);
  } else {
    static_assert(requires(SampleList& s) { Op::samples(s); }, "thalweg: a structured op brings static void samples(SampleList&)");
    static_assert(requires { &Op::reference; }, "thalweg: a structured op brings a naive reference");
    info.samples = &Op::samples;
    info.reference = [](const std::vector<Tensor>& in, const void* p) {
      return Op::reference(in, ops::detail::attrs_as<Op>(p));
    };
  }
  return info;
}

template <class... Ops>
void describe_all(List<Ops...>, std::vector<OpInfo>& to) { (to.push_back(describe<Ops>()), ...); }

}  // namespace thalweg
