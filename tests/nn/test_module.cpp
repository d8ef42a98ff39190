// What visit() gives: names, tied and undefined tensors, buffers, state, copies, modes, printing.
// Depends on nn and doctest.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <thalweg/nn/nn.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

std::vector<std::string> names(const nn::NamedTensors& tensors) {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : tensors) list.push_back(name);
  return list;
}

struct Norm {
  Tensor scale = ones({3}).set_requires_grad();
  Tensor mean = zeros({3});
  Tensor absent;
  void visit(auto& f) {
    f("scale", scale);
    f("mean", nn::buffer(mean));
    f("absent", absent);
  }
};

/// A user's own model: a struct without a base, with a list, an optional part and tied weights.
struct Net {
  Generator gen{5};
  nn::Linear first{{.in = 3, .out = 3, .generator = &gen}};
  std::vector<nn::Linear> blocks{2, nn::Linear({.in = 3, .out = 3, .bias = false, .generator = &gen})};
  std::array<nn::Dropout, 2> drops{nn::Dropout(0.5), nn::Dropout(0.25)};
  std::optional<Norm> norm{Norm{}};
  std::optional<Norm> none;
  nn::Sequential head{nn::Linear({.in = 3, .out = 2, .generator = &gen}), nn::Relu{}};

  Tensor operator()(Arg x) {
    Tensor y = first(x);
    for (std::size_t i = 0; i < blocks.size(); ++i) y = drops[i](blocks[i](y));
    return head(y);
  }
  void visit(auto& f) {
    f("first", first);
    f("blocks", blocks);
    f("drops", drops);
    f("norm", norm);
    f("none", none);
    f("head", head);
  }
};

}  // namespace

TEST_CASE("nn: names come from visit, in its order, tied tensors once") {
  Net net;  // both blocks are copies of one Linear, so they share its weight
  CHECK(names(nn::named_parameters(net)) == std::vector<std::string>{"first.weight", "first.bias",
                                                                     "blocks.0.weight", "norm.scale",
                                                                     "head.0.weight", "head.0.bias"});
  CHECK(names(nn::named_buffers(net)) == std::vector<std::string>{"norm.mean"});
  CHECK(names(nn::state_dict(net)) ==
        std::vector<std::string>{"first.weight", "first.bias", "blocks.0.weight", "blocks.1.weight",
                                 "norm.scale", "norm.mean", "head.0.weight", "head.0.bias"});
  CHECK(nn::count(net) == 12 + 9 + 3 + 8);
  CHECK(nn::parameters(net).size() == 6);
  const nn::NamedGenerators generators = nn::named_generators(net);
  REQUIRE(generators.size() == 2);
  CHECK(generators[1].first == "drops.1.generator");
  CHECK(generators[1].second == &net.drops[1].generator);
}

TEST_CASE("nn: train and eval reach every part that has a mode") {
  Net net;
  nn::Sequential deep{net, nn::Sequential{nn::Dropout(0.5)}};
  nn::eval(deep);
  CHECK_FALSE(deep.layers[0].get_if<Net>()->drops[1].training);
  nn::Dropout& inner = *deep.layers[1].get_if<nn::Sequential>()->layers[0].get_if<nn::Dropout>();
  CHECK_FALSE(inner.training);
  CHECK(net.drops[0].training);  // the copy was switched, not the original
  nn::train(deep);
  CHECK(inner.training);
}

TEST_CASE("nn: a plain copy shares tensors, clone shares nothing and keeps ties and wishes for gradients") {
  Net net;
  net.first.bias.set_requires_grad(false);
  Net copy = net;
  CHECK(copy.first.weight.get() == net.first.weight.get());
  Net other = nn::clone(net);
  CHECK(other.first.weight.get() != net.first.weight.get());
  CHECK(other.first.weight.requires_grad());
  CHECK_FALSE(other.first.bias.requires_grad());
  CHECK(other.blocks[0].weight.get() == other.blocks[1].weight.get());
  CHECK(other.norm->mean.data<float>() != net.norm->mean.data<float>());
  nn::load_state_dict(other, nn::state_dict(nn::clone(Net())));
  CHECK(nn::state_dict(other).size() == nn::state_dict(net).size());
}

