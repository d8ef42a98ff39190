// The engine: what grad() computes, what it refuses, hooks, in-place rules, and graphs of extreme shape.
#include <doctest/doctest.h>

#include <pthread.h>

#include <thalweg/thalweg.hpp>

#include <thalweg/autograd/graph/apply.hpp>

namespace tw = thalweg;
using tw::Tensor;

namespace {

Tensor leaf(std::initializer_list<double> v) {
  Tensor t = tw::from<double>(v);
  t.set_requires_grad();
  return t;
}

double at(const Tensor& t, std::int64_t i = 0) { return t.contiguous().data<double>()[i]; }

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const tw::Error& e) {
    return e.what();
  }
  return "no error";
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Runs f on a thread whose stack is 256 KiB.
void in_small_stack(void (*f)()) {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  REQUIRE(pthread_attr_setstacksize(&attr, 256 * 1024) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attr, [](void* p) -> void* {
            reinterpret_cast<void (*)()>(p)();
            return nullptr;
          }, reinterpret_cast<void*>(f)) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attr);
}

struct Counter : tw::ApplyHook {
  std::vector<std::string> names;
  void apply(const tw::OpDef& op, const Tensor* in, int n, const void* attrs, tw::Loc loc, Tensor* out) override {
    names.emplace_back(op.name);
    tw::apply_unhooked(op, in, n, attrs, loc, out);
  }
};

}  // namespace

TEST_CASE("a chain of a million nodes: backward and destruction in a 256 KiB stack") {
  static double gradient = 0;
  in_small_stack([] {
    Tensor x = tw::ones({1}, tw::DType::f64);
    x.set_requires_grad();
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y + x;
    y.sum().backward();
    gradient = x.grad().item();
  });
  CHECK(gradient == 1'000'001.0);
}

TEST_CASE("a diamond ladder of depth 64 runs each node once") {
  static double gradient = 0;
  in_small_stack([] {
    Tensor x = tw::ones({1}, tw::DType::f64);
    x.set_requires_grad();
    Tensor y = x;
    for (int i = 0; i < 64; ++i) y = y + y;
    y.sum().backward();
    gradient = x.grad().item();
  });
  CHECK(gradient == 0x1p64);
}

TEST_CASE("grad() computes only what is asked") {
  Tensor a = leaf({2}), b = leaf({3}), c = leaf({5});
  Tensor left = a * b;
  Tensor right = tw::exp(c) * c;
  Tensor y = (left + right).sum();
  Counter counter;
  std::vector<Tensor> g;
  {
    tw::thread_state.apply_hook = &counter;
    g = tw::grad(y, {a}, {.create_graph = true});
    tw::thread_state.apply_hook = nullptr;
  }
  CHECK(at(g[0]) == 3.0);
  // under create_graph every step is an op: the gradient of a needs one product, and nothing of exp or of b
  CHECK(std::count(counter.names.begin(), counter.names.end(), "mul") == 1);
  CHECK(std::count(counter.names.begin(), counter.names.end(), "exp") == 0);
  CHECK(!a.grad().defined());
}

TEST_CASE("grad() of an interior tensor, of a repeated input, of an unused one") {
  Tensor x = leaf({2}), other = leaf({1});
  Tensor h = x * x;
  Tensor y = (h * h).sum();
  std::vector<Tensor> g = tw::grad(y, {h, x, x}, {.retain_graph = true});
  CHECK(at(g[0]) == 8.0);
  CHECK(at(g[1]) == 32.0);
  CHECK(at(g[2]) == 32.0);
  CHECK_THROWS_AS(tw::grad(y, {other}, {.retain_graph = true}), tw::GraphError);
  CHECK(!tw::grad(y, {other}, {.allow_unused = true})[0].defined());
}

