// Run: the state of one backward pass. Internal to engine/. Depends on graph.
// Invariant: an interior node whose `run` is this id is in the heap exactly once.
#pragma once

#include <vector>

#include <thalweg/autograd/graph/apply.hpp>

namespace thalweg::engine {

class Run {
 public:
  Run(bool retain, bool create);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run();

  struct Entry {
    std::uint64_t rank;
    std::uint64_t arrival;
    Node* node;
  };

  /// grad(): the gradient of this output of this node is result number `slot`.
  void want(Node& node, std::uint32_t index, int slot);
  /// grad(): only nodes that lead to a wanted input run; call mark() on every root after the want()s.
  void select() noexcept { selective_ = true; }
  void mark(Node& root);
  bool leads_somewhere(Node& node);

  /// Adds g to the gradient of an output. `from` is the node whose vjp made it, null for a root.
  void deliver(Node& target, std::uint32_t index, Tensor g, const Node* from);
  /// Runs to the end; wanted interior gradients go to `results`.
  void execute(std::vector<Tensor>* results);
  void run_leaf_hooks();
  /// backward(): makes every total its leaf's own, ready to be kept.
  void own_totals();
  /// backward(): adds the gathered totals to the leaves' gradients, and what retain_grad() keeps; cannot fail
  /// half-way for want of checks.
  void commit_leaves();
  void collect_leaves(std::vector<Tensor>& results);

 private:
  struct Leaf {
    Ref<Node> node;
    Ref<TensorBody> total;
    int wanted;
  };
  struct Wanted {
    Node* node;
    std::uint32_t index;
    int slot;
  };

  /// The gradient of an interior tensor that retain_grad() keeps; like the leaves' it is kept at the end.
  struct Retained {
    Ref<Node> node;
    std::size_t place;
    Ref<TensorBody> total;
  };

  Leaf& leaf(Node& node);
  void own_parts();
  bool is_wanted_leaf(Node& node) const noexcept;
  void keep_retained(Node& node, const Tensor* grads);
  /// Uses up `grads`.
  void run_node(Node& node, Tensor* grads);

  std::uint64_t id_;
  bool retain_;
  bool create_;
  bool selective_ = false;
  bool some_unclaimed_ = false;  // some leaves were held by another run when they were first met
  std::uint64_t arrivals_ = 0;
  std::vector<Entry> heap_;
  std::vector<Leaf> leaves_;
  std::vector<Retained> retained_;
  std::vector<Wanted> wanted_;
};

}  // namespace thalweg::engine
