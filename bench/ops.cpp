// Cases of the registered ops: forward, and forward with backward, at two sizes. Depends on ops.hpp and apply().
// With backward means what training does: the gradient of the output is cloned and given up to backward(), the leaves get
// dense gradients of their own in grad(), and those are dropped before the next call. The peer does the same.
// Invariant: an op joins by being in the registry; what it reads and writes follows from its definition.
#include "ops.hpp"

#include <algorithm>

#include <thalweg/ops/library.hpp>
#include <thalweg/thalweg.hpp>

namespace bench {

using thalweg::DType;
using thalweg::OpDef;
using thalweg::OpInfo;
using thalweg::Tensor;

namespace {

double bytes(const Tensor& t) {
  return t.defined() ? static_cast<double>(t.numel()) * static_cast<double>(thalweg::itemsize(t.dtype())) : 0;
}

bool differentiable_input(const OpDef& d, int i, const Tensor& t) {
  return d.differentiable && t.defined() && thalweg::is_floating(t.dtype()) && (i >= 32 || ((d.no_grad >> i) & 1u) == 0);
}

/// Forward: inputs read, outputs written. Backward: the gradient cloned, it and what was saved read, gradients written,
/// but for one that may be the output's gradient itself or a view of it.
Work work_of(const OpDef& d, const std::vector<Tensor>& in, const Tensor& out, double flops, bool backward) {
  Work w{.flops = flops};
  const bool is_view = d.kind == thalweg::OpKind::view;
  if (!is_view) {
    for (const Tensor& t : in) w.read += bytes(t);
    w.written = bytes(out);
  }
  if (!backward) return w;
  thalweg::NeedMask saved = 0;
  w.read += bytes(out);
  w.written += bytes(out);
  const double before = w.written;
  bool given_away = false;
  for (int i = 0; i < static_cast<int>(in.size()); ++i) {
    const Tensor& t = in[static_cast<std::size_t>(i)];
    if (!differentiable_input(d, i, t)) continue;
    saved |= d.needs_of(i);
    w.flops += flops;
    const bool passed_on = !given_away && (is_view ? t.numel() == out.numel() : i < 3 && d.identity[i]);
    if (!passed_on) w.written += bytes(t);
    given_away |= passed_on;
  }
  if (w.written > before) w.read += bytes(out);  // the gradient has the output's size
  for (int i = 0; i < std::min<int>(16, static_cast<int>(in.size())); ++i)
    if (saved & thalweg::need_input(i)) w.read += bytes(in[static_cast<std::size_t>(i)]);
  if (saved & thalweg::need_output()) w.read += bytes(out);
  return w;
}

/// What is called again and again: the op on leaves of its own.
struct Bound {
  const OpDef* def;
  std::vector<Tensor> in;
  std::shared_ptr<const void> attrs;
  Tensor gradient;             ///< undefined: forward only
  std::vector<Tensor> leaves;  ///< those inputs whose gradients are wanted