TEST_CASE("errors of backward name what is wrong and where") {
  Tensor x = leaf({1, 2, 3});
  CHECK(says(message([&] { (x * x).backward(); }), "one element"));
  CHECK(says(message([&] { tw::from<double>({1.0}).backward(); }), "nothing was recorded"));
  Tensor bad = tw::ones({2}, tw::DType::f64);
  CHECK(says(message([&] { (x * x).backward({.grad_output = &bad}); }), "wanted f64[3]"));
  Tensor y = tw::ones({2}, tw::DType::f64);
  CHECK(says(message([&] { (void)(x * y); }), "test_engine.cpp"));
  CHECK(says(message([&] { (void)(x * y); }), "mul: shapes do not broadcast"));
  Tensor i = tw::arange(3);
  CHECK(says(message([&] { i.set_requires_grad(); }), "only floating"));
}

TEST_CASE("NoGrad records nothing, EnableGrad inside it does, and an exception restores the mode") {
  Tensor x = leaf({1});
  {
    tw::NoGrad off;
    CHECK(!(x * 2.0).requires_grad());
    tw::EnableGrad on;
    CHECK((x * 2.0).requires_grad());
  }
  try {
    tw::NoGrad off;
    throw 1;
  } catch (int) {
  }
  CHECK(tw::grad_enabled());
}

TEST_CASE("hooks: replace, remove, misuse; leaf hooks see the total once") {
  Tensor x = leaf({3});
  int calls = 0;
  const std::uint64_t id = x.register_hook([&calls](const Tensor& g) {
    ++calls;
    return g * 10.0;
  });
  (x * 2.0 + x * 3.0).sum().backward();
  CHECK(calls == 1);
  CHECK(at(x.grad()) == 50.0);
  x.remove_hook(id);
  x.zero_grad();
  (x * 2.0).sum().backward();
  CHECK(calls == 1);
  CHECK(at(x.grad()) == 2.0);
  Tensor y = x * 2.0;
  y.register_hook([](const Tensor&) { return tw::ones({7}, tw::DType::f64); });
  CHECK(says(message([&] { y.sum().backward(); }), "a hook changed shape"));
}

TEST_CASE("in-place ops: recorded where the derivative allows it, refused where not") {
  Tensor x = leaf({2, 3});
  CHECK(says(message([&] { x.add_(1.0); }), "leaf"));
  Tensor h = x * 1.0;
  h.add_(tw::ones({2}, tw::DType::f64)).mul_(3.0);
  h.sum().backward();
  CHECK(at(x.grad(), 0) == 3.0);
  CHECK(at(h, 1) == 12.0);
  Tensor w = leaf({1, 1});
  Tensor k = x * 1.0;
  CHECK(says(message([&] { k.mul_(w); }), "the derivative needs the value"));
  Tensor base = tw::ones({4}, tw::DType::f64);
  Tensor part = base.reshape({2, 2});
  CHECK(says(message([&] { base.add_(leaf({1, 1, 1, 1})); }), "views share this memory"));
}

TEST_CASE("mixed dtypes: the gradient comes back in the input's dtype") {
  Tensor x = tw::from<float>({1.5F});
  x.set_requires_grad();
  Tensor w = leaf({2.0});
  Tensor y = x * w;
  CHECK(y.dtype() == tw::DType::f64);
  y.sum().backward();
  CHECK(x.grad().dtype() == tw::DType::f32);
  CHECK(x.grad().item() == 2.0);
  CHECK((x * 2).dtype() == tw::DType::f32);
  CHECK((x * tw::arange(1)).dtype() == tw::DType::f32);
}

TEST_CASE("broadcast gradients are summed on the edge") {
  Tensor b = leaf({1, 2});
  Tensor x = tw::ones({3, 2}, tw::DType::f64);
  (x * b).sum().backward();
  CHECK(at(b.grad(), 0) == 3.0);
  Tensor s = tw::scalar(2.0, tw::DType::f64);
  s.set_requires_grad();
  (x * s).sum().backward();
  CHECK(s.grad().dim() == 0);
  CHECK(s.grad().item() == 6.0);
}

TEST_CASE("retain_grad keeps an interior gradient; detach cuts") {
  Tensor x = leaf({2});
  Tensor h = x * x;
  h.retain_grad();
  (h * 3.0).sum().backward();
  CHECK(at(h.grad()) == 3.0);
  CHECK(!h.detach().requires_grad());
  CHECK(h.detach().get()->storage == h.get()->storage);
}

