// The walk over a recorded graph and the questions asked of it by Boost.Graph, which no other file includes.
// Depends on graph/node, fmt. Invariant: neither the walk nor a question recurses on the depth of the graph.
#include <thalweg/autograd/graph/graph_view.hpp>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/topological_sort.hpp>

#include <thalweg/autograd/graph/node.hpp>

namespace thalweg::graph {
namespace {

using BoostGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;

void check_roots(std::span<const Tensor> roots, Loc loc) {
  if (roots.empty())
    throw_error<GraphError>({.op = "graph::View", .what = "no tensor to start from", .loc = loc});
  for (const Tensor& t : roots)
    if (!t.requires_grad())
      throw_error<GraphError>({.op = "graph::View",
                               .arg = "the tensor",
                               .given = t.describe(),
                               .wanted = "a result of recorded ops on a tensor that requires a gradient",
                               .what = "nothing was recorded",
                               .loc = loc});
}

/// Every node below the roots: leaves that have names in the order of the names, the others as the ops first
/// use them; then the ops by rank.
std::vector<const Node*> collect(std::span<const Tensor> roots, const std::vector<Named>& names) {
  std::unordered_set<const Node*> seen;
  std::vector<const Node*> ops, leaves, todo;
  const auto meet = [&](const Node* n) {
    if (seen.insert(n).second) todo.push_back(n);
  };
  for (const Tensor& t : roots) meet(node_of(t));
  while (!todo.empty()) {
    const Node* n = todo.back();
    todo.pop_back();
    (n->is_leaf ? leaves : ops).push_back(n);
    for (int i = 0; i < n->n_in; ++i)
      if (const Node* p = n->edges()[i].node) meet(p);
  }
  std::stable_sort(ops.begin(), ops.end(), [](const Node* a, const Node* b) { return a->rank < b->rank; });
  std::vector<const Node*> all;
  std::unordered_set<const Node*> placed;
  const auto place = [&](const Node* n) {
    if (n && n->is_leaf && seen.contains(n) && placed.insert(n).second) all.push_back(n);
  };
  for (const Named& name : names) place(node_of(name.tensor));
  for (const Node* n : ops)
    for (int i = 0; i < n->n_in; ++i) place(n->edges()[i].node);
  for (const Node* n : leaves) place(n);  // a root that is a leaf itself
  all.insert(all.end(), ops.begin(), ops.end());
  return all;
}

/// Another op's result goes by that op's name; otherwise one operand is x, two are a and b, more are counted.
std::string operand_name(const Node& n, int bit) {
  if (bit >= 16) return n.n_out == 1 ? "y" : fmt::format("output {}", bit - 15);
  if (const Node* made = n.edges()[bit].node; made && !made->is_leaf)
    return fmt::format("{}'s y", made->op->name);
  if (n.n_in == 1) return "x";
  if (n.n_in == 2) return bit == 0 ? "a" : "b";
  return fmt::format("input {}", bit + 1);
}

std::string name_of_memory(const std::vector<Named>& names, const SavedValue& s) {
  for (const Named& n : names)
    if (n.tensor.defined() && n.tensor.get()->storage == s.storage && n.tensor.get()->data == s.data)
      return n.name;
  return {};
}

}  // namespace

struct View::Boosted {
  explicit Boosted(std::size_t nodes) : graph(nodes) {}
  BoostGraph graph;
};

View::View(const Tensor& root, std::vector<Named> names, Loc loc)
    : View(std::span<const Tensor>(&root, 1), std::move(names), loc) {}

View::View(std::span<const Tensor> roots, std::vector<Named> names, Loc loc) {
  check_roots(roots, loc);
  roots_.assign(roots.begin(), roots.end());
  const std::vector<const Node*> found = collect(roots, names);
  for (const Node* n : found) {
    ViewNode v;
    v.op = n->op->name;
    v.leaf = n->is_leaf;
    v.spent = n->spent;
    v.rank = n->rank;
    v.n_in = n->n_in;
    v.outputs.assign(n->outs(), n->outs() + n->n_out);
    v.loc = n->loc;
    for (const Tensor& t : roots) v.root |= node_of(t) == n;
    for (const Named& name : names)
      if (v.name.empty() && node_of(name.tensor) == n) v.name = name.name;
    nodes_.push_back(std::move(v));
    keys_.push_back(n);
  }
  add_edges(found);
  describe_saved(found, names);
  auto boosted = std::make_shared<Boosted>(nodes_.size());
  for (const ViewEdge& e : edges_) boost::add_edge(e.from, e.to, boosted->graph);
  boosted_ = std::move(boosted);
}

void View::add_edges(const std::vector<const Node*>& found) {
  std::unordered_map<const Node*, std::size_t> place;
  for (std::size_t i = 0; i < found.size(); ++i) place[found[i]] = i;
  for (std::size_t to = 0; to < found.size(); ++to)
    for (int i = 0; i < found[to]->n_in; ++i)
      if (const Edge& e = found[to]->edges()[i]; e.node)
        edges_.push_back({place.at(e.node), to, static_cast<int>(e.index), i});
}

void View::describe_saved(const std::vector<const Node*>& found, const std::vector<Named>& names) {
  std::unordered_map<const Storage*, std::int64_t> distinct;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Node& n = *found[i];
    const SavedValue* s = n.saved();
    for (NeedMask rest = n.saved_mask; rest; rest &= rest - 1, ++s) {
      if (!s->storage) continue;  // released
      const int bit = __builtin_ctz(rest);
      std::string name = name_of_memory(names, *s);
      const bool named = !name.empty();
      const bool constant = bit < 16 && !n.edges()[bit].node;
      const std::int64_t bytes = s->numel * static_cast<std::int64_t>(itemsize(s->dtype));
      nodes_[i].saved.push_back({named ? std::move(name) : operand_name(n, bit),
                                 {s->dtype, s->shape},
                                 bytes,
                                 bit < 16 ? bit : -1,
                                 constant,
                                 named});
      nodes_[i].saved_bytes += bytes;
      std::int64_t& most = distinct[s->storage.get()];
      most = std::max(most, std::min(bytes, static_cast<std::int64_t>(s->storage->bytes)));
    }
  }
  for (const auto& [storage, bytes] : distinct) saved_bytes_ += bytes;
}

