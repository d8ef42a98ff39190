// io/state_file: state named by visit() goes into a file and comes back whole, or not at all.
#include <cmath>
#include <limits>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/io/state_file.hpp>
#include <thalweg/optim/ema.hpp>

#include "files.hpp"

using namespace thalweg;
using namespace thalweg::test;

namespace {

/// A bit of everything, with a list whose length is part of the state.
struct Thing {
  std::int64_t count = 3;
  std::uint64_t seed = 0xFFFFFFFFFFFFFFF1u;
  bool on = true;
  double rate = 0.1;
  std::string name = "a\nb";
  std::vector<double> curve{1, std::numeric_limits<double>::infinity(), -0.0};
  Tensor weight = from({1.f, 2.f, 3.f, 4.f}, {2, 2});
  Tensor later{};
  std::vector<Tensor> best{};

  void visit(io::StateVisitor& f) {
    f("count", count);
    f("seed", seed);
    f("on", on);
    f("rate", rate);
    f("name", name);
    f("curve", curve);
    f("weight", weight);
    f("later", later);
    f.scope("best", [&](io::StateVisitor& g) {
      auto n = static_cast<std::int64_t>(best.size());
      g("size", n);
      best.resize(static_cast<std::size_t>(n));
      for (std::size_t i = 0; i < best.size(); ++i) g(std::to_string(i), best[i]);
    });
  }
};

Thing blank() {
  Thing t{.count = 0, .seed = 0, .on = false, .rate = 0, .name = "", .curve = {}};
  t.weight = zeros({2, 2});
  return t;
}

auto visit_of(Thing& t) {
  return [&t](io::StateVisitor& f) { t.visit(f); };
}

}  // namespace

TEST_CASE("state: numbers, texts, tensors and lists of unknown length come back as they were") {
  TempDir dir;
  Thing a;
  a.best = {ones({2}), full({3}, 2.0)};
  io::save_state(dir / "f", visit_of(a), {{"about", "this"}});
  CHECK(io::load_checked(dir / "f").metadata.at("about") == "this");
  Thing b = blank();
  const Tensor handle = b.weight;
  io::load_state(dir / "f", visit_of(b));
  CHECK(b.count == 3);
  CHECK(b.seed == 0xFFFFFFFFFFFFFFF1u);
  CHECK(b.on);
  CHECK(b.rate == 0.1);
  CHECK(b.name == "a\nb");
  REQUIRE(b.curve.size() == 3);
  CHECK(b.curve[1] == std::numeric_limits<double>::infinity());
  CHECK(std::signbit(b.curve[2]));
  CHECK(handle.data<float>()[3] == 4.f);  // written in place: whoever shares the tensor sees it
  CHECK_FALSE(b.later.defined());
  REQUIRE(b.best.size() == 2);
  CHECK(b.best[1].data<float>()[2] == 2.f);

  // The other way round: what is defined becomes undefined, the list becomes shorter.
  Thing c;
  c.later = ones({5});
  c.best = {ones({2}), ones({3}), ones({1})};
  io::load_state(dir / "f", visit_of(c));
  CHECK_FALSE(c.later.defined());
  CHECK(c.best.size() == 2);
}

TEST_CASE("state: a leaf that wants a gradient stays one, its version says that it was written") {
  TempDir dir;
  Tensor w = ones({3});
  w.set_requires_grad();
  const auto visit = [&](io::StateVisitor& f) { f("w", w); };
  io::save_state(dir / "f", visit);
  const std::uint32_t version = w.get()->storage->version();
  w.mutable_data<float>()[1] = 9;
  io::load_state(dir / "f", visit);
  CHECK(w.requires_grad());
  CHECK(w.data<float>()[1] == 1.f);
  CHECK(w.get()->storage->version() == version + 2);
}

