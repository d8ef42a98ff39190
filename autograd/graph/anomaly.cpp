// See anomaly.hpp. Depends on base/memory, kernels/copy, fmt. Invariant: the ops inside a composite, a function
// or a derivative are not looked at, since infinities that they select away are its own affair; what comes out of it is.
#include <thalweg/autograd/graph/anomaly.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/copy.hpp>

namespace thalweg {
namespace {

/// Puts a hook into this thread for the scope.
class Hooked {
 public:
  explicit Hooked(ApplyHook* hook) noexcept : kept_(thread_state.apply_hook) { thread_state.apply_hook = hook; }
  Hooked(const Hooked&) = delete;
  Hooked& operator=(const Hooked&) = delete;
  ~Hooked() { thread_state.apply_hook = kept_; }

 private:
  ApplyHook* kept_;
};

/// What a tensor holds; the places are row-major, -1: none.
struct Contents {
  std::int64_t nan = -1, infinity = -1;
};

template <class T>
Contents look(const T* x, std::int64_t n) noexcept {
  constexpr std::int64_t block = 1024;
  Contents c;
  for (std::int64_t at = 0; at < n && (c.nan < 0 || c.infinity < 0); at += block) {
    const std::int64_t end = std::min(n, at + block);
    T sum = 0;
    for (std::int64_t i = at; i < end; ++i) sum += x[i] * T{0};  // 0, or NaN for anything not finite
    if (sum == 0) continue;
    for (std::int64_t i = at; i < end; ++i) {
      if (c.nan < 0 && std::isnan(x[i])) c.nan = i;
      if (c.infinity < 0 && std::isinf(x[i])) c.infinity = i;
    }
  }
  return c;
}

template <class T>
Contents look_at(const ConstView& v) {
  if (is_contiguous(v)) return look(v.as<T>(), numel(v));
  const mem::Scratch<T> dense(static_cast<std::size_t>(numel(v)));
  kernels::copy(v, View{dense.data(), v.dtype, v.shape, contiguous_strides(v.shape)});
  return look(static_cast<const T*>(dense.data()), numel(v));
}

Contents contents(const ConstView& v) {
  if (!is_floating(v.dtype)) return {};
  return v.dtype == DType::f32 ? look_at<float>(v) : look_at<double>(v);
}
Contents contents(const Tensor& t) { return t.defined() ? contents(t.view()) : Contents{}; }

/// What the operands of an op hold, some of it each.
Contents contents_of(const Tensor* t, int n) {
  Contents all;
  for (int i = 0; i < n; ++i) {
    const Contents c = contents(t[i]);
    all.nan = std::max(all.nan, c.nan);
    all.infinity = std::max(all.infinity, c.infinity);
  }
  return all;
}

Dims place(std::int64_t at, const Dims& shape) {
  Dims index = shape;
  for (int d = shape.size() - 1; d >= 0; --d) {
    index[d] = at % shape[d];
    at /= shape[d];
  }
  return index;
}

/// Throws where `made` holds what `from`, its operands' contents, do not account for.
void check_made(const Tensor& made, const Contents& from, const AnomalyOptions& options, const char* op,
                const std::string& arg, const char* maker, Loc loc) {
  const Contents c = contents(made);
  const bool nan = c.nan >= 0 && from.nan < 0,
             infinity = options.infinity && c.infinity >= 0 && from.nan < 0 && from.infinity < 0;
  if (!nan && !infinity) return;
  throw_error<ValueError>(
      {.op = op,
       .arg = fmt::format("{} at {}", arg, to_string(place(nan ? c.nan : c.infinity, made.shape()))),
       .given = nan ? "NaN" : "infinite",
       .wanted = from.infinity >= 0 ? "no NaN: no operand holds one" : "a finite number, as all operands are",
       .what = fmt::format("{} {}", maker, nan ? "makes a NaN" : "makes an infinity"),
       .loc = loc});
}

}  // namespace

Anomaly::Anomaly(AnomalyOptions options) noexcept
    : outer_(thread_state.apply_hook), below_(outer_), options_(options) {
  if (const auto* around = dynamic_cast<const Anomaly*>(outer_)) below_ = around->below_;
  thread_state.apply_hook = this;
}

void Anomaly::apply(const OpDef& op, const Tensor* in, int n, const void* attrs, Loc loc, Tensor* out) {
  const Hooked below(below_);
  Contents from;
  if (op.kind != OpKind::view) from = contents_of(in, n);
  thalweg::apply(op, in, n, attrs, loc, out);
  if (op.kind == OpKind::view) return;
  if (thread_state.call_site) loc = thread_state.call_site;
  for (int j = 0; j < op.n_out; ++j) try {
      check_made(out[j], from, options_, op.name, op.n_out == 1 ? "the result" : fmt::format("result {}", j + 1),
                 "the op", loc);
    } catch (...) {
      for (int k = 0; k < op.n_out; ++k) out[k] = Tensor();
      throw;
    }
}

void Anomaly::in_place(const OpDef& op, Tensor* in, int n, const void* attrs, Loc loc) {
  const Hooked below(below_);
  const Contents from = contents_of(in, n);
  apply_in_place(op, in, n, attrs, loc);
  check_made(in[0], from, options_, op.name, "the result", "the op", thread_state.call_site ? thread_state.call_site : loc);
}

void Anomaly::vjp(Vjp& v, void* attrs, void (*run)(Vjp&, void*)) {
  const Hooked below(below_);
  const Node& node = v.node();
  Contents from;
  for (int j = 0; j < node.n_out; ++j)
    if (v.has_g(j)) {
      const Contents c = contents(v.g(j));
      from.nan = std::max(from.nan, c.nan);
      from.infinity = std::max(from.infinity, c.infinity);
    }
  for (int bit = 0; bit < 16; ++bit)  // saved operands are operands of the derivative; what was made of them is not
    if ((node.saved_mask >> bit) & 1u) {
      const SavedValue& s = node.saved_at(bit);
      const Contents c = contents(ConstView{s.data, s.dtype, s.shape, s.strides});
      from.nan = std::max(from.nan, c.nan);
      from.infinity = std::max(from.infinity, c.infinity);
    }
  run(v, attrs);
  for (int i = 0; i < node.n_in; ++i)
    check_made(v.gradient(i), from, options_, node.op->name, fmt::format("the gradient of argument {}", i + 1),
               "the derivative", node.loc);
}

}  // namespace thalweg
