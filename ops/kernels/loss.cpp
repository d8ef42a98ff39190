// Loops of the class losses, over [outer, classes, inner] laid out densely. Depends on softmax, copy, index_range,
// par, memory and the row kernels of softmax and loss. Invariant: everything is allocated before dst is written.
#include <thalweg/ops/kernels/loss.hpp>

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/index_range.hpp>
#include <thalweg/ops/kernels/loss_rows.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/softmax.hpp>
#include <thalweg/ops/kernels/softmax_rows.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t work_per_chunk = 1 << 15;  // elements of the logits
constexpr std::int64_t sum_block = 256;

/// A tensor as [outer, classes, inner].
struct Slabs {
  std::int64_t outer = 1, classes = 1, inner = 1;
  Slabs(const Dims& shape, int dim) noexcept : classes(shape[dim]) {
    for (int d = 0; d < shape.size(); ++d)
      (d < dim ? outer : d > dim ? inner : classes) *= d == dim ? 1 : shape[d];
  }
  std::int64_t rows() const noexcept { return outer * inner; }
  /// Offset of row r's first class.
  std::int64_t start(std::int64_t r) const noexcept { return r / inner * classes * inner + r % inner; }
  std::int64_t grain() const noexcept {
    return std::max<std::int64_t>(1, work_per_chunk / std::max<std::int64_t>(1, classes));
  }
};

/// The elements of a view as a dense array of T: where they lie if they lie so, else a copy.
template <class T>
class Dense {
 public:
  explicit Dense(const ConstView& v) {
    if (v.dtype == dtype_of<T> && is_contiguous(v)) {
      data_ = v.as<T>();
      return;
    }
    copy_.emplace(static_cast<std::size_t>(numel(v)));
    kernels::copy(v, View{copy_->data(), dtype_of<T>, v.shape, contiguous_strides(v.shape)});
    data_ = copy_->data();
  }
  T operator[](std::int64_t i) const noexcept { return data_[i]; }
  const T* data() const noexcept { return data_; }

 private:
  const T* data_ = nullptr;
  std::optional<mem::Scratch<T>> copy_;
};

/// log softmax of x, densely.
template <class T>
class LogProbabilities {
 public:
  LogProbabilities(const ConstView& x, int dim, bool logged) {
    if (logged && is_contiguous(x)) {
      data_ = x.as<T>();
      return;
    }
    own_.emplace(static_cast<std::size_t>(numel(x)));
    const View dst{own_->data(), x.dtype, x.shape, contiguous_strides(x.shape)};
    if (logged)
      kernels::copy(x, dst);
    else
      log_softmax(x, dst, dim);
    data_ = own_->data();
  }
  const T* data() const noexcept { return data_; }

 private:
  const T* data_ = nullptr;
  std::optional<mem::Scratch<T>> own_;
};

/// The sum of the blocks' sums. Four blocks are summed side by side, because each addition waits for the one before.
double sum_rows(const double* x, std::int64_t n) noexcept {
  double total = 0;
  std::int64_t at = 0;
  for (; at + 4 * sum_block <= n; at += 4 * sum_block) {
    double a = 0, b = 0, c = 0, d = 0;
    for (const double* y = x + at; y < x + at + sum_block; ++y) {
      a += y[0];
      b += y[sum_block];
      c += y[2 * sum_block];
      d += y[3 * sum_block];
    }
    total = total + a + b + c + d;
  }
  for (; at < n; at += sum_block) {
    double part = 0;
    for (std::int64_t i = at; i < std::min(n, at + sum_block); ++i) part += x[i];
    total += part;
  }
  return total;
}

std::int64_t counted_rows(const Dense<std::int64_t>& target, std::int64_t rows,
                          std::int64_t ignore) noexcept {
  std::int64_t n = 0;
  for (std::int64_t r = 0; r < rows; ++r) n += target[r] != ignore;
  return n;
}

template <class T>
void store(const double* losses, std::int64_t rows, std::int64_t counted, LossReduction reduction,
           T* dst) noexcept {
  if (reduction == LossReduction::none) {
    for (std::int64_t r = 0; r < rows; ++r) dst[r] = static_cast<T>(losses[r]);
    return;
  }
  const double total = sum_rows(losses, rows);
  if (reduction == LossReduction::sum)
    *dst = static_cast<T>(total);
  else
    *dst = counted > 0 ? static_cast<T>(total / static_cast<double>(counted))
                       : std::numeric_limits<T>::quiet_NaN();
}

/// What each row's gradient is multiplied with.
template <class T>
class RowFactors {
 public:
  RowFactors(const ConstView& g, std::int64_t counted, LossReduction reduction)
      : each_(reduction == LossReduction::none), g_(g) {
    if (!each_ && reduction == LossReduction::sum) one_ = g_[0];
    if (!each_ && reduction == LossReduction::mean && counted > 0)
      one_ = static_cast<T>(static_cast<double>(g_[0]) / static_cast<double>(counted));
  }
  T operator[](std::int64_t r) const noexcept { return each_ ? g_[r] : one_; }

