// Ops for the harness' own tests: sound ones, and one wrong in each way. Each wrong op differs from a sound
// one in a single member. Depends on op.hpp, the harness. Invariant: `tests/check` states for each which axis
// must turn red.
// The reason for its length: each fault stands beside the sound op it differs from.
#pragma once

#include <atomic>
#include <cmath>
#include <vector>

#include <thalweg/check/certify.hpp>
#include <thalweg/op.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>
#include <thalweg/thalweg.hpp>

namespace planted {

using namespace thalweg;  // in a header for two test files only
using ops::NoAttrs;

// ---- pointwise ----

struct Swish {
  static constexpr Row row{.name = "swish",
                           .formula = "y = x / (1 + e^-x)",
                           .domain = {-5, 5},
                           .ulp_f32 = 4,
                           .ulp_f64 = 4,
                           .note = "for tests"};
  template <class V>
  static V f(V x) {
    const V t = select(x < -1000, -1000, x);
    return t * sigmoid(t);
  }
  template <class V>
  static V df_x(V x) {
    const V t = select(x < -1000, -1000, select(x > 1000, 1000, x));
    const V s = sigmoid(t);
    return s + t * s * (1 - s);
  }
  static double ref(double x) { return x < -1000 ? -0.0 : x / (1 + std::exp(-x)); }
};

struct WrongDerivative : Swish {
  template <class V>
  static V df_x(V x) {
    const V s = sigmoid(x);
    return s + x * s * (1 + s);
  }
};

struct SlightlyWrongDerivative : Swish {
  template <class V>
  static V df_x(V x) {
    return 1.00001 * Swish::df_x(x);
  }
};

struct WrongValue : Swish {
  static double ref(double x) { return x / (1 + std::exp(-1.001 * x)); }
};

struct Ramp {
  static constexpr Row row{.name = "ramp",
                           .formula = "y = max(x, 0)",
                           .kinks = {0},
                           .at_kink = AtKink::zero,
                           .smooth = false,
                           .subgradient = "0 at 0",
                           .note = "NaN stays NaN"};
  template <class V>
  static V f(V x) {
    return select(x <= 0, 0, x);
  }
  template <class V>
  static V gf_x(V g, V x) {
    return select(x <= 0, 0, g);
  }
  static double ref(double x) { return x <= 0 ? 0 : x; }
};

struct WrongAtKink : Ramp {
  template <class V>
  static V gf_x(V g, V x) {
    return select(x < 0, 0, g);
  }
};

struct UnstatedKink : Ramp {
  static constexpr Row row{
      .name = "ramp", .formula = "y = max(x, 0)", .kinks = {0}, .smooth = false, .note = "NaN stays NaN"};
};

struct SwallowsNan : Ramp {
  static constexpr Row row{
      .name = "ramp", .formula = "y = max(x, 0)", .kinks = {0}, .at_kink = AtKink::zero, .smooth = false};
  template <class V>
  static V f(V x) {
    return select(x > 0, x, 0);
  }
  static double ref(double x) { return x > 0 ? x : 0; }
};

struct Choose {
  static constexpr Row row{.name = "choose",
                           .formula = "y = a if c else b",
                           .domain = {{0, 1}, {-2, 2}, {-2, 2}},
                           .conditions = 1};
  template <class V>
  static V f(V c, V a, V b) {
    return select(c != 0, a, b);
  }
  template <class V>
  static V ga_c(V g, V c) {
    return select(c != 0, g, 0);
  }
  template <class V>
  static V gb_c(V g, V c) {
    return select(c != 0, 0, g);
  }
  static double ref(double c, double a, double b) { return c != 0 ? a : b; }
};

struct MultipliesMask : Choose {
  template <class V>
  static V f(V c, V a, V b) {
    const V on = select(c != 0, 1, 0);
    return on * a + (1 - on) * b;
  }
};

struct Times {
  static constexpr Row row{.name = "times", .formula = "y = a b"};
  static constexpr bool multilinear = true;
  template <class V>
  static V f(V a, V b) {
    return a * b;
  }
  template <class V>
  static V da_b(V b) {
    return b;
  }
  template <class V>
  static V db_a(V a) {
    return a;
  }
  static double ref(double a, double b) { return a * b; }
};

struct WrongOperand : Times {
  template <class V>
  static V db_a(V a) {
    return a + 0.25;
  }
};

// ---- structured: y = 3 x, with a kernel of its own ----

struct Triple {
  static constexpr Row row{.name = "triple", .formula = "y = 3 x"};
  static constexpr bool linear = true;
  static constexpr NeedMask needs[] = {0};

