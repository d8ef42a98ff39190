// View: a recorded graph copied out for looking at: its nodes, its edges, and questions about them. A lens,
// never the tape itself. Depends on graph/node; Boost.Graph stays in graph_view.cpp. Invariant: nodes() stand
// in recording order (leaves first, then by rank), whatever roots the walk started from.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <thalweg/autograd/graph/op_def.hpp>

namespace thalweg {
struct Node;
}

namespace thalweg::graph {

/// What a tensor is to be called in drawings and dumps: a leaf, a result, or a plain value that some op
/// saved.
struct Named {
  std::string name;
  Tensor tensor;
};

/// One value that a node keeps for its derivative.
struct SavedItem {
  /// Its given name; else "mul's y" for another op's result, "x", "a", "b", "input 3"; an own output is "y".
  std::string what;
  Meta meta;
  std::int64_t bytes = 0;
  int argument = -1;      ///< which input it is; -1: an output
  bool constant = false;  ///< an input that wants no gradient, and so has no edge
  bool named = false;     ///< `what` is a given name
};

/// One recorded op, or one leaf.
struct ViewNode {
  std::string op;    ///< "matmul"; "leaf" for a leaf
  std::string name;  ///< from the caller's list; else empty
  bool leaf = false;
  bool root = false;       ///< one of the tensors the view was made from
  bool spent = false;      ///< a backward pass has released its saved values
  std::uint64_t rank = 0;  ///< Lamport clock; 0 for leaves
  int n_in = 0;            ///< inputs, with and without an edge
  std::vector<Meta> outputs;
  std::vector<SavedItem> saved;
  std::int64_t saved_bytes = 0;
  Loc loc{};  ///< the user's line
};

/// A value that flows forward from one node to another.
struct ViewEdge {
  std::size_t from = 0;  ///< who made the value
  std::size_t to = 0;    ///< who used it
  int output = 0;        ///< which output of `from`
  int argument = 0;      ///< which input of `to`
};

class View {
 public:
  /// The graph below `root` (or below all roots): what a backward pass from there could visit. The view keeps
  /// the graph alive, but shows it as it was when the view was made. Throws GraphError for a tensor without
  /// history.
  explicit View(const Tensor& root, std::vector<Named> names = {}, Loc loc = Loc::here());
  explicit View(std::span<const Tensor> roots, std::vector<Named> names = {}, Loc loc = Loc::here());

  const std::vector<ViewNode>& nodes() const noexcept { return nodes_; }
  /// Grouped by `to`, in the order of its arguments. An argument that wants no gradient has no edge.
  const std::vector<ViewEdge>& edges() const noexcept { return edges_; }
  /// The node that made `t` (for a leaf, its own); empty when the view does not hold it.
  std::optional<std::size_t> find(const Tensor& t) const;
  /// Nodes with each producer before its users. Throws GraphError when there is a cycle.
  std::vector<std::size_t> topological_order() const;
  /// Whether a value flows from node `from` to node `to` (a node reaches itself). Throws IndexError.
  bool reachable(std::size_t from, std::size_t to, Loc loc = Loc::here()) const;
  /// What is wrong with the graph, one sentence each; nothing when it is sound: ranks fall from user to
  /// producer, leaves have rank 0 and no inputs, edges name outputs that exist, no cycle.
  std::vector<std::string> broken_invariants() const;
  /// Bytes of saved values, memory that several nodes save counted once.
  std::int64_t saved_bytes() const noexcept { return saved_bytes_; }

 private:
  struct Boosted;

  void add_edges(const std::vector<const Node*>& found);
  void describe_saved(const std::vector<const Node*>& found, const std::vector<Named>& names);
  std::string title(std::size_t i) const;

  std::vector<Tensor> roots_;
  std::vector<ViewNode> nodes_;
  std::vector<ViewEdge> edges_;
  std::vector<const void*> keys_;  // the tape's nodes, parallel to nodes_
  std::int64_t saved_bytes_ = 0;
  std::shared_ptr<const Boosted> boosted_;
};

/// "512 B", "6.1 KiB", "1.2 MiB".
std::string bytes_text(std::int64_t bytes);
/// "file.cpp:12": the last part of the path, "" for an unknown line.
std::string line_text(Loc loc);

}  // namespace thalweg::graph
