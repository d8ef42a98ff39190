// The optimizers' fused loops: one pass over parameter, gradient and state.
// Depends on par and simd. All arrays are contiguous, of `n` elements of one dtype (f32 or f64), and do not
// overlap. Invariant: each element is computed alone, by the same lanes wherever it lies.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/dtype.hpp>

namespace thalweg::kernels {

/// What every update gets. `maximize` uses -g. Weight decay, where an update has it, is added to g (`g +
/// weight_decay p`) unless stated.
struct UpdateArrays {
  std::int64_t n = 0;
  DType dtype = DType::f32;
  void* parameter = nullptr;
  const void* gradient = nullptr;
  bool maximize = false;
};

struct SgdOptions {
  double lr = 0.01;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool lr_in_velocity = false;  ///< Keras' form: v = m v - lr g, p += v (nesterov: p += m v - lr g)
};
/// b = m b + (1 - dampening) g; p -= lr b (nesterov: p -= lr (g + m b)). `velocity` is b, null when momentum
/// is 0. A first step that sets b = g is: velocity filled with 0 and dampening 0.
void update_sgd(const UpdateArrays& a, void* velocity, const SgdOptions& o) noexcept;

struct AdamOptions {
  double step_size = 1e-3;  ///< PyTorch: lr / bias1.          Keras: lr sqrt(bias2) / bias1
  double root_scale = 1;    ///< PyTorch: 1 / sqrt(bias2).     Keras: 1
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;    ///< outside the root
  double weight_decay = 0;  ///< added to g
  double decay_rate = 0;    ///< AdamW: lr weight_decay; p is first multiplied by 1 - decay_rate
};
/// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g g; p -= step_size m / (sqrt(v) root_scale +
/// epsilon). `largest` (AMSGrad), if not null, keeps max(largest, v) and takes v's place under the root.
void update_adam(const UpdateArrays& a, void* first, void* second, void* largest,
                 const AdamOptions& o) noexcept;

struct RmspropOptions {
  double lr = 1e-3;
  double rho = 0.9;
  double epsilon = 1e-7;  ///< outside the root
  double momentum = 0;
  double weight_decay = 0;
};
/// v = rho v + (1 - rho) g g; a = mean ? (a := rho a + (1 - rho) g) : 0; d = g / (sqrt(v - a a) + epsilon);
/// without `velocity` p -= lr d, else b = momentum b + d; p -= lr b. `mean` (centered) and `velocity` may be
/// null.
void update_rmsprop(const UpdateArrays& a, void* square, void* mean, void* velocity,
                    const RmspropOptions& o) noexcept;

struct AdagradOptions {
  double lr = 1e-2;
  double epsilon = 1e-10;  ///< outside the root
  double weight_decay = 0;
};
/// v += g g; p -= lr g / (sqrt(v) + epsilon).
void update_adagrad(const UpdateArrays& a, void* square, const AdagradOptions& o) noexcept;

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;
  double epsilon = 1e-6;  ///< inside both roots, as in the paper
  double weight_decay = 0;
};
/// v = rho v + (1 - rho) g g; d = g sqrt(u + epsilon) / sqrt(v + epsilon); u = rho u + (1 - rho) d d; p -= lr
/// d.
void update_adadelta(const UpdateArrays& a, void* square, void* delta, const AdadeltaOptions& o) noexcept;

}  // namespace thalweg::kernels