 private:
  bool each_;
  Dense<T> g_;
  T one_ = 0;
};

/// What is wrong with a class: it is neither one of the scores' nor ignored.
constexpr std::int64_t bad_class = -1;

/// losses[r] = -lp[t[r]] of rows [begin, end), 0 where ignored; how many are not ignored, or bad_class.
template <class T>
std::int64_t pick_rows(const Slabs& s, const T* lp, const std::int64_t* t, std::int64_t ignore, std::int64_t begin,
                       std::int64_t end, double* losses) noexcept {
  const bool all_counted = (ignore < 0 || ignore >= s.classes) && in_range(t + begin, 1, end - begin, s.classes);
  if (all_counted && s.inner == 1) {  // no branch, so that many rows are on their way from memory at once
    const T* row = lp + begin * s.classes;
    for (std::int64_t r = begin; r < end; ++r, row += s.classes) losses[r] = -static_cast<double>(row[t[r]]);
    return end - begin;
  }
  std::int64_t counted = 0;
  for (std::int64_t r = begin; r < end; ++r) {
    losses[r] = 0;
    if (t[r] == ignore) continue;
    if (t[r] < 0 || t[r] >= s.classes) return bad_class;
    losses[r] = -static_cast<double>(lp[s.start(r) + t[r] * s.inner]);
    ++counted;
  }
  return counted;
}

template <class T>
void smooth_rows(const Slabs& s, const T* lp, const std::int64_t* t, const ClassLoss& loss, std::int64_t begin,
                 std::int64_t end, double* losses) noexcept {
  for (std::int64_t r = begin; r < end; ++r) {
    if (t[r] == loss.ignore) continue;
    const T* const row = lp + s.start(r);
    double all = 0;
    for (std::int64_t c = 0; c < s.classes; ++c) all += static_cast<double>(row[c * s.inner]);
    losses[r] = (1 - loss.smoothing) * losses[r] - loss.smoothing / static_cast<double>(s.classes) * all;
  }
}

template <class T>
bool class_loss_of(const ConstView& x, const ConstView& target, const View& dst, const ClassLoss& loss,
                   bool logged) {
  constexpr std::int64_t picks_per_chunk = 512;
  const Slabs s(x.shape, loss.dim);
  const Dense<std::int64_t> t(target);
  const mem::Scratch<double> losses(static_cast<std::size_t>(s.rows()));
  const LogProbabilities<T> lp(x, loss.dim, logged);
  std::atomic<std::int64_t> counted{0};
  std::atomic<bool> good{true};
  par::chunks(s.rows(), loss.smoothing == 0 ? picks_per_chunk : s.grain(), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t n = pick_rows(s, lp.data(), t.data(), loss.ignore, begin, end, losses.data());
    if (n == bad_class) return good.store(false, std::memory_order_relaxed);
    counted.fetch_add(n, std::memory_order_relaxed);
    if (loss.smoothing != 0) smooth_rows(s, lp.data(), t.data(), loss, begin, end, losses.data());
  });
  if (good.load()) store(losses.data(), s.rows(), counted.load(), loss.reduction, dst.as<T>());
  return good.load();
}

template <class T>
void class_loss_backward_of(const ConstView& g, const ConstView& x, const ConstView& target, const View& dst,
                            const ClassLoss& loss, bool logged) {
  const Slabs s(dst.shape, loss.dim);
  const Dense<std::int64_t> t(target);
  const RowFactors<T> k(g, counted_rows(t, s.rows(), loss.ignore), loss.reduction);
  T* out = dst.as<T>();
  if (logged)
    fill(dst, 0);
  else
    softmax(x, dst, loss.dim);
  const T even = static_cast<T>(loss.smoothing / static_cast<double>(std::max<std::int64_t>(1, s.classes)));
  const T main = static_cast<T>(1 - loss.smoothing);
  par::chunks(s.rows(), s.grain(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      T* row = out + s.start(r);
      if (t[r] == loss.ignore) {
        for (std::int64_t c = 0; c < s.classes; ++c) row[c * s.inner] = 0;
        continue;
      }
      const T factor = k[r];
      T& hit = row[t[r] * s.inner];
      if (logged) {
        hit = -factor;
        continue;
      }
      const T at_target = factor * ((hit - even) - main);
      if (s.inner == 1)
        for (std::int64_t c = 0; c < s.classes; ++c) row[c] = factor * (row[c] - even);
      else
        for (std::int64_t c = 0; c < s.classes; ++c) row[c * s.inner] = factor * (row[c * s.inner] - even);
      hit = at_target;
    }
  });
}

SoftTarget soft_target(const ClassLoss& loss, std::int64_t classes) noexcept {
  return {1 - loss.smoothing, loss.smoothing / static_cast<double>(std::max<std::int64_t>(1, classes))};
}

/// Rows whose softmax is taken together: short rows gain from company, and what was written is still in L1.
std::int64_t rows_together(std::int64_t classes) noexcept {
  return std::max<std::int64_t>(1, 2048 / classes);
}

