// OpDef: an op as the tape sees it, a handful of function pointers made once per op struct by ops/op.hpp.
// Also what those functions are handed: Ins, Outs, ViewSpec. Depends on base, tensor, kernels/pointwise_types.
// Invariant: an OpDef outlives its nodes, which hold plain pointers to it: an op struct's is static, a function's is
// owned by the attributes of its nodes.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/view.hpp>
#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/ops/kernels/pointwise.hpp>

namespace thalweg {

class Vjp;

enum class OpKind : std::uint8_t {
  pointwise,   ///< a formula over lanes; broadcasts; runs through kernels::pointwise
  view,        ///< new geometry on the same storage
  structured,  ///< infer, run and vjp of its own
  composite,   ///< written in other ops; records nothing itself
  function,    ///< any code forward, recorded as one node (ops/function.hpp)
  leaf         ///< accumulates a gradient; not an op
};

/// dtype and shape of a tensor that does not exist yet.
struct Meta {
  DType dtype = DType::f32;
  Dims shape;
};

/// The inputs as infer and run see them. An absent optional input has has(i) false. In shape inference `data` may be null.
struct Ins {
  const char* op;
  Loc loc;
  int n;
  const ConstView* views;
  std::uint64_t present;

  int size() const noexcept { return n; }
  const ConstView& operator[](int i) const noexcept { return views[i]; }
  bool has(int i) const noexcept { return i < n && (i < 64 ? ((present >> i) & 1u) != 0 : views[i].data != nullptr); }

  /// Throws E naming this op and the user's line.
  template <class E>
  [[noreturn]] void fail(const char* arg, std::string given, std::string wanted, std::string what) const {
    throw_error<E>({.op = op, .arg = arg, .given = std::move(given), .wanted = std::move(wanted),
                    .what = std::move(what), .loc = loc});
  }
};

/// The outputs that infer announces, at most four.
struct Outs {
  Meta meta[4];
  int n = 0;
  void add(DType dtype, const Dims& shape) {
    meta[n].dtype = dtype;
    meta[n].shape = shape;
    ++n;
  }
};

/// What a view op does to its input's geometry; `offset` in elements from the input's first.
struct ViewSpec {
  std::int64_t offset = 0;
  Dims shape;
  Dims strides;
};

/// Which values the gradient of one input needs: bit i input i, bit 16 + j output j.
using NeedMask = std::uint32_t;
constexpr NeedMask need_input(int i) noexcept { return NeedMask{1} << i; }
constexpr NeedMask need_output(int j = 0) noexcept { return NeedMask{1} << (16 + j); }

struct OpDef {
  const char* name = "";
  OpKind kind = OpKind::structured;
  bool differentiable = true;
  bool broadcasts = false;            // the engine may sum a gradient down to the input's shape
  bool predicate = false;             // pointwise with a bool result
  bool integers = false;              // pointwise and defined on integer dtypes
  int n_in = 1;                       // -1: any number
  int n_out = 1;
  std::uint32_t no_grad = 0;          // inputs that never get a gradient
  NeedMask needs[4] = {};             // per input (the last serves all further ones)
  bool identity[3] = {};              // pointwise: the gradient of operand i is g itself

  std::uint32_t attrs_size = 0;       // 0: no attributes
  void (*attrs_copy)(void* dst, const void* src) = nullptr;
  void (*attrs_destroy)(void* attrs) noexcept = nullptr;

  void (*infer)(const Ins&, const void* attrs, Outs&) = nullptr;         // structured
  void (*check)(const Ins&, const void* attrs) = nullptr;                // looks at data: index ranges
  void (*run)(const Ins&, const View* out, const void* attrs) = nullptr;
  ViewSpec (*view)(const Ins&, const void* attrs) = nullptr;
  Tensor (*compose)(const Tensor* in, int n, const void* attrs, Loc) = nullptr;
  void (*call)(const OpDef& self, const Tensor* in, int n, Loc, Tensor* out) = nullptr;  // function: records itself
  void (*vjp)(Vjp&, const void* attrs) = nullptr;  // pointwise: the formula over Tensor, for create_graph
  const kernels::PointwiseKernels& (*kernels)() = nullptr;

  NeedMask needs_of(int i) const noexcept { return needs[i < 3 ? i : 3]; }
};

}  // namespace thalweg
