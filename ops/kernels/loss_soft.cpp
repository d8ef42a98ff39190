// Losses against class probabilities and their backward. Depends on loss_slabs, par and the row kernels of softmax and
// loss. Invariant: everything is allocated before dst is written.
#include <thalweg/ops/kernels/loss_rows.hpp>
#include <thalweg/ops/kernels/loss_slabs.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/softmax_rows.hpp>

namespace thalweg::kernels {
namespace {

Divisor all_rows(const Slabs& s) noexcept { return {s.rows(), static_cast<double>(s.rows())}; }

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
  store(losses.data(), s.rows(), all_rows(s), loss.reduction, dst.as<T>());
}

template <class T>
void soft_loss_backward_of(const ConstView& g, const ConstView& x, const ConstView& target, const View& dst,
                           const ClassLoss& loss) {
  const Slabs s(x.shape, loss.dim);
  const Dense<T> t(target);
  const RowFactors<T> k(g, all_rows(s), loss.reduction);
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
