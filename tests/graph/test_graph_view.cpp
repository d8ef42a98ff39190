// The lens: View's nodes, edges and answers, the text dump and the drawing, on tapes small enough to know by
// heart.
#include <doctest/doctest.h>

#include <pthread.h>

#include <algorithm>
#include <string>

#include <thalweg/thalweg.hpp>

#include <thalweg/autograd/graph/dot.hpp>
#include <thalweg/autograd/graph/dump.hpp>
#include <thalweg/autograd/graph/graph_view.hpp>
#include <thalweg/autograd/graph/node.hpp>

namespace tw = thalweg;
using tw::Tensor;
using tw::graph::View;

namespace {

Tensor leaf(std::initializer_list<double> v) {
  Tensor t = tw::from<double>(v);
  t.set_requires_grad();
  return t;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

/// A diamond: y = a b; z = y c; w = tanh(y); loss = sum(z w), and a branch that loss does not use.
struct Diamond {
  Tensor a = leaf({1, 2}), b = leaf({3, 4}), c = leaf({5, 6});
  Tensor y = a * b;
  Tensor z = y * c;
  Tensor w = tw::tanh(y);
  Tensor side = tw::exp(y);
  Tensor loss = (z * w).sum();
};

}  // namespace

TEST_CASE("a view holds what backward could visit, leaves first, then by rank") {
  Diamond d;
  const View view(d.loss, {{"a", d.a}, {"b", d.b}, {"c", d.c}, {"loss", d.loss}});
  std::vector<std::string> names;
  for (const auto& n : view.nodes()) names.push_back(n.leaf ? n.name : n.op);
  CHECK(names == std::vector<std::string>{"a", "b", "c", "mul", "mul", "tanh", "mul", "sum"});
  CHECK(view.edges().size() == 8);
  CHECK(!view.find(d.side));
  const auto& y = view.nodes()[*view.find(d.y)];
  CHECK(y.op == "mul");
  CHECK(y.n_in == 2);
  CHECK(y.outputs.at(0).dtype == tw::DType::f64);
  CHECK(y.outputs.at(0).shape == tw::Dims{2});
  CHECK(tw::graph::line_text(y.loc).starts_with("test_graph_view.cpp:"));
  CHECK(!y.root);
  CHECK(view.nodes().back().root);
  CHECK(view.nodes().back().name == "loss");
  CHECK(view.nodes()[0].rank == 0);
  CHECK(view.nodes()[3].rank < view.nodes()[4].rank);
  const auto& edge = view.edges()[0];
  CHECK(edge.from == 0);
  CHECK(edge.to == 3);
  CHECK(edge.argument == 0);
}

TEST_CASE("several roots share one view") {
  Diamond d;
  const Tensor roots[] = {d.loss, d.side};
  const View view(roots);
  CHECK(view.nodes().size() == 9);
  REQUIRE(view.find(d.side));
  CHECK(view.nodes()[*view.find(d.side)].root);
  CHECK(std::count_if(view.nodes().begin(), view.nodes().end(), [](const auto& n) { return n.root; }) == 2);
}

TEST_CASE("topological order puts producers before users") {
  Diamond d;
  const View view(d.loss);
  const std::vector<std::size_t> order = view.topological_order();
  CHECK(order.size() == view.nodes().size());
  std::vector<std::size_t> place(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  for (const auto& e : view.edges()) CHECK(place[e.from] < place[e.to]);
}

TEST_CASE("reachability follows the values, not the other way round") {
  Diamond d;
  const View view(d.loss);
  const auto at = [&](const Tensor& t) { return view.find(t).value(); };
  CHECK(view.reachable(at(d.a), at(d.loss)));
  CHECK(view.reachable(at(d.y), at(d.w)));
  CHECK(view.reachable(at(d.w), at(d.w)));
  CHECK(!view.reachable(at(d.c), at(d.w)));
  CHECK(!view.reachable(at(d.loss), at(d.a)));
  CHECK(!view.reachable(at(d.z), at(d.w)));
  CHECK_THROWS_AS(static_cast<void>(view.reachable(0, view.nodes().size())), tw::IndexError);
}

TEST_CASE("saved values: which, how large, shared memory counted once, released after backward") {
  Diamond d;
  {
    const View view(d.loss, {{"bias", d.c}});
    const auto& y = view.nodes()[*view.find(d.y)];
    CHECK(y.saved_bytes == 32);
    REQUIRE(y.saved.size() == 2);
    CHECK(y.saved[0].what == "a");
    CHECK(y.saved[1].bytes == 16);
    CHECK(view.nodes()[*view.find(d.z)].saved[0].what == "mul's y");
    CHECK(view.nodes()[*view.find(d.z)].saved[1].what == "bias");
    CHECK(view.nodes()[*view.find(d.z)].saved[1].named);
    CHECK(!view.nodes()[*view.find(d.z)].saved[1].constant);
    CHECK(view.nodes()[*view.find(d.w)].saved[0].what == "y");
    // a, b, y, c, w and z are saved, z w is not; w by tanh and by mul
    CHECK(view.saved_bytes() == 6 * 16);
  }
  d.loss.backward();
  const View after(d.loss);
  CHECK(after.saved_bytes() == 0);
  CHECK(after.nodes()[*after.find(d.y)].spent);
  CHECK(after.nodes()[*after.find(d.y)].saved_bytes == 0);
}

TEST_CASE("a view keeps what it shows alive, and lets go of it") {
  const std::int64_t before = tw::live_nodes();
  {
    auto d = std::make_unique<Diamond>();
    const View view(d->loss);
    d.reset();
    CHECK(tw::live_nodes() == before + 8);
    CHECK(view.broken_invariants().empty());
  }
  CHECK(tw::live_nodes() == before);
}

TEST_CASE("a sound graph has no complaints; a wrong rank and a cycle are named") {
  Diamond d;
  CHECK(View(d.loss).broken_invariants().empty());

  tw::Node* y = tw::node_of(d.y);
  const std::uint64_t rank = y->rank;
  y->rank = tw::node_of(d.w)->rank;
  const std::vector<std::string> wrong = View(d.loss).broken_invariants();
  y->rank = rank;
  REQUIRE(wrong.size() == 2);  // both z and w use y; both now stand too low
  CHECK(wrong[0].find("mul") != std::string::npos);
  CHECK(wrong[0].find("test_graph_view.cpp:") != std::string::npos);

  tw::Node* made = y->edges()[0].node;  // for a moment y's first input is w, which is made from y
  y->edges()[0].node = tw::node_of(d.w);
  const View cyclic(d.loss);
  y->edges()[0].node = made;
  CHECK_THROWS_AS(static_cast<void>(cyclic.topological_order()), tw::GraphError);
  const std::vector<std::string> cycle = cyclic.broken_invariants();
  CHECK(std::any_of(cycle.begin(), cycle.end(),
                    [](const auto& s) { return s.find("cycle") != std::string::npos; }));

  tw::Node* a = tw::node_of(d.a);
  a->rank = 1;
  CHECK(View(d.loss).broken_invariants().size() == 1);
  a->rank = 0;
  CHECK(View(d.loss).broken_invariants().empty());
}

TEST_CASE("no history, no view") {
  CHECK_THROWS_AS(View(tw::ones({2})), tw::GraphError);
  CHECK_THROWS_AS(View(Tensor{}), tw::GraphError);
  CHECK_THROWS_AS(View(std::span<const Tensor>()), tw::GraphError);
  CHECK(View(leaf({1})).nodes().size() == 1);  // a leaf is its own graph
}

TEST_CASE("a chain of 100,000 nodes is viewed, sorted, dumped and drawn in a 256 KiB stack") {
  const auto work = [](void*) -> void* {
    Tensor x = leaf({1});
    Tensor y = x;
    for (int i = 0; i < 100000; ++i) y = -y;
    const View view(y);
    CHECK(view.topological_order().size() == 100001);
    CHECK(view.reachable(0, 100000));
    CHECK(view.broken_invariants().empty());
    CHECK(tw::graph::dump(view).size() > 1000000);
    CHECK(tw::graph::to_dot(view).size() > 1000000);
    return nullptr;
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, work, nullptr) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

TEST_CASE("dump is one line per node, ranks counted from the first") {
  const Tensor x = leaf({0.5, 0.25});
  const Tensor k = tw::from<double>({2, 3});
  const Tensor y = tw::tanh(x * k);
  const std::string text = tw::graph::dump(y.sum(), {{"x", x}, {"k", k}});
  CAPTURE(text);
  CHECK(text.starts_with("node  rank  op    inputs  output  saved"));
  CHECK(text.find("%1    1     mul   x, k    f64[2]  k (16 B)") != std::string::npos);
  CHECK(count(text, "\n") == 5);
  CHECK(text.find("\nx     0     leaf          f64[2]") != std::string::npos);
  CHECK(text.find("\n%2    2     tanh  %1      f64[2]  y (16 B)") != std::string::npos);
  CHECK(text.find("\n%3    3     sum   %2      f64[]") != std::string::npos);
  CHECK(text.find("test_graph_view.cpp:") != std::string::npos);
  CHECK(text.find(" \n") == std::string::npos);
  const Tensor z = k * x;  // the first argument wants no gradient
  CHECK(tw::graph::dump(z).find("-, x1") != std::string::npos);
}

TEST_CASE("to_dot: one statement per node and edge, three kinds of node, options obeyed") {
  Diamond d;
  const View view(d.loss, {{"a", d.a}});
  const std::string dot = tw::graph::to_dot(view, {.title = "a diamond"});
  CHECK(count(dot, "\n  n") - count(dot, "\n  node") == view.nodes().size() + view.edges().size());
  CHECK(count(dot, " -> ") == view.edges().size());
  CHECK(count(dot, "peripheries=2") == 1);
  CHECK(count(dot, "filled,rounded") == 5);
  CHECK(count(dot, "fillcolor=\"#dce9f7\"") == 3);  // leaves
  CHECK(count(dot, "fillcolor=\"#dff0d8\"") == 1);  // the result
  CHECK(dot.find("a diamond") != std::string::npos);
  CHECK(dot.find("rankdir=TB") != std::string::npos);
  CHECK(dot.find("f64[2]") != std::string::npos);
  CHECK(dot.find("saves a, b: 32 B") != std::string::npos);
  CHECK(dot.find("test_graph_view.cpp:") != std::string::npos);
  const std::string bare = tw::graph::to_dot(view, {.left_to_right = true, .saved = false, .lines = false});
  CHECK(bare.find("rankdir=LR") != std::string::npos);
  CHECK(bare.find("saves") == std::string::npos);
  CHECK(bare.find("test_graph_view.cpp") == std::string::npos);
}

TEST_CASE("to_dot draws data that an op saved beside the tape, once each") {
  const Tensor x = leaf({1, 2}), data = tw::from<double>({3, 4});
  const Tensor y = (x * data * data).sum();
  const std::string dot = tw::graph::to_dot(View(y, {{"data", data}}));
  CHECK(count(dot, "<i>data</i>") == 1);
  CHECK(count(dot, "[style=dashed]") == 2);
  CHECK(tw::graph::to_dot(View(y)).find("dashed") == std::string::npos);
}

TEST_CASE("to_dot escapes whatever a name holds") {
  Diamond d;
  const std::string dot = tw::graph::to_dot(View(d.loss, {{"<b>\"&\n", d.a}}), {.title = "x < y"});
  CHECK(dot.find("&lt;b&gt;&quot;&amp; ") != std::string::npos);
  CHECK(dot.find("x &lt; y") != std::string::npos);
}

TEST_CASE("bytes read well") {
  using tw::graph::bytes_text;
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.0 KiB");
  CHECK(bytes_text(6272) == "6.1 KiB");
  CHECK(bytes_text((1 << 20) - 1) == "1.0 MiB");
  CHECK(bytes_text(5LL << 40) == "5.0 TiB");
}
