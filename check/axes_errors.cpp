// Axes 19 inference, 20 errors. Depends on axes.hpp, memory, fmt.
// Invariant: a bad call that throws has left nothing behind: no node, no memory.
#include <algorithm>

#include <fmt/format.h>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/check/axes.hpp>

namespace thalweg::check {
namespace {

void compare_meta(Trial& t, const Meta* announced, int n, const std::vector<Tensor>& out) {
  int real = 0;
  for (const Tensor& y : out) real += y.defined() ? 1 : 0;
  if (n != real) t.fail(fmt::format("inference announces {} outputs, {} were made", n, real));
  for (int j = 0; j < n; ++j) {
    const Tensor& y = out[static_cast<std::size_t>(j)];
    if (!(announced[j].shape == y.shape()) || announced[j].dtype != y.dtype())
      t.fail(fmt::format("inference announces {} for output {}, the op made {}",
                         describe(announced[j].dtype, announced[j].shape), j, y.describe()));
  }
}

void check_inference(Trial& t, const Case& c, const std::vector<Tensor>& in) {
  t.at(c, in);
  const OpDef& op = *t.op.def;
  const std::vector<Tensor> out = evaluate(t.op, in, c.attrs.get());
  std::vector<ConstView> views(in.size());
  Ins ins{op.name, {}, static_cast<int>(in.size()), views.data(), 0};
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!in[i].defined()) continue;
    views[i] = in[i].view();
    views[i].data = nullptr;
    ins.present |= std::uint64_t{1} << i;
  }
  Outs announced;
  if (op.kind == OpKind::pointwise)
    infer_pointwise(op, ins, announced);
  else if (op.kind == OpKind::view)
    announced.add(in[0].dtype(), op.view(ins, c.attrs.get()).shape);
  else
    op.infer(ins, c.attrs.get(), announced);
  compare_meta(t, announced.meta, announced.n, out);
  if (op.n_out != announced.n)
    t.fail(fmt::format("n_out is {}, inference announces {}", op.n_out, announced.n));
}

}  // namespace

void try_inference(Trial& t) {
  if (t.op.def->kind == OpKind::composite) t.not_applicable("composite: its parts infer");
  if (t.op.def->kind == OpKind::function) t.not_applicable("function: its forward alone knows");
  for (const Case& c : t.cases) {
    check_inference(t, c, c.in);
    check_inference(t, c, cast_floating(c.in, DType::f32));
    if (!t.op.pointwise()) continue;
    for (DType dtype : {DType::i64, DType::u8, DType::boolean}) {
      check_inference(t, c, cast_floating(c.in, dtype));
      if (c.in.size() < 2) continue;
      std::vector<Tensor> mixed = c.in;
      mixed.back() = cast(mixed.back(), dtype);
      check_inference(t, c, mixed);
    }
  }
}

namespace {

/// Calls with bad arguments; the error must be of this op, say what was given and wanted, and contain `text`.
void expect_error(Trial& t, const Case& c, bool (*expected)(const std::exception&), const std::string& type,
                  const std::string& text) {
  t.at(c);
  const auto call = [&] {
    try {
      forward(t.op, leaves(t.op, c.in), c.attrs.get());
    } catch (const Error& e) {
      const std::string what = e.what();
      if (!expected(e)) t.fail(fmt::format("throws the wrong type (wanted {}): {}", type, what));
      if (what.find(text) == std::string::npos) t.fail(fmt::format("\"{}\" does not say \"{}\"", what, text));
      if (what.find(t.op.name()) == std::string::npos)
        t.fail(fmt::format("\"{}\" does not name the op", what));
      if (e.given().empty() || e.wanted().empty())
        t.fail(fmt::format("\"{}\" does not tell both what was given and what was wanted", what));
      return;
    } catch (const std::exception& e) {
      t.fail(fmt::format("throws no error of the library: {}", e.what()));
    }
    t.fail(fmt::format("takes a bad argument; wanted {} \"{}\"", type, text));
  };
  call();  // also warms up what the first failure allocates for good
  const std::int64_t nodes = live_nodes(), blocks = memory_stats().live_blocks;
  call();
  if (live_nodes() != nodes || memory_stats().live_blocks != blocks)
    t.fail(fmt::format("the failed call left {} nodes and {} blocks of memory behind", live_nodes() - nodes,
                       memory_stats().live_blocks - blocks));
}

template <class E>
bool is(const std::exception& e) {
  return dynamic_cast<const E*>(&e) != nullptr;
}

/// Inputs that some sample leaves out are optional; any other must be refused when undefined.
void undefined_inputs(Trial& t) {
  if (t.cases.empty() || t.op.def->n_in == 0) return;
  const Case& c = t.cases.front();
  for (std::size_t i = 0; i < c.in.size(); ++i) {
    const bool optional = std::any_of(t.cases.begin(), t.cases.end(),
                                      [&](const Case& o) { return i >= o.in.size() || !o.in[i].defined(); });
    if (optional || !c.in[i].defined()) continue;
    Case bad = c;
    bad.in[i] = Tensor();
    expect_error(t, bad, &is<ValueError>, "ValueError", "undefined");
  }
}

void shapes_that_do_not_fit(Trial& t) {
  if (t.op.def->n_in < 2) return;
  const std::pair<Dims, Dims> pairs[] = {{{3}, {4}}, {{2, 3}, {3, 2}}, {{0}, {2}}, {{2, 3, 4}, {2, 1, 3}}};
  for (const auto& [a, b] : pairs) {
    Case bad = t.cases.front();
    bad.in = pointwise_operands(t.op, a, t.numbers);
    bad.in.back() = pointwise_operands(t.op, b, t.numbers).back();
    expect_error(t, bad, &is<ShapeError>, "ShapeError", "broadcast");
  }
}

}  // namespace

void try_errors(Trial& t) {
  undefined_inputs(t);
  if (t.op.pointwise()) shapes_that_do_not_fit(t);
  if (t.op.errors) {
    ErrorList list;
    t.op.errors(list);
    for (std::size_t k = 0; k < list.list().size(); ++k) {
      const ErrorCase& e = list.list()[k];
      Case bad;
      bad.attrs_code =
          fmt::format("[&] {{ static ErrorList e; op.errors(e); return e.list()[{}].attrs.get(); }}()", k);
      bad.in = e.in;
      bad.attrs = e.attrs ? e.attrs : default_attrs(*t.op.def);
      bad.note = "a bad argument from the op's errors()";
      expect_error(t, bad, e.is_expected, e.type, e.text);
    }
  } else if (!t.op.pointwise()) {
    t.fail("the op lists no bad arguments (errors)");
  }
}

}  // namespace thalweg::check
