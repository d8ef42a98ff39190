// The doors of the convolution: choice of path and of element type. Depends on the convolution's parts.
#include <thalweg/ops/kernels/conv.hpp>

#include <atomic>
#include <type_traits>

#include <thalweg/ops/kernels/conv_channels.hpp>
#include <thalweg/ops/kernels/conv_planes.hpp>
#include <thalweg/ops/kernels/winograd.hpp>

namespace thalweg::kernels {
namespace {

constexpr std::int64_t most_plane_channels = 4;
constexpr std::int64_t least_plane_pixels = 64;

std::atomic<ConvPath> forced{ConvPath::automatic};
std::atomic<bool> winograd_allowed{true};
std::atomic<std::int64_t> counts[conv_paths];

/// Measured: with few channels on the side that is read, or on the one that is written where its maps are not tiny, lanes
/// of pixels beat lanes of channels.
bool few_channels(const ConvGeometry& g, ConvDirection direction) noexcept {
  const std::int64_t in = g.in_channels / g.groups, out = g.out_channels / g.groups;
  if (direction == ConvDirection::weight_gradient) return in <= most_plane_channels;
  const bool forward = direction == ConvDirection::forward;
  const std::int64_t* written = forward ? g.out : g.in;
  return (forward ? in : out) <= most_plane_channels ||
         ((forward ? out : in) <= most_plane_channels && written[0] * written[1] >= least_plane_pixels);
}

template <class T>
const T* as(const void* p) noexcept {
  return static_cast<const T*>(p);
}

void count(ConvPath path) noexcept { counts[static_cast<int>(path)].fetch_add(1, std::memory_order_relaxed); }

/// What is to be tried first.
template <class T>
ConvPath choose(const ConvGeometry& g, ConvDirection direction) noexcept {
  const ConvPath path = forced.load(std::memory_order_relaxed);
  const bool winograd = std::is_same_v<T, float> && winograd_applies(g);
  if (path == ConvPath::winograd) return winograd ? path : ConvPath::channels;
  if (path != ConvPath::automatic) return path;
  if (winograd && conv_winograd() && winograd_pays(g, direction)) return ConvPath::winograd;
  return few_channels(g, direction) ? ConvPath::planes : ConvPath::channels;
}

/// Rows of the products of 1x1 kernels are whole vectors, or nearly.
bool wide_product(const ConvGeometry& g) noexcept {
  const std::int64_t pixels = g.out[0] * g.out[1], vectors = (pixels + 15) / 16;
  return pixels >= 64 && vectors * 160 <= pixels * 11;
}

/// Forward or input gradient on the path that was chosen, or the next that takes it.
template <class T>
void run(const ConvGeometry& g, ConvPath path, const TapProblem<T>& problem) {
  const bool automatic = forced.load(std::memory_order_relaxed) == ConvPath::automatic;
  if (product_applies(problem) && (automatic ? wide_product(g) : path == ConvPath::product))
    return count(ConvPath::product), conv_product(problem);
  if (path == ConvPath::planes && planes_apply(problem) && conv_planes(problem)) return count(path);
  count(ConvPath::channels);
  conv_channels(problem);
}

template <class T>
void forward(const ConvGeometry& g, const T* x, const T* w, const T* bias, Activation act, T* y) {
  const ConvPath path = choose<T>(g, ConvDirection::forward);
  if constexpr (std::is_same_v<T, float>)
    if (path == ConvPath::winograd) return count(path), winograd_forward(g, x, w, bias, act, y);
  run(g, path, forward_problem(g, x, w, bias, act, y));
}

template <class T>
void input_gradient(const ConvGeometry& g, const T* dy, const T* w, T* dx) {
  const ConvPath path = choose<T>(g, ConvDirection::input_gradient);
  if constexpr (std::is_same_v<T, float>)
    if (path == ConvPath::winograd) return count(path), winograd_input_gradient(g, dy, w, dx);
  run(g, path, input_gradient_problem(g, dy, w, dx));
}

template <class T>
void weight_gradient(const ConvGeometry& g, const T* dy, const T* x, T* dw) {
  const ConvPath path = choose<T>(g, ConvDirection::weight_gradient);
  if constexpr (std::is_same_v<T, float>)
    if (path == ConvPath::winograd) return count(path), winograd_weight_gradient(g, dy, x, dw);
  if (path == ConvPath::planes && planes_weights_apply<T>(g) && conv_planes_weights(g, dy, x, dw))
    return count(path);
  count(ConvPath::channels);
  conv_channels_weights(g, dy, x, dw);
}

}  // namespace

void conv_forward(const ConvGeometry& g, DType dtype, const void* x, const void* w, const void* bias,
                  Activation act, void* y) {
  if (dtype == DType::f32)
    return forward(g, as<float>(x), as<float>(w), as<float>(bias), act, static_cast<float*>(y));
  return forward(g, as<double>(x), as<double>(w), as<double>(bias), act, static_cast<double*>(y));
}

void conv_input_gradient(const ConvGeometry& g, DType dtype, const void* dy, const void* w, void* dx) {
  if (dtype == DType::f32) return input_gradient(g, as<float>(dy), as<float>(w), static_cast<float*>(dx));
  return input_gradient(g, as<double>(dy), as<double>(w), static_cast<double*>(dx));
}

void conv_weight_gradient(const ConvGeometry& g, DType dtype, const void* dy, const void* x, void* dw) {
  if (dtype == DType::f32) return weight_gradient(g, as<float>(dy), as<float>(x), static_cast<float*>(dw));
  return weight_gradient(g, as<double>(dy), as<double>(x), static_cast<double*>(dw));
}

void force_conv_path(ConvPath path) noexcept { forced.store(path, std::memory_order_relaxed); }
void set_conv_winograd(bool on) noexcept { winograd_allowed.store(on, std::memory_order_relaxed); }
bool conv_winograd() noexcept { return winograd_allowed.load(std::memory_order_relaxed); }
std::int64_t conv_count(ConvPath path) noexcept { return counts[static_cast<int>(path)].load(); }

}  // namespace thalweg::kernels
