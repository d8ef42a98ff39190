// Axes 14 aliasing and in-place, 15 graph hygiene. Depends on axes.hpp, engine, memory, fmt.
// Invariant: leaks are counted in the whole process, so nothing else may run while these axes do.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/autograd/engine/engine.hpp>
#include <thalweg/check/axes.hpp>

namespace thalweg::check {
namespace {

std::vector<Tensor> own_copies(const std::vector<Tensor>& in) {
  std::vector<Tensor> r;
  for (const Tensor& x : in) r.push_back(x.defined() ? cast(x, x.dtype()) : x);
  return r;
}

/// Forward and backward leave the inputs' bytes and versions alone.
void check_inputs_untouched(Trial& t, const Case& c) {
  const std::vector<Tensor> in = own_copies(c.in), before = own_copies(c.in);
  const std::vector<Tensor> x = leaves(t.op, in), y = forward(t.op, x, c.attrs.get());
  pull_back(y, x, random_seeds(y, t.numbers));
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!in[i].defined()) continue;
    if (in[i].body().storage->version() != before[i].body().storage->version())
      t.fail(fmt::format("input {} got a new version", i));
    if (!same_bits(in[i], before[i])) t.fail(fmt::format("input {} was changed", i));
  }
}

/// One tensor as two inputs: the values of two equal tensors, and the sum of both gradients.
void check_same_operand(Trial& t, const Case& c) {
  for (std::size_t a = 0; a < c.in.size(); ++a)
    for (std::size_t b = a + 1; b < c.in.size(); ++b) {
      if (!c.in[a].defined() || !c.in[b].defined() || c.in[a].dtype() != c.in[b].dtype() ||
          !(c.in[a].shape() == c.in[b].shape()))
        continue;
      std::vector<Tensor> apart = own_copies(c.in);
      apart[b] = cast(apart[a], apart[a].dtype());
      std::vector<Tensor> x = leaves(t.op, apart), y, shared = x;
      try {
        y = forward(t.op, x, c.attrs.get());
      } catch (const Error&) {
        continue;  // the second input has a meaning of its own (positions, probabilities)
      }
      t.at(c, apart);
      shared[b] = shared[a];
      const std::vector<Tensor> y_shared = forward(t.op, shared, c.attrs.get());
      if (!same_bits(y_shared, y))
        t.fail(fmt::format("inputs {} and {} on one memory give other values", a, b));
      if (!x[a].requires_grad() || !x[b].requires_grad()) continue;
      const std::vector<Tensor> v = random_seeds(y, t.numbers);
      const std::vector<Tensor> g = pull_back(y, x, v), g_shared = pull_back(y_shared, shared, v);
      const std::vector<double> ga = values(g[a]), gb = values(g[b]), both = values(g_shared[a]);
      for (std::size_t k = 0; k < both.size(); ++k) {
        const double sum = ga[k] + gb[k];
        if (!(std::fabs(both[k] - sum) <= 4 * epsilon(DType::f64) * (std::fabs(ga[k]) + std::fabs(gb[k]))) &&
            !(std::isnan(both[k]) && std::isnan(sum)))
          t.fail(fmt::format(
              "the gradient of one tensor as inputs {} and {} is {:.17g}, the sum of both is {:.17g}", a, b,
              both[k], sum));
      }
    }
}

