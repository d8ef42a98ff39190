// What the kernel tests share: strided arrays with a guard zone, layouts, and loops over targets and thread
// counts. Depends on base, par, simd targets and doctest.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <thalweg/autograd/base/view.hpp>
#include <thalweg/ops/kernels/par.hpp>
#include <thalweg/ops/kernels/simd/targets.hpp>

namespace kernel_test {

using thalweg::ConstView;
using thalweg::Dims;
using thalweg::DType;
using thalweg::View;

/// How an array's elements lie: dense row-major; dimensions stored in reverse order; every second element of
/// a wider array, one element off alignment; the last dimension backwards.
enum class Layout { dense, transposed, spaced, flipped };
inline constexpr Layout all_layouts[] = {Layout::dense, Layout::transposed, Layout::spaced, Layout::flipped};

/// A strided array that owns its bytes, filled with a marker that `guards_intact` looks for between the
/// elements.
template <class T>
class Array {
 public:
  explicit Array(const Dims& shape, Layout layout = Layout::dense) : shape_(shape), strides_(shape) {
    const std::int64_t gap = layout == Layout::spaced ? 2 : 1;
    std::int64_t step = gap;
    for (int k = 0; k < shape.size(); ++k) {
      const int i = layout == Layout::transposed ? k : shape.size() - 1 - k;
      strides_[i] = step;
      step *= shape[i] > 0 ? shape[i] : 1;
    }
    start_ = guard + (layout == Layout::spaced ? 1 : 0);
    storage_.resize(static_cast<std::size_t>(step + 2 * guard + 1));
    std::memset(storage_.data(), 0x5B, storage_.size() * sizeof(T));
    if (layout == Layout::flipped && shape.size() > 0 && shape.back() > 0) {
      start_ += (shape.back() - 1) * strides_.back();
      strides_.back() = -strides_.back();
    }
  }

  View view() {
    return {reinterpret_cast<T*>(storage_.data()) + start_, thalweg::dtype_of<T>, shape_, strides_};
  }
  std::int64_t size() const { return thalweg::numel(shape_); }
  const Dims& shape() const { return shape_; }

  /// Element at row-major position i.
  T& operator[](std::int64_t i) { return reinterpret_cast<T*>(storage_.data())[start_ + offset(i)]; }

  template <class F>
  Array& generate(F&& f) {
    for (std::int64_t i = 0; i < size(); ++i) (*this)[i] = static_cast<T>(f(i));
    return *this;
  }
  Array& random(unsigned seed, double low = -1, double high = 1) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<double> draw(low, high);
    return generate([&](std::int64_t) { return draw(engine); });
  }
  std::vector<T> values() {
    std::vector<T> v;
    for (std::int64_t i = 0; i < size(); ++i) v.push_back((*this)[i]);
    return v;
  }
  /// True when no byte outside the elements was written.
  bool guards_intact() const {
    std::vector<char> element(storage_.size(), 0);
    for (std::int64_t i = 0; i < size(); ++i) element[static_cast<std::size_t>(start_ + offset(i))] = 1;
    for (std::size_t i = 0; i < storage_.size(); ++i)
      for (unsigned char byte : storage_[i].bytes)
        if (!element[i] && byte != 0x5B) return false;
    return true;
  }

 private:
  struct Slot {
    alignas(T) unsigned char bytes[sizeof(T)];
  };
  static constexpr std::int64_t guard = 67;

  std::int64_t offset(std::int64_t i) const {
    std::int64_t at = 0;
    for (int d = shape_.size() - 1; d >= 0; --d) {
      at += i % shape_[d] * strides_[d];
      i /= shape_[d];
    }
    return at;
  }

  Dims shape_, strides_;
  std::int64_t start_ = 0;
  std::vector<Slot> storage_;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Runs f() on every target this machine has; the name is in doctest's message.
template <class F>
void on_targets(F&& f) {
  for (thalweg::simd::Target t : thalweg::simd::supported_targets()) {
    const thalweg::simd::TargetScope scope(t);
    INFO("target " << std::string(thalweg::simd::target_name(t)));
    f();
  }
}

/// Runs f() with 1, 2, 3 and 7 threads and puts the former number back.
template <class F>
void on_threads(F&& f) {
  const int former = thalweg::par::num_threads();
  for (int n : {1, 2, 3, 7}) {
    thalweg::par::set_num_threads(n);
    INFO("threads " << n);
    f();
  }
  thalweg::par::set_num_threads(former);
}

}  // namespace kernel_test
