// See mutants_hook.hpp. Depends on functions.hpp. Invariant: the hook is out of the way while a corruption is
// computed.
#include <thalweg/check/mutants_hook.hpp>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::check {
namespace {

bool floats(const Tensor& t) { return t.defined() && is_floating(t.dtype()); }
bool alike(const Tensor& a, const Tensor& b) {
  return a.defined() && b.defined() && a.dtype() == b.dtype() && a.shape() == b.shape();
}

bool commutes(const OpDef& op) {
  constexpr std::string_view names[] = {"add",        "mul",         "equal",   "not_equal", "logical_and",
                                        "logical_or", "logical_xor", "maximum", "minimum"};
  return std::find(std::begin(names), std::end(names), op.name) != std::end(names);
}

/// Counts one more `op`; how many there are now.
int count(std::vector<std::pair<const OpDef*, int>>& ops, const OpDef* op) {
  for (auto& [seen, times] : ops)
    if (seen == op) return ++times;
  ops.emplace_back(op, 1);
  return 1;
}

/// Puts the outputs of this call in the place of `out` where all have the same shapes.
bool replace(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out,
             bool& malformed) {
  Tensor other[4];
  bool fits = true;
  try {
    apply_unhooked(op, in, n, attrs, loc, other);
    for (int i = 0; i < op.n_out; ++i) fits &= !out[i].defined() || alike(other[i], out[i]);
  } catch (const Error&) {
    fits = false;
  }
  for (int i = 0; fits && i < op.n_out; ++i) out[i] = other[i];
  malformed |= !fits;
  return fits;
}

}  // namespace

bool replace_shifted(const OpDef& op, int variant, const Tensor* in, int n, const void* attrs, Loc loc,
                     Tensor* out, bool& malformed) {
  const std::shared_ptr<void> changed = copy_attributes(op, attrs);
  return shift_attributes(op, variant, changed.get(), in, n) &&
         replace(op, in, n, changed.get(), loc, out, malformed);
}

std::shared_ptr<void> copy_attributes(const OpDef& op, const void* attrs) {
  if (op.attrs_size == 0) return nullptr;
  std::shared_ptr<void> p(::operator new(op.attrs_size), [destroy = op.attrs_destroy](void* q) {
    if (destroy) destroy(q);
    ::operator delete(q);
  });
  op.attrs_copy(p.get(), attrs);
  return p;
}

const char* mutation_name(VjpMutation m) noexcept {
  constexpr const char* names[] = {"none",    "negated",   "factor", "replaced",
                                   "swapped", "attribute", "given",  "scaled",
                                   "other"};
  return names[static_cast<int>(m)];
}

void VjpHook::run(const OpDef& op, void (*own)(Vjp&, const void*), Vjp& v, const void* attrs) {
  const HookScope on(this);
  begin();
  if (plan_.kind == VjpMutation::given && run_given(op, own, v, attrs)) return;
  begin();
  own(v, attrs);
}

/// Hands on the gradients of a vjp with changed attributes where they have the shapes of the inputs.
bool VjpHook::run_given(const OpDef& op, void (*own)(Vjp&, const void*), Vjp& v, const void* attrs) {
  const auto n = static_cast<std::size_t>(v.n_in());
  std::vector<Tensor> in(n), gradients(n);
  std::uint64_t needs = 0;
  for (int i = 0; i < v.n_in() && i < 63; ++i)
    if (v.needs(i)) {
      const HookScope off(nullptr);
      in[static_cast<std::size_t>(i)] = zeros(v.in_meta(i).shape, v.in_meta(i).dtype);
      needs |= std::uint64_t{1} << i;
    }
  const std::shared_ptr<void> changed = copy_attributes(op, attrs);
  if (!shift_attributes(op, plan_.variant, changed.get(), in.data(), v.n_in())) return false;
  Tensor g[4];
  for (int j = 0; j < op.n_out; ++j)
    if (v.has_g(j)) g[j] = v.g(j);
  bool fits = true;
  try {
    Vjp other(v.node(), g, needs, v.create_graph(), gradients.data());
    own(other, changed.get());
  } catch (const Error&) {
    fits = false;
  }
  for (std::size_t i = 0; i < n; ++i)
    fits &= !gradients[i].defined() || !in[i].defined() || gradients[i].shape() == in[i].shape();
  malformed_ |= !fits;
  if (!fits) return false;
  for (std::size_t i = 0; i < n; ++i)
    if (in[i].defined()) v.set(static_cast<int>(i), gradients[i]);
  return applied_ = true;
}

void VjpHook::apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) {
  const int place = count(ops_, &op) - 1;
  int most = 0;
  for (const auto& [seen, times] : most_ops_)
    if (seen == &op) most = times;
  if (place >= most) count(most_ops_, &op);
  if (&op != plan_.op || place != plan_.n) return apply_unhooked(op, in, n, attrs, loc, out);
  const HookScope off(nullptr);
  corrupt(op, in, n, attrs, loc, out);
}

void VjpHook::corrupt(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) {
  apply_unhooked(op, in, n, attrs, loc, out);
  Tensor& y = out[0];
  const bool mask = y.dtype() == DType::boolean;
  switch (plan_.kind) {
    case VjpMutation::negated:
      if (!mask && !floats(y)) return;
      y = mask ? logical_not(y) : -y;
      break;
    case VjpMutation::factor:
      if (!floats(y)) return;
      y = y * 1.0625;
      break;
    case VjpMutation::replaced: {
      int i = 0;
      while (i < n && !alike(in[i], y)) ++i;
      if (i == n) malformed_ = true;  // left out, it would have given the wrong shape
      if (i == n || !floats(y)) return;
      y = in[i];
      break;
    }
    default:
      if (!try_inputs(op, in, n, attrs, loc, out)) return;
  }
  applied_ = true;
}

/// The op once more with its last two inputs the other way round, or with other attributes.
bool VjpHook::try_inputs(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) {
  if (plan_.kind == VjpMutation::attribute)
    return replace_shifted(op, plan_.variant, in, n, attrs, loc, out, malformed_);
  std::vector<Tensor> given(in, in + n);
  if (n < 2 || commutes(op) || !given[static_cast<std::size_t>(n - 1)].defined()) return false;
  std::swap(given[static_cast<std::size_t>(n - 2)], given[static_cast<std::size_t>(n - 1)]);
  return replace(op, given.data(), n, attrs, loc, out, malformed_);
}

Tensor VjpHook::saved(const Tensor& t) {
  const int place = saved_++;
  most_saved_ = std::max(most_saved_, saved_);
  const Tensor before = before_;
  before_ = t;
  if (place != plan_.n) return t;
  const HookScope off(nullptr);
  if (plan_.kind == VjpMutation::saved_other) {
    if (!alike(before, t)) {
      malformed_ = true;
      return t;
    }
    applied_ = true;
    return before;
  }
  if (plan_.kind != VjpMutation::saved_scaled || t.numel() == 0) return t;
  const bool indices = !is_floating(t.dtype()) && t.dtype() != DType::boolean;
  if (indices && t.numel() < 2) return t;
  applied_ = true;
  if (t.dtype() == DType::boolean) return logical_not(t);
  return indices ? flip(t) : t * 1.0625 + 0.03;
}

}  // namespace thalweg::check