/// op_(x) equals op(x); where the derivative needs what it overwrites, recording it is refused.
void check_in_place(Trial& t, const Case& c) {
  if (t.op.def->predicate) return;
  const std::vector<Tensor> want = evaluate(t.op, c.in, c.attrs.get());
  const int n = static_cast<int>(c.in.size());
  if (!(want[0].shape() == c.in[0].shape()) || want[0].dtype() != c.in[0].dtype()) return;
  {
    std::vector<Tensor> in = own_copies(c.in);
    NoGrad off;
    apply_in_place(*t.op.def, in.data(), n, c.attrs.get(), {});
    if (!same_bits(in[0], want[0])) t.fail("in place gives other values than out of place");
  }
  if (!takes_gradient(t.op, c.in, 0)) return;
  // The overwritten tensor must be no leaf: it is made by an addition, which saves nothing.
  const std::vector<Tensor> x = leaves(t.op, own_copies(c.in));
  std::vector<Tensor> in = x;
  in[0] = engine::add(x[0], zeros_like(x[0]));
  NeedMask needed = 0;
  for (int i = 0; i < n; ++i)
    if (x[static_cast<std::size_t>(i)].requires_grad()) needed |= t.op.def->needs_of(i);
  const bool must_refuse = (needed & need_input(0)) != 0;
  try {
    apply_in_place(*t.op.def, in.data(), n, c.attrs.get(), {});
    if (must_refuse) t.fail("in place is recorded although the derivative needs the overwritten value");
  } catch (const GraphError& e) {
    if (!must_refuse)
      t.fail(fmt::format("in place is refused although nothing needed is overwritten: {}", e.what()));
    return;
  }
  const std::vector<Tensor> v = random_seeds({in[0]}, t.numbers);
  const std::vector<Tensor> g = pull_back({in[0]}, x, v), g_plain = gradients(t.op, c.in, c.attrs.get(), v);
  for (std::size_t i = 0; i < g.size(); ++i)
    if (!same_values(g[i], g_plain[i]))
      t.fail(fmt::format("in place gives another gradient for input {}", i));
}

/// After a write to a value that the derivative needs, backward throws VersionError.
void check_overwritten(Trial& t, const Case& c) {
  NeedMask needed = 0;
  const std::size_t n_in = c.in.size();
  for (std::size_t i = 0; i < n_in; ++i)
    if (takes_gradient(t.op, c.in, i)) needed |= t.op.def->needs_of(static_cast<int>(i));
  for (int bit = 0; bit < 20; ++bit) {
    if (((needed >> bit) & 1u) == 0 || (bit < 16 && static_cast<std::size_t>(bit) >= n_in)) continue;
    if (bit < 16 && !c.in[static_cast<std::size_t>(bit)].defined()) continue;
    const std::vector<Tensor> x = leaves(t.op, own_copies(c.in));
    std::vector<Tensor> y = forward(t.op, x, c.attrs.get()), z;
    for (const Tensor& o : y) z.push_back(o.requires_grad() ? engine::add(o, zeros_like(o)) : Tensor());
    std::vector<Tensor> tops;
    for (const Tensor& o : z)
      if (o.defined()) tops.push_back(o);
    const Tensor& victim =
        bit < 16 ? x[static_cast<std::size_t>(bit)] : y[static_cast<std::size_t>(bit - 16)];
    victim.body().storage->bump("the harness", {});
    try {
      pull_back(tops, x, random_seeds(tops, t.numbers));
    } catch (const VersionError&) {
      continue;
    }
    t.fail(fmt::format("{} {} was overwritten, yet backward did not throw VersionError",
                       bit < 16 ? "input" : "output", bit % 16));
  }
}

}  // namespace

void try_aliasing(Trial& t) {
  for (const Case& c : t.cases) {
    std::int64_t elements = 0;
    for (const Tensor& x : c.in) elements += x.defined() ? x.numel() : 0;
    t.at(c);
    check_inputs_untouched(t, c);
    if (elements > t.by_tier(1000, 100000, 1 << 30)) continue;
    check_same_operand(t, c);
    if (t.op.pointwise()) check_in_place(t, c);
    const bool records = t.op.def->differentiable && t.op.def->kind != OpKind::composite && elements > 0;
    if (records) check_overwritten(t, c);
  }
}

