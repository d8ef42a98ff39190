// The optimizers' fused loops: one pass over parameter, gradient and state of all tensors in one parallel
// section. Depends on par and simd. A tensor's arrays are contiguous, of `n` elements of one dtype (f32 or
// f64), and do not overlap. Invariant: each element is computed alone, by the same lanes wherever it lies.
#pragma once

#include <cstdint>
#include <span>

#include <thalweg/autograd/base/dtype.hpp>

namespace thalweg::kernels {

/// One tensor's update. `maximize` uses -g. Weight decay has two forms: `weight_decay` is added to the
/// gradient
/// (`g + weight_decay p`), and p is first multiplied by 1 - `decay_rate`. What the states are, and which may
/// be null, stands at each update.
template <class Options>
struct Update {
  std::int64_t n = 0;
  DType dtype = DType::f32;
  void* parameter = nullptr;
  const void* gradient = nullptr;
  bool maximize = false;
  void* state[3] = {nullptr, nullptr, nullptr};
  Options options{};
  std::int64_t first_chunk = 0;  ///< set by the call
};

struct SgdOptions {
  double lr = 0.01;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  double decay_rate = 0;
  bool nesterov = false;
  bool lr_in_velocity = false;  ///< Keras' form: v = m v - lr g, p += v (nesterov: p += m v - lr g)
};
/// b = m b + (1 - dampening) g; p -= lr b (nesterov: p -= lr (g + m b)). State: b, null when momentum is 0. A
/// first step that sets b = g is: b filled with 0 and dampening 0.
void update_sgd(std::span<Update<SgdOptions>> all) noexcept;

struct AdamOptions {
  double step_size = 1e-3;  ///< PyTorch: lr / bias1.          Keras: lr sqrt(bias2) / bias1
  double root_scale = 1;    ///< PyTorch: 1 / sqrt(bias2).     Keras: 1
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;  ///< outside the root
  double weight_decay = 0;
  double decay_rate = 0;
};
/// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g g; p -= step_size m / (sqrt(v) root_scale +
/// epsilon). States: m, v, and AMSGrad's largest v or null; that keeps max(largest, v) and takes v's place
/// under the root.
void update_adam(std::span<Update<AdamOptions>> all) noexcept;

struct NadamOptions {
  double gradient_size = 1e-3;  ///< lr (1 - mu_t) / (1 - product of mu up to t)
  double moment_size = 1e-3;    ///< lr mu_(t+1) / (1 - product of mu up to t + 1)
  double root_scale = 1;        ///< 1 / sqrt(bias2)
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;  ///< outside the root
  double weight_decay = 0;
  double decay_rate = 0;
};
/// m and v as Adam's; p -= (gradient_size g + moment_size m) / (sqrt(v) root_scale + epsilon). States: m, v.
void update_nadam(std::span<Update<NadamOptions>> all) noexcept;

struct AdamaxOptions {
  double step_size = 1e-3;  ///< lr / bias1
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 0;              ///< Keras': added to u in the quotient
  double epsilon_in_gradient = 0;  ///< PyTorch's: added to |g|
  double weight_decay = 0;
  double decay_rate = 0;
};
/// m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + epsilon_in_gradient); p -= step_size m / (u +
/// epsilon). States: m, u.
void update_adamax(std::span<Update<AdamaxOptions>> all) noexcept;

struct RmspropOptions {
  double lr = 1e-3;
  double rho = 0.9;
  double epsilon = 0;          ///< outside the root: PyTorch's
  double epsilon_in_root = 0;  ///< Keras'
  double momentum = 0;
  bool lr_in_velocity = false;  ///< Keras' form: b = momentum b + lr d; p -= b
  double weight_decay = 0;
  double decay_rate = 0;
};
/// v = rho v + (1 - rho) g g; a = centered ? (a := rho a + (1 - rho) g) : 0; d = g / (sqrt(v - a a +
/// epsilon_in_root) + epsilon); without b p -= lr d, else b = momentum b + d; p -= lr b. States: v, a
/// (centered) or null, b or null.
void update_rmsprop(std::span<Update<RmspropOptions>> all) noexcept;

struct AdagradOptions {
  double lr = 1e-2;
  double epsilon = 0;          ///< outside the root: PyTorch's
  double epsilon_in_root = 0;  ///< Keras'
  double weight_decay = 0;
  double decay_rate = 0;
};
/// v += g g; p -= lr g / (sqrt(v + epsilon_in_root) + epsilon). State: v.
void update_adagrad(std::span<Update<AdagradOptions>> all) noexcept;

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;
  double epsilon = 1e-6;  ///< inside both roots, as in the paper
  double weight_decay = 0;
  double decay_rate = 0;
};
/// v = rho v + (1 - rho) g g; d = g sqrt(u + epsilon) / sqrt(v + epsilon); u = rho u + (1 - rho) d d; p -= lr
/// d. States: v, u.
void update_adadelta(std::span<Update<AdadeltaOptions>> all) noexcept;

struct ScaleOptions {
  double factor = 1;
};
/// p *= factor; the gradient is not looked at and may be p itself. No state. Clips gradients by norm.
void update_scale(std::span<Update<ScaleOptions>> all) noexcept;

struct ClampOptions {
  double limit = 1;
};
/// p = min(max(p, -limit), limit), NaN stays; the gradient is not looked at and may be p itself. No state.
void update_clamp(std::span<Update<ClampOptions>> all) noexcept;

struct AverageOptions {
  double weight = 1e-3;
};
/// p += weight (g - p): p is a running average of g. No state.
void update_average(std::span<Update<AverageOptions>> all) noexcept;

}  // namespace thalweg::kernels
