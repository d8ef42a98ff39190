// A node's making and unmaking. Depends on node.hpp and fmt.
// Invariant: drop() runs in constant stack however deep the graph, through one reaper list per thread.
#include <thalweg/autograd/graph/node.hpp>

#include <fmt/format.h>

namespace thalweg {
namespace {

const OpDef leaf_def{.name = "leaf", .kind = OpKind::leaf, .n_in = 0};

/// Live nodes, counted per thread so that recording takes no locked instruction.
struct NodeCount {
  std::atomic<std::int64_t> value{0};
  NodeCount* next = nullptr;
  bool listed = false;
  bool ended = false;  // the thread is past its count's end and destroys what it kept to the last
};
constinit thread_local NodeCount node_count;
constinit std::atomic<NodeCount*> all_counts{nullptr};
constinit std::atomic<std::int64_t> ended_count{0};
constinit std::atomic_flag counts_lock = ATOMIC_FLAG_INIT;

struct Locked {
  explicit Locked(std::atomic_flag& f) noexcept : flag(f) {
    while (flag.test_and_set(std::memory_order_acquire)) {
    }
  }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { flag.clear(std::memory_order_release); }
  std::atomic_flag& flag;
};

struct CountGuard {
  ~CountGuard() {
    Locked lock(counts_lock);
    ended_count.fetch_add(node_count.value.exchange(0));
    NodeCount* first = all_counts.load();
    if (first == &node_count) all_counts.store(node_count.next);
    for (NodeCount* c = first; c; c = c->next)
      if (c->next == &node_count) c->next = node_count.next;
    node_count.listed = false;
    node_count.ended = true;
  }
};

[[gnu::noinline, gnu::cold]] void count_first(std::int64_t d) {
  if (node_count.ended) {
    ended_count.fetch_add(d);
    return;
  }
  thread_local CountGuard guard;
  static_cast<void>(&guard);
  Locked lock(counts_lock);
  node_count.next = all_counts.load();
  all_counts.store(&node_count);
  node_count.listed = true;
  node_count.value.store(d, std::memory_order_relaxed);
}

inline void count_node(std::int64_t d) {
  if (!node_count.listed) [[unlikely]] return count_first(d);
  node_count.value.store(node_count.value.load(std::memory_order_relaxed) + d, std::memory_order_relaxed);
}

/// Frees the node itself and hands the producers that thereby lost their last user to the list.
void unmake(Node* n, Node*& list) noexcept {
  for (int i = 0; i < n->n_in; ++i) {
    Node* p = n->edges()[i].node;
    if (!p) continue;
    if (p->refs.load(std::memory_order_acquire) == 1 || p->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      p->visited = reinterpret_cast<std::uintptr_t>(list);  // a dying node's mark is free for the link
      list = p;
    }
  }
  for (int j = 0; j < n->n_out; ++j) {
    n->grads()[j].~Ref();
    n->outs()[j].~Meta();
  }
  n->release_saved();
  if (n->op->attrs_destroy) n->op->attrs_destroy(n->attrs());
  delete n->extra;
  const std::size_t bytes = n->bytes;
  n->~Node();
  mem::release(n, bytes);
  count_node(-1);
}

}  // namespace

void NodeHeader::drop(NodeHeader* header) noexcept {
  Node* n = static_cast<Node*>(header);
  ThreadState& ts = thread_state;
  if (ts.reaping) {  // reached through a tensor that a hook or an attribute held
    n->visited = reinterpret_cast<std::uintptr_t>(ts.reap_list);
    ts.reap_list = n;
    return;
  }
  ts.reaping = true;
  Node* list = nullptr;
  unmake(n, list);
  for (;;) {
    if (!list) {
      list = static_cast<Node*>(ts.reap_list);
      ts.reap_list = nullptr;
      if (!list) break;
    }
    Node* next = list;
    list = reinterpret_cast<Node*>(static_cast<std::uintptr_t>(next->visited));
    unmake(next, list);
  }
  ts.reaping = false;
}

Ref<Node> Node::make(const OpDef& op, int n_in, int n_out, NeedMask saved_mask) {
  const int n_saved = count_bits(saved_mask);
  const std::size_t bytes = sizeof(Node) + static_cast<std::size_t>(n_in) * sizeof(Edge) +
                            static_cast<std::size_t>(n_out) * (sizeof(Ref<TensorBody>) + sizeof(Meta)) +
                            static_cast<std::size_t>(n_saved) * sizeof(SavedValue) + op.attrs_size;
  Node* n = new (mem::allocate(bytes)) Node;
  n->op = &op;
  n->n_in = static_cast<std::uint16_t>(n_in);
  n->n_out = static_cast<std::uint16_t>(n_out);
  n->n_saved = static_cast<std::uint16_t>(n_saved);
  n->saved_mask = saved_mask;
  n->bytes = static_cast<std::uint32_t>(bytes);
  for (int i = 0; i < n_in; ++i) new (n->edges() + i) Edge;
  for (int j = 0; j < n_out; ++j) new (n->grads() + j) Ref<TensorBody>;
  for (int j = 0; j < n_out; ++j) new (n->outs() + j) Meta;
  for (int s = 0; s < n_saved; ++s) new (n->saved() + s) SavedValue;
  count_node(1);
  return Ref<Node>::adopt(n);
}

Ref<Node> Node::make_leaf(const TensorBody& body) {
  Ref<Node> n = make(leaf_def, 0, 1, 0);
  n->is_leaf = true;
  n->outs()[0] = {body.dtype, body.shape};
  return n;
}

void Node::release_saved() noexcept {
  SavedValue* s = saved();
  for (int i = 0; i < n_saved; ++i) s[i].storage.reset();
}

std::int64_t Node::saved_bytes() const noexcept {
  std::int64_t total = 0;
  for (int i = 0; i < n_saved; ++i)
    if (saved()[i].storage) total += saved()[i].numel * static_cast<std::int64_t>(itemsize(saved()[i].dtype));
  return total;
}

void check_version(const Node& node, const SavedValue& v, bool is_output) {
  const std::uint32_t now = v.storage->version();
  if (now == v.version) [[likely]] return;
  std::string by = v.storage->writer ? fmt::format(" by {}", v.storage->writer) : std::string();
  if (v.storage->writer_loc)
    by += fmt::format(" at {}:{}", v.storage->writer_loc.file, v.storage->writer_loc.line);
  throw_error<VersionError>(
      {.op = node.op->name,
       .arg = is_output ? "its output" : "its input",
       .given = fmt::format("version {} of {}", now, describe(v.dtype, v.shape)),
       .wanted = fmt::format("version {}, as it was saved", v.version),
       .what = fmt::format("a value that backward needs was overwritten{}; write out of place, or detach() or "
                           "clone() what is written",
                           by),
       .loc = node.loc});
}

std::int64_t live_nodes() noexcept {
  Locked lock(counts_lock);
  std::int64_t total = ended_count.load();
  for (NodeCount* c = all_counts.load(); c; c = c->next) total += c->value.load(std::memory_order_relaxed);
  return total;
}

}  // namespace thalweg