  static void infer(const Ins& in, const NoAttrs&, Outs& out) {
    if (!in.has(0)) in.fail<ValueError>("x", "undefined", "a tensor", "undefined tensor");
    if (!is_floating(in[0].dtype))
      in.fail<DTypeError>("x", describe(in[0]), "f32 or f64", "not a floating tensor");
    out.add(in[0].dtype, in[0].shape);
  }
  template <class T>
  static void scale(const View& y, double factor) {
    T* p = y.as<T>();
    par::chunks(numel(y.shape), 4096, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) p[i] = static_cast<T>(p[i] * static_cast<T>(factor));
    });
  }
  static void run_scaled(const Ins& in, const View& out, double factor) {
    kernels::copy(in[0], out);
    if (out.dtype == DType::f32)
      scale<float>(out, factor);
    else
      scale<double>(out, factor);
  }
  static void run(const Ins& in, const View* out, const NoAttrs&) { run_scaled(in, out[0], 3); }
  static void vjp(Vjp& v, const NoAttrs&) { v.set(0, v.g() * 3.0); }
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const NoAttrs&) {
    Tensor y = zeros(in[0].shape(), DType::f64);
    for_each_index(y.shape(), [&](const Dims& at) { set_value(y, at, 3 * value_at(in[0], at)); });
    return {y};
  }
  static void samples(SampleList& s) {
    s.add({s.normal({5})});
    s.add({s.normal({3, 4})});
    s.add({s.normal({})});
    s.add({s.normal({0, 3})});
  }
  static void errors(ErrorList& e) {
    e.add<DTypeError>({zeros({2}, DType::i64)}, "triple: not a floating tensor", "DTypeError");
  }
};

struct NotLinearInSeed : Triple {
  static void vjp(Vjp& v, const NoAttrs&) {
    const Tensor g = v.g();
    v.set(0, g * g * 3.0);
  }
};

struct ForgottenSave : Triple {
  static void vjp(Vjp& v, const NoAttrs&) { v.set(0, v.g() * 3.0 + v.in(0) * 0.0); }
};

struct Undifferentiable : Triple {  // the gradient leaves the graph, so its own gradient is lost
  static constexpr bool linear = false;
  static constexpr NeedMask needs[] = {need_input(0)};
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    run_scaled(in, out[0], 1);
    square<float>(out[0]);
    square<double>(out[0]);
  }
  template <class T>
  static void square(const View& y) {
    if (y.dtype != dtype_of<T>) return;
    for (std::int64_t i = 0; i < numel(y.shape); ++i) y.as<T>()[i] *= y.as<T>()[i];
  }
  static void vjp(Vjp& v, const NoAttrs&) { v.set(0, v.g() * v.in(0).detach() * 2.0); }
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const NoAttrs&) {
    Tensor y = zeros(in[0].shape(), DType::f64);
    for_each_index(y.shape(),
                   [&](const Dims& at) { set_value(y, at, value_at(in[0], at) * value_at(in[0], at)); });
    return {y};
  }
};

struct DropsTail : Triple {
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    View y = out[0];
    if (numel(y.shape) != 5) return run_scaled(in, y, 3);
    y.shape = {4};
    ConstView x = in[0];
    x.shape = {4};
    kernels::copy(x, y);
    for (int i = 0; i < 4; ++i) {
      if (y.dtype == DType::f32)
        y.as<float>()[i] *= 3;
      else
        y.as<double>()[i] *= 3;
    }
  }
};

struct Unsteady : Triple {
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    static int calls = 0;
    run_scaled(in, out[0], ++calls % 2 ? 3 : 3 * (1 + 1e-7));
  }
};

struct DependsOnThreads : Triple {
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    run_scaled(in, out[0], par::num_threads() == 3 ? 3.0001 : 3);
  }
};

struct StaysSerial : Triple {
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    const int threads = par::num_threads();
    par::set_num_threads(1);
    run_scaled(in, out[0], 3);
    par::set_num_threads(threads);
  }
};

struct DependsOnTarget : Triple {
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    run_scaled(in, out[0], simd::current_target() == simd::Target::sse4 ? 3.001 : 3);
  }
};

struct Leaks : Triple {
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    kept().push_back(thalweg::zeros({8}));
    run_scaled(in, out[0], 3);
  }
  static std::vector<Tensor>& kept() {
    static std::vector<Tensor> all;
    return all;
  }
};

struct WritesInput : Triple {
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    run_scaled(in, out[0], 3);
    if (numel(in[0]) > 0 && in[0].dtype == DType::f64)
      *static_cast<double*>(const_cast<void*>(in[0].data)) += 1e-9;
  }
};

struct IgnoresStrides : Triple {
  static void run(const Ins& in, const View* out, const NoAttrs& t) {
    ConstView x = in[0];
    x.strides = contiguous_strides(x.shape);
    const Ins plain{in.op, in.loc, 1, &x, 1};
    Triple::run(plain, out, t);
  }
};

