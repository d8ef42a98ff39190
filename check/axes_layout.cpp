// Axes 7 broadcasting, 8 input layout, 9 layout of the output gradient, 10 sizes and paths. Depends on
// axes.hpp, fmt. Invariant: what is compared against is the same call on plain contiguous memory.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg::check {
namespace {

/// `t` repeated to `shape` in memory of its own.
Tensor expanded(const Tensor& t, const Dims& shape) {
  Tensor r = empty(shape, t.dtype());
  kernels::copy(broadcast_view(t.view(), shape), r.mutable_view());
  return r;
}

/// `g` summed down to `shape`, in f64, one element at a time.
Tensor summed_to(const Tensor& g, const Dims& shape) {
  Tensor total = zeros(shape, DType::f64);
  const int lead = g.dim() - shape.size();
  for_each_index(g.shape(), [&](const Dims& at) {
    Dims to = shape;
    for (int d = 0; d < shape.size(); ++d) to[d] = shape[d] == 1 ? 0 : at[lead + d];
    set_value(total, to, value_at(total, to) + value_at(g, at));
  });
  return total;
}

void check_broadcast(Trial& t, const Case& base, const std::vector<Dims>& shapes) {
  Case c = base;
  c.in = pointwise_operands(t.op, shapes, t.numbers);
  t.at(c);
  const Tensor y = evaluate(t.op, c.in, c.attrs.get())[0];
  std::vector<Tensor> plain;
  for (const Tensor& x : c.in) plain.push_back(expanded(x, y.shape()));
  if (!same_bits(y, evaluate(t.op, plain, c.attrs.get())[0]))
    t.fail("differs from the same call on expanded operands");
  if (!any_gradient(t.op, c.in)) return;
  for (bool create : {false, true}) {
    const Tensor v = t.numbers.signed_units(y.shape());
    const std::vector<Tensor> g = gradients(t.op, c.in, c.attrs.get(), {v}, create);
    const std::vector<Tensor> full = gradients(t.op, plain, c.attrs.get(), {v}, create);
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!g[i].defined()) continue;
      if (!(g[i].shape() == c.in[i].shape()))
        t.fail(fmt::format("the gradient of operand {} has shape {}", i, to_string(g[i].shape())));
      if (!(relative_error(g[i], summed_to(full[i], c.in[i].shape()), 1) <= 1e-13))
        t.fail(fmt::format("the gradient of operand {}, {}, is not the sum over the repeated dimensions, {}",
                           i, to_code(g[i]), to_code(summed_to(full[i], c.in[i].shape()))));
    }
  }
  GradcheckOptions o;
  o.linear = t.op.linear || t.op.multilinear;
  o.kinks = t.op.row->kinks.count > 0;
  o.fixed = c.fixed;
  const GradReport report = gradcheck_function(function_of(t.op, c.attrs), c.in, o);
  if (!report.ok) t.fail(report.message);
}

void broadcast_pointwise(Trial& t) {
  if (t.op.def->n_in < 2) t.not_applicable("one operand");
  const std::pair<Dims, Dims> pairs[] = {
      {{2, 3}, {3}},       {{2, 3}, {2, 1}}, {{2, 3}, {1, 3}}, {{2, 3}, {}},  {{2, 1}, {1, 3}},
      {{2, 1, 3}, {4, 1}}, {{0, 3}, {1, 3}}, {{1}, {}},        {{1, 1}, {3}}, {{2, 1, 1, 2}, {3, 2, 1}}};
  for (const Case* c : variants(t.cases))
    for (const auto& [a, b] : pairs) {
      if (t.op.def->n_in == 2) {
        check_broadcast(t, *c, {a, b});
        check_broadcast(t, *c, {b, a});
      } else {
        check_broadcast(t, *c, {a, b, b});
        check_broadcast(t, *c, {b, a, b});
        check_broadcast(t, *c, {b, b, a});
      }
    }
}

}  // namespace

void try_broadcasting(Trial& t) {
  if (t.op.pointwise()) return broadcast_pointwise(t);
  if (!t.op.def->broadcasts) t.not_applicable("does not broadcast");
  for (const Case& c : t.cases) {
    if (c.note.find("broadcast") == std::string::npos) continue;
    t.at(c);
    const std::vector<Tensor> x = leaves(t.op, c.in), y = forward(t.op, x, c.attrs.get());
    const std::vector<Tensor> g = pull_back(y, x, random_seeds(y, t.numbers));
    for (std::size_t i = 0; i < g.size(); ++i)
      if (g[i].defined() && !(g[i].shape() == c.in[i].shape()))
        t.fail(fmt::format("the gradient of input {} has shape {}", i, to_string(g[i].shape())));
    if (!t.differentiable(c)) continue;
    GradcheckOptions o;
    o.linear = t.op.linear || t.op.multilinear;
    o.fixed = c.fixed;
    const GradReport report = gradcheck_function(function_of(t.op, c.attrs), c.in, o);
    if (!report.ok) t.fail(report.message);
  }
}

