// TensorLane: the lane on which a formula becomes recorded tensor code, so that gradients of gradients come from the very
// formula that the kernels run. Depends on ops/functions.hpp.
// Invariant: a literal takes the dtype of the tensor beside it, as it does on SIMD lanes.
#pragma once

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg {

/// A condition: a bool tensor, and the dtype of what was compared (which a choice between two literals takes).
struct TensorMask {
  Tensor t;
  DType dtype = DType::f32;
};

class TensorLane {
 public:
  TensorLane() noexcept = default;
  TensorLane(double literal) noexcept : literal_(literal) {}  // NOLINT(google-explicit-constructor)
  explicit TensorLane(Tensor t) noexcept : t_(std::move(t)) {}

  bool is_literal() const noexcept { return !t_.defined(); }
  double literal() const noexcept { return literal_; }
  const Tensor& tensor() const noexcept { return t_; }

 private:
  Tensor t_;
  double literal_ = 0;
};

TensorLane operator+(const TensorLane& a, const TensorLane& b);
TensorLane operator-(const TensorLane& a, const TensorLane& b);
TensorLane operator*(const TensorLane& a, const TensorLane& b);
TensorLane operator/(const TensorLane& a, const TensorLane& b);
TensorLane operator-(const TensorLane& a);
TensorLane pow(const TensorLane& a, const TensorLane& b);
TensorLane atan2(const TensorLane& a, const TensorLane& b);
TensorLane maximum(const TensorLane& a, const TensorLane& b);
TensorLane minimum(const TensorLane& a, const TensorLane& b);
TensorLane abs(const TensorLane& a);
TensorLane sign(const TensorLane& a);
TensorLane sqrt(const TensorLane& a);
TensorLane exp(const TensorLane& a);
TensorLane log(const TensorLane& a);
TensorLane log1p(const TensorLane& a);
TensorLane expm1(const TensorLane& a);
TensorLane tanh(const TensorLane& a);
TensorLane sigmoid(const TensorLane& a);
TensorLane erf(const TensorLane& a);
TensorLane erfc(const TensorLane& a);
TensorLane sin(const TensorLane& a);
TensorLane cos(const TensorLane& a);

TensorMask operator<(const TensorLane& a, const TensorLane& b);
TensorMask operator<=(const TensorLane& a, const TensorLane& b);
TensorMask operator>(const TensorLane& a, const TensorLane& b);
TensorMask operator>=(const TensorLane& a, const TensorLane& b);
TensorMask operator==(const TensorLane& a, const TensorLane& b);
TensorMask operator!=(const TensorLane& a, const TensorLane& b);
TensorMask operator&(const TensorMask& a, const TensorMask& b);
TensorMask operator|(const TensorMask& a, const TensorMask& b);
TensorMask operator!(const TensorMask& a);
TensorMask isnan(const TensorLane& a);
TensorMask isfinite(const TensorLane& a);
/// a where the mask is set, else b.
TensorLane select(const TensorMask& m, const TensorLane& a, const TensorLane& b);

}  // namespace thalweg
