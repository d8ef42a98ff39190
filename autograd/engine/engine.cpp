// The backward run. Depends on graph, engine.hpp, fmt.
// Invariant: slots hold gradients only between delivery and pop, and a run that ends by an exception empties them all.
#include <thalweg/autograd/engine/engine.hpp>

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/engine/run.hpp>
#include <thalweg/autograd/graph/record.hpp>
#include <thalweg/ops/kernels/fault.hpp>

namespace thalweg::engine {
namespace {

std::atomic<std::uint64_t> next_run{1};

/// Highest rank first; equal ranks (nodes of different threads) in the order of arrival.
bool later(const Run::Entry& a, const Run::Entry& b) noexcept {
  return a.rank != b.rank ? a.rank < b.rank : a.arrival > b.arrival;
}

/// total += g, in place where nobody else can see `total`.
void accumulate(Ref<TensorBody>& total, Tensor g, bool create_graph) {
  if (kernels::fault::is(kernels::Fault::accumulate)) [[unlikely]] return;
  Tensor sum(std::move(total));
  if (!create_graph && owned_alone(sum)) add_into(sum, g);
  else if (!create_graph && owned_alone(g)) {
    add_into(g, sum);  // a + b and b + a have the same bits
    sum = std::move(g);
  } else {
    sum = add(sum, g);
  }
  total = sum.take();
}

struct LeafLock {
  explicit LeafLock(Node& n) noexcept : node(n) {
    while (node.lock.test_and_set(std::memory_order_acquire)) {
    }
  }
  LeafLock(const LeafLock&) = delete;
  LeafLock& operator=(const LeafLock&) = delete;
  ~LeafLock() { node.lock.clear(std::memory_order_release); }
  Node& node;
};

/// The gradient after the node's hooks for output j.
Tensor through_hooks(Node& node, std::uint32_t j, Tensor g) {
  if (!node.extra || node.extra->hooks.empty()) return g;
  const std::vector<Hook> hooks = node.extra->hooks;  // a hook may remove itself
  for (const Hook& h : hooks) {
    if (h.output != j) continue;
    const Loc site = std::exchange(thread_state.call_site, Loc{});  // a hook's own errors name its own lines
    const std::uint32_t version = g.get()->storage->version();
    Tensor changed = h.call(g);
    thread_state.call_site = site;
    if (g.get()->storage->version() != version)  // other branches may share these elements
      throw_error<GraphError>({.op = node.op->name, .arg = "the gradient a hook was given", .given = g.describe(),
                               .wanted = "the gradient unchanged; return a new tensor instead",
                               .what = "a hook wrote to its argument", .loc = node.loc});
    if (!changed.defined()) continue;
    if (!(changed.shape() == g.shape()) || changed.dtype() != g.dtype())
      throw_error<GraphError>({.op = node.op->name, .arg = "a hook's result", .given = changed.describe(),
                               .wanted = g.describe(), .what = "a hook changed shape or dtype of a gradient",
                               .loc = node.loc});
    g = std::move(changed);
  }
  return g;
}

}  // namespace

Run::Run(bool retain, bool create) : id_(next_run.fetch_add(1)), retain_(retain || create), create_(create) {
  heap_.reserve(64);
}

Run::~Run() {
  for (const Entry& e : heap_) {
    for (int j = 0; j < e.node->n_out; ++j) e.node->grads()[j].reset();
    e.node->run.store(0, std::memory_order_relaxed);
  }
  for (Leaf& l : leaves_)
    if (l.node->run.load(std::memory_order_relaxed) == id_) {
      l.node->run_slot = -1;
      l.node->run.store(0, std::memory_order_release);
    }
}

Run::Leaf& Run::leaf(Node& node) {
  if (node.run.load(std::memory_order_relaxed) == id_) return leaves_[static_cast<std::size_t>(node.run_slot)];
  std::uint64_t free = 0;
  const bool claimed = node.run.compare_exchange_strong(free, id_, std::memory_order_acquire);
  // While another thread's run holds the leaf's slot number, our own list is searched; an entry made then keeps its
  // place when the leaf becomes free later.
  if (!claimed || some_unclaimed_)
    for (std::size_t i = 0; i < leaves_.size(); ++i)
      if (leaves_[i].node.get() == &node) {
        if (claimed) node.run_slot = static_cast<std::int32_t>(i);
        return leaves_[i];
      }
  if (claimed) node.run_slot = static_cast<std::int32_t>(leaves_.size());
  else some_unclaimed_ = true;
  return leaves_.emplace_back(Leaf{Ref<Node>::share(&node), {}, -1});
}

void Run::want(Node& node, std::uint32_t index, int slot) {
  if (node.is_leaf) leaf(node).wanted = slot;
  else wanted_.push_back({&node, index, slot});
}

void Run::mark(Node& root) {
  struct Frame {
    Node* node;
    int next;
  };
  std::vector<Frame> stack;
  const auto enter = [&](Node& n) {
    n.visited = id_;
    n.reaches = std::any_of(wanted_.begin(), wanted_.end(), [&](const Wanted& w) { return w.node == &n; });
    stack.push_back({&n, 0});
  };
  if (root.is_leaf || root.visited == id_) return;
  enter(root);
  while (!stack.empty()) {
    Frame& f = stack.back();
    if (f.next == f.node->n_in) {
      const bool reaches = f.node->reaches;
      stack.pop_back();
      if (!stack.empty() && reaches) stack.back().node->reaches = true;
      continue;
    }
    Node* child = f.node->edges()[f.next++].node;
    if (!child) continue;
    if (child->is_leaf) f.node->reaches |= is_wanted_leaf(*child);
    else if (child->visited == id_) f.node->reaches |= child->reaches;
    else enter(*child);
  }
}

bool Run::is_wanted_leaf(Node& node) const noexcept {
  if (node.run.load(std::memory_order_relaxed) == id_) return true;
  return std::any_of(leaves_.begin(), leaves_.end(), [&](const Leaf& l) { return l.node.get() == &node; });
}

bool Run::leads_somewhere(Node& node) {
  if (!selective_) return true;
  if (node.is_leaf) return is_wanted_leaf(node);
  if (node.visited != id_) mark(node);  // a grad() inside a hook has written its own marks over ours
  return node.reaches;
}

void Run::deliver(Node& target, std::uint32_t index, Tensor g, const Node* from) {
  const Meta& meta = target.outs()[index];
  if (!(g.shape() == meta.shape) || g.dtype() != meta.dtype) [[unlikely]] {
    if (from && !(g.shape() == meta.shape) && !from->op->broadcasts)
      throw_error<GraphError>({.op = from->op->name, .arg = "the gradient its vjp returned", .given = g.describe(),
                               .wanted = describe(meta.dtype, meta.shape), .what = "wrong shape", .loc = from->loc});
    g = fit(g, meta.dtype, meta.shape);
  }
  if (target.is_leaf) {
    Leaf& l = leaf(target);
    if (l.total) accumulate(l.total, std::move(g), create_);
    else l.total = g.take();
    return;
  }
  const std::uint64_t holder = target.run.load(std::memory_order_relaxed);
  if (holder == 0) {
    target.run.store(id_, std::memory_order_relaxed);
    heap_.push_back({target.rank, arrivals_++, &target});
    std::push_heap(heap_.begin(), heap_.end(), later);
  } else if (holder != id_) {
    throw_error<GraphError>({.op = target.op->name, .what = "two backward passes run through the same graph at once; "
                             "record a graph per thread", .loc = target.loc});
  }
  Ref<TensorBody>& slot = target.grads()[index];
  if (slot) accumulate(slot, std::move(g), create_);
  else slot = g.take();
}

void Run::execute(std::vector<Tensor>* results) {
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Node& node = *heap_.back().node;
    Tensor few[2];
    std::vector<Tensor> many;
    Tensor* grads = few;
    if (node.n_out > 2) {
      many.resize(node.n_out);
      grads = many.data();
    }
    for (int j = 0; j < node.n_out; ++j) grads[j] = Tensor(std::move(node.grads()[j]));
    heap_.pop_back();
    node.run.store(0, std::memory_order_relaxed);
    for (int j = 0; node.extra && j < node.n_out; ++j)
      if (grads[j].defined()) grads[j] = through_hooks(node, static_cast<std::uint32_t>(j), std::move(grads[j]));
    keep_retained(node, grads);
    if (results)
      for (const Wanted& w : wanted_)
        if (w.node == &node) (*results)[static_cast<std::size_t>(w.slot)] = grads[w.index];
    run_node(node, grads);
  }
}