namespace {

/// Whether two results of the same values in other layouts agree: bit for bit where an element depends on its
/// operands alone, else up to the order of additions.
void expect_same(const Trial& t, const Tensor& got, const Tensor& want, const std::string& what) {
  if (t.op.pointwise() || t.op.def->kind == OpKind::view) {
    if (!same_values(got, want))
      t.fail(fmt::format("{}: {} instead of {}", what, got.describe(), want.describe()) +
             ", or other values");
    return;
  }
  if (got.dtype() != want.dtype() || !(got.shape() == want.shape()))
    t.fail(fmt::format("{}: {} instead of {}", what, got.describe(), want.describe()));
  const double allowed = is_floating(got.dtype()) ? 256 * epsilon(got.dtype()) : 0;
  const double error = relative_error(got, want, is_floating(got.dtype()) ? 1 : 0);
  if (!(error <= allowed)) t.fail(fmt::format("{}: differs by {:.3g}, allowed {:.3g}", what, error, allowed));
}

void check_layout(Trial& t, const Case& c, const std::vector<Tensor>& in, const std::string& what) {
  std::vector<Tensor> plain;
  for (const Tensor& x : in) plain.push_back(x.defined() ? cast(x, x.dtype()) : x);
  t.at(c, in);
  const std::vector<Tensor> got = evaluate(t.op, in, c.attrs.get()),
                            want = evaluate(t.op, plain, c.attrs.get());
  for (std::size_t j = 0; j < got.size(); ++j)
    if (got[j].defined()) expect_same(t, got[j], want[j], fmt::format("{}: output {}", what, j));
  if (!any_gradient(t.op, in)) return;
  const std::vector<Tensor> v = random_seeds(forward(t.op, leaves(t.op, plain), c.attrs.get()), t.numbers);
  const std::vector<Tensor> g = gradients(t.op, in, c.attrs.get(), v),
                            g_plain = gradients(t.op, plain, c.attrs.get(), v);
  for (std::size_t i = 0; i < g.size(); ++i)
    if (g[i].defined()) expect_same(t, g[i], g_plain[i], fmt::format("{}: gradient of input {}", what, i));
}

}  // namespace

void try_input_layout(Trial& t) {
  for (const Case& c : t.cases) {
    const std::int64_t limit = t.by_tier(2000, 20000, 1 << 30);
    for (DType dtype : {DType::f64, DType::f32}) {
      if (dtype == DType::f32 && t.options.tier == Tier::quick && !t.op.pointwise()) continue;
      const std::vector<Tensor> plain = cast_floating(c.in, dtype);
      for (Layout layout : all_layouts) {
        if (layout == Layout::contiguous) continue;
        std::vector<Tensor> in;
        std::int64_t elements = 0;
        for (const Tensor& x : plain) {
          // What stands in integers (positions, classes) may be tied to other inputs, so these are not
          // repeated.
          const bool keep = layout == Layout::repeated && x.defined() && !is_floating(x.dtype());
          in.push_back(keep ? x : with_layout(x, layout));
          elements += x.defined() ? x.numel() : 0;
        }
        if (elements > limit) continue;
        check_layout(t, c, in, layout_name(layout));
        // One operand apart from the others: mixed layouts take other ways through the driver.
        if (in.size() > 1 && in[0].defined()) {
          std::vector<Tensor> mixed = plain;
          mixed[0] = in[0];
          check_layout(t, c, mixed, fmt::format("first input {}", layout_name(layout)));
        }
      }
    }
  }
}

namespace {

bool all_finite(const std::vector<Tensor>& in) {
  for (const Tensor& x : in)
    if (x.defined() && is_floating(x.dtype()))
      for (double v : values(x))
        if (!std::isfinite(v)) return false;
  return true;
}

void check_zero_seed(const Trial& t, const std::vector<Tensor>& x, const std::vector<Tensor>& y) {
  std::vector<Tensor> zero(y.size());
  for (std::size_t j = 0; j < y.size(); ++j)
    if (y[j].requires_grad()) zero[j] = zeros_like(y[j]);
  if (!all_finite(y)) return;  // 0 times infinity is a NaN by right
  const std::vector<Tensor> g = pull_back(y, x, zero, false, true);
  for (std::size_t i = 0; i < g.size(); ++i)
    if (g[i].defined())
      for (double v : values(g[i]))
        if (v != 0) t.fail(fmt::format("a zero output gradient gives {} for input {}", v, i));
}

}  // namespace

