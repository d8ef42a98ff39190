// apply(): inference, kernel, recording, for every kind of op; and what a vjp unpacks. Depends on graph and fmt.
// Invariant: nothing is written to the graph before the last check has passed.
#include <thalweg/autograd/graph/apply.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <thalweg/autograd/base/rethrow.hpp>
#include <thalweg/autograd/graph/record.hpp>
#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg {
namespace {

constexpr int inline_inputs = 8;
constexpr int max_inputs = 65535;  // a node counts them in 16 bits

/// Views of the inputs, on the stack for the usual number of them.
struct InsBuffer {
  explicit InsBuffer(const OpDef& op, const Tensor* in, int n, Loc loc) : ins{op.name, loc, n, fixed, 0} {
    if (n > inline_inputs) {
      many.resize(static_cast<std::size_t>(n));
      ins.views = many.data();
    }
    ConstView* v = n > inline_inputs ? many.data() : fixed;
    for (int i = 0; i < n; ++i)
      if (in[i].defined()) {
        v[i] = in[i].view();
        if (i < 64) ins.present |= std::uint64_t{1} << i;
      }
  }
  ConstView fixed[inline_inputs];
  std::vector<ConstView> many;
  Ins ins;
};

void apply_view(const OpDef& op, const Tensor* in, const void* attrs, Loc loc, Tensor* out) {
  if (!in[0].defined()) throw_undefined_input(op, 0, loc);
  const ConstView v = in[0].view();
  const Ins ins{op.name, loc, 1, &v, 1};
  const ViewSpec spec = op.view(ins, attrs);
  Tensor result = alias(in[0], spec.offset, spec.shape, spec.strides);
  result.get()->storage->viewed.store(true, std::memory_order_relaxed);
  if (const std::uint64_t wants = wants_gradient(op, in, 1, loc)) record(op, in, 1, wants, &result, 1, attrs, loc);
  out[0] = std::move(result);
}

void apply_structured(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) {
  InsBuffer buffer(op, in, n, loc);
  Outs outs;
  op.infer(buffer.ins, attrs, outs);
  if (op.check) op.check(buffer.ins, attrs);
  const std::uint64_t wants = wants_gradient(op, in, n, loc);
  Tensor result[4];
  View views[4];
  for (int j = 0; j < outs.n; ++j) {
    result[j] = make_result(op, outs.meta[j].shape, outs.meta[j].dtype, loc);
    views[j] = result[j].mutable_view();
  }
  op.run(buffer.ins, views, attrs);
  if (wants) record(op, in, n, wants, result, outs.n, attrs, loc);
  for (int j = 0; j < outs.n; ++j) out[j] = std::move(result[j]);
}

}  // namespace

void throw_undefined_input(const OpDef& op, int i, Loc loc) {
  throw_error<ValueError>({.op = op.name, .arg = fmt::format("argument {}", i + 1), .given = "undefined",
                           .wanted = "a tensor", .what = "undefined tensor", .loc = loc});
}

void throw_for_result(const OpDef& op, const Error& e, Loc loc) {
  ErrorFields fields = e.fields();
  fields.op = op.name;
  fields.arg = "the result";
  fields.loc = loc;
  throw_again(e, std::move(fields));
}

void throw_input_count(const OpDef& op, int n, Loc loc) {
  throw_error<ValueError>({.op = op.name, .arg = "the inputs", .given = fmt::format("{} tensors", n),
                           .wanted = op.n_in >= 0 ? fmt::format("{}", op.n_in) : fmt::format("at most {}", max_inputs),
                           .what = "wrong number of inputs", .loc = loc});
}

void apply_unhooked(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out,
                    unsigned given_up) {
  if (thread_state.call_site) loc = thread_state.call_site;
  if (op.n_in >= 0 ? n != op.n_in : n > max_inputs) [[unlikely]] throw_input_count(op, n, loc);
  switch (op.kind) {
    case OpKind::pointwise: return apply_pointwise(op, in, n, attrs, loc, out, given_up);
    case OpKind::view: return apply_view(op, in, attrs, loc, out);
    case OpKind::composite: {
      CallSite site(loc);
      out[0] = op.compose(in, n, attrs, loc);
      return;
    }
    case OpKind::function: return op.call(op, in, n, loc, out);
    default: return apply_structured(op, in, n, attrs, loc, out);
  }
}

void apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out, unsigned given_up) {
  if (ApplyHook* hook = thread_state.apply_hook) [[unlikely]] return hook->apply(op, in, n, attrs, loc, out);
  apply_unhooked(op, in, n, attrs, loc, out, given_up);
}

// ---- recording ----

std::uint64_t wants_gradient(const OpDef& op, const Tensor* in, int n, Loc loc) {
  if (!thread_state.grad_enabled || !op.differentiable) return 0;
  std::uint64_t wants = 0;
  for (int i = 0; i < n; ++i) {
    const TensorBody* b = in[i].get();
    if (!b || !b->node) continue;
    if (!b->node->is_leaf && b->edge_version != b->storage->version()) [[unlikely]]
      throw_stale_input(op, i, in[i], loc);
    if (i >= 32 || ((op.no_grad >> i) & 1u) == 0) wants |= std::uint64_t{1} << (i < 63 ? i : 63);
  }
  return wants;
}