TEST_CASE(
    "state: all that is missing, extra or of another shape stands in one error, and nothing is changed") {
  TempDir dir;
  Tensor w = ones({2, 3}), v = ones({4});
  std::int64_t n = 5;
  std::string text = "t";
  std::vector<double> list{1};
  double only_saved = 1;
  io::save_state(dir / "f", [&](io::StateVisitor& f) {
    f("first", n);
    f("w", w);
    f("v", v);
    f("n", n);
    f("text", text);
    f("list", list);
    f("gone", only_saved);
    f("words", text);
  });
  Tensor w2 = zeros({3, 2}), v2 = zeros({4}, DType::f64), extra = zeros({1});
  std::int64_t first = 1;
  double n2 = 0;
  std::vector<double> text2;
  std::string list2 = "old";
  const auto e = thrown<ValueError>([&] {
    io::load_state(dir / "f", [&](io::StateVisitor& f) {
      f("first", first);
      f("w", w2);
      f("v", v2);
      f("n", n2);
      f("text", text2);
      f("list", list2);
      f("new", extra);
    });
  });
  for (const char* part :
       {"'w' is f32[2,3], wanted f32[3,2]", "'v' is f32[4], wanted f64[4]", "'n' is i64[], wanted a number",
        "'text' is a text, wanted numbers", "'list' is f64[1], wanted a text", "'new' (f32[1]) is missing",
        "'gone' is not wanted", "'words' is not wanted", "nothing was loaded", "test_state_file.cpp"})
    CHECK_MESSAGE(contains(e.what, part), e.what << " lacks " << part);
  CHECK(e.arg == dir / "f");
  CHECK(first == 1);
  CHECK(w2.data<float>()[0] == 0.f);
}

TEST_CASE("state: after a failed load even a list that had changed its length is as it was") {
  TempDir dir;
  Thing a;
  a.best = {ones({2})};
  io::save_state(dir / "f", [&](io::StateVisitor& f) {
    a.visit(f);
    f("unknown", a.count);
  });
  Thing b = blank();
  b.best = {full({1}, 5.0), full({1}, 6.0), full({1}, 7.0)};
  CHECK_THROWS_AS(io::load_state(dir / "f", visit_of(b)), ValueError);
  CHECK(b.count == 0);
  CHECK(b.name.empty());
  CHECK(b.curve.empty());
  REQUIRE(b.best.size() == 3);
  CHECK(b.best[2].data<float>()[0] == 7.f);
  // and where visit() itself throws
  bool armed = false;
  CHECK_THROWS_AS(io::load_state(dir / "f",
                                 [&](io::StateVisitor& f) {
                                   b.visit(f);
                                   if (armed) throw std::runtime_error("no");
                                   armed = b.count == 0;
                                   f("unknown", b.count);
                                 }),
                  std::runtime_error);
  CHECK(b.best.size() == 3);
}

TEST_CASE("state: a name visited twice is refused before anything is written") {
  TempDir dir;
  std::int64_t n = 1;
  std::string text;
  CHECK(contains(thrown<ValueError>([&] {
                   io::save_state(dir / "f", [&](io::StateVisitor& f) {
                     f.scope("a", [&](io::StateVisitor& g) { g("b", n); });
                     f("a.b", text);
                   });
                 }).what,
                 "visited twice"));
  CHECK(dir.entries() == 0);
}

TEST_CASE("state: an average of parameters goes into a file of its own") {
  TempDir dir;
  Tensor w = ones({4});
  optim::Ema ema({w}, {.decay = 0.5});
  w.fill_(3);
  ema.update();
  io::save_state(dir / "ema", [&](io::StateVisitor& f) { ema.visit(f); });
  Tensor v = zeros({4});
  optim::Ema other({v}, {.decay = 0.5});
  io::load_state(dir / "ema", [&](io::StateVisitor& f) { other.visit(f); });
  CHECK(other.updates() == 1);
  other.copy_to();
  CHECK(v.data<float>()[3] == 2.f);
}
