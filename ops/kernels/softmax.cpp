// Brings any layout to dense rows along the dimension, runs the row kernels, and brings the result back.
// Depends on base/memory, copy, par and softmax_rows.
#include <thalweg/ops/kernels/softmax.hpp>

#include <algorithm>

#include <thalweg/autograd/base/memory.hpp>
#include <thalweg/ops/kernels/copy.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/softmax_rows.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t grain_elements = 8192;

/// The view with `dim` moved to the end.
template <class AnyView>
AnyView with_last(AnyView v, int dim) noexcept {
  const std::int64_t extent = v.shape[dim], stride = v.strides[dim];
  v.shape.erase(dim), v.strides.erase(dim);
  v.shape.push_back(extent), v.strides.push_back(stride);
  return v;
}

/// Dense rows of a source: where they are, or a copy.
template <class T>
class Rows {
 public:
  explicit Rows(const ConstView& v) : data_(v.as<T>()) {
    if (is_contiguous(v)) return;
    const auto n = static_cast<std::size_t>(numel(v));
    own_ = static_cast<T*>(mem::allocate(bytes_ = n * sizeof(T)));
    copy(v, View{own_, v.dtype, v.shape, contiguous_strides(v.shape)});
    data_ = own_;
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows() {
    if (own_ != nullptr) mem::release(own_, bytes_);
  }
  const T* data() const noexcept { return data_; }

 private:
  const T* data_;
  T* own_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Dense rows for a result: its own, or scratch that write_back() copies out.
template <class T>
class Result {
 public:
  explicit Result(const View& v) : view_(v), data_(v.as<T>()) {
    if (is_contiguous(ConstView(v))) return;
    own_ = static_cast<T*>(mem::allocate(bytes_ = static_cast<std::size_t>(numel(v)) * sizeof(T)));
    data_ = own_;
  }
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  ~Result() {
    if (own_ != nullptr) mem::release(own_, bytes_);
  }
  T* data() const noexcept { return data_; }
  void write_back() const noexcept {
    if (own_ != nullptr)
      copy(ConstView(own_, view_.dtype, view_.shape, contiguous_strides(view_.shape)), view_);
  }

 private:
  View view_;
  T* data_;
  T* own_ = nullptr;
  std::size_t bytes_ = 0;
};

template <class T>
void run(typename SoftmaxRows<T>::Unary kernel, const ConstView& src, const View& dst, std::int64_t n,
         bool one_each) {
  const Result<T> out(dst);  // first, so that a failed allocation leaves all as it was
  const Rows<T> in(src);
  const std::int64_t rows = numel(src) / n;
  par::chunks(rows, std::max<std::int64_t>(1, grain_elements / n), [&](std::int64_t begin, std::int64_t end) {
    kernel(in.data() + begin * n, out.data() + begin * (one_each ? 1 : n), end - begin, n);
  });
  out.write_back();
}

template <class T>
void run(typename SoftmaxRows<T>::Backward kernel, const ConstView& g, const ConstView& y, const View& dst) {
  const Result<T> out(dst);
  const Rows<T> gradient(g), output(y);
  const std::int64_t n = g.shape.back(), rows = numel(g) / n;
  par::chunks(rows, std::max<std::int64_t>(1, grain_elements / n), [&](std::int64_t begin, std::int64_t end) {
    kernel(gradient.data() + begin * n, output.data() + begin * n, out.data() + begin * n, end - begin, n);
  });
  out.write_back();
}

/// A 0-d tensor is one row of one element.
template <class AnyView>
AnyView with_dim(AnyView v) noexcept {
  if (v.shape.empty()) v.shape.push_back(1), v.strides.push_back(1);
  return v;
}

/// Whether the slices along `dim` are columns of dense matrices that stay in a cache while they are read
/// again.
bool small_columns(const ConstView& src, const View& dst, int dim) noexcept {
  if (dim + 1 >= src.shape.size() || !is_contiguous(src) || !is_contiguous(ConstView(dst))) return false;
  std::int64_t matrix = 1;
  for (int d = dim; d < src.shape.size(); ++d) matrix *= src.shape[d];
  return matrix > 0 && matrix <= grain_elements;
}

template <class T>
void run_columns(typename SoftmaxRows<T>::Columns kernel, const ConstView& src, const View& dst, int dim) {
  const std::int64_t n = src.shape[dim];
  std::int64_t outer = 1, inner = 1;
  for (int d = 0; d < src.shape.size(); ++d) (d < dim ? outer : inner) *= d == dim ? 1 : src.shape[d];
  const std::int64_t matrix = n * inner;
  par::chunks(outer, grain_elements / matrix, [&](std::int64_t begin, std::int64_t end) {
    kernel(src.as<T>() + begin * matrix, dst.as<T>() + begin * matrix, end - begin, n, inner);
  });
}

template <class T>
typename SoftmaxRows<T>::Columns columns_of(bool log) noexcept {
  return log ? softmax_rows<T>().log_softmax_columns : softmax_rows<T>().softmax_columns;
}

void unary(const ConstView& src0, const View& dst0, int dim, bool log) {
  if (small_columns(src0, dst0, dim)) {
    if (src0.dtype == DType::f32) return run_columns<float>(columns_of<float>(log), src0, dst0, dim);
    return run_columns<double>(columns_of<double>(log), src0, dst0, dim);
  }
  const ConstView src = with_last(with_dim(src0), dim);
  const View dst = with_last(with_dim(dst0), dim);
  if (numel(src) == 0) return;
  if (src.dtype == DType::f32)
    run<float>(log ? softmax_rows<float>().log_softmax : softmax_rows<float>().softmax, src, dst,
               src.shape.back(), false);
  else
    run<double>(log ? softmax_rows<double>().log_softmax : softmax_rows<double>().softmax, src, dst,
                src.shape.back(), false);
}

template <class Pick32, class Pick64>
void backward(const ConstView& g0, const ConstView& y0, const View& dst0, int dim, Pick32 f32, Pick64 f64) {
  const ConstView g = with_last(with_dim(g0), dim), y = with_last(with_dim(y0), dim);
  const View dst = with_last(with_dim(dst0), dim);
  if (numel(g) == 0) return;
  if (g.dtype == DType::f32)
    run<float>(softmax_rows<float>().*f32, g, y, dst);
  else
    run<double>(softmax_rows<double>().*f64, g, y, dst);
}

}  // namespace

void softmax(const ConstView& src, const View& dst, int dim) { unary(src, dst, dim, false); }

void log_softmax(const ConstView& src, const View& dst, int dim) { unary(src, dst, dim, true); }

void logsumexp(const ConstView& src0, const View& dst0, int dim) {
  const bool keepdim = dst0.shape.size() == src0.shape.size() && !src0.shape.empty();
  const ConstView src = with_last(with_dim(src0), dim);
  View dst = dst0;
  if (keepdim) dst.shape.erase(dim), dst.strides.erase(dim);
  if (numel(dst) == 0) return;
  if (src.shape.back() == 0) return fill(dst, -__builtin_inf());
  if (src.dtype == DType::f32)
    run<float>(softmax_rows<float>().logsumexp, src, dst, src.shape.back(), true);
  else
    run<double>(softmax_rows<double>().logsumexp, src, dst, src.shape.back(), true);
}

void softmax_backward(const ConstView& g, const ConstView& y, const View& dst, int dim) {
  backward(g, y, dst, dim, &SoftmaxRows<float>::softmax_backward, &SoftmaxRows<double>::softmax_backward);
}

void log_softmax_backward(const ConstView& g, const ConstView& y, const View& dst, int dim) {
  backward(g, y, dst, dim, &SoftmaxRows<float>::log_softmax_backward,
           &SoftmaxRows<double>::log_softmax_backward);
}

}  // namespace thalweg::kernels