  void forward(Tensor* out) const {
    thalweg::apply(*def, in.data(), static_cast<int>(in.size()), attrs.get(), thalweg::Loc::here(), out);
  }
  void backward(const Tensor& out) const {
    std::vector<Tensor> seed;
    seed.push_back(gradient.clone());
    thalweg::backward(std::span<const Tensor>(&out, 1), std::move(seed), false, thalweg::Loc::here());
  }
  void run(std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) {
      Tensor out[4];
      forward(out);
      if (!gradient.defined()) continue;
      backward(out[0]);
      for (Tensor& leaf : leaves) leaf.zero_grad();  // sets it free, so that nothing is added up
    }
  }
  std::vector<Tensor> results() {
    Tensor out[4];
    forward(out);
    std::vector<Tensor> all{out[0].detach()};
    if (gradient.defined()) backward(out[0]);
    for (Tensor& leaf : leaves) {
      all.push_back(leaf.grad());
      leaf.zero_grad();
    }
    return all;
  }
};

Ready make_ready(const OpInfo& op, const OpEntry* entry, bool large, bool backward) {
  OpCall call = entry ? entry->call(large) : pointwise_call(op, large);
  if (!call.attrs && op.attr_samples) call.attrs = op.attr_samples().front();  // by convention the defaults
  auto bound = std::make_shared<Bound>(Bound{.def = op.def, .in = call.in, .attrs = call.attrs, .gradient = {}, .leaves = {}});
  Tensor out[4];
  bound->forward(out);
  Ready ready;
  ready.work = large ? work_of(*op.def, call.in, out[0], call.flops, backward) : Work{.overhead = true, .backward = backward};
  if (large && ready.work.read + ready.work.written == 0) ready.work = {.overhead = true, .backward = backward};
  if (backward) {
    bound->gradient = uniform(out[0].shape(), 0.5, 1.5).to(out[0].dtype());
    ready.peer.gradient = array_of(bound->gradient);
    for (std::size_t i = 0; i < bound->in.size(); ++i) {
      if (!differentiable_input(*op.def, static_cast<int>(i), bound->in[i]) || ((call.frozen >> i) & 1u)) continue;
      bound->leaves.push_back(bound->in[i].set_requires_grad());
    }
  }
  ready.ours = [bound](std::int64_t times) { bound->run(times); };
  if (!large && (!entry || entry->same_bits)) ready.results = [bound] { return bound->results(); };
  if (!entry || entry->no_peer[0] == '\0') ready.peer.name = entry && entry->peer[0] ? entry->peer : op.name();
  ready.peer.numbers = call.numbers;
  ready.peer.backward = backward;
  for (const Tensor& t : bound->in) ready.peer.in.push_back(array_of(t));
  return ready;
}

void add_op(const OpInfo& op, const OpEntry* entry, std::vector<Case>& to) {
  std::string name = op.name();
  if (entry && entry->variant[0]) name += std::string(" ") + entry->variant;
  for (const bool large : {false, true})
    for (const bool backward : {false, true}) {
      if (backward && !op.def->differentiable) continue;
      to.push_back({.group = large ? "ops, large" : "ops, small",
                    .name = name + (large ? " large" : " small") + (backward ? " +backward" : ""),
                    .make = [&op, entry, large, backward] { return make_ready(op, entry, large, backward); },
                    .no_peer = entry ? entry->no_peer : ""});
    }
}

}  // namespace

Tensor uniform(const thalweg::Dims& shape, double low, double high) {
  static thalweg::Generator generator(7);
  return thalweg::rand(shape, generator) * (high - low) + low;
}

Tensor indices(const thalweg::Dims& shape, std::int64_t n) {
  return (uniform(shape, 0, 1) * static_cast<double>(n) * 0.999999).to(DType::i64);
}

Array array_of(const Tensor& t) {
  if (!t.defined()) return {};
  Array a{.data = t.get()->data, .kind = static_cast<Kind>(t.dtype()), .wants_gradient = t.requires_grad()};
  a.shape.assign(t.shape().begin(), t.shape().end());
  a.strides.assign(t.strides().begin(), t.strides().end());
  return a;
}

OpCall pointwise_call(const OpInfo& op, bool large) {
  const thalweg::Dims shape = large ? thalweg::Dims{2048, 2048} : thalweg::Dims{64};
  OpCall call;
  for (int i = 0; i < op.def->n_in; ++i) {
    const thalweg::Interval range = op.row->domain[i];
    Tensor t = uniform(shape, range.lo, range.hi);
    if ((op.def->no_grad >> i) & 1u) t = t > 0.5;  // conditions are bool
    call.in.push_back(t);
  }
  if (op.name() == std::string_view("clamp"))  // without limits there would be nothing to do
    call.attrs = std::make_shared<const thalweg::ops::Clamp::Attrs>(thalweg::ops::Clamp::Attrs{-1, 1});
  return call;
}

void add_op_cases(std::vector<Case>& to) {
  for (const OpInfo& op : thalweg::registry()) {
    bool listed = false;
    for (const OpEntry& entry : op_table()) {
      if (std::string_view(entry.op) != op.name()) continue;
      listed = true;
      if (entry.call) add_op(op, &entry, to);
    }
    if (!listed && op.pointwise()) add_op(op, nullptr, to);
  }
}

std::vector<std::string> ops_without_case() {
  std::vector<std::string> missing;
  for (const OpInfo& op : thalweg::registry()) {
    const bool listed = std::ranges::any_of(op_table(), [&](const OpEntry& e) {
      return std::string_view(e.op) == op.name() && (e.call || e.no_peer[0]);
    });
    if (!listed && !op.pointwise()) missing.emplace_back(op.name());
  }
  return missing;
}

}  // namespace bench
