// Axes 11 determinism, 12 threads, 13 instruction sets, 18 random ops: the same bits, and what may differ by
// how much. Depends on axes.hpp, par, simd/targets, fmt. Invariant: threads and targets are put back as they
// were, whatever an op throws.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/check/axes.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace thalweg::check {
namespace {

/// Outputs and gradients of one call.
struct Result {
  std::vector<Tensor> out, grad;
  int threads = 1;  // that took part in the forward
};

Result run_all(const OpInfo& op, const std::vector<Tensor>& in, const void* attrs,
               const std::vector<Tensor>& seeds) {
  Result r;
  r.out = evaluate(op, in, attrs);
  r.threads = par::last_distinct_threads();
  if (any_gradient(op, in)) r.grad = gradients(op, in, attrs, seeds);
  return r;
}

std::vector<Tensor> seeds_for(Trial& t, const std::vector<Tensor>& in, const void* attrs) {
  if (!any_gradient(t.op, in)) return {};
  return random_seeds(forward(t.op, leaves(t.op, in), attrs), t.numbers);
}

void poison_like(const Result& r) {
  for (const std::vector<Tensor>* list : {&r.out, &r.grad})
    for (const Tensor& x : *list)
      if (x.defined()) poison(x.numel() * static_cast<std::int64_t>(itemsize(x.dtype())));
}

}  // namespace

void try_determinism(Trial& t) {
  for (const Case& c : t.cases)
    for (DType dtype : {DType::f64, DType::f32}) {
      t.at(c, cast_floating(c.in, dtype));
      const std::vector<Tensor>& in = t.current().in;
      const std::vector<Tensor> seeds = seeds_for(t, in, c.attrs.get());
      const Result first = run_all(t.op, in, c.attrs.get(), seeds);
      poison_like(first);
      // One call by itself between the two, so that an op that alternates is not always met at the same turn.
      const std::vector<Tensor> between = evaluate(t.op, in, c.attrs.get());
      const Result second = run_all(t.op, in, c.attrs.get(), seeds);
      if (!same_bits(first.out, between) || !same_bits(first.out, second.out))
        t.fail("a second call gives other bits");
      if (!same_bits(first.grad, second.grad)) t.fail("a second backward gives other bits");
    }
}

namespace {

constexpr int thread_counts[] = {1, 2, 3, 7};

struct ThreadKeeper {
  int saved = par::num_threads();
  ~ThreadKeeper() { par::set_num_threads(saved); }
};

/// Compares all thread counts on one call. False when the work was too little for all threads to take part, of
/// which `few` says that their bits are compared nonetheless.
bool same_for_all_threads(Trial& t, const Case& c, bool few = false) {
  t.at(c);
  const std::vector<Tensor> seeds = seeds_for(t, c.in, c.attrs.get());
  par::set_num_threads(1);
  const Result one = run_all(t.op, c.in, c.attrs.get(), seeds);
  bool all = true;
  for (int n : thread_counts) {
    if (n == 1) continue;
    par::set_num_threads(n);
    const par::Rendezvous meet;
    poison_like(one);
    const Result many = run_all(t.op, c.in, c.attrs.get(), seeds);
    all &= many.threads == n;
    if (!all && !few) return false;
    if (!same_bits(one.out, many.out)) t.fail(fmt::format("{} threads give other bits than one", n));
    if (!same_bits(one.grad, many.grad))
      t.fail(fmt::format("{} threads give other gradient bits than one", n));
  }
  return all;
}

/// Every element times another factor: near 1, or of either sign, where sums cancel and the low bits of their
/// parts show.
void jitter(Tensor& x, bool any_sign) {
  double* p = x.mutable_data<double>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    std::uint64_t h = static_cast<std::uint64_t>(i + 1) * 0x9E3779B97F4A7C15u;
    h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9u;
    const double u = std::ldexp(static_cast<double>(h >> 11), -52) - 1;  // in [-1, 1), nowhere periodic
    p[i] *= any_sign ? u : 1 + 1e-3 * u;
  }
}

/// Enough elements for more chunks than threads.
Case large_pointwise(Trial& t, const Case& base) {
  Case c = base;
  const std::vector<Tensor> some = pointwise_operands(t.op, Dims{1000}, t.numbers);
  c.in.clear();
  for (const Tensor& x : some) {
    const Tensor big = empty({260, 1000}, x.dtype());
    kernels::copy(broadcast_view(x.view(), {260, 1000}), big.mutable_view());
    c.in.push_back(is_floating(x.dtype()) ? cast(big, DType::f32) : big);
  }
  return c;
}