void throw_stale_input(const OpDef& op, int i, const Tensor& t, Loc loc) {
  const TensorBody& b = t.body();
  const Node& made = *static_cast<const Node*>(b.node.get());
  std::string by = b.storage->writer ? fmt::format(" by {}", b.storage->writer) : std::string();
  if (b.storage->writer_loc) by += fmt::format(" at {}:{}", b.storage->writer_loc.file, b.storage->writer_loc.line);
  throw_error<VersionError>({.op = op.name,
                             .arg = fmt::format("argument {}", i + 1),
                             .given = fmt::format("version {} of {}", b.storage->version(), t.describe()),
                             .wanted = fmt::format("version {}, as {} at {}:{} recorded it", b.edge_version,
                                                   made.op->name, made.loc.file ? made.loc.file : "?", made.loc.line),
                             .what = fmt::format("the memory under a recorded tensor was overwritten{}", by),
                             .loc = loc});
}

NeedMask saved_mask(const OpDef& op, int n, std::uint64_t wants) {
  NeedMask mask = 0;
  for (int i = 0; i < n; ++i)
    if ((wants >> (i < 63 ? i : 63)) & 1u) mask |= op.needs_of(i);
  return mask;
}

namespace {

void snapshot(SavedValue& s, const TensorBody& b) {
  s.storage = b.storage;
  s.data = b.data;
  s.numel = b.numel;
  s.version = b.storage->version();
  s.dtype = b.dtype;
  s.contiguous = b.contiguous;
  s.shape = b.shape;
  s.strides = b.strides;
}

}  // namespace

void record(const OpDef& op, const Tensor* in, int n, std::uint64_t wants, Tensor* out, int n_out,
            const void* attrs, Loc loc) {
  NeedMask mask = saved_mask(op, n, wants);
  for (int i = 0; i < n && i < 16; ++i)
    if (!in[i].defined()) mask &= ~need_input(i);
  Ref<Node> node = Node::make(op, n, n_out, mask);
  node->loc = loc;
  if (op.attrs_size) op.attrs_copy(node->attrs(), attrs);
  std::uint64_t rank = thread_state.rank;
  for (int i = 0; i < n; ++i) {
    if (((wants >> (i < 63 ? i : 63)) & 1u) == 0) continue;
    const TensorBody* b = in[i].get();
    if (!b || !b->node) continue;
    Node* producer = static_cast<Node*>(b->node.get());
    producer->refs.fetch_add(1, std::memory_order_relaxed);
    node->edges()[i] = {producer, b->out_index};
    if (producer->rank > rank) rank = producer->rank;
  }
  node->rank = thread_state.rank = rank + 1;
  SavedValue* s = node->saved();
  for (NeedMask rest = mask; rest; rest &= rest - 1) {
    const int bit = __builtin_ctz(rest);
    snapshot(*s++, bit < 16 ? in[bit].body() : out[bit - 16].body());
  }
  for (int j = 0; j < n_out; ++j) {
    TensorBody& b = *out[j].get();
    node->outs()[j].dtype = b.dtype;
    node->outs()[j].shape = b.shape;
    if (!is_floating(b.dtype)) continue;  // indices carry no gradient
    b.out_index = static_cast<std::uint16_t>(j);
    b.edge_version = b.storage->version();
    if (j + 1 == n_out) b.node = Ref<NodeHeader>::adopt(node.leak());
    else b.node = Ref<NodeHeader>::share(node.get());
  }
}

// ---- what a vjp unpacks ----

Tensor Vjp::g(int j) const {
  if (grads_[j].defined()) return grads_[j];
  return zeros(node_.outs()[j].shape, node_.outs()[j].dtype);
}

Tensor Vjp::unpack(int bit) const {
  if (((node_.saved_mask >> bit) & 1u) == 0) [[unlikely]]
    throw_error<GraphError>({.op = node_.op->name, .arg = fmt::format("{} {}", bit < 16 ? "input" : "output", bit % 16),
                             .given = "a vjp that reads it", .wanted = "a bit for it in the op's needs[]",
                             .what = "the vjp reads a value that was not saved", .loc = node_.loc});
  const SavedValue& s = node_.saved_at(bit);
  check_version(node_, s, bit >= 16);
  Ref<TensorBody> b = Ref<TensorBody>::adopt(TensorBody::make());
  b->dtype = s.dtype;
  b->contiguous = s.contiguous;
  b->data = s.data;
  b->storage = s.storage;
  b->numel = s.numel;
  b->shape = s.shape;
  b->strides = s.strides;
  b->edge_version = s.version;
  if (create_graph_) {
    if (bit >= 16) {
      b->node = Ref<NodeHeader>::share(&node_);
      b->out_index = static_cast<std::uint16_t>(bit - 16);
    } else if (const Edge& e = node_.edges()[bit]; e.node) {
      b->node = Ref<NodeHeader>::share(e.node);
      b->out_index = static_cast<std::uint16_t>(e.index);
    }
  }
  Tensor t(std::move(b));
  return thread_state.apply_hook ? thread_state.apply_hook->saved(t) : t;
}

Tensor Vjp::in(int i) const { return unpack(i); }
Tensor Vjp::out(int j) const { return unpack(16 + j); }

}  // namespace thalweg
