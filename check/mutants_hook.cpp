// See mutants_hook.hpp. Depends on functions.hpp. Invariant: the hook is out of the way while a corruption is
// computed.
#include <thalweg/check/mutants_hook.hpp>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

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

/// A copy of an op's attributes that can be changed; null for an op without.
std::shared_ptr<void> copy_attributes(const OpDef& op, const void* attrs) {
  if (op.attrs_size == 0) return nullptr;
  std::shared_ptr<void> p(::operator new(op.attrs_size), [destroy = op.attrs_destroy](void* q) {
    if (destroy) destroy(q);
    ::operator delete(q);
  });
  op.attrs_copy(p.get(), attrs);
  return p;
}

}  // namespace

const char* mutation_name(VjpMutation m) noexcept {
  constexpr const char* names[] = {"none",    "negated",   "factor", "replaced",
                                   "swapped", "attribute", "scaled", "other"};
  return names[static_cast<int>(m)];
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

/// The op once more with inputs or attributes changed; its result counts where it has the right shape.
bool VjpHook::try_inputs(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) {
  std::vector<Tensor> given(in, in + n);
  const std::shared_ptr<void> changed = copy_attributes(op, attrs);
  if (plan_.kind == VjpMutation::swapped) {
    if (n < 2 || commutes(op) || !given[static_cast<std::size_t>(n - 1)].defined()) return false;
    std::swap(given[static_cast<std::size_t>(n - 2)], given[static_cast<std::size_t>(n - 1)]);
  } else if (!shift_attributes(op, plan_.variant, changed.get(), in, n)) {
    return false;
  }
  Tensor other[4];
  try {
    apply_unhooked(op, given.data(), n, changed.get(), loc, other);
  } catch (const Error&) {
    malformed_ = true;
    return false;
  }
  if (!alike(other[0], out[0])) {
    malformed_ = true;
    return false;
  }
  out[0] = other[0];
  return true;
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
