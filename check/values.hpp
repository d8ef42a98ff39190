// Tensors as plain numbers: casting, comparing bit for bit, ulp, layouts, and printing as C++ that can be
// pasted. Depends on tensor and kernels/copy, on no op, so that a broken op cannot hide its own fault.
// Invariant: nothing here records, and everything it returns has no history.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::check {

/// A contiguous copy in another dtype (or the same).
Tensor cast(const Tensor& t, DType dtype);
/// The same elements without history, wanting a gradient: a leaf on t's own memory and layout.
Tensor leaf(const Tensor& t);
/// The elements row by row, as double.
std::vector<double> values(const Tensor& t);
/// A contiguous f64 tensor.
Tensor from_values(const std::vector<double>& v, const Dims& shape);
/// Equal dtype, shape and bytes of every element.
bool same_bits(const Tensor& a, const Tensor& b);
bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b);
/// Equal dtype, shape and values; 0 and -0 are one value, and so are all NaNs.
bool same_values(const Tensor& a, const Tensor& b);

/// |got - want| in units in the last place of `dtype` at max(|want|, floor); infinite when only one is NaN.
double ulp_error(double got, double want, double floor, DType dtype);
/// Distance from 1 to the next number: 2^-23 or 2^-52.
double epsilon(DType dtype);

/// Ways to lay the same elements out in memory.
enum class Layout : std::uint8_t {
  contiguous,
  transposed,  ///< column-major
  sliced,      ///< a window in the middle of a larger array
  strided,     ///< every second element of a larger array
  misaligned,  ///< contiguous, one element past an aligned address
  repeated,    ///< stride 0 along the last dimension: its first element everywhere (values change)
};
inline constexpr Layout all_layouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced,
                                         Layout::strided,    Layout::misaligned, Layout::repeated};
const char* layout_name(Layout l) noexcept;
/// `t` laid out that way.
Tensor with_layout(const Tensor& t, Layout l);

/// Fills free blocks of this size with a pattern, so that an op that forgets to write shows.
void poison(std::int64_t bytes);

/// An expression that makes this tensor: `from<double>({1, 2}, {2})`. Layout is not kept.
std::string to_code(const Tensor& t);
/// "[1,0,2]": the index of the n-th element of a shape.
std::string index_of(std::int64_t n, const Dims& shape);

/// Numbers that look random and are the same in every run.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) noexcept : seed_(seed) {}
  /// Uniform on [lo, hi).
  double uniform(double lo, double hi) noexcept;
  /// +-[0.5, 1.5): never near zero, so that every term of a sum counts.
  double signed_unit() noexcept;
  std::int64_t below(std::int64_t n) noexcept;
  /// f64 of signed_unit() numbers.
  Tensor signed_units(const Dims& shape);

 private:
  std::uint64_t seed_;
  std::uint64_t count_ = 0;
};

}  // namespace thalweg::check