namespace {

struct Counts {
  std::int64_t nodes = live_nodes();
  std::int64_t blocks = memory_stats().live_blocks;
};

void use_once(Trial& t, const Case& c) {
  const std::vector<Tensor> x = leaves(t.op, c.in), y = forward(t.op, x, c.attrs.get());
  const std::vector<Tensor> v = random_seeds(y, t.numbers);
  pull_back(y, x, v, false, true);
  pull_back(y, x, v, true);
}

void check_leak(Trial& t, const Case& c) {
  use_once(t, c);  // the first call may build tables that stay
  const Counts before;
  for (int round = 0; round < 3; ++round) use_once(t, c);
  const Counts after;
  if (after.nodes != before.nodes)
    t.fail(fmt::format("{} nodes leaked in three calls", after.nodes - before.nodes));
  if (after.blocks != before.blocks)
    t.fail(fmt::format("{} blocks of memory leaked in three calls", after.blocks - before.blocks));
}

void check_no_grad(Trial& t, const Case& c) {
  const std::vector<Tensor> x = leaves(t.op, c.in), recorded = forward(t.op, x, c.attrs.get());
  const std::int64_t nodes = live_nodes();
  const std::vector<Tensor> y = evaluate(t.op, x, c.attrs.get());
  if (live_nodes() != nodes) t.fail("a node was made under NoGrad");
  for (const Tensor& o : y)
    if (o.defined() && o.requires_grad() && t.op.def->kind != OpKind::view)
      t.fail("a result under NoGrad requires a gradient");
  if (!same_bits(y, recorded)) t.fail("recording changes the values");
}

/// backward() twice with retain doubles every gradient exactly.
void check_twice(Trial& t, const Case& c) {
  const std::vector<Tensor> x = leaves(t.op, c.in), y = forward(t.op, x, c.attrs.get());
  std::vector<Tensor> tops, seeds;
  for (const Tensor& o : y)
    if (o.defined() && o.requires_grad())
      tops.push_back(o), seeds.push_back(cast(t.numbers.signed_units(o.shape()), o.dtype()));
  if (tops.empty()) return;
  backward(tops, seeds, true, {});
  std::vector<Tensor> once;
  for (const Tensor& l : x)
    once.push_back(l.requires_grad() && l.grad().defined() ? cast(l.grad(), l.dtype()) : Tensor());
  backward(tops, seeds, true, {});
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!once[i].defined()) continue;
    const std::vector<double> a = values(once[i]), b = values(x[i].grad());
    for (std::size_t k = 0; k < a.size(); ++k)
      if (b[k] != 2 * a[k] && !(std::isnan(a[k]) && std::isnan(b[k])))
        t.fail(fmt::format("backward twice gives {:.17g} for input {}, twice one backward is {:.17g}", b[k],
                           i, 2 * a[k]));
  }
}

void check_create_graph(Trial& t, const Case& c) {
  for (DType dtype : {DType::f64, DType::f32}) {
    t.at(c, cast_floating(c.in, dtype));
    const std::vector<Tensor>& in = t.current().in;
    const std::vector<Tensor> v = random_seeds(forward(t.op, leaves(t.op, in), c.attrs.get()), t.numbers);
    const std::vector<Tensor> plain = gradients(t.op, in, c.attrs.get(), v),
                              graph = gradients(t.op, in, c.attrs.get(), v, true);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      if (!plain[i].defined() || same_values(plain[i], graph[i])) continue;
      const std::vector<double> a = values(plain[i]), b = values(graph[i]);
      std::size_t k = 0;
      while (k < a.size() && (a[k] == b[k] || (std::isnan(a[k]) && std::isnan(b[k])))) ++k;
      t.fail(
          fmt::format("{}: the gradient of input {} under create_graph differs from the plain one: {:.17g} "
                      "and {:.17g} at element {}",
                      name(dtype), i, k < b.size() ? b[k] : 0, k < a.size() ? a[k] : 0, k));
    }
  }
}

}  // namespace

void try_hygiene(Trial& t) {
  for (const Case& c : t.cases) {
    t.at(c);
    check_no_grad(t, c);
    check_leak(t, c);
    if (!any_gradient(t.op, c.in)) continue;
    check_twice(t, c);
    check_create_graph(t, c);
  }
}

}  // namespace thalweg::check
