// What an op struct is, and the one template that turns it into an OpDef: op_def<Op>(). Everything a user needs to write
// an op of their own; the library's ops use nothing else. Depends on graph, pointwise traits, kernels.
// Invariant: one struct, one OpDef; a struct that lacks a member does not compile and the message names it.
#pragma once

#include <new>

#include <thalweg/autograd/engine/engine.hpp>
#include <thalweg/autograd/graph/apply.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/kernels/simd/block_kernels.hpp>
#include <thalweg/ops/tensor_lane.hpp>
#include <thalweg/ops/pointwise/traits.hpp>

namespace thalweg {

namespace ops {

/// A pointwise op: `template <class V> static V f(V x)`.
template <class Op>
concept PointwiseOp = arity_of<Op>() > 0;
/// A view op: `static ViewSpec view(const Ins&, const Attrs&)`.
template <class Op>
concept ViewOp = requires { &Op::view; };
/// An op written in other ops: `static Tensor compose(const Tensor* in, int n, const Attrs&, Loc)`.
template <class Op>
concept CompositeOp = requires { &Op::compose; };
/// An op with a kernel: `infer(const Ins&, const Attrs&, Outs&)` and `run(const Ins&, const View* out, const Attrs&)`.
template <class Op>
concept StructuredOp = requires { &Op::infer; &Op::run; };

template <class Op>
using Attributes = typename AttrsOf<Op>::type;

/// A library op says which group's list it stands in, and so which kernels it has; others use Block lanes.
template <class Op>
struct KernelsOf {
  static const kernels::PointwiseKernels& table() { return simd::block_kernels<Op>(); }
};

namespace detail {

constexpr NeedMask need_of(unsigned save_mask) {
  return (save_mask & 7u) | ((save_mask & save_output) ? need_output() : 0u);
}

template <class Op, int Operand>
void pointwise_gradient(Vjp& v, const Attributes<Op>& attrs) {
  if constexpr (PointwiseTraits<Op>::kind[Operand] != DerivativeKind::none) {
    if (!v.needs(Operand)) return;
    if (v.node().op->identity[Operand]) {
      v.set(Operand, v.g());
      return;
    }
    constexpr unsigned mask = PointwiseTraits<Op>::save_mask[Operand];
    TensorLane in[5] = {TensorLane(v.g())};
    int k = 1;
    for (int i = 0; i < 3; ++i)
      if ((mask >> i) & 1u) in[k++] = TensorLane(v.in(i));
    if constexpr ((mask & save_output) != 0) in[k++] = TensorLane(v.out());
    v.set(Operand, gradient_formula<Op, Operand, TensorLane>(in, attrs).tensor());
  }
}

template <class Op, int Operand>
bool gradient_is_g() {
  if constexpr (PointwiseTraits<Op>::kind[Operand] != DerivativeKind::constant) return false;
  else if constexpr (PointwiseTraits<Op>::has_attrs) return false;
  else return static_cast<double>(derivative_of<Op, Operand>(NoAttrs{})) == 1.0;
}

template <class Op>
const Attributes<Op>& attrs_as(const void* p) {
  static const Attributes<Op> defaults{};
  return p ? *static_cast<const Attributes<Op>*>(p) : defaults;
}

template <class Op>
void set_attrs(OpDef& d) {
  using A = Attributes<Op>;
  static_assert(alignof(A) <= alignof(void*), "thalweg: attributes of an op must not be over-aligned");
  if constexpr (requires { typename Op::Attrs; }) {
    d.attrs_size = sizeof(A);
    d.attrs_copy = [](void* dst, const void* src) { new (dst) A(attrs_as<Op>(src)); };
    if constexpr (!std::is_trivially_destructible_v<A>)
      d.attrs_destroy = [](void* p) noexcept { static_cast<A*>(p)->~A(); };
  }
}

template <class Op>
OpDef make_pointwise() {
  using T = PointwiseTraits<Op>;
  OpDef d{.name = Op::row.name, .kind = OpKind::pointwise};
  d.differentiable = !Op::row.nondifferentiable;
  d.broadcasts = true;
  d.predicate = Op::row.predicate;
  d.integers = Op::row.integers;
  d.n_in = T::arity;
  d.no_grad = Op::row.conditions;
  for (int i = 0; i < 3; ++i) d.needs[i] = need_of(T::save_mask[i]);
  d.identity[0] = gradient_is_g<Op, 0>();
  if constexpr (T::arity > 1) d.identity[1] = gradient_is_g<Op, 1>();
  if constexpr (T::arity > 2) d.identity[2] = gradient_is_g<Op, 2>();
  d.kernels = &KernelsOf<Op>::table;
  d.vjp = [](Vjp& v, const void* p) {
    const Attributes<Op>& attrs = attrs_as<Op>(p);
    pointwise_gradient<Op, 0>(v, attrs);
    if constexpr (T::arity > 1) pointwise_gradient<Op, 1>(v, attrs);
    if constexpr (T::arity > 2) pointwise_gradient<Op, 2>(v, attrs);
  };
  return d;
}

template <class Op>
OpDef make_structured() {
  OpDef d{.name = Op::row.name};
  d.differentiable = !Op::row.nondifferentiable;
  if constexpr (requires { Op::n_in; }) d.n_in = Op::n_in;
  if constexpr (requires { Op::n_out; }) d.n_out = Op::n_out;
  if constexpr (requires { Op::broadcasts; }) d.broadcasts = Op::broadcasts;
  d.no_grad = Op::row.conditions;
  if constexpr (requires { Op::needs; }) {
    constexpr int given = static_cast<int>(std::size(Op::needs));
    static_assert(given >= 1 && given <= 4, "thalweg: `needs` lists one mask per input, four at most");
    for (int i = 0; i < 4; ++i) d.needs[i] = i < given ? Op::needs[i] : (d.n_in < 0 ? Op::needs[given - 1] : 0);
  }
  if constexpr (CompositeOp<Op>) {
    d.kind = OpKind::composite;
    d.compose = [](const Tensor* in, int n, const void* p, Loc loc) {
      return Op::compose(in, n, attrs_as<Op>(p), loc);
    };
  } else {
    if constexpr (ViewOp<Op>) {
      d.kind = OpKind::view;
      d.view = [](const Ins& in, const void* p) { return Op::view(in, attrs_as<Op>(p)); };
    } else {
      static_assert(StructuredOp<Op>, "thalweg: an op needs f, or view, or compose, or infer and run");
      d.infer = [](const Ins& in, const void* p, Outs& out) { Op::infer(in, attrs_as<Op>(p), out); };
      d.run = [](const Ins& in, const View* out, const void* p) { Op::run(in, out, attrs_as<Op>(p)); };
      if constexpr (requires { &Op::check; })
        d.check = [](const Ins& in, const void* p) { Op::check(in, attrs_as<Op>(p)); };
    }
    if constexpr (!Op::row.nondifferentiable)
      d.vjp = [](Vjp& v, const void* p) { Op::vjp(v, attrs_as<Op>(p)); };
  }
  return d;
}

}  // namespace detail

/// The one OpDef of an op struct. Mutable so that the harness can plant wrong derivatives; nothing else writes it.
template <class Op>
OpDef& op_def() {
  static OpDef d = [] {
    OpDef made;
    if constexpr (PointwiseOp<Op>) made = detail::make_pointwise<Op>();
    else made = detail::make_structured<Op>();
    detail::set_attrs<Op>(made);
    return made;
  }();
  return d;
}

}  // namespace ops

namespace ops::detail {

/// The arguments side by side, as apply() wants them, without counting references: the caller holds them all.
template <int N>
class Borrowed {
 public:
  template <class... T>
  explicit Borrowed(const T&... t) noexcept {
    int i = 0;
    (new (&handles_[i++]) Tensor(Ref<TensorBody>::adopt(static_cast<const Tensor&>(t).get())), ...);
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() {}  // the handles are not ours to release
  const Tensor* data() const noexcept { return handles_; }
 private:
  union {
    Tensor handles_[N];
  };
};

// Whether an argument is given up: it is a temporary, or was moved on by the function that got it.
inline bool given_up(const Arg&) noexcept { return false; }
inline bool given_up(Arg&& a) noexcept { return a.given_up; }

/// Of an argument that was taken the caller's handle is let go: another one holds its tensor now.
[[gnu::noinline]] inline void let_go(const Tensor* left, std::initializer_list<const Tensor*> handles) noexcept {
  for (const Tensor* t : handles)
    if (!(left++)->defined()) const_cast<Tensor*>(t)->take().leak();
}

template <class Op, class... Args>
Tensor run(const Attributes<Op>& attrs, const Arg& first, Args&&... rest) {
  constexpr int n = 1 + static_cast<int>(sizeof...(rest));
  Borrowed<n> in(first, rest...);
  Tensor out[PointwiseOp<Op> ? 1 : 4];
  unsigned mask = first.given_up;
  if constexpr (PointwiseOp<Op>) {
    int i = 0;
    ((mask |= static_cast<unsigned>(given_up(std::forward<Args>(rest))) << ++i), ...);
  }
  apply(op_def<Op>(), in.data(), n, &attrs, first.loc, out, mask);
  if (PointwiseOp<Op> && mask) [[unlikely]] let_go(in.data(), {&first.t, &static_cast<const Tensor&>(rest)...});
  return std::move(out[0]);
}

}  // namespace ops::detail

/// Runs op `Op` on the arguments: apply<Tanh>(x), apply<Sum>({.dims = {0}}, x). The last argument's line names the call.
/// What is moved in is given up: a pointwise op may write over it, and then it is undefined afterwards. A function of
/// yours that takes `Arg x` passes that along by apply<Op>(std::move(x)).
template <class Op, class... Args>
Tensor apply(const ops::Attributes<Op>& attrs, Arg first, Args&&... rest) {
  return ops::detail::run<Op>(attrs, first, std::forward<Args>(rest)...);
}
template <class Op, class... Args>
Tensor apply(Arg first, Args&&... rest) {
  return ops::detail::run<Op>(ops::detail::attrs_as<Op>(nullptr), first, std::forward<Args>(rest)...);
}

/// Any number of inputs and all outputs.
template <class Op>
std::vector<Tensor> apply_all(const ops::Attributes<Op>& attrs, std::span<const Tensor> in, Loc loc = Loc::here()) {
  Tensor out[4];
  const OpDef& d = ops::op_def<Op>();
  apply(d, in.data(), static_cast<int>(in.size()), &attrs, loc, out);
  return std::vector<Tensor>(out, out + d.n_out);
}

}  // namespace thalweg