TEST_CASE("a parameter freed before backward, and a graph that outlives it") {
  Tensor y;
  {
    Tensor p = leaf({4});
    y = (p * p).sum();
  }
  CHECK_NOTHROW(y.backward());
}

TEST_CASE("an op of more inputs than a mask has bits") {
  std::vector<Tensor> parts;
  for (int i = 0; i < 80; ++i) parts.push_back(leaf({static_cast<double>(i)}));
  Tensor y = tw::cat(parts, 0);
  (y * y).sum().backward();
  for (int i = 0; i < 80; ++i) CHECK(at(parts[static_cast<std::size_t>(i)].grad()) == 2.0 * i);
  const Tensor z = (tw::cat(parts, 0) * 3.0).sum();
  CHECK(at(tw::grad(z, parts[70])) == 3.0);
}

TEST_CASE("an error inside a hook names the hook's line") {
  Tensor x = leaf({1, 2});
  Tensor y = x * 2.0;
  const int line = __LINE__ + 1;
  y.register_hook([](const Tensor& g) { return g * tw::ones({3}, tw::DType::f64); });
  const std::string text = message([&] { y.sum().backward(); });
  CHECK(says(text, "test_engine.cpp:" + std::to_string(line)));
}

TEST_CASE("a grad() inside a hook does not disturb the marks of the grad() around it") {
  Tensor x = leaf({1});
  Tensor h = x * 2.0, a = h * 3.0, b = x * 10.0;
  Tensor sh = h.sum();
  a.register_hook([&](const Tensor&) {
    CHECK(at(tw::grad(sh, x, {.retain_graph = true})) == 2.0);
    return Tensor();
  });
  CHECK(at(tw::grad(b.sum() + a.sum(), x, {.retain_graph = true})) == 16.0);
}

TEST_CASE("a hook that writes to its argument is refused, and no leaf has changed") {
  Tensor a = leaf({1, 2, 3}), b = leaf({4, 5, 6});
  Tensor c = (a + b) * 3.0;
  a.register_hook([](const Tensor& g) {
    Tensor h = g;
    h.mul_(2.0);
    return h;
  });
  CHECK(says(message([&] { c.sum().backward(); }), "a hook wrote to its argument"));
  CHECK(!b.grad().defined());
}

TEST_CASE("the results of grad() share memory with nothing") {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  std::vector<Tensor> g = tw::grad(((a + b) * 3.0).sum(), {a, b, a});
  g[0].mul_(10.0);
  CHECK(at(g[1]) == 3.0);
  CHECK(at(g[2]) == 3.0);
  Tensor seed = tw::ones({2}, tw::DType::f64);
  Tensor r = tw::grad(a + 0.0, a, {.grad_outputs = {seed}});
  r.mul_(5.0);
  CHECK(at(seed) == 1.0);
}

TEST_CASE("a leaf met while another run holds it stays one leaf when it becomes free") {
  // The other run is another thread's backward that waits in a hook until this thread has met the leaf.
  Tensor w = leaf({2});
  int calls = 0;
  w.register_hook([&calls](const Tensor&) {
    ++calls;
    return Tensor();
  });
  Tensor h = w * 3.0;
  Tensor y = (h * 1.0 + w * 4.0).sum();
  tw::Node& node = *tw::node_of(w);
  h.register_hook([&node](const Tensor&) {
    node.run.store(0);  // what the other run's end does, between our two deliveries
    return Tensor();
  });
  node.run.store(~std::uint64_t{0});  // what the other run's claim does
  y.backward();
  CHECK(calls == 1);
  CHECK(at(w.grad()) == 7.0);
}

TEST_CASE("writing to a tensor whose elements share a place is refused") {
  Tensor e = tw::expand(tw::zeros({1}), {3});
  CHECK(says(message([&] { e.add_(tw::ones({3})); }), "share one place"));
}

TEST_CASE("the gradient kept by retain_grad() can be cleared") {
  Tensor x = leaf({2});
  Tensor y = x * 3.0;
  y.retain_grad();
  y.sum().backward({.retain_graph = true});
  y.zero_grad();
  CHECK(!y.grad().defined());
  y.sum().backward();
  CHECK(at(y.grad()) == 1.0);
}
