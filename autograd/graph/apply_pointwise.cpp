// The pointwise kind: broadcasting, dtype rule, the kernel call and the fused first-order gradient.
// Depends on graph, kernels/pointwise. Invariant: the path for equal contiguous f32 inputs looks at nothing twice.
#include <thalweg/autograd/graph/apply.hpp>
#include <thalweg/autograd/graph/record.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg {
namespace {

constexpr int max_operands = 3;
constexpr std::int64_t direct_limit = 4096;  // up to here the kernel is called without the layout driver

[[noreturn, gnu::cold]] void throw_not_broadcastable(const Ins& ins) {
  std::string shapes;
  for (int i = 0; i < ins.n; ++i) shapes += (i ? " and " : "") + describe(ins[i]);
  ins.fail<ShapeError>("", shapes, "sizes equal or 1, aligned from the last dimension", "shapes do not broadcast");
}

/// True when the op can run straight over memory: one dtype, one shape, all dense.
bool uniform(const OpDef& op, const Tensor* in, int n) {
  const TensorBody& a = *in[0].get();
  if (!a.contiguous || !(is_floating(a.dtype) || (op.integers && a.dtype == DType::i64))) return false;
  for (int i = 1; i < n; ++i) {
    const TensorBody& b = *in[i].get();
    if (b.dtype != a.dtype || !b.contiguous || !(b.shape == a.shape)) return false;
  }
  return true;
}

struct OperandViews {
  ConstView views[max_operands];
  Ins ins;
  OperandViews(const OpDef& op, const Tensor* in, int n, Loc loc) : ins{op.name, loc, n, views, 0} {
    for (int i = 0; i < n; ++i) views[i] = in[i].view();
    ins.present = (std::uint64_t{1} << n) - 1;
  }
};

void run_strided(const OpDef& op, const Ins& ins, const View& dst, DType compute, const void* attrs) {
  ConstView src[max_operands];
  const kernels::PointwiseKernels& table = op.kernels();
  bool bytes = table.bytes != nullptr;
  for (int i = 0; i < ins.n; ++i) {
    src[i] = broadcast_view(ins[i], dst.shape);
    bytes = bytes && itemsize(src[i].dtype) == 1;
  }
  if (bytes) {  // whether a byte is 0 does not depend on its dtype
    for (int i = 0; i < ins.n; ++i) src[i].dtype = DType::boolean;
    kernels::pointwise(table.bytes, DType::boolean, src, ins.n, dst, attrs);
    return;
  }
  kernels::pointwise(table.forward[kernel_index(compute)], compute, src, ins.n, dst, attrs);
}

void check_defined(const OpDef& op, const Tensor* in, int n, Loc loc) {
  for (int i = 0; i < n; ++i)
    if (!in[i].defined()) [[unlikely]] throw_undefined_input(op, i, loc);
}

}  // namespace

Dims broadcast_shapes(const Ins& ins) {
  Dims shape = ins[0].shape;
  for (int i = 1; i < ins.n; ++i) {
    const Dims& s = ins[i].shape;
    while (shape.size() < s.size()) shape.insert(0, 1);
    const int lead = shape.size() - s.size();
    for (int d = 0; d < s.size(); ++d) {
      std::int64_t& out = shape[lead + d];
      if (out == s[d] || s[d] == 1) continue;
      if (out != 1) throw_not_broadcastable(ins);
      out = s[d];
    }
  }
  return shape;
}

ConstView broadcast_view(const ConstView& v, const Dims& shape) {
  ConstView r(v.data, v.dtype, shape, Dims::filled(shape.size(), 0));
  const int lead = shape.size() - v.shape.size();
  for (int d = 0; d < v.shape.size(); ++d)
    if (v.shape[d] == shape[lead + d]) r.strides[lead + d] = v.strides[d];
  return r;
}

DType compute_dtype(const OpDef& op, const Ins& ins) {
  DType d = ins[0].dtype;
  // a condition (no gradient, first of three) takes no part in promotion
  if (ins.n == 3) d = promote(ins[1].dtype, ins[2].dtype);
  else if (ins.n == 2) d = promote(d, ins[1].dtype);
  if (is_floating(d)) return d;
  return op.integers ? DType::i64 : DType::f32;
}

void infer_pointwise(const OpDef& op, const Ins& ins, Outs& outs) {
  const DType compute = compute_dtype(op, ins);
  DType result = compute;
  if (op.predicate) {
    result = DType::boolean;
  } else if (compute == DType::i64) {
    result = ins.n == 3 ? promote(ins[1].dtype, ins[2].dtype)
             : ins.n == 2 ? promote(ins[0].dtype, ins[1].dtype) : ins[0].dtype;
  }
  outs.add(result, broadcast_shapes(ins));
}