TEST_CASE("nn: load_state_dict copies everything or nothing, and lists every problem") {
  Generator a(1), b(2);
  nn::Linear from({.in = 3, .out = 2, .generator = &a}), to({.in = 3, .out = 2, .generator = &b});
  const float before = to.weight.data<float>()[0];
  REQUIRE(before != from.weight.data<float>()[0]);

  nn::NamedTensors bad = nn::state_dict(from);
  bad[1].second = zeros({3});
  bad.emplace_back("extra", zeros({1}));
  std::string text;
  try {
    nn::load_state_dict(to, bad);
  } catch (const ValueError& e) {
    text = e.what();
  }
  CHECK(text.find("'bias' is f32[3], wanted f32[2]") != std::string::npos);
  CHECK(text.find("'extra' is not in the module") != std::string::npos);
  CHECK(to.weight.data<float>()[0] == before);
  CHECK_THROWS_AS(nn::load_state_dict(to, {bad[0]}), ValueError);
  CHECK_THROWS_AS(nn::load_state_dict(to, {bad[0], bad[0]}, {.strict = false}), ValueError);
  CHECK(to.weight.data<float>()[0] == before);

  nn::load_state_dict(to, {bad[0], bad[2]}, {.strict = false});
  CHECK(to.weight.data<float>()[0] == from.weight.data<float>()[0]);
  CHECK(to.weight.requires_grad());
  CHECK(to.weight.get() != from.weight.get());
}

TEST_CASE("nn: zero_grad and set_requires_grad") {
  Net net;
  nn::eval(net);
  net(ones({2, 3})).sum().backward();
  CHECK(net.first.weight.grad().defined());
  nn::zero_grad(net);
  CHECK_FALSE(net.first.weight.grad().defined());
  nn::set_requires_grad(net, false);
  CHECK_FALSE(net(ones({2, 3})).requires_grad());
}

TEST_CASE("nn: describe prints a tree") {
  nn::Sequential model(nn::Linear({.in = 4, .out = 3, .activation = Activation::relu}), nn::Dropout(0.25),
                       nn::Sequential(nn::Flatten{}, nn::Tanh{}), [](Arg x) { return relu(x); });
  CHECK(nn::describe(model) ==
        "Sequential\n  0: Linear(4 -> 3, relu)\n  1: Dropout(0.25)\n  2: Sequential\n    0: Flatten\n    1: "
        "Tanh\n"
        "  3: lambda\n");
  CHECK(nn::describe(Net()).starts_with("Net\n  first: Linear(3 -> 3)\n  0: Linear(3 -> 3, no bias)"));
}

namespace {

/// A layer behind a pointer, reached twice, whose weight a third layer has too.
struct Shared {
  std::shared_ptr<nn::Linear> a = std::make_shared<nn::Linear>(nn::LinearOptions{.in = 2, .out = 2});
  std::shared_ptr<nn::Linear> b = a;
  nn::Linear tied = *a;
  Tensor operator()(Arg x) { return tied((*b)((*a)(x))); }
  void visit(auto& f) {
    f("a", a);
    f("b", b);
    f("tied", tied);
  }
};

struct Pair {
  Tensor a = from({1.0, 2.0}), b = from({3.0, 4.0});
  void visit(auto& f) {
    f("a", a);
    f("b", b);
  }
};

struct Borrowing {
  nn::Linear* layer;
  void visit(auto& f) { f("layer", layer); }
};

}  // namespace

TEST_CASE("nn: clone copies what stands behind a shared pointer, once, and leaves the original alone") {
  const Shared model;
  const TensorBody* weight = model.a->weight.get();
  const Shared copy = nn::clone(model);
  CHECK(model.a->weight.get() == weight);
  CHECK(copy.a.get() != model.a.get());
  CHECK(copy.a.get() == copy.b.get());
  CHECK(copy.a->weight.get() != weight);
  CHECK(copy.a->weight.get() == copy.tied.weight.get());
  CHECK(copy.a->weight.requires_grad());
  CHECK(nn::count(copy) == nn::count(model));
  nn::Linear layer({.in = 2, .out = 2});
  CHECK_THROWS_WITH_AS(nn::clone(Borrowing{&layer}), doctest::Contains("'layer'"), ValueError);
}

TEST_CASE("nn: load_state_dict takes the module's own tensors under other names") {
  Pair pair;
  nn::load_state_dict(pair, {{"a", pair.b}, {"b", pair.a}});
  CHECK(pair.a.data<double>()[0] == 3);
  CHECK(pair.b.data<double>()[0] == 1);
}

TEST_CASE("nn: load_state_dict reports different values for one tensor under two names") {
  Pair tied;
  tied.b = tied.a;
  CHECK_THROWS_WITH_AS(nn::load_state_dict(tied, {{"a", from({5.0, 6.0})}, {"b", from({5.0, 7.0})}}),
                       doctest::Contains("'a' and 'b'"), ValueError);
  CHECK(tied.a.data<double>()[0] == 1);
  nn::load_state_dict(tied, {{"a", from({5.0, 6.0})}, {"b", from({5.0, 6.0})}});
  CHECK(tied.b.data<double>()[1] == 6);
}