/// Rows of dense lines, whose log softmax lives no longer than it is needed.
template <class T>
void soft_loss_of_rows(const Slabs& s, const T* x, const T* t, SoftTarget q, double* losses) {
  par::chunks(s.rows(), s.grain(), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t n = s.classes, together = std::min(end - begin, rows_together(n));
    const mem::Scratch<T> lp(static_cast<std::size_t>(together * n));
    for (std::int64_t first = begin; first < end; first += together) {
      const std::int64_t count = std::min(together, end - first);
      softmax_rows<T>().log_softmax(x + first * n, lp.data(), count, n);
      for (std::int64_t r = 0; r < count; ++r)
        losses[first + r] = loss_rows<T>().soft(lp.data() + r * n, t + (first + r) * n, n, q);
    }
  });
}

template <class T>
void soft_loss_of_slabs(const Slabs& s, const T* lp, const T* t, SoftTarget q, double* losses) {
  par::chunks(s.rows(), s.grain(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t at = s.start(r);
      double y = 0;
      for (std::int64_t c = 0; c < s.classes; ++c) {
        const double want = q.keep * static_cast<double>(t[at + c * s.inner]) + q.even;
        if (want != 0) y -= want * static_cast<double>(lp[at + c * s.inner]);
      }
      losses[r] = y;
    }
  });
}

template <class T>
void soft_loss_of(const ConstView& x, const ConstView& target, const View& dst, const ClassLoss& loss) {
  const Slabs s(x.shape, loss.dim);
  const Dense<T> t(target);
  const mem::Scratch<double> losses(static_cast<std::size_t>(s.rows()));
  const SoftTarget q = soft_target(loss, s.classes);
  if (s.inner == 1 && s.classes > 0)
    soft_loss_of_rows(s, Dense<T>(x).data(), t.data(), q, losses.data());
  else
    soft_loss_of_slabs(s, LogProbabilities<T>(x, loss.dim, false).data(), t.data(), q, losses.data());
  store(losses.data(), s.rows(), s.rows(), loss.reduction, dst.as<T>());
}

template <class T>
void soft_loss_backward_of(const ConstView& g, const ConstView& x, const ConstView& target, const View& dst,
                           const ClassLoss& loss) {
  const Slabs s(x.shape, loss.dim);
  const Dense<T> t(target);
  const RowFactors<T> k(g, s.rows(), loss.reduction);
  const SoftTarget q = soft_target(loss, s.classes);
  T* out = dst.as<T>();
  if (s.inner == 1 && s.classes > 0) {
    const Dense<T> scores(x);
    par::chunks(s.rows(), s.grain(), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t n = s.classes, together = rows_together(n);
      for (std::int64_t first = begin; first < end; first += together) {
        const std::int64_t last = std::min(first + together, end);
        softmax_rows<T>().softmax(scores.data() + first * n, out + first * n, last - first, n);
        for (std::int64_t r = first; r < last; ++r)
          loss_rows<T>().soft_backward(out + r * n, t.data() + r * n, n, q, static_cast<double>(k[r]));
      }
    });
    return;
  }
  softmax(x, dst, loss.dim);
  par::chunks(s.rows(), s.grain(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      T* row = out + s.start(r);
      const T* want = t.data() + s.start(r);
      double mass = 0;
      for (std::int64_t c = 0; c < s.classes; ++c)
        mass += q.keep * static_cast<double>(want[c * s.inner]) + q.even;
      const double factor = static_cast<double>(k[r]);
      for (std::int64_t i = 0; i < s.classes * s.inner; i += s.inner)
        row[i] = static_cast<T>(factor * (static_cast<double>(row[i]) * mass -
                                          (q.keep * static_cast<double>(want[i]) + q.even)));
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

bool class_loss(const ConstView& x, const ConstView& target, const View& dst, const ClassLoss& loss,
                bool logged) {
  return dst.dtype == DType::f32 ? class_loss_of<float>(x, target, dst, loss, logged)
                                 : class_loss_of<double>(x, target, dst, loss, logged);
}

void class_loss_backward(const ConstView& g, const ConstView& x, const ConstView& target, const View& dst,
                         const ClassLoss& loss, bool logged) {
  if (dst.dtype == DType::f32)
    class_loss_backward_of<float>(g, x, target, dst, loss, logged);
  else
    class_loss_backward_of<double>(g, x, target, dst, loss, logged);
}

void soft_loss(const ConstView& x, const ConstView& target, const View& dst, const ClassLoss& loss) {
  if (dst.dtype == DType::f32)
    soft_loss_of<float>(x, target, dst, loss);
  else
    soft_loss_of<double>(x, target, dst, loss);
}

void soft_loss_backward(const ConstView& g, const ConstView& x, const ConstView& target, const View& dst,
                        const ClassLoss& loss) {
  if (dst.dtype == DType::f32)
    soft_loss_backward_of<float>(g, x, target, dst, loss);
  else
    soft_loss_backward_of<double>(g, x, target, dst, loss);
}

}  // namespace thalweg::kernels
