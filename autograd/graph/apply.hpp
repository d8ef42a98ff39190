// apply: runs an op eagerly and, where a gradient can flow, records it. One door for the library's and users' ops.
// Depends on op_def, node. Invariant: everything that can throw comes before the node exists, so an op that throws
// leaves no trace.
#pragma once

#include <span>

#include <thalweg/autograd/graph/node.hpp>
#include <thalweg/autograd/graph/op_def.hpp>

namespace thalweg {

class Vjp;

/// What is hung into a thread to watch ops (Anomaly), or to corrupt those that run inside a vjp (the harness).
struct ApplyHook {
  virtual ~ApplyHook() = default;
  /// Called instead of the op; usually ends in apply_unhooked().
  virtual void apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) = 0;
  /// Called instead of an op in place.
  virtual void in_place(const OpDef& op, Tensor* in, int n, const void* attrs, Loc loc);
  /// Called instead of a node's vjp, which is run(v, attrs).
  virtual void vjp(Vjp& v, void* attrs, void (*run)(Vjp&, void*)) { run(v, attrs); }
  /// Called for each saved value that a vjp unpacks.
  virtual Tensor saved(const Tensor& t) { return t; }
};

/// Runs `op` on in[0..n) and writes its outputs to out[0..n_out). `attrs` points to the op's Attrs, or is null.
/// Throws what infer and check throw, and VersionError for an input whose recorded value was overwritten.
/// Bit i of `given_up` says that the caller looks at in[i] no more: a pointwise op may make that tensor its result,
/// written over, and leave in[i], which must not be a const object, undefined.
void apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out, unsigned given_up = 0);
/// The same without consulting the thread's hook.
void apply_unhooked(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out,
                    unsigned given_up = 0);
/// Writes the result of a pointwise op into in[0] and records it there. Throws GraphError where the derivative
/// needs the overwritten value, where in[0] is a leaf that wants a gradient, or a view of a recorded tensor.
void apply_in_place(const OpDef& op, Tensor* in, int n, const void* attrs, Loc loc);
/// The same without consulting the thread's hook.
void apply_in_place_unhooked(const OpDef& op, Tensor* in, int n, const void* attrs, Loc loc);

/// The common shape of two inputs by NumPy's rule. Throws ShapeError naming `ins.op` and both.
Dims broadcast_shapes(const Ins& ins);
/// infer of the pointwise kind: the broadcast shape and the promoted dtype (floating unless `integers`).
void infer_pointwise(const OpDef& op, const Ins& ins, Outs& outs);
/// `v` as `shape`, repeated dimensions with stride 0. The shapes must be broadcastable.
ConstView broadcast_view(const ConstView& v, const Dims& shape);
/// The dtype a pointwise op computes in for these inputs.
DType compute_dtype(const OpDef& op, const Ins& ins);
/// The kernel index of a compute dtype: f32 0, f64 1, i64 2.
constexpr int kernel_index(DType compute) noexcept {
  return compute == DType::f32 ? 0 : compute == DType::f64 ? 1 : 2;
}

/// What a vjp works with: the gradients of the outputs, saved values, and where to put the inputs' gradients.
class Vjp {
 public:
  Vjp(Node& node, const Tensor* grads, std::uint64_t needs, bool create_graph, Tensor* result) noexcept
      : node_(node), grads_(grads), needs_(needs), create_graph_(create_graph), result_(result) {}

  /// Whether the gradient of input i is wanted; computing others is wasted work.
  bool needs(int i) const noexcept { return ((needs_ >> (i < 63 ? i : 63)) & 1u) != 0; }
  bool create_graph() const noexcept { return create_graph_; }
  int n_in() const noexcept { return node_.n_in; }
  /// The gradient of output j; zeros when nothing flowed into it.
  Tensor g(int j = 0) const;
  /// Whether anything flowed into output j.
  bool has_g(int j) const noexcept { return grads_[j].defined(); }
  /// The same without counting a reference, for ops of one output: its gradient is there whenever the vjp runs.
  const Tensor& only_g() const noexcept { return grads_[0]; }
  /// Saved input i, attached to the graph when a graph of the gradient is wanted.
  Tensor in(int i) const;
  /// Saved output j.
  Tensor out(int j = 0) const;
  bool has_in(int i) const noexcept { return ((node_.saved_mask >> i) & 1u) != 0; }
  /// Shape and dtype of input i; it must want a gradient.
  const Meta& in_meta(int i) const noexcept { return node_.edges()[i].node->outs()[node_.edges()[i].index]; }
  const Meta& out_meta(int j = 0) const noexcept { return node_.outs()[j]; }
  /// Hands over the gradient of input i.
  void set(int i, Tensor gradient) { result_[i] = std::move(gradient); }
  /// What was handed over for input i; undefined where nothing was.
  const Tensor& gradient(int i) const noexcept { return result_[i]; }
  Node& node() const noexcept { return node_; }

 private:
  Tensor unpack(int bit) const;

  Node& node_;
  const Tensor* grads_;
  std::uint64_t needs_;
  bool create_graph_;
  Tensor* result_;
};

/// First-order gradients of a pointwise op by its fused kernels.
void pointwise_vjp(Vjp& v, const void* attrs);

}  // namespace thalweg
