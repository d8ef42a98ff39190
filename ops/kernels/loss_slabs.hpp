// What the kernels of class losses share: scores as [outer, classes, inner], dense operands, the reduction of the rows'
// losses. Depends on softmax, copy, memory. Internal to loss.cpp and loss_soft.cpp. Invariant: rows are summed in f64 in
// blocks of a fixed size, whatever the number of threads.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/loss.hpp>
#include <thalweg/ops/kernels/softmax.hpp>

namespace thalweg::kernels {

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
inline double sum_rows(const double* x, std::int64_t n) noexcept {
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

/// What a mean divides by.
struct Divisor {
  std::int64_t counted = 0;  ///< rows that are not ignored
  double weight = 0;         ///< the sum of their weights, 1 each where none are given
};

/// losses reduced into dst, that of no rows being NaN.
template <class T>
void store(const double* losses, std::int64_t rows, Divisor d, LossReduction reduction, T* dst) noexcept {
  if (reduction == LossReduction::none) {
    for (std::int64_t r = 0; r < rows; ++r) dst[r] = static_cast<T>(losses[r]);
    return;
  }
  const double total = sum_rows(losses, rows);
  if (reduction == LossReduction::sum)
    *dst = static_cast<T>(total);
  else
    *dst = d.counted > 0 ? static_cast<T>(total / d.weight) : std::numeric_limits<T>::quiet_NaN();
}

/// What each row's gradient is multiplied with.
template <class T>
class RowFactors {
 public:
  RowFactors(const ConstView& g, Divisor d, LossReduction reduction)
      : each_(reduction == LossReduction::none), g_(g) {
    if (!each_ && reduction == LossReduction::sum) one_ = static_cast<double>(g_[0]);
    if (!each_ && reduction == LossReduction::mean && d.counted > 0) one_ = static_cast<double>(g_[0]) / d.weight;
  }
  T operator[](std::int64_t r) const noexcept { return static_cast<T>(exact(r)); }
  /// The same for a product with a weight, which may be far from 1: only that need be a T.
  double exact(std::int64_t r) const noexcept { return each_ ? static_cast<double>(g_[r]) : one_; }

 private:
  bool each_;
  Dense<T> g_;
  double one_ = 0;
};

}  // namespace thalweg::kernels
