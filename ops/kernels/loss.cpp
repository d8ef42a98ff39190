// Losses against class indices and their backward. Depends on loss_slabs, index_range, par.
// Invariant: everything is allocated before dst is written.
#include <thalweg/ops/kernels/loss.hpp>

#include <atomic>

#include <thalweg/ops/kernels/index_range.hpp>
#include <thalweg/ops/kernels/loss_slabs.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::kernels {
namespace {

/// A number for each class, or none, which is 1 each.
template <class T>
class ClassWeights {
 public:
  explicit ClassWeights(const ConstView& w) {
    if (w.data == nullptr) return;
    dense_.emplace(w);
    for (std::int64_t c = 0; c < numel(w); ++c) sum_ += static_cast<double>((*dense_)[c]);
  }
  /// Null where there are none.
  const T* data() const noexcept { return dense_ ? dense_->data() : nullptr; }
  double sum() const noexcept { return sum_; }

 private:
  std::optional<Dense<T>> dense_;
  double sum_ = 0;
};

/// What is wrong with a class: it is neither one of the scores' nor ignored.
constexpr std::int64_t bad_class = -1;

/// The targets of rows, what they weigh (w may be null), and where the rows' weights go (null without w).
template <class T>
struct Picks {
  const std::int64_t* t;
  const T* w;
  std::int64_t ignore;
  double* losses;
  double* weights;
};

/// A class that weighs nothing counts for nothing, were its logarithm infinite.
template <class T>
void weigh(const Picks<T>& to, std::int64_t r) noexcept {
  const double w = static_cast<double>(to.w[to.t[r]]);
  to.weights[r] = w;
  to.losses[r] = w == 0 ? 0 : w * to.losses[r];
}

/// losses[r] = -w[t[r]] lp[t[r]] of rows [begin, end), 0 where ignored; how many are not ignored, or bad_class.
template <class T>
std::int64_t pick_rows(const Slabs& s, const T* lp, const Picks<T>& to, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t* const t = to.t;
  const bool all_counted =
      (to.ignore < 0 || to.ignore >= s.classes) && in_range(t + begin, 1, end - begin, s.classes);
  if (all_counted && s.inner == 1) {  // no branch, so that many rows are on their way from memory at once
    const T* row = lp + begin * s.classes;
    for (std::int64_t r = begin; r < end; ++r, row += s.classes) to.losses[r] = -static_cast<double>(row[t[r]]);
    for (std::int64_t r = begin; to.w && r < end; ++r) weigh(to, r);
    return end - begin;
  }
  std::int64_t counted = 0;
  for (std::int64_t r = begin; r < end; ++r) {
    to.losses[r] = 0;
    if (to.w) to.weights[r] = 0;
    if (t[r] == to.ignore) continue;
    if (t[r] < 0 || t[r] >= s.classes) return bad_class;
    to.losses[r] = -static_cast<double>(lp[s.start(r) + t[r] * s.inner]);
    if (to.w) weigh(to, r);
    ++counted;
  }
  return counted;
}

template <class T>
void smooth_rows(const Slabs& s, const T* lp, const Picks<T>& to, double smoothing, std::int64_t begin,
                 std::int64_t end) noexcept {
  for (std::int64_t r = begin; r < end; ++r) {
    if (to.t[r] == to.ignore) continue;
    const T* const row = lp + s.start(r);
    double all = 0;
    for (std::int64_t c = 0; c < s.classes; ++c) {
      const double w = to.w ? static_cast<double>(to.w[c]) : 1;
      if (w != 0) all += w * static_cast<double>(row[c * s.inner]);
    }
    to.losses[r] = (1 - smoothing) * to.losses[r] - smoothing / static_cast<double>(s.classes) * all;
  }
}

template <class T>
bool class_loss_of(const ConstView& x, const ConstView& target, const ConstView& weight, const View& dst,
                   const ClassLoss& loss, bool logged) {
  constexpr std::int64_t picks_per_chunk = 512;
  const Slabs s(x.shape, loss.dim);
  const Dense<std::int64_t> t(target);
  const ClassWeights<T> w(weight);
  const auto rows = static_cast<std::size_t>(s.rows());
  const mem::Scratch<double> losses(w.data() ? 2 * rows : rows);
  const Picks<T> to{t.data(), w.data(), loss.ignore, losses.data(), w.data() ? losses.data() + rows : nullptr};
  const LogProbabilities<T> lp(x, loss.dim, logged);
  std::atomic<std::int64_t> counted{0};
  std::atomic<bool> good{true};
  par::chunks(s.rows(), loss.smoothing == 0 ? picks_per_chunk : s.grain(), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t n = pick_rows(s, lp.data(), to, begin, end);
    if (n == bad_class) return good.store(false, std::memory_order_relaxed);
    counted.fetch_add(n, std::memory_order_relaxed);
    if (loss.smoothing != 0) smooth_rows(s, lp.data(), to, loss.smoothing, begin, end);
  });
  if (!good.load()) return false;
  const Divisor by{counted.load(), to.w ? sum_rows(to.weights, s.rows()) : static_cast<double>(counted.load())};
  store(losses.data(), s.rows(), by, loss.reduction, dst.as<T>());
  return true;
}