void Run::keep_retained(Node& node, const Tensor* grads) {
  if (!node.extra || selective_) return;
  const NodeExtra& e = *node.extra;
  for (std::size_t k = 0; k < e.retained.size(); ++k)
    if (const Tensor& g = grads[e.retained[k]]; g.defined()) retained_.push_back({Ref<Node>::share(&node), k, g.ref()});
}

namespace {

void run_vjp(Vjp& v, void* attrs) {
  const OpDef& op = *v.node().op;
  if (op.kind == OpKind::pointwise && !v.create_graph()) pointwise_vjp(v, attrs);
  else op.vjp(v, attrs);
}

}  // namespace

void Run::run_node(Node& node, Tensor* grads) {
  std::uint64_t needs = 0;
  for (int i = 0; i < node.n_in; ++i)
    if (Node* p = node.edges()[i].node; p && leads_somewhere(*p)) needs |= std::uint64_t{1} << (i < 63 ? i : 63);
  if (!needs) return;
  if (node.spent)
    throw_error<GraphError>({.op = node.op->name,
                             .what = "this part of the graph was already used by a backward pass and its saved values "
                                     "are gone; pass retain_graph to the first pass to run it again",
                             .loc = node.loc});
  Tensor few[8];
  std::vector<Tensor> many;
  Tensor* result = few;
  if (node.n_in > 8) {
    many.resize(node.n_in);
    result = many.data();
  }
  Vjp v(node, grads, needs, create_, result);
  thread_state.call_site = node.loc;
  void* attrs = node.op->attrs_size ? node.attrs() : nullptr;
  if (ApplyHook* hook = thread_state.apply_hook) [[unlikely]] hook->vjp(v, attrs, run_vjp);
  else run_vjp(v, attrs);
  if (!retain_) {
    node.release_saved();
    node.spent = true;
  }
  // Before the results go on: what nobody else holds can be added into, and large blocks are free for the next node.
  for (int j = 0; j < node.n_out; ++j) grads[j] = Tensor();
  for (int i = 0; i < node.n_in; ++i) {
    const Edge& e = node.edges()[i];
    if (!e.node || ((needs >> (i < 63 ? i : 63)) & 1u) == 0) continue;
    if (!result[i].defined())
      throw_error<GraphError>({.op = node.op->name, .arg = fmt::format("the gradient of argument {}", i + 1),
                               .given = "undefined", .wanted = describe(e.node->outs()[e.index].dtype,
                                                                        e.node->outs()[e.index].shape),
                               .what = "the vjp left out a gradient that is needed", .loc = node.loc});
    deliver(*e.node, e.index, std::move(result[i]), &node);
  }
}

