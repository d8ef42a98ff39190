// Node: one recorded op (or one leaf's accumulator) with its edges, saved values and attributes in a single block.
// Depends on base, tensor, op_def. Invariant: references run node -> producer nodes and saved storages, never back.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include <thalweg/autograd/graph/op_def.hpp>

namespace thalweg {

struct Node;

/// Bits set in a mask of few: the plain instruction set has no popcount, and a library call costs more than this loop.
constexpr int count_bits(NeedMask mask) noexcept {
  int n = 0;
  for (; mask; mask &= mask - 1) ++n;
  return n;
}

/// Where the gradient of an input goes: an output of the node that made it, or a leaf. Null: nowhere.
struct Edge {
  Node* node = nullptr;  // owned: counted by hand in Node
  std::uint32_t index = 0;
};

/// A snapshot of a tensor: storage, geometry and version, but no edge (inputs use the node's own edge i).
struct SavedValue {
  Ref<Storage> storage;
  void* data = nullptr;
  std::int64_t numel = 0;
  std::uint32_t version = 0;
  DType dtype = DType::f32;
  bool contiguous = true;
  Dims shape;
  Dims strides;
};

struct Hook {
  std::uint64_t id = 0;
  std::function<Tensor(const Tensor&)> call;
  std::uint32_t output = 0;
};

/// The rare parts of a node, made when first needed.
struct NodeExtra {
  std::vector<Hook> hooks;
  std::vector<std::uint32_t> retained;              // outputs whose gradient is kept
  std::vector<Ref<TensorBody>> retained_grads;      // parallel to `retained`
};

struct Node : NodeHeader {
  const OpDef* op = nullptr;
  std::uint16_t n_in = 0;
  std::uint16_t n_out = 0;
  std::uint16_t n_saved = 0;
  bool spent = false;                       // saved values were released by a backward pass
  NeedMask saved_mask = 0;                  // which inputs and outputs the saved values are, in bit order
  Loc loc{};
  std::atomic<std::uint64_t> run{0};        // the backward run that holds this node, 0: none
  std::uint64_t visited = 0;                // run that marked it, for grad()
  bool reaches = false;                     // ... and whether it leads to a wanted input
  std::atomic_flag lock = ATOMIC_FLAG_INIT; // guards a leaf's gradient
  std::int32_t run_slot = -1;               // a leaf's place in the run that holds it
  NodeExtra* extra = nullptr;
  std::uint32_t bytes = 0;                  // of the whole block

  // The arrays behind the header, in this order.
  Edge* edges() noexcept { return reinterpret_cast<Edge*>(this + 1); }
  const Edge* edges() const noexcept { return reinterpret_cast<const Edge*>(this + 1); }
  Ref<TensorBody>* grads() noexcept { return reinterpret_cast<Ref<TensorBody>*>(edges() + n_in); }
  Meta* outs() noexcept { return reinterpret_cast<Meta*>(grads() + n_out); }
  const Meta* outs() const noexcept { return const_cast<Node*>(this)->outs(); }
  SavedValue* saved() noexcept { return reinterpret_cast<SavedValue*>(outs() + n_out); }
  const SavedValue* saved() const noexcept { return const_cast<Node*>(this)->saved(); }
  void* attrs() noexcept { return saved() + n_saved; }

  /// The saved value for bit `bit` of the mask; it must be there.
  const SavedValue& saved_at(int bit) const noexcept {
    return saved()[count_bits(saved_mask & ((NeedMask{1} << bit) - 1))];
  }
  NodeExtra& extras() { return extra ? *extra : *(extra = new NodeExtra); }

  static Ref<Node> make(const OpDef& op, int n_in, int n_out, NeedMask saved_mask);
  static Ref<Node> make_leaf(const TensorBody& body);
  void release_saved() noexcept;
  /// Bytes held by saved values (each storage as often as it is saved).
  std::int64_t saved_bytes() const noexcept;
};

inline Node* node_of(const Tensor& t) noexcept {
  return t.get() ? static_cast<Node*>(t.get()->node.get()) : nullptr;
}

/// Throws VersionError when the storage changed since `v` was saved by `node`.
void check_version(const Node& node, const SavedValue& v, bool is_output);

/// Live nodes of all kinds in the process, for leak tests.
std::int64_t live_nodes() noexcept;

}  // namespace thalweg