/// The call grown by the largest factor within the budget of elements, f64; empty where there is none.
Case grown_within(Trial& t, const Case& c, std::int64_t budget, std::int64_t& largest_seen) {
  Case big = c;
  big.in.clear();
  for (std::int64_t factor : {2048, 1024, 512, 256, 128, 64, 32, 16, 8}) {
    std::int64_t largest = 0;
    for (const Tensor& x : c.in) {
      std::int64_t n = x.defined() ? x.numel() : 0;
      for (int d = 0; x.defined() && d < x.dim(); ++d) n *= x.shape()[d] > 1 ? factor : 1;
      largest = std::max(largest, n);
    }
    if (largest > budget || largest < 20000) continue;
    Case plain = c;
    plain.in = cast_floating(c.in, DType::f64);
    big.in = grown(t.op, plain, factor);
    largest_seen = std::max(largest_seen, largest);
    break;
  }
  // Parts that are all alike give the same sum in any order.
  for (Tensor& x : big.in)
    if (x.defined() && is_floating(x.dtype())) jitter(x, t.op.linear);
  big.note += " grown";
  return big;
}

struct Outcomes {
  std::int64_t largest = 0;  ///< elements of the largest call
  std::int64_t shared = 0;   ///< calls that all threads took part in
};

/// Large calls until `wanted` of them have run on all threads.
Outcomes threads_of_structured(Trial& t, std::int64_t wanted) {
  Outcomes seen;
  for (std::size_t i = 0, n = t.cases.size(); i < n; ++i) {
    const Case& c = t.cases[i % 2 ? i / 2 : n - 1 - i / 2];  // the last, the first, the last but one, ...
    for (std::int64_t budget : {600000, 4000000}) {
      const Case wide = grown_within(t, c, budget, seen.largest);
      if (wide.in.empty()) continue;
      Case big = wide;
      big.in = cast_floating(wide.in, DType::f32);
      if (!same_for_all_threads(t, big)) continue;
      // f32 sums kept in f64 hide the order of their parts.
      if (!same_for_all_threads(t, wide)) continue;
      if (++seen.shared == wanted) return seen;
      break;
    }
  }
  return seen;
}

/// The same on a path that is forced, which may be one that no two threads share. One size is made large at a
/// time, so that kernels stay small where the path asks for that.
void threads_of_path(Trial& t, std::int64_t wanted, const Path& path) {
  const Forced forced(path);
  for (const Case& c : t.cases) {
    Case single = c;
    single.in = cast_floating(c.in, DType::f32);
    const std::int64_t before = path.count();
    evaluate(t.op, single.in, c.attrs.get());
    if (path.count() == before) continue;
    for (Case& big : resized(t.op, {single}, 801, 120000)) {
      for (Tensor& x : big.in)
        if (x.defined() && is_floating(x.dtype())) {
          x = cast(x, DType::f64);
          jitter(x, t.op.linear);
        }
      big.in = cast_floating(big.in, DType::f32);
      const std::int64_t calls = path.count();
      same_for_all_threads(t, big, true);
      if (path.count() > calls && --wanted == 0) return;
    }
  }
}

}  // namespace

void try_threads(Trial& t) {
  const ThreadKeeper keeper;
  if (t.op.pointwise()) {
    if (!same_for_all_threads(t, large_pointwise(t, t.cases.front())))
      t.fail("not all threads took part in 260000 elements");
    return;
  }
  if (t.op.def->kind == OpKind::view) t.not_applicable("view: touches no data");
  if (t.op.def->kind == OpKind::composite && !t.cases.empty()) {
    const Case& c = t.cases.front();
    if (evaluate(t.op, c.in, c.attrs.get())[0].get()->storage == c.in[0].get()->storage)
      t.not_applicable("gives a view: touches no data");
  }
  const Outcomes seen = threads_of_structured(t, t.by_tier(1, 3, 16));
  if (seen.largest == 0) t.not_applicable("no sample can be made large");
  if (seen.shared == 0) t.fail(fmt::format("on {} elements not all threads took part", seen.largest));
  for (const Path& path : t.op.paths) threads_of_path(t, t.by_tier(1, 2, 8), path);
}