std::optional<std::size_t> View::find(const Tensor& t) const {
  const Node* n = node_of(t);
  const auto at = std::find(keys_.begin(), keys_.end(), static_cast<const void*>(n));
  if (!n || at == keys_.end()) return std::nullopt;
  return static_cast<std::size_t>(at - keys_.begin());
}

std::vector<std::size_t> View::topological_order() const {
  std::vector<std::size_t> order;
  order.reserve(nodes_.size());
  try {
    boost::topological_sort(boosted_->graph, std::back_inserter(order));
  } catch (const boost::not_a_dag&) {
    throw_error<GraphError>({.op = "graph::View", .what = "the graph has a cycle"});
  }
  std::reverse(order.begin(), order.end());  // Boost writes users first
  return order;
}

bool View::reachable(std::size_t from, std::size_t to, Loc loc) const {
  for (const std::size_t i : {from, to})
    if (i >= nodes_.size())
      throw_error<IndexError>({.op = "graph::View",
                               .arg = "the node",
                               .given = fmt::format("{}", i),
                               .wanted = fmt::format("0 to {}", nodes_.size() - 1),
                               .what = "no such node",
                               .loc = loc});
  std::vector<boost::default_color_type> colors(nodes_.size(), boost::white_color);
  boost::queue<std::size_t> pending;
  boost::breadth_first_visit(
      boosted_->graph, from, pending, boost::default_bfs_visitor(),
      boost::make_iterator_property_map(colors.begin(), boost::get(boost::vertex_index, boosted_->graph)));
  return colors[to] != boost::white_color;
}

std::string View::title(std::size_t i) const {
  const ViewNode& n = nodes_[i];
  const std::string line = line_text(n.loc);
  return fmt::format("{} (rank {}{}{})", n.name.empty() ? n.op : n.name, n.rank, line.empty() ? "" : ", ",
                     line);
}

std::vector<std::string> View::broken_invariants() const {
  std::vector<std::string> broken;
  for (const ViewEdge& e : edges_) {
    const ViewNode &from = nodes_[e.from], &to = nodes_[e.to];
    if (from.rank >= to.rank)
      broken.push_back(fmt::format("{} uses {}, whose rank is not lower", title(e.to), title(e.from)));
    if (static_cast<std::size_t>(e.output) >= from.outputs.size())
      broken.push_back(fmt::format("{} uses output {} of {}, which has {}", title(e.to), e.output,
                                   title(e.from), from.outputs.size()));
    if (to.leaf) broken.push_back(fmt::format("the leaf {} has an input", title(e.to)));
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].leaf && nodes_[i].rank != 0)
      broken.push_back(fmt::format("the leaf {} is ranked", title(i)));
  try {
    static_cast<void>(topological_order());
  } catch (const GraphError& e) {
    broken.emplace_back(e.what());
  }
  return broken;
}

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  const char* unit = "KiB";
  for (const char* larger : {"MiB", "GiB", "TiB"}) {
    if (value < 1023.95) break;  // below, one decimal would print 1024.0
    value /= 1024;
    unit = larger;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

std::string line_text(Loc loc) {
  if (!loc) return {};
  std::string_view path(loc.file);
  return fmt::format("{}:{}", path.substr(path.find_last_of('/') + 1), loc.line);
}

}  // namespace thalweg::graph