void Run::run_leaf_hooks() {
  for (Leaf& l : leaves_)
    if (l.total && l.node->extra) l.total = through_hooks(*l.node, 0, Tensor(std::move(l.total))).take();
}

/// Totals that are dense parts of a block of memory which they, and nobody else, hold and fill without overlap, as the
/// gradients of what was joined are, become their leaves' own as they are: each gets a storage for its part.
void Run::own_parts() {
  struct Part {
    const Storage* whole;
    const char* begin;
    std::size_t bytes;
    TensorBody* body;
  };
  std::vector<Part> parts;
  for (const Leaf& l : leaves_) {
    TensorBody* b = l.total.get();
    if (!b || !l.total.unique() || b->storage.unique() || b->storage->deleter || !b->contiguous || b->node) continue;
    parts.push_back({b->storage.get(), static_cast<const char*>(b->data),
                     static_cast<std::size_t>(b->numel) * itemsize(b->dtype), b});
  }
  std::ranges::sort(parts, [](const Part& a, const Part& b) {
    return a.whole != b.whole ? std::less<>()(a.whole, b.whole) : std::less<>()(a.begin, b.begin);
  });
  for (std::size_t i = 0, end = 0; i < parts.size(); i = end) {
    const Storage& whole = *parts[i].whole;
    const char* at = static_cast<const char*>(whole.data);
    bool seamless = true;
    for (end = i; end < parts.size() && parts[end].whole == &whole; ++end) {
      seamless &= parts[end].begin == at && parts[end].bytes > 0;
      at += parts[end].bytes;
    }
    seamless &= at == static_cast<const char*>(whole.data) + whole.bytes;
    if (!seamless || whole.refs.load(std::memory_order_acquire) != end - i) continue;
    for (std::size_t k = i; k < end; ++k) {
      TensorBody& b = *parts[k].body;
      b.storage = Storage::part(b.storage, b.data, parts[k].bytes);
    }
  }
}

void Run::own_totals() {
  // The leaf must own its gradient alone: what a hook, a saved value or another leaf holds is copied, and all copies
  // are made before the first gradient changes.
  bool parted = false;
  for (Leaf& l : leaves_) {
    if (!l.total || owned_alone(l.total)) continue;
    if (!std::exchange(parted, true)) own_parts();
    if (!owned_alone(l.total)) l.total = Tensor(std::move(l.total)).clone().take();
  }
  for (Retained& r : retained_)
    if (const Ref<TensorBody>& kept = r.node->extra->retained_grads[r.place]; kept)
      r.total = add(Tensor(kept), Tensor(r.total)).take();
}

void Run::commit_leaves() {
  for (Retained& r : retained_) r.node->extra->retained_grads[r.place] = std::move(r.total);
  for (Leaf& l : leaves_) {
    if (!l.total) continue;
    Tensor g(std::move(l.total));
    LeafLock lock(*l.node);
    Ref<TensorBody>& kept = l.node->grads()[0];
    if (!kept) kept = g.take();
    else accumulate(kept, std::move(g), false);
  }
}

void Run::collect_leaves(std::vector<Tensor>& results) {
  for (Leaf& l : leaves_)
    if (l.wanted >= 0 && l.total) results[static_cast<std::size_t>(l.wanted)] = Tensor(std::move(l.total));
  if (create_) return;
  for (Tensor& r : results)  // what the caller writes to one result must not show in another, nor in a seed
    if (r.defined() && !owned_alone(r)) r = r.clone();
}

}  // namespace thalweg::engine