namespace {

/// The operand given up whose body and memory the result may take over, null when there is none: nothing else holds it,
/// it looks like the result, it is no leaf that wants a gradient and no view, the derivative does not need it, and it is
/// not another operand too.
[[gnu::noinline]] Tensor* donor(const OpDef& op, const Tensor* in, int n, std::uint64_t wants, const Dims& shape,
                                DType dtype, unsigned given_up) {
  const NeedMask saved = saved_mask(op, n, wants);
  for (; given_up; given_up &= given_up - 1) {
    const int i = __builtin_ctz(given_up);
    const TensorBody& b = *in[i].get();
    bool free = held_alone(in[i].ref()) && !b.storage->viewed.load(std::memory_order_relaxed) && b.dtype == dtype &&
                b.shape == shape && !(b.node && b.node->is_leaf) && !(saved & need_input(i));
    for (int k = 0; k < n; ++k) free &= k == i || in[k].get() != &b;
    if (!free) continue;
    if (!wants) {
      in[i].get()->node.reset();
      in[i].get()->out_index = 0;
    }
    return const_cast<Tensor*>(in + i);
  }
  return nullptr;
}

}  // namespace

void apply_pointwise(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out,
                     unsigned given_up) {
  check_defined(op, in, n, loc);
  const std::uint64_t wants = wants_gradient(op, in, n, loc);
  Tensor fresh;
  Tensor* result = &fresh;
  const auto make = [&](const Dims& shape, DType dtype) __attribute__((always_inline)) {
    if (Tensor* over = given_up ? donor(op, in, n, wants, shape, dtype, given_up) : nullptr) {
      result = over;
      if (wants) record(op, in, n, wants, result, 1, attrs, loc);  // can fail, so it comes before the writing
    } else {
      fresh = make_result(op, shape, dtype, loc);
    }
  };
  if (uniform(op, in, n)) [[likely]] {
    const TensorBody& a = *in[0].get();
    make(a.shape, op.predicate ? DType::boolean : a.dtype);
    const void* src[max_operands] = {a.data, n > 1 ? in[1].get()->data : nullptr, n > 2 ? in[2].get()->data : nullptr};
    const int k = kernel_index(a.dtype);
    if (!op.predicate && a.numel <= direct_limit) {
      const par::FloatEnvironment environment;  // small and large tensors round alike, whatever the caller has set
      op.kernels().forward[k](src, result->get()->data, a.numel, attrs);
    } else {
      OperandViews v(op, in, n, loc);
      kernels::pointwise(op.kernels().forward[k], a.dtype, v.views, n, result->mutable_view(), attrs);
    }
  } else {
    OperandViews v(op, in, n, loc);
    Outs outs;
    infer_pointwise(op, v.ins, outs);
    make(outs.meta[0].shape, outs.meta[0].dtype);
    run_strided(op, v.ins, result->mutable_view(), compute_dtype(op, v.ins), attrs);
  }
  if (wants && result == &fresh) record(op, in, n, wants, result, 1, attrs, loc);
  out[0] = std::move(*result);
}

namespace {

void check_in_place(const OpDef& op, const Tensor* in, int n, std::uint64_t wants, Loc loc) {
  const TensorBody& self = *in[0].get();
  const auto refuse = [&](const char* what) {
    throw_error<GraphError>({.op = std::string(op.name) + "_", .arg = "the tensor written to",
                             .given = in[0].describe(), .what = what, .loc = loc});
  };
  if (thread_state.grad_enabled && self.node && self.node->is_leaf)
    refuse("a leaf that wants a gradient is written in place; use NoGrad, or the op that returns a new tensor");
  if (wants && (saved_mask(op, n, wants) & need_input(0)))
    refuse("the derivative needs the value that this overwrites; use the op that returns a new tensor");
  const bool made_by_view = self.node && static_cast<const Node*>(self.node.get())->op->kind == OpKind::view;
  const Storage& memory = *self.storage;
  const bool seen_by_view = memory.viewed.load(std::memory_order_relaxed) && !self.storage.unique();
  for (int d = 0; d < self.shape.size(); ++d)
    if (self.shape[d] > 1 && self.strides[d] == 0)
      throw_error<ShapeError>({.op = std::string(op.name) + "_", .arg = "the tensor written to",
                               .given = in[0].describe() + " with strides " + to_string(self.strides),
                               .wanted = "each element at a place of its own; clone() makes one",
                               .what = "several elements share one place in memory", .loc = loc});
  if (wants && (made_by_view || seen_by_view))
    refuse("views share this memory and would miss the recorded write; use the op that returns a new tensor");
}

}  // namespace

void ApplyHook::in_place(const OpDef& op, Tensor* in, int n, const void* attrs, Loc loc) {
  apply_in_place_unhooked(op, in, n, attrs, loc);
}

