// The doors of the convolution: choice of path and of element type. Depends on the convolution's parts.
#include <thalweg/ops/kernels/conv.hpp>

#include <atomic>

#include <thalweg/ops/kernels/conv_channels.hpp>

namespace thalweg::kernels {
namespace {

std::atomic<ConvPath> forced{ConvPath::automatic};
std::atomic<std::int64_t> channels_count{0};

template <class T>
const T* as(const void* p) noexcept {
  return static_cast<const T*>(p);
}

template <class T>
void forward(const ConvGeometry& g, const void* x, const void* w, const void* bias, Activation act, void* y) {
  channels_count.fetch_add(1, std::memory_order_relaxed);
  conv_channels(forward_problem(g, as<T>(x), as<T>(w), as<T>(bias), act, static_cast<T*>(y)));
}

template <class T>
void input_gradient(const ConvGeometry& g, const void* dy, const void* w, void* dx) {
  channels_count.fetch_add(1, std::memory_order_relaxed);
  conv_channels(input_gradient_problem(g, as<T>(dy), as<T>(w), static_cast<T*>(dx)));
}

template <class T>
void weight_gradient(const ConvGeometry& g, const void* dy, const void* x, void* dw) {
  channels_count.fetch_add(1, std::memory_order_relaxed);
  conv_channels_weights(g, as<T>(dy), as<T>(x), static_cast<T*>(dw));
}

}  // namespace

void conv_forward(const ConvGeometry& g, DType dtype, const void* x, const void* w, const void* bias,
                  Activation act, void* y) {
  if (dtype == DType::f32) return forward<float>(g, x, w, bias, act, y);
  return forward<double>(g, x, w, bias, act, y);
}

void conv_input_gradient(const ConvGeometry& g, DType dtype, const void* dy, const void* w, void* dx) {
  if (dtype == DType::f32) return input_gradient<float>(g, dy, w, dx);
  return input_gradient<double>(g, dy, w, dx);
}

void conv_weight_gradient(const ConvGeometry& g, DType dtype, const void* dy, const void* x, void* dw) {
  if (dtype == DType::f32) return weight_gradient<float>(g, dy, x, dw);
  return weight_gradient<double>(g, dy, x, dw);
}

void force_conv_path(ConvPath path) noexcept { forced.store(path, std::memory_order_relaxed); }

ConvCounts conv_counts() noexcept { return {channels_count.load()}; }

}  // namespace thalweg::kernels
