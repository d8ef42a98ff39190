// The op behind a Function: calls the user's code, checks what it returned, records one node. Depends on
// graph, describe.hpp, fmt. Invariant: the node's attributes own the definition, and with it the OpDef the
// node points to.
#include <thalweg/ops/function.hpp>

#include <exception>
#include <new>

#include <fmt/format.h>

#include <thalweg/autograd/base/rethrow.hpp>
#include <thalweg/autograd/graph/record.hpp>
#include <thalweg/ops/describe.hpp>

namespace thalweg {

struct Function::Definition : OpDef, std::enable_shared_from_this<Definition> {
  std::string title;
  Row row{};
  Forward forward;
  Gradient gradient;
  FunctionSaves saves;

  static const Definition& of(const OpDef& op) { return static_cast<const Definition&>(op); }
  static void call_op(const OpDef& self, const Tensor* in, int n, Loc loc, Tensor* out);
  static void vjp_op(Vjp& v, const void*);
};

namespace {

constexpr int most_inputs = 16;  // as many as a save mask has bits

/// A node holds its function's definition alive; an empty one stands for attributes that were not given.
using Keeper = std::shared_ptr<const OpDef>;

[[noreturn]] void fail(const OpDef& op, std::string arg, std::string given, std::string wanted,
                       std::string what, Loc loc) {
  throw_error<GraphError>({.op = op.name,
                           .arg = std::move(arg),
                           .given = std::move(given),
                           .wanted = std::move(wanted),
                           .what = std::move(what),
                           .loc = loc});
}

/// Runs the user's code; whatever it throws comes out naming the function, except that memory ran out.
template <class Code>
auto guarded(const OpDef& op, const char* part, Loc loc, Code code) {
  try {
    return code();
  } catch (const MemoryError&) {
    throw;
  } catch (const Error& e) {
    ErrorFields fields = e.fields();
    fields.what =
        fmt::format("in its {}: {}{}{}", part, fields.op, fields.op.empty() ? "" : ": ", fields.what);
    fields.op = op.name;
    throw_again(e, std::move(fields));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    std::throw_with_nested(GraphError(
        {.op = op.name, .what = fmt::format("its {} threw an exception: {}", part, e.what()), .loc = loc}));
  } catch (...) {
    std::throw_with_nested(
        GraphError({.op = op.name,
                    .what = fmt::format("its {} threw something that is no std::exception", part),
                    .loc = loc}));
  }
}

/// Storage versions of the inputs, to catch a forward that writes to them.
std::vector<std::uint32_t> versions(const Tensor* in, int n) {
  std::vector<std::uint32_t> v;
  for (int i = 0; i < n; ++i) v.push_back(in[i].get()->storage->version());
  return v;
}

}  // namespace

void Function::Definition::call_op(const OpDef& self, const Tensor* in, int n, Loc loc, Tensor* out) {
  const Definition& d = of(self);
  if (n != d.n_in)
    throw_error<ValueError>({.op = d.name,
                             .arg = "the inputs",
                             .given = fmt::format("{}", n),
                             .wanted = fmt::format("{}", d.n_in),
                             .what = "wrong number of inputs",
                             .loc = loc});
  for (int i = 0; i < n; ++i)
    if (!in[i].defined()) throw_undefined_input(d, i, loc);
  const std::uint64_t wants = wants_gradient(d, in, n, loc);
  const std::vector<std::uint32_t> before = versions(in, n);
  NoGrad off;
  Tensor result = guarded(
      d, "forward", loc, [&] { return d.forward(std::span<const Tensor>(in, static_cast<std::size_t>(n))); });
  if (!result.defined()) fail(d, "the result", "undefined", "a tensor", "its forward returned nothing", loc);
  for (int i = 0; i < n; ++i)
    if (in[i].get()->storage->version() != before[static_cast<std::size_t>(i)])
      fail(d, fmt::format("argument {}", i + 1), in[i].describe(), "", "its forward wrote to its argument",
           loc);
  // The node is hung on the result, which therefore must be nobody else's: not an input, a view of one, or a
  // captive.
  if (!result.ref().unique() || !result.get()->storage.unique() || result.requires_grad())
    result = result.clone();
  if (wants) {
    const Keeper keeper = d.shared_from_this();
    record(d, in, n, wants, &result, 1, &keeper, loc);
  }
  out[0] = std::move(result);
}

void Function::Definition::vjp_op(Vjp& v, const void*) {
  const Definition& d = of(*v.node().op);
  const Loc loc = v.node().loc;
  std::vector<Tensor> in(static_cast<std::size_t>(d.n_in));
  for (int i = 0; i < d.n_in; ++i)
    if (v.has_in(i)) in[static_cast<std::size_t>(i)] = v.in(i);
  const Tensor y = d.saves.output ? v.out() : Tensor();
  std::vector<Tensor> gradients = guarded(d, "vjp", loc, [&] { return d.gradient(v.g(), in, y); });
  if (gradients.size() != in.size())
    fail(d, "the gradients its vjp returned", fmt::format("{}", gradients.size()),
         fmt::format("{}, one per input", in.size()), "wrong number of gradients", loc);
  for (int i = 0; i < d.n_in; ++i) {
    if (!v.needs(i)) continue;
    Tensor& g = gradients[static_cast<std::size_t>(i)];
    const Meta& wanted = v.in_meta(i);
    if (!g.defined() || !(g.shape() == wanted.shape) || g.dtype() != wanted.dtype)
      fail(d, fmt::format("the gradient of argument {}", i + 1), g.describe(),
           thalweg::describe(wanted.dtype, wanted.shape),
           g.defined() ? "its vjp returned a gradient of the wrong shape or dtype"
                       : "its vjp left out a gradient",
           loc);
    v.set(i, std::move(g));
  }
}

Function::Function(std::string name, int n_in, Forward forward, Gradient vjp, FunctionSaves saves, Loc loc) {
  const auto refuse = [&](const char* arg, std::string given, const char* wanted) {
    throw_error<ValueError>({.op = "function",
                             .arg = arg,
                             .given = std::move(given),
                             .wanted = wanted,
                             .what = "cannot make a function of this",
                             .loc = loc});
  };
  if (name.empty()) refuse("the name", "empty", "a name");
  if (n_in < 1 || n_in > most_inputs) refuse("the number of inputs", std::to_string(n_in), "1 to 16");
  if (!forward) refuse("forward", "empty", "a callable");
  if (!vjp) refuse("vjp", "empty", "a callable");
  definition_ = std::make_shared<Definition>();
  Definition& d = *definition_;
  d.title = std::move(name);
  d.name = d.title.c_str();
  d.row.name = d.name;
  d.row.formula = "a user's function";
  d.kind = OpKind::function;
  d.n_in = n_in;
  const NeedMask inputs = saves.inputs ? (NeedMask{1} << n_in) - 1 : 0;
  for (NeedMask& m : d.needs) m = inputs | (saves.output ? need_output() : 0);
  d.attrs_size = sizeof(Keeper);
  d.attrs_copy = [](void* to, const void* from) {
    if (from)
      new (to) Keeper(*static_cast<const Keeper*>(from));
    else
      new (to) Keeper();
  };
  d.attrs_destroy = [](void* p) noexcept { static_cast<Keeper*>(p)->~Keeper(); };
  d.call = &Definition::call_op;
  d.vjp = &Definition::vjp_op;
  d.forward = std::move(forward);
  d.gradient = std::move(vjp);
  d.saves = saves;
}

Tensor Function::operator()(std::span<const Tensor> in, Loc loc) const {
  const std::shared_ptr<Definition> keep = definition_;  // the callables may replace this very Function
  Tensor out;
  apply(*keep, in.data(), static_cast<int>(in.size()), nullptr, loc, &out);
  return out;
}

const std::string& Function::name() const noexcept { return definition_->title; }

OpInfo Function::describe(const FunctionTrial& trial) const {
  OpInfo info{.def = definition_.get(), .row = &definition_->row};
  info.samples = trial.samples;
  info.reference = trial.reference;
  info.errors = trial.errors ? trial.errors : [](ErrorList& e) {
    e.add<ValueError>({}, "wrong number of inputs", "ValueError");
  };
  return info;
}

}  // namespace thalweg
