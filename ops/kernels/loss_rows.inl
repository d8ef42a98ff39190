// Rows of soft losses in lanes; included once per instruction set by loss_rows.cpp (so no include guard).
// Invariant: what is left over after whole vectors is added one by one, so the order follows from n alone.
#include <hwy/highway.h>

#include <thalweg/ops/kernels/loss_rows.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

const hn::ScalableTag<double> wide;
const hn::Rebind<float, hn::ScalableTag<double>> narrow;
using Wide = hn::Vec<hn::ScalableTag<double>>;
constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<double>()));

HWY_INLINE Wide load(const double* x) { return hn::LoadU(wide, x); }
HWY_INLINE Wide load(const float* x) { return hn::PromoteTo(wide, hn::LoadU(narrow, x)); }
HWY_INLINE void store(Wide v, double* y) { hn::StoreU(v, wide, y); }
HWY_INLINE void store(Wide v, float* y) { hn::StoreU(hn::DemoteTo(narrow, v), narrow, y); }

template <class T>
HWY_INLINE Wide wanted(const T* t, SoftTarget q) {
  return hn::Add(hn::Mul(hn::Set(wide, q.keep), load(t)), hn::Set(wide, q.even));
}
template <class T>
HWY_INLINE double wanted_one(const T* t, SoftTarget q) {
  return q.keep * static_cast<double>(*t) + q.even;
}

/// The sum of term(i) over whole vectors, four side by side to hide the latency; `i` is left where they end.
template <class Term>
HWY_INLINE double sum_vectors(const Term& term, std::int64_t n, std::int64_t& i) {
  Wide a = hn::Zero(wide), b = a, c = a, d = a;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a = hn::Add(a, term(i));
    b = hn::Add(b, term(i + lanes));
    c = hn::Add(c, term(i + 2 * lanes));
    d = hn::Add(d, term(i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) a = hn::Add(a, term(i));
  return hn::GetLane(hn::SumOfLanes(wide, hn::Add(hn::Add(a, b), hn::Add(c, d))));
}

template <class T>
double soft(const T* lp, const T* t, std::int64_t n, SoftTarget q) {
  std::int64_t i = 0;
  const auto term = [&](std::int64_t at) HWY_ATTR {
    const Wide w = wanted(t + at, q);
    return hn::IfThenZeroElse(hn::Eq(w, hn::Zero(wide)), hn::Mul(w, load(lp + at)));
  };
  double sum = sum_vectors(term, n, i);
  for (; i < n; ++i) {
    const double w = wanted_one(t + i, q);
    if (w != 0) sum += w * static_cast<double>(lp[i]);
  }
  return 0 - sum;
}

template <class T>
void soft_backward(T* p, const T* t, std::int64_t n, SoftTarget q, double factor) {
  std::int64_t i = 0;
  const auto term = [&](std::int64_t at) HWY_ATTR { return wanted(t + at, q); };
  double mass = sum_vectors(term, n, i);
  for (; i < n; ++i) mass += wanted_one(t + i, q);
  const Wide all = hn::Set(wide, mass), scale = hn::Set(wide, factor);
  for (i = 0; i + lanes <= n; i += lanes)
    store(hn::Mul(scale, hn::Sub(hn::Mul(load(p + i), all), wanted(t + i, q))), p + i);
  for (; i < n; ++i)
    p[i] = static_cast<T>(factor * (static_cast<double>(p[i]) * mass - wanted_one(t + i, q)));
}

constexpr LossRows<float> loss_f32 = {soft<float>, soft_backward<float>};
constexpr LossRows<double> loss_f64 = {soft<double>, soft_backward<double>};

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
