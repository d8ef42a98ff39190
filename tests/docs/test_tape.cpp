// The code of docs/tape.md, compiled and run. Every ```cpp block of that page is cut from here, and the table
// it prints is compared with what dump() says; after a change here, the page has to follow.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include <thalweg/thalweg.hpp>

#include <thalweg/autograd/graph/dump.hpp>
#include <thalweg/autograd/graph/node.hpp>

using namespace thalweg;  // NOLINT: the page reads better

namespace {

std::string page() {
  std::ifstream in(THALWEG_SOURCE_DIR "/docs/tape.md");
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("tape.md: recording, and the table") {
  Tensor x = from<double>({0.5, -1.0});
  x.set_requires_grad();
  Tensor k = from<double>({2.0, 3.0});

  Tensor p = x * k;
  Tensor y = tanh(p);
  Tensor loss = y.sum();

  std::string table = graph::dump(loss, {{"x", x}, {"k", k}});
  CAPTURE(table);
  CHECK(page().find("```text\n" + table + "```") != std::string::npos);
}

TEST_CASE("tape.md: one node") {
  Tensor x = from<double>({0.5, -1.0}).set_requires_grad();
  Tensor k = from<double>({2.0, 3.0});
  Tensor p = x * k;

  const Node& mul = *node_of(p);
  CHECK(std::string(mul.op->name) == "mul");
  CHECK(mul.edges()[0].node == node_of(x));  // towards the leaf
  CHECK(mul.edges()[1].node == nullptr);     // k wants no gradient
  CHECK(mul.n_saved == 1);                   // d(x k)/dx = k, so only k is kept
  CHECK(mul.saved()[0].storage == k.get()->storage);
  CHECK(mul.saved_bytes() == 16);

  {
    NoGrad off;
    Tensor q = x * k;
    CHECK(node_of(q) == nullptr);
  }
}

TEST_CASE("tape.md: references run one way") {
  std::int64_t before = live_nodes();
  {
    Tensor x = from<double>({0.5, -1.0}).set_requires_grad();
    Tensor y = x;
    for (int i = 0; i < 1000000; ++i) y = -y;
    CHECK(live_nodes() == before + 1000001);
  }
  CHECK(live_nodes() == before);
}

TEST_CASE("tape.md: a snapshot with a version") {
  Tensor x = from<double>({0.5, -1.0}).set_requires_grad();
  Tensor k = from<double>({2.0, 3.0});
  Tensor loss = (x * k).sum();

  k.mutable_data<double>()[0] = 7.0;
  CHECK_THROWS_AS(loss.backward(), VersionError);
  CHECK(!x.grad().defined());
}

TEST_CASE("tape.md: rank") {
  Tensor x = from<double>({0.5, -1.0}).set_requires_grad();
  Tensor a = x * 2.0;
  Tensor b;
  std::thread([&] { b = exp(a); }).join();
  Tensor c = a * b;

  CHECK(node_of(x)->rank == 0);
  CHECK(node_of(b)->rank > node_of(a)->rank);  // another thread, another counter, still greater
  CHECK(node_of(c)->rank > node_of(b)->rank);
}

TEST_CASE("tape.md: the heap and delivery") {
  Tensor x = from<double>({0.5}).set_requires_grad();
  Tensor a = x * 2.0;
  Tensor b = tanh(a);
  Tensor c = exp(a);
  Tensor d = b + c;

  std::string order;
  const auto say = [&order](const char* name) {
    return [&order, name](const Tensor&) {
      order += name;
      return Tensor();
    };
  };
  a.register_hook(say("a"));
  b.register_hook(say("b"));
  c.register_hook(say("c"));
  d.backward();
  CHECK(order == "cba");  // the reverse of the recording; a once, with both contributions
}

TEST_CASE("tape.md: fit") {
  Tensor rows = ones({3, 2}, DType::f64);
  Tensor bias = from<double>({10.0, 20.0}).set_requires_grad();

  (rows + bias).sum().backward();
  CHECK(bias.grad().shape() == Dims{2});
  CHECK(bias.grad().data<double>()[0] == 3.0);
}

TEST_CASE("tape.md: commit") {
  Tensor x = from<double>({2.0}).set_requires_grad();
  Tensor w = from<double>({3.0}).set_requires_grad();
  (x * w).sum().backward();

  Tensor p = x * w;
  w.register_hook([](const Tensor&) -> Tensor { throw std::runtime_error("stop"); });
  CHECK_THROWS(p.sum().backward());
  CHECK(x.grad().item() == 3.0);  // still the first pass alone
  CHECK(w.grad().item() == 2.0);
}

TEST_CASE("tape.md: only what is asked for") {
  Tensor x = from<double>({2.0}).set_requires_grad();
  Tensor w = from<double>({3.0}).set_requires_grad();
  Tensor y = x * x * w;

  Tensor gx = grad(y, x, {.create_graph = true});  // 2 x w, itself recorded
  Tensor gxw = grad(gx, w);                        // 2 x
  CHECK(gx.item() == 12.0);
  CHECK(gxw.item() == 4.0);
  CHECK(!w.grad().defined());
}

TEST_CASE("tape.md: release") {
  Tensor x = from<double>({0.5, -1.0}).set_requires_grad();
  Tensor loss = tanh(x).sum();
  CHECK(graph::View(loss).saved_bytes() == 16);

  loss.backward();
  CHECK(graph::View(loss).saved_bytes() == 0);
  CHECK_THROWS_AS(loss.backward(), GraphError);
}