/// What the forward pass divided by.
template <class T>
Divisor divisor_of(const Dense<std::int64_t>& t, const T* w, std::int64_t rows, std::int64_t ignore) {
  Divisor by;
  for (std::int64_t r = 0; r < rows; ++r) by.counted += t[r] != ignore;
  by.weight = static_cast<double>(by.counted);
  if (!w) return by;
  const mem::Scratch<double> weights(static_cast<std::size_t>(rows));
  for (std::int64_t r = 0; r < rows; ++r) weights.data()[r] = t[r] == ignore ? 0 : static_cast<double>(w[t[r]]);
  by.weight = sum_rows(weights.data(), rows);
  return by;
}

/// What a row's gradient is made of: factor (p mass - even w), and main w less at the target.
struct RowGradient {
  double factor, mass, even, main;
};

/// p, the softmax of a row, becomes its gradient; `step` is the distance of classes.
template <class T>
void class_gradient(T* p, std::int64_t classes, std::int64_t step, std::int64_t target, const T* w,
                    const RowGradient& k) noexcept {
  T& hit = p[target * step];
  const auto along = [&](auto term) {
    if (step == 1)
      for (std::int64_t c = 0; c < classes; ++c) p[c] = term(p[c], c);
    else
      for (std::int64_t c = 0; c < classes; ++c) p[c * step] = term(p[c * step], c);
  };
  const T even = static_cast<T>(k.even), main = static_cast<T>(k.main);
  if (!w) {
    const T factor = static_cast<T>(k.factor), at_target = factor * ((hit - even) - main);
    along([&](T v, std::int64_t) { return factor * (v - even); });
    hit = at_target;
    return;
  }
  // In f64, since the factor and a weight may be far from 1 where their product is not.
  const double own = static_cast<double>(w[target]), less = k.even == 0 ? 0 : k.even * own;
  const T at_target = static_cast<T>(k.factor * ((static_cast<double>(hit) * k.mass - less) - k.main * own));
  if (k.even != 0)
    along([&](T v, std::int64_t c) {
      return static_cast<T>(k.factor * (static_cast<double>(v) * k.mass - k.even * static_cast<double>(w[c])));
    });
  else  // what is infinite in w elsewhere must not meet the 0
    along([&](T v, std::int64_t) { return static_cast<T>(k.factor * (static_cast<double>(v) * k.mass)); });
  hit = at_target;
}

template <class T>
void class_loss_backward_of(const ConstView& g, const ConstView& x, const ConstView& target, const ConstView& weight,
                            const View& dst, const ClassLoss& loss, bool logged) {
  const Slabs s(dst.shape, loss.dim);
  const Dense<std::int64_t> t(target);
  const ClassWeights<T> weights(weight);
  const T* const w = weights.data();
  const RowFactors<T> k(g, divisor_of(t, w, s.rows(), loss.ignore), loss.reduction);
  T* out = dst.as<T>();
  if (logged)
    fill(dst, 0);
  else
    softmax(x, dst, loss.dim);
  const double spread = loss.smoothing / static_cast<double>(std::max<std::int64_t>(1, s.classes));
  par::chunks(s.rows(), s.grain(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      T* row = out + s.start(r);
      if (t[r] == loss.ignore) {
        for (std::int64_t c = 0; c < s.classes; ++c) row[c * s.inner] = 0;
        continue;
      }
      const double own = w ? static_cast<double>(w[t[r]]) : 1, factor = k.exact(r);
      if (logged) {
        row[t[r] * s.inner] = static_cast<T>(-factor * own);
        continue;
      }
      const double main = 1 - loss.smoothing, rest = spread == 0 ? 0 : spread * weights.sum();
      class_gradient(row, s.classes, s.inner, t[r], w, {factor, main * own + rest, spread, main});
    }
  });
}

}  // namespace

std::int64_t first_bad_class(const ConstView& target, std::int64_t classes, std::int64_t ignore,
                             std::int64_t& value) {
  const Dense<std::int64_t> t(target);
  const std::int64_t rows = numel(target);
  if (in_range(t.data(), 1, rows, classes)) return -1;
  for (std::int64_t r = 0; r < rows; ++r)
    if ((t[r] < 0 || t[r] >= classes) && t[r] != ignore) {
      value = t[r];
      return r;
    }
  return -1;
}

bool class_loss(const ConstView& x, const ConstView& target, const ConstView& weight, const View& dst,
                const ClassLoss& loss, bool logged) {
  return dst.dtype == DType::f32 ? class_loss_of<float>(x, target, weight, dst, loss, logged)
                                 : class_loss_of<double>(x, target, weight, dst, loss, logged);
}

void class_loss_backward(const ConstView& g, const ConstView& x, const ConstView& target, const ConstView& weight,
                         const View& dst, const ClassLoss& loss, bool logged) {
  if (dst.dtype == DType::f32)
    class_loss_backward_of<float>(g, x, target, weight, dst, loss, logged);
  else
    class_loss_backward_of<double>(g, x, target, weight, dst, loss, logged);
}

}  // namespace thalweg::kernels