void apply_in_place(const OpDef& op, Tensor* in, int n, const void* attrs, Loc loc) {
  if (ApplyHook* hook = thread_state.apply_hook) [[unlikely]] return hook->in_place(op, in, n, attrs, loc);
  apply_in_place_unhooked(op, in, n, attrs, loc);
}

void apply_in_place_unhooked(const OpDef& op, Tensor* in, int n, const void* attrs, Loc loc) {
  if (thread_state.call_site) loc = thread_state.call_site;
  check_defined(op, in, n, loc);
  const std::uint64_t wants = wants_gradient(op, in, n, loc);
  check_in_place(op, in, n, wants, loc);
  OperandViews v(op, in, n, loc);
  Outs outs;
  infer_pointwise(op, v.ins, outs);
  Tensor& self = in[0];
  if (!(outs.meta[0].shape == self.shape()) || outs.meta[0].dtype != self.dtype())
    throw_error<ShapeError>({.op = std::string(op.name) + "_", .arg = "the result",
                             .given = describe(outs.meta[0].dtype, outs.meta[0].shape), .wanted = self.describe(),
                             .what = "an in-place op must keep shape and dtype", .loc = loc});
  // An operand on the same storage at another place would be read after it was written.
  Tensor copies[max_operands];
  for (int i = 1; i < n; ++i) {
    const TensorBody& b = *in[i].get();
    if (b.storage == self.get()->storage && !(b.data == self.get()->data && b.shape == self.shape() &&
                                              b.strides == self.strides())) {
      copies[i] = in[i].detach().clone(loc);
      v.views[i] = copies[i].view();
    }
  }
  self.get()->storage->bump(op.name, loc);
  run_strided(op, v.ins, self.mutable_view(), compute_dtype(op, v.ins), attrs);
  if (wants) record(op, in, n, wants, &self, 1, attrs, loc);
}

namespace {

/// True when g and everything saved for operand i lie side by side: the kernel runs straight over memory.
bool saved_uniform(const Node& node, NeedMask mask, const TensorBody& g, const void** src) {
  if (!g.contiguous || g.numel > direct_limit) return false;
  int k = 0;
  src[k++] = g.data;
  for (; mask; mask &= mask - 1) {
    const int bit = __builtin_ctz(mask);
    const SavedValue& s = node.saved_at(bit);
    check_version(node, s, bit >= 16);
    if (s.dtype != g.dtype || !s.contiguous || !(s.shape == g.shape)) return false;
    src[k++] = s.data;
  }
  return true;
}

[[gnu::noinline]] void strided_gradient(const Node& node, int i, const Tensor& g, const View& dst, const void* attrs) {
  const OpDef& op = *node.op;
  ConstView src[1 + 4];
  int k = 0;
  src[k++] = g.view();
  for (NeedMask rest = op.needs_of(i); rest; rest &= rest - 1) {
    const int bit = __builtin_ctz(rest);
    const SavedValue& s = node.saved_at(bit);
    check_version(node, s, bit >= 16);
    src[k++] = broadcast_view(ConstView(s.data, s.dtype, s.shape, s.strides), g.shape());
  }
  kernels::pointwise(op.kernels().backward[i][kernel_index(g.dtype())], g.dtype(), src, k, dst, attrs);
}

}  // namespace

void pointwise_vjp(Vjp& v, const void* attrs) {
  Node& node = v.node();
  const OpDef& op = *node.op;
  // The run gave g for this call alone, so that the last to use it may pass it on.
  Tensor& g = const_cast<Tensor&>(v.only_g());
  unsigned needed = 0;
  for (int i = 0; i < node.n_in; ++i) needed |= v.needs(i) ? 1u << i : 0u;
  for (int i = 0; i < node.n_in; ++i) {
    if (((needed >> i) & 1u) == 0) continue;
    const bool last = (needed >> (i + 1)) == 0;
    if (op.identity[i]) {
      v.set(i, last ? std::move(g) : g);
      continue;
    }
    const void* src[1 + 4];
    const bool direct = saved_uniform(node, op.needs_of(i), *g.get(), src);
    // The last gradient is written over g, unless a hook, a result, another branch or a saved value holds that too.
    const bool over = last && owned_alone(g);
    Tensor fresh = over ? Tensor() : empty(g.shape(), g.dtype());
    const Tensor& result = over ? g : fresh;
    const par::FloatEnvironment environment;
    if (direct) [[likely]]
      op.kernels().backward[i][kernel_index(g.dtype())](src, result.get()->data, g.get()->numel, attrs);
    else strided_gradient(node, i, g, result.mutable_view(), attrs);
    v.set(i, over ? std::move(g) : std::move(fresh));
  }
}

}  // namespace thalweg
