// Bugs that people do write, planted in the library's own ops: each turns the axis that is there for it red,
// while the same axis is green for the sound op. Depends on the harness and the op structs. Invariant: a
// planted op differs from the library's in one member.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include <thalweg/check/certify.hpp>
#include <thalweg/check/mutants.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/fault.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>
#include <thalweg/ops/library.hpp>
#include <thalweg/ops/registry.hpp>
#include <thalweg/ops/structured/conv.hpp>
#include <thalweg/ops/structured/loss.hpp>
#include <thalweg/ops/structured/matmul.hpp>
#include <thalweg/ops/structured/random.hpp>
#include <thalweg/ops/structured/reduce.hpp>
#include <thalweg/ops/structured/softmax.hpp>

namespace {

using namespace thalweg;
using check::Axis;
using check::Outcome;
using ops::NoAttrs;

Outcome outcome(const OpInfo& op, Axis axis, check::Tier tier = check::Tier::quick) {
  return check::certify(op, {.tier = tier, .axes = 1u << static_cast<unsigned>(axis)})[axis].outcome;
}

template <class Sound, class Planted>
void turns_red(Axis axis) {
  INFO(std::string(Sound::row.name), " on ", std::string(check::axis_name(axis)));
  CHECK(outcome(describe<Sound>(), axis) == Outcome::passed);
  CHECK(outcome(describe<Planted>(), axis) == Outcome::failed);
}

void fault_turns_red(kernels::Fault fault, const char* name, Axis axis) {
  const OpInfo* op = find_op(name);
  REQUIRE(op);
  INFO(std::string(name), " on ", std::string(check::axis_name(axis)));
  CHECK(outcome(*op, axis) == Outcome::passed);
  const kernels::fault::Scope planted(fault);
  // Threads may happen to finish in order; that they never do is what the axis needs, so it gets a few looks.
  const int looks = fault == kernels::Fault::reduce_thread_order ? 8 : 1;
  bool red = false;
  for (int i = 0; i < looks && !red; ++i) red = outcome(*op, axis) == Outcome::failed;
  CHECK(red);
}

struct GeluOfTheOtherKind : ops::Gelu {
  template <class V>
  static V f(V x) {
    return ops::GeluTanh::f(x);
  }
};
struct GeluWithTheOtherGradient : ops::Gelu {
  template <class V>
  static V df_x(V x) {
    return ops::GeluTanh::df_x(x);
  }
};

struct MulSavesTheWrongOperand {
  static constexpr Row row{.name = "mul", .formula = "y = a b"};
  template <class V>
  static V f(V a, V b) {
    return a * b;
  }
  template <class V>
  static V da_a(V a) {
    return a;
  }
  template <class V>
  static V db_a(V a) {
    return a;
  }
  static double ref(double a, double b) { return a * b; }
};

struct MatmulTransposesItsGradient : ops::Matmul {
  static void vjp(Vjp& v, const NoAttrs&) {
    const auto square = [](const Meta& m) { return m.shape.size() == 2 && m.shape[0] == m.shape[1]; };
    if (v.needs(0) && square(v.in_meta(0)) && v.needs(1) && square(v.in_meta(1))) {
      v.set(0, matmul(v.g(), v.in(1)));  // without the transpose
      v.set(1, matmul(transpose(v.in(0), 0, 1), v.g()));
    } else {
      ops::Matmul::vjp(v, {});
    }
  }
};

struct MaxGivesEveryTieAll : ops::Max {
  static void vjp(Vjp& v, const Over& t) {
    const Tensor x = v.in(0), most = max(x, {.dims = t.dims, .keepdim = true});
    v.set(0, where(equal(x, most), reshape(v.g(), most.shape()), 0.0));
  }
};

struct SoftmaxOverflows : ops::Softmax {
  static void run(const Ins& in, const View* out, const Attrs& t) {
    NoGrad off;
    Tensor x = empty(in[0].shape, in[0].dtype);
    kernels::copy(in[0], x.mutable_view());
    const Tensor e = exp(x), y = e / sum(e, {.dims = {t.dim}, .keepdim = true});
    kernels::copy(y.view(), out[0]);
  }
};

struct LogSoftmaxForgetsTheSum : ops::LogSoftmax {
  static void vjp(Vjp& v, const Attrs&) { v.set(0, v.g() - exp(v.out()) * v.g()); }
};

struct CrossEntropyCountsIgnoredRows : ops::CrossEntropy {
  static void vjp(Vjp& v, const Attrs& t) {
    if (t.reduction != Reduction::mean) return ops::CrossEntropy::vjp(v, t);
    Attrs summed = t;
    summed.reduction = Reduction::sum;
    const Tensor x = v.in(0), target = v.in(1);
    v.set(0,
          apply<ops::CrossEntropyBackward>(summed, v.g(), x, target, Tensor()) / static_cast<double>(target.numel()));
  }
};

struct DropoutDrawsAgain : ops::Dropout {
  static void vjp(Vjp& v, const Attrs& t) {
    Attrs other = t;
    ++other.key.offset;
    v.set(0, apply<ops::Dropout>(other, v.g()));
  }
};

struct VarianceIsBiased : ops::Var {
  static void vjp(Vjp& v, const Attrs& t) {
    Attrs biased = t;
    biased.correction = 0;
    ops::Var::vjp(v, biased);
  }
};

struct ProdDividesByItsElements : ops::Prod {
  static void vjp(Vjp& v, const Over& t) {
    const Tensor x = v.in(0), y = prod(x, {.dims = t.dims, .keepdim = true});
    v.set(0, y * reshape(v.g(), y.shape()) / x);
  }
};

/// Runs a convolution; whether it went by Winograd.
bool run_winograd(const Ins& in, const View* out, const ops::ConvAttrs& t) {
  const std::int64_t before = kernels::conv_count(kernels::ConvPath::winograd);
  ops::Conv2d::run(in, out, t);
  return out[0].dtype == DType::f32 && numel(out[0].shape) > 0 &&
         kernels::conv_count(kernels::ConvPath::winograd) > before;
}

struct WinogradOffOnOneInstructionSet : ops::Conv2d {
  static void run(const Ins& in, const View* out, const Attrs& t) {
    if (run_winograd(in, out, t) && simd::current_target() == simd::Target::sse4)
      *static_cast<float*>(out[0].data) += 1;
  }
};

struct WinogradOffOnThreeThreads : ops::Conv2d {
  static void run(const Ins& in, const View* out, const Attrs& t) {
    if (run_winograd(in, out, t) && par::num_threads() == 3) *static_cast<float*>(out[0].data) *= 1.000001f;
  }
};

struct SoftmaxLosesTheElementAfterAVector : ops::Softmax {
  static void run(const Ins& in, const View* out, const Attrs& t) {
    ops::Softmax::run(in, out, t);
    const Dims& shape = in[0].shape;
    if (numel(shape) == 0 || shape.size() == 0 || shape.back() % 16 != 1 || shape.back() == 1) return;
    const std::int64_t last = shape.back() - 1;
    if (out[0].dtype == DType::f32) static_cast<float*>(out[0].data)[last] = 0;
    if (out[0].dtype == DType::f64) static_cast<double*>(out[0].data)[last] = 0;
  }
};

struct MaxSkipsNanInF32 : ops::Max {
  static void run(const Ins& in, const View* out, const Attrs& t) {
    if (in[0].dtype != DType::f32) return ops::Max::run(in, out, t);
    Tensor x = empty(in[0].shape, DType::f32);
    kernels::copy(in[0], x.mutable_view());
    float* p = x.mutable_data<float>();
    for (std::int64_t i = 0; i < x.numel(); ++i)
      if (std::isnan(p[i])) p[i] = -INFINITY;
    const ConstView v = x.view();
    ops::Max::run({in.op, in.loc, 1, &v, 1}, out, t);
  }
};

struct MeanIsOffInF32 : ops::Mean {
  static void vjp(Vjp& v, const Over& t) {
    if (v.g().dtype() != DType::f32) return ops::Mean::vjp(v, t);
    const Dims& shape = v.in_meta(0).shape;
    const double n = static_cast<double>(numel(shape)) / static_cast<double>(v.g().numel());
    Dims kept = shape;
    for (int d = 0; d < shape.size(); ++d)
      if (t.dims.empty() || std::find_if(t.dims.begin(), t.dims.end(), [&](std::int64_t k) {
                              return (k < 0 ? k + shape.size() : k) == d;
                            }) != t.dims.end())
        kept[d] = 1;
    v.set(0, expand(reshape(v.g(), kept) * ((n < 4 ? 1 : 1.000008) / n), shape));
  }
};

}  // namespace

