// backward() and grad(), and the members of Tensor that speak of gradients. Depends on engine, factories, fmt.
#include <algorithm>

#include <fmt/format.h>

#include <thalweg/autograd/engine/engine.hpp>
#include <thalweg/autograd/engine/run.hpp>
#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg {
namespace {

Ref<Node> node_ref(const Tensor& t) { return Ref<Node>::share(node_of(t)); }

/// The gradient of output `i` of `n`, taken out of `given`, so that a seed nobody else holds is the run's alone.
Tensor take_seed(const Tensor& output, std::vector<Tensor>& given, std::size_t i, std::size_t n, Loc loc) {
  if (!given.empty() && given.size() != n)
    throw_error<ValueError>({.op = "backward", .arg = "grad_outputs", .given = fmt::format("{} gradients", given.size()),
                             .wanted = fmt::format("{}, one per output", n), .what = "counts differ", .loc = loc});
  if (given.empty() || !given[i].defined()) {
    if (output.numel() != 1)
      throw_error<GraphError>({.op = "backward", .arg = "the output", .given = output.describe(),
                               .wanted = "one element, or a gradient for the output",
                               .what = "only a scalar has an implied gradient of 1", .loc = loc});
    return ones_like(output);
  }
  if (!(given[i].shape() == output.shape()) || given[i].dtype() != output.dtype())
    throw_error<ShapeError>({.op = "backward", .arg = "grad_output", .given = given[i].describe(),
                             .wanted = output.describe(), .what = "the gradient must look like the output",
                             .loc = loc});
  return std::move(given[i]);
}

void check_output(const Tensor& t, Loc loc) {
  if (!t.defined() || !t.requires_grad())
    throw_error<GraphError>({.op = "backward", .arg = "the output", .given = t.describe(),
                             .wanted = "a result of recorded ops on a tensor that requires a gradient",
                             .what = "nothing was recorded", .loc = loc});
  const TensorBody& b = t.body();
  if (!b.node->is_leaf && b.edge_version != b.storage->version())
    throw_error<VersionError>({.op = "backward", .arg = "the output", .given = t.describe(),
                               .what = "its memory was overwritten after it was recorded", .loc = loc});
}

/// Restores the call site, which run_node() sets to each node's line.
struct CallSiteKeeper {
  Loc saved = thread_state.call_site;
  ~CallSiteKeeper() { thread_state.call_site = saved; }
};

struct ModeKeeper {
  explicit ModeKeeper(bool enabled) : saved(thread_state.grad_enabled) { thread_state.grad_enabled = enabled; }
  ModeKeeper(const ModeKeeper&) = delete;
  ModeKeeper& operator=(const ModeKeeper&) = delete;
  ~ModeKeeper() { thread_state.grad_enabled = saved; }
  bool saved;
};

struct NodeLock {
  explicit NodeLock(Node& n) noexcept : node(n) {
    while (node.lock.test_and_set(std::memory_order_acquire)) {
    }
  }
  NodeLock(const NodeLock&) = delete;
  NodeLock& operator=(const NodeLock&) = delete;
  ~NodeLock() { node.lock.clear(std::memory_order_release); }
  Node& node;
};

}  // namespace

void backward(std::span<const Tensor> outputs, std::vector<Tensor> grad_outputs, bool retain_graph, Loc loc) {
  CallSiteKeeper site;
  ModeKeeper mode(false);
  std::vector<Ref<Node>> roots;
  engine::Run run(retain_graph, false);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    check_output(outputs[i], loc);
    Tensor seed = take_seed(outputs[i], grad_outputs, i, outputs.size(), loc);
    roots.push_back(node_ref(outputs[i]));
    run.deliver(*roots.back(), outputs[i].get()->out_index, std::move(seed), nullptr);
  }
  run.execute(nullptr);
  run.run_leaf_hooks();
  run.own_totals();
  run.commit_leaves();
}

std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs, GradOptions options,
                         Loc loc) {
  CallSiteKeeper site;
  ModeKeeper mode(options.create_graph);
  std::vector<Ref<Node>> roots;
  engine::Run run(options.retain_graph, options.create_graph);
  run.select();
  std::vector<int> same_as(inputs.size(), -1);  // an input named twice gets the same answer twice
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].requires_grad())
      throw_error<GraphError>({.op = "grad", .arg = fmt::format("input {}", i), .given = inputs[i].describe(),
                               .wanted = "a tensor that requires a gradient", .what = "input without history",
                               .loc = loc});
    for (std::size_t k = 0; k < i && same_as[i] < 0; ++k)
      if (node_of(inputs[k]) == node_of(inputs[i]) && inputs[k].get()->out_index == inputs[i].get()->out_index)
        same_as[i] = static_cast<int>(k);
    if (same_as[i] < 0) run.want(*node_of(inputs[i]), inputs[i].get()->out_index, static_cast<int>(i));
  }
  for (const Tensor& t : outputs) {
    check_output(t, loc);
    run.mark(*node_of(t));
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Tensor seed = take_seed(outputs[i], options.grad_outputs, i, outputs.size(), loc);
    roots.push_back(node_ref(outputs[i]));
    if (run.leads_somewhere(*roots.back()))
      run.deliver(*roots.back(), outputs[i].get()->out_index, std::move(seed), nullptr);
  }
  std::vector<Tensor> results(inputs.size());
  run.execute(&results);
  run.run_leaf_hooks();
  run.collect_leaves(results);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (const Tensor& twin = results[static_cast<std::size_t>(same_as[i] >= 0 ? same_as[i] : static_cast<int>(i))];
        same_as[i] >= 0 && twin.defined())
      results[i] = options.create_graph ? twin : twin.clone();
    if (!results[i].defined() && !options.allow_unused)
      throw_error<GraphError>({.op = "grad", .arg = fmt::format("input {}", i), .given = inputs[i].describe(),
                               .wanted = "an input of the outputs, or allow_unused", .what = "no output depends on it",
                               .loc = loc});
  }
  return results;
}