namespace {

void compare_targets(Trial& t, const std::vector<Tensor>& got, const std::vector<Tensor>& want,
                     double allowed, const char* what, simd::Target target) {
  for (std::size_t j = 0; j < got.size(); ++j) {
    if (!got[j].defined()) continue;
    const double error = relative_error(got[j], want[j], is_floating(got[j].dtype()) ? 1 : 0);
    const double bound = is_floating(got[j].dtype()) ? allowed * epsilon(got[j].dtype()) : 0;
    if (!(error <= bound))
      t.fail(fmt::format("{}: {} {} differs from scalar by {:.3g}, allowed {:.3g}", simd::target_name(target),
                         what, j, error, bound));
  }
}

/// Element by element, within twice the row's bound: each target is within the bound of the exact value.
void compare_ulp(Trial& t, const Tensor& got, const Tensor& want, simd::Target target) {
  const bool floating = is_floating(got.dtype());
  const double bound =
      !floating ? 0 : 2 * (got.dtype() == DType::f32 ? t.op.row->ulp_f32 : t.op.row->ulp_f64) + 1;
  const std::vector<double> a = values(got), b = values(want);
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double error = ulp_error(a[k], b[k], t.op.row->error_floor, got.dtype());
    if (!(error <= bound))
      t.fail(fmt::format("{}: element {} is {:.17g}, scalar gives {:.17g}: {:.3g} ulp, allowed {:.3g}",
                         simd::target_name(target), k, a[k], b[k], error, bound));
  }
}

void targets_of_case(Trial& t, const Case& c, const std::vector<Tensor>& in) {
  t.at(c, in);
  const std::vector<Tensor> seeds = seeds_for(t, in, c.attrs.get());
  Result scalar;
  {
    const simd::TargetScope scope(simd::Target::scalar);
    scalar = run_all(t.op, in, c.attrs.get(), seeds);
  }
  double terms = 1;
  for (const Tensor& x : in) terms = std::fmax(terms, x.defined() ? static_cast<double>(x.numel()) : 0);
  for (simd::Target target : simd::supported_targets()) {
    if (target == simd::Target::scalar) continue;
    const simd::TargetScope scope(target);
    poison_like(scalar);
    const Result r = run_all(t.op, in, c.attrs.get(), seeds);
    if (t.op.pointwise())
      compare_ulp(t, r.out[0], scalar.out[0], target);
    else
      compare_targets(t, r.out, scalar.out, 16 + 4 * std::sqrt(terms), "output", target);
    compare_targets(t, r.grad, scalar.grad, 64 + (t.op.pointwise() ? 0 : 4 * std::sqrt(terms)), "gradient",
                    target);
  }
}

}  // namespace

void try_targets(Trial& t) {
  if (simd::supported_targets().size() < 2) t.not_applicable("this CPU has the scalar target only");
  if (t.op.pointwise()) {
    for (const Case* c : variants(t.cases)) {
      const std::vector<Tensor> in =
          pointwise_operands(t.op, Dims{t.by_tier(1003, 10007, 100003)}, t.numbers);
      for (DType dtype : {DType::f64, DType::f32}) targets_of_case(t, *c, cast_floating(in, dtype));
    }
    return;
  }
  for (const Case& c : t.cases)
    for (DType dtype : {DType::f64, DType::f32}) targets_of_case(t, c, cast_floating(c.in, dtype));
  for (const Path& path : t.op.paths) {
    const Forced forced(path);
    const std::int64_t before = path.count();
    for (const Case& c : t.cases)
      for (DType dtype : {DType::f64, DType::f32}) targets_of_case(t, c, cast_floating(c.in, dtype));
    // Once per set at least: a target that takes another way has not been tried.
    const auto targets = static_cast<std::int64_t>(simd::supported_targets().size());
    if (path.count() - before < targets)
      t.fail(fmt::format("path {}: not reached on each of {} instruction sets", path.name, targets));
  }
}

void try_random(Trial& t) {
  if (!t.op.random) t.not_applicable("not random");
  std::vector<Result> seen;
  for (const Case& c : t.cases) {
    t.at(c);
    const std::vector<Tensor> seeds = seeds_for(t, c.in, c.attrs.get());
    const Result first = run_all(t.op, c.in, c.attrs.get(), seeds),
                 second = run_all(t.op, c.in, c.attrs.get(), seeds);
    if (!same_bits(first.out, second.out) || !same_bits(first.grad, second.grad))
      t.fail("the same key gives other bits");
    // The gradient must be that of the very draw that the forward made: for a random op that is linear in its
    // input, f(x) = J x.
    if (t.op.linear && any_gradient(t.op, c.in)) {
      const Dot a = dot(seeds, first.out), b = dot(first.grad, c.in);
      if (!(std::fabs(a.value - b.value) <= 1e-12 * (a.magnitude + b.magnitude)))
        t.fail("forward and backward use different draws");
    }
    seen.push_back(first);
  }
}

}  // namespace thalweg::check