void try_grad_layout(Trial& t) {
  t.need_gradient();
  for (const Case& c : t.cases) {
    if (!any_gradient(t.op, c.in)) continue;
    t.at(c);
    const std::vector<Tensor> x = leaves(t.op, c.in), y = forward(t.op, x, c.attrs.get());
    const std::vector<Tensor> v = random_seeds(y, t.numbers);
    std::int64_t recorded = 0;
    for (const Tensor& s : v) recorded += s.defined() ? 1 : 0;
    if (recorded == 0) continue;
    for (Layout layout : all_layouts) {
      std::vector<Tensor> given, plain;
      for (const Tensor& s : v) {
        given.push_back(with_layout(s, layout));
        plain.push_back(s.defined() ? cast(given.back(), s.dtype()) : s);
      }
      const std::vector<Tensor> g = pull_back(y, x, given, false, true),
                                want = pull_back(y, x, plain, false, true);
      for (std::size_t i = 0; i < g.size(); ++i)
        if (g[i].defined())
          expect_same(t, g[i], want[i],
                      fmt::format("{} output gradient: gradient of input {}", layout_name(layout), i));
    }
    check_zero_seed(t, x, y);
    if (recorded > 1) {
      // An undefined gradient is a zero one.
      for (std::size_t j = 0; j < v.size(); ++j) {
        if (!v[j].defined()) continue;
        std::vector<Tensor> without = v, zero = v;
        without[j] = Tensor();
        zero[j] = zeros_like(y[j]);
        const std::vector<Tensor> g = pull_back(y, x, without, false, true),
                                  want = pull_back(y, x, zero, false, true);
        for (std::size_t i = 0; i < g.size(); ++i)
          if (g[i].defined())
            expect_same(t, g[i], want[i], fmt::format("without a gradient for output {}: input {}", j, i));
      }
    } else if (recorded == 1 && y[0].numel() == 1 && y[0].requires_grad()) {
      // A single element has an implied gradient of one.
      std::vector<Tensor> asked, ones(y.size());
      for (const Tensor& l : x)
        if (l.requires_grad()) asked.push_back(l);
      ones[0] = ones_like(y[0]);
      const std::vector<Tensor> got =
          grad(std::span<const Tensor>(y.data(), 1), asked, {.retain_graph = true, .allow_unused = true});
      const std::vector<Tensor> want = pull_back(y, x, ones, false, true);
      std::size_t k = 0;
      for (std::size_t i = 0; i < x.size(); ++i)
        if (x[i].requires_grad() && got[k++].defined())
          expect_same(t, got[k - 1], want[i], "undefined output gradient");
    }
  }
}