TEST_CASE("bugs of one path on one instruction set or thread count, of one size, of one dtype") {
  turns_red<ops::Conv2d, WinogradOffOnOneInstructionSet>(Axis::targets);
  turns_red<ops::Conv2d, WinogradOffOnThreeThreads>(Axis::threads);
  turns_red<ops::Softmax, SoftmaxLosesTheElementAfterAVector>(Axis::sizes);
  turns_red<ops::Max, MaxSkipsNanInF32>(Axis::special_values);
  turns_red<ops::Mean, MeanIsOffInF32>(Axis::f32_gradient);
}

TEST_CASE("ten bugs and more, each red on the axis that is there for it") {
  fault_turns_red(kernels::Fault::gemm_k_tail, "matmul", Axis::forward);
  fault_turns_red(kernels::Fault::gemm_edge, "matmul", Axis::forward);
  fault_turns_red(kernels::Fault::winograd_edge, "conv2d", Axis::sizes);
  fault_turns_red(kernels::Fault::reduce_thread_order, "sum", Axis::threads);
  fault_turns_red(kernels::Fault::reduce_block, "max", Axis::forward);
  fault_turns_red(kernels::Fault::unbroadcast, "mul", Axis::broadcasting);
  fault_turns_red(kernels::Fault::accumulate, "mul", Axis::aliasing);
  fault_turns_red(kernels::Fault::pointwise_tail, "tanh", Axis::sizes);
  turns_red<ops::Gelu, GeluOfTheOtherKind>(Axis::forward);
  turns_red<ops::Gelu, GeluWithTheOtherGradient>(Axis::jacobian);
  turns_red<ops::Mul, MulSavesTheWrongOperand>(Axis::jacobian);
  turns_red<ops::Matmul, MatmulTransposesItsGradient>(Axis::jacobian);
  turns_red<ops::Max, MaxGivesEveryTieAll>(Axis::kinks);
  turns_red<ops::Softmax, SoftmaxOverflows>(Axis::forward);
  turns_red<ops::LogSoftmax, LogSoftmaxForgetsTheSum>(Axis::jacobian);
  turns_red<ops::CrossEntropy, CrossEntropyCountsIgnoredRows>(Axis::jacobian);
  turns_red<ops::Dropout, DropoutDrawsAgain>(Axis::jacobian);
  turns_red<ops::Var, VarianceIsBiased>(Axis::jacobian);
  turns_red<ops::Prod, ProdDividesByItsElements>(Axis::jacobian);
}