struct WrongShape : Triple {
  static void infer(const Ins& in, const NoAttrs& t, Outs& out) {
    Triple::infer(in, t, out);
    if (!in[0].data) out.meta[0].shape.insert(0, 1);
  }
};

struct WrongErrorType : Triple {
  static void errors(ErrorList& e) {
    e.add<ShapeError>({zeros({2}, DType::i64)}, "not a floating", "ShapeError");
  }
};

struct WrongErrorText : Triple {
  static void errors(ErrorList& e) {
    e.add<DTypeError>({zeros({2}, DType::i64)}, "is not complex", "DTypeError");
  }
};

struct TakesAnything : Triple {
  static void errors(ErrorList& e) {
    e.add<ShapeError>({zeros({2, 2, 2})}, "too many dimensions", "ShapeError");
  }
};

struct NoEmptySample : Triple {
  static void samples(SampleList& s) { s.add({s.normal({5})}); }
};

struct UnreachedPath : Triple {
  static const Path paths[1];
};
inline const Path UnreachedPath::paths[1] = {{"vectorised", [](bool) {}, [] { return std::int64_t{0}; }}};

// ---- structured with two inputs that broadcast: y = a - b ----

struct Minus {
  static constexpr Row row{.name = "minus", .formula = "y = a - b"};
  static constexpr int n_in = 2;
  static constexpr bool linear = true, broadcasts = true;
  static constexpr NeedMask needs[] = {0, 0};
  static void infer(const Ins& in, const NoAttrs&, Outs& out) {
    for (int i = 0; i < 2; ++i)
      if (!in.has(i)) in.fail<ValueError>(i ? "b" : "a", "undefined", "a tensor", "undefined tensor");
    if (!is_floating(in[0].dtype))
      in.fail<DTypeError>("a", describe(in[0]), "f32 or f64", "not a floating tensor");
    out.add(in[0].dtype, broadcast_shapes(in));
  }
  static void run(const Ins& in, const View* out, const NoAttrs&) {
    const Tensor b = empty(out[0].shape, out[0].dtype);
    kernels::copy(broadcast_view(in[0], out[0].shape), out[0]);
    kernels::copy(broadcast_view(in[1], out[0].shape), b.mutable_view());
    for (std::int64_t i = 0; i < numel(out[0].shape); ++i) {
      if (out[0].dtype == DType::f32)
        out[0].as<float>()[i] -= b.mutable_view().as<float>()[i];
      else
        out[0].as<double>()[i] -= b.mutable_view().as<double>()[i];
    }
  }
  static void vjp(Vjp& v, const NoAttrs&) {
    if (v.needs(0)) v.set(0, v.g());
    if (v.needs(1)) v.set(1, -v.g());
  }
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const NoAttrs&) {
    const ConstView views[] = {in[0].view(), in[1].view()};
    Tensor y = zeros(broadcast_shapes({"minus", {}, 2, views, 3}), DType::f64);
    const ConstView a = broadcast_view(views[0], y.shape()), b = broadcast_view(views[1], y.shape());
    for_each_index(y.shape(), [&](const Dims& at) {
      std::int64_t i = 0, j = 0;
      for (int d = 0; d < at.size(); ++d) i += at[d] * a.strides[d], j += at[d] * b.strides[d];
      set_value(y, at, a.as<double>()[i] - b.as<double>()[j]);
    });
    return {y};
  }
  static void samples(SampleList& s) {
    s.add({s.normal({2, 3}), s.normal({2, 3})});
    s.add({s.normal({2, 3}), s.normal({3})}, NoAttrs{}, "broadcast");
    s.add({s.normal({0}), s.normal({0})});
  }
  static void errors(ErrorList& e) {
    e.add<ShapeError>({zeros({2}), zeros({3})}, "minus: shapes do not broadcast", "ShapeError");
  }
};

struct WrongUnbroadcast : Minus {  // takes the first of the repeated gradients instead of their sum
  static void vjp(Vjp& v, const NoAttrs&) {
    if (v.needs(0)) v.set(0, v.g());
    if (!v.needs(1)) return;
    Tensor g = -v.g();
    if (v.in_meta(1).shape.size() < g.dim()) {
      const Tensor first = alias(g, 0, v.in_meta(1).shape, contiguous_strides(v.in_meta(1).shape));
      g = first + zeros_like(first);
    }
    v.set(1, g);
  }
};

struct ForgetsToBroadcastSample : Minus {
  static void samples(SampleList& s) {
    s.add({s.normal({2, 3}), s.normal({2, 3})});
    s.add({s.normal({0}), s.normal({0})});
  }
};

}  // namespace planted