namespace {

std::vector<std::int64_t> edge_sizes(const Trial& t) {
  std::vector<std::int64_t> sizes{0,  1,  2,  3,  4,  5,  7,   8,   9,   15,   16,   17,
                                  31, 32, 33, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097};
  for (std::int64_t n : {32767, 32768, 32769})
    if (t.options.tier != Tier::quick || n == 32769) sizes.push_back(n);
  return sizes;
}

/// The first n elements, in memory of their own.
std::vector<Tensor> prefix(const std::vector<Tensor>& in, std::int64_t n) {
  std::vector<Tensor> r;
  for (const Tensor& x : in) r.push_back(cast(alias(x, 0, {n}, {1}), x.dtype()));
  return r;
}

/// An element's bits depend on its operands only, so every size must give a prefix of the largest one's
/// result.
void sizes_pointwise(Trial& t) {
  const std::vector<std::int64_t> sizes = edge_sizes(t);
  std::vector<const Case*> attrs = variants(t.cases);
  if (t.options.tier == Tier::quick) attrs.resize(1);
  for (const Case* c : attrs) {
    const std::vector<Tensor> base = pointwise_operands(t.op, Dims{512}, t.numbers);
    std::vector<Tensor> all = base;
    for (Tensor& x : all) {  // 65 x 512, repeated: drawing that many numbers takes longer than the op
      const Tensor big = empty({65, 512}, x.dtype());
      kernels::copy(broadcast_view(x.view(), {65, 512}), big.mutable_view());
      x = alias(big, 0, {65 * 512}, {1});
    }
    for (DType dtype : {DType::f64, DType::f32}) {
      const std::vector<Tensor> in = cast_floating(all, dtype), once = cast_floating(base, dtype);
      const bool differentiable = any_gradient(t.op, in);
      const Tensor small = evaluate(t.op, once, c->attrs.get())[0];
      const Tensor want = cast(expanded(small, {65, 512}), small.dtype());
      const Tensor v = expanded(cast(t.numbers.signed_units({512}), dtype), {65, 512});
      std::vector<Tensor> g_small;
      if (differentiable)
        g_small = gradients(t.op, once, c->attrs.get(), {cast(alias(v, 0, {512}, {1}), dtype)});
      for (std::int64_t n : sizes) {
        Case sized = *c;
        sized.in = prefix(in, n);
        t.at(sized);
        poison(n * static_cast<std::int64_t>(itemsize(small.dtype())));
        if (!same_bits(evaluate(t.op, sized.in, c->attrs.get())[0],
                       cast(alias(want, 0, {n}, {1}), want.dtype())))
          t.fail(fmt::format("{}: {} elements give other values than the same elements among 512",
                             name(dtype), n));
        if (!differentiable) continue;
        poison(n * static_cast<std::int64_t>(itemsize(dtype)));
        const std::vector<Tensor> g =
            gradients(t.op, sized.in, c->attrs.get(), {cast(alias(v, 0, {n}, {1}), dtype)});
        for (std::size_t i = 0; i < g.size(); ++i)
          if (g[i].defined() &&
              !same_bits(g[i], cast(alias(expanded(g_small[i], {65, 512}), 0, {n}, {1}), dtype)))
            t.fail(fmt::format("{}: the gradient of operand {} of {} elements differs from that among 512",
                               name(dtype), i, n));
      }
    }
  }
}

/// What a size next to the width of a vector changes: values, f32 gradients, derivatives. A size of one is left
/// to the samples: a variance of one value is 0, and derivatives are then all eps.
void sizes_next_to_vectors(Trial& t) {
  std::vector<std::int64_t> sizes{17};
  if (t.options.tier != Tier::quick) sizes = {8, 15, 16, 17, 33};
  for (std::int64_t n : sizes) {
    const std::vector<Case> cases = resized(t.op, t.cases, n, t.by_tier(1200, 2500, 20000));
    for (Axis a : {Axis::forward, Axis::f32_gradient, Axis::directions}) {
      // Repeated elements are ties; no stencil is laid across these.
      if (a == Axis::directions && (!t.op.row->smooth || *t.op.row->subgradient)) continue;
      Options o = t.options;
      o.tier = Tier::quick;
      Trial inner(t.op, o, cases, a);
      try {
        if (a == Axis::forward)
          try_forward(inner);
        else if (a == Axis::f32_gradient)
          try_f32_gradient(inner);
        else
          try_directions(inner);
      } catch (const Failure& f) {
        throw Failure{fmt::format("a size of {}: {}", n, f.message)};
      } catch (const NotApplicable&) {
      }
      t.samples += inner.samples;
    }
  }
}

void sizes_structured(Trial& t) {
  for (const Path& path : t.op.paths) {
    const std::int64_t before = path.count();
    {
      Forced forced(path);
      for (Axis a : {Axis::forward, Axis::f32_gradient, Axis::jacobian}) {
        Trial inner(t.op, t.options, t.cases, a);
        inner.path = &path;
        try {
          if (a == Axis::forward)
            try_forward(inner);
          else if (t.op.def->differentiable && a == Axis::f32_gradient)
            try_f32_gradient(inner);
          else if (t.op.def->differentiable && t.options.tier != Tier::quick)
            try_jacobian(inner);
        } catch (const Failure& f) {
          throw Failure{fmt::format("path {}: {}", path.name, f.message)};
        } catch (const NotApplicable&) {
        }
        t.samples += inner.samples;
      }
    }
    if (path.count() == before) t.fail(fmt::format("no sample reaches the path \"{}\"", path.name));
  }
  sizes_next_to_vectors(t);
  // Nothing at all and a single element are sizes that every op meets one day.
  bool empty_seen = false;
  for (const Case& c : t.cases)
    for (const Tensor& x : c.in) empty_seen |= x.defined() && x.numel() == 0;
  if (!empty_seen) t.fail("no sample has an empty input");
  for (const Case& c : t.cases) {
    t.at(c);
    for (const Tensor& y : evaluate(t.op, c.in, c.attrs.get())) poison(y.defined() ? y.numel() * 8 : 0);
    const std::vector<Tensor> a = evaluate(t.op, c.in, c.attrs.get());
    for (const Tensor& y : a) poison(y.defined() ? y.numel() * 8 : 0);
    if (!same_bits(a, evaluate(t.op, c.in, c.attrs.get()))) t.fail("an output element is left unwritten");
  }
}

}  // namespace

void try_sizes(Trial& t) {
  if (t.op.pointwise())
    sizes_pointwise(t);
  else
    sizes_structured(t);
}

}  // namespace thalweg::check
