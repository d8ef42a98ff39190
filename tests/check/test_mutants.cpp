// The mutation run itself: mutants of sound ops are caught, an op whose samples see nothing lets them live,
// and the op is as it was afterwards. Depends on the harness, the registry.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <thalweg/check/mutants.hpp>
#include <thalweg/check/mutants_hook.hpp>
#include <thalweg/ops/registry.hpp>
#include <thalweg/thalweg.hpp>

#include "planted.hpp"

namespace {

using namespace planted;
using check::MutantReport;

MutantReport mutate(const OpInfo& op) {
  const OpInfo* const ops[] = {&op};
  return check::mutate(ops);
}

std::string joined(const std::vector<std::string>& names) {
  std::string s;
  for (const std::string& name : names) s += name + "\n";
  return s;
}

/// Sound, but sampled where x^2 is all that shows of x^2 + max(x - 100, 0).
struct Blind {
  static constexpr Row row{
      .name = "blind", .formula = "y = x^2, and x - 100 more above 100", .domain = {-2, 2}};
  template <class V>
  static V f(V x) {
    return x * x + select(x > 100, x - 100, 0);
  }
  template <class V>
  static V df_x(V x) {
    return x + x + select(x > 100, 1, 0);
  }
  static double ref(double x) { return x * x + (x > 100 ? x - 100 : 0); }
};

/// y = w[0] x, where every sample has w of ones: nothing tells the saved w from 1.
struct OnlyOnes {
  static constexpr Row row{.name = "only_ones", .formula = "y = a b", .conditions = 2};
  static constexpr int n_in = 2;
  static constexpr NeedMask needs[] = {need_input(1)};
  static void infer(const Ins& in, const NoAttrs&, Outs& out) { out.add(in[0].dtype, in[0].shape); }
  static void run(const Ins& in, const View* out, const NoAttrs&) { kernels::copy(in[0], out[0]); }
  static void vjp(Vjp& v, const NoAttrs&) {
    v.set(0, v.g() * maximum(v.in(1), ones_like(v.in(1)) * 2.0) * 0.5);
  }
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const NoAttrs&) {
    return {in[0].clone()};
  }
  static void samples(SampleList& s) { s.add({s.normal({2, 3}), ones({2, 3}, DType::f64)}); }
  static void errors(ErrorList&) {}
};

}  // namespace

TEST_CASE("nearly every mutant inside the library's derivatives is caught") {
  std::vector<const OpInfo*> all;
  for (const OpInfo& op : registry()) all.push_back(&op);
  const MutantReport r = check::mutate(all, {.tier = check::Tier::quick});
  INFO(check::mutant_table(r));
  CHECK(r.made > 900);
  CHECK(r.score() >= 0.99);
  CHECK(r.made == r.caught + static_cast<std::int64_t>(r.survivors.size()));
  CHECK(r.results_made > 500);
  CHECK(r.results_caught == r.results_made);
  CHECK(check::mutant_table(r).find("not explained") == std::string::npos);
}

TEST_CASE("wrong geometry and eps reach past the shape checks and are caught") {
  const char* const pairs[] = {"stride", "padding", "dilation"};
  const char* const changes[] = {"[0] + 1", "[1] - 1", " swapped"};
  for (const char* name : {"conv2d", "conv2d_input_gradient", "conv2d_weight_gradient", "max_pool2d",
                           "max_pool2d_backward", "avg_pool2d_backward", "layer_norm", "batch_norm_inference"}) {
    const MutantReport r = mutate(*find_op(name));
    INFO(name, "\n", joined(r.survivors), joined(r.refused));
    CHECK(r.survivors.empty());
    for (const char* pair : pairs)
      for (const char* change : changes) {
        const std::string what = std::string("attribute ") + pair + change;
        CHECK(joined(r.refused).find(what) == std::string::npos);
      }
  }
}

TEST_CASE("an op whose attributes no mutant changes says nothing in them but its result's shape or dtype") {
  std::string without;
  for (const OpInfo& op : registry())
    if (op.def->attrs_size > 0 && !op.pointwise() && check::attribute_variants(*op.def) == 0)
      without += std::string(op.name()) + " ";
  CHECK(without == "view reshape_copy reshape flatten expand cast one_hot ");
}

TEST_CASE("what no sample reaches survives, by name") {
  const MutantReport r = mutate(describe<Blind>());
  INFO(joined(r.survivors));
  CHECK(r.caught > 0);
  CHECK(r.survivors.size() >= 2);
  for (const std::string& name : r.survivors) CHECK(name.find("blind.dx step ") == 0);
}

TEST_CASE("a mutant that changes no gradient is listed, not made") {
  const MutantReport r = mutate(*find_op("square"));
  CHECK(joined(r.equivalents) ==
        "square.dx step 0 replaced\n");  // x + x with its second operand replaced by its first
  CHECK(r.survivors.empty());
  const MutantReport seen = mutate(describe<OnlyOnes>());
  CHECK(joined(seen.equivalents).find("only_ones.vjp saved 0 scaled") != std::string::npos);
}

TEST_CASE("an op that is wrong already is named, since its mutants prove nothing") {
  const MutantReport r = mutate(describe<WrongDerivative>());
  REQUIRE(r.survivors.size() == 1);
  CHECK(r.survivors[0] == "swish: red without any mutant");
  CHECK(r.score() < 1);
}

TEST_CASE("after a mutation run the ops are as they were") {
  for (const char* name : {"tanh", "matmul", "stack", "max"}) {
    const OpInfo& op = *find_op(name);
    const OpDef before = *op.def;
    mutate(op);
    CHECK((op.def->vjp == before.vjp));
    CHECK((op.def->kernels == before.kernels));
    CHECK((op.def->compose == before.compose));
    CHECK(thread_state.apply_hook == nullptr);
    CHECK(check::certify(op, {.tier = check::Tier::quick}).ok());
  }
}