std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs, GradOptions options, Loc loc) {
  return grad(std::span<const Tensor>(&output, 1), inputs, std::move(options), loc);
}

std::vector<Tensor> grad(const Tensor& output, std::initializer_list<Tensor> inputs, GradOptions options, Loc loc) {
  return grad(output, std::span<const Tensor>(inputs.begin(), inputs.size()), std::move(options), loc);
}

Tensor grad(const Tensor& output, const Tensor& input, GradOptions options, Loc loc) {
  return std::move(grad(output, std::span<const Tensor>(&input, 1), std::move(options), loc)[0]);
}

void Tensor::backward(BackwardOptions options, Loc loc) const {
  std::vector<Tensor> given;
  if (options.grad_output) given.push_back(*options.grad_output);
  thalweg::backward(std::span<const Tensor>(this, 1), std::move(given), options.retain_graph, loc);
}

Tensor& Tensor::set_requires_grad(bool wanted, Loc loc) {
  if (body().node && !body_->node->is_leaf)
    throw_error<GraphError>({.op = "set_requires_grad", .arg = "the tensor", .given = describe(),
                             .wanted = "a leaf; detach() makes one", .what = "a recorded tensor is no leaf",
                             .loc = loc});
  if (wanted && !is_floating(dtype()))
    throw_error<DTypeError>({.op = "set_requires_grad", .arg = "the tensor", .given = describe(),
                             .wanted = "f32 or f64", .what = "only floating tensors have gradients", .loc = loc});
  if (!wanted) body_->node.reset();
  else if (!body_->node) {
    Ref<Node> leaf = Node::make_leaf(*body_);
    leaf->loc = loc;
    body_->node = Ref<NodeHeader>::adopt(leaf.leak());
  }
  return *this;
}

Tensor Tensor::grad() const {
  Node* n = node_of(*this);
  if (!n) return {};
  if (n->is_leaf) {
    NodeLock lock(*n);
    return Tensor(n->grads()[0]);
  }
  if (n->extra)
    for (std::size_t k = 0; k < n->extra->retained.size(); ++k)
      if (n->extra->retained[k] == body_->out_index) return Tensor(n->extra->retained_grads[k]);
  return {};
}

void Tensor::set_grad(const Tensor& g, Loc loc) {
  Node* n = node_of(*this);
  if (!n || !n->is_leaf) {
    if (!g.defined()) {  // clearing what retain_grad() kept, or nothing at all
      if (n && n->extra)
        for (std::size_t k = 0; k < n->extra->retained.size(); ++k)
          if (n->extra->retained[k] == body_->out_index) n->extra->retained_grads[k].reset();
      return;
    }
    throw_error<GraphError>({.op = "set_grad", .arg = "the tensor", .given = describe(),
                             .wanted = "a leaf that wants a gradient", .what = "only leaves keep gradients",
                             .loc = loc});
  }
  if (g.defined() && (!(g.shape() == shape()) || g.dtype() != dtype()))
    throw_error<ShapeError>({.op = "set_grad", .arg = "the gradient", .given = g.describe(), .wanted = describe(),
                             .what = "a gradient looks like its tensor", .loc = loc});
  Tensor plain = g.defined() && g.requires_grad() ? g.detach() : g;
  NodeLock lock(*n);
  n->grads()[0] = plain.take();
}

Tensor& Tensor::retain_grad(Loc loc) {
  Node* n = node_of(*this);
  if (!n)
    throw_error<GraphError>({.op = "retain_grad", .arg = "the tensor", .given = describe(),
                             .wanted = "a recorded tensor", .what = "nothing was recorded", .loc = loc});
  if (n->is_leaf) return *this;
  NodeExtra& e = n->extras();
  if (std::find(e.retained.begin(), e.retained.end(), body_->out_index) == e.retained.end()) {
    e.retained.push_back(body_->out_index);
    e.retained_grads.emplace_back();
  }
  return *this;
}

std::uint64_t Tensor::register_hook(std::function<Tensor(const Tensor&)> hook, Loc loc) {
  Node* n = node_of(*this);
  if (!n || !hook)
    throw_error<GraphError>({.op = "register_hook", .arg = n ? "the hook" : "the tensor",
                             .given = n ? "an empty function" : describe(),
                             .wanted = n ? "a function" : "a tensor that requires a gradient", .what = "no hook set",
                             .loc = loc});
  static std::atomic<std::uint64_t> next_id{1};
  const std::uint64_t id = next_id.fetch_add(1);
  n->extras().hooks.push_back({id, std::move(hook), body_->out_index});
  return id;
}

void Tensor::remove_hook(std::uint64_t id) {
  Node* n = node_of(*this);
  if (n && n->extra) std::erase_if(n->extra->hooks, [&](const Hook& h) { return h.id == id; });
}

}  // namespace thalweg
