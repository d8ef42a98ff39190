// Initialisers: ways to fill a parameter with random numbers whose spread suits the layer's size.
// Depends on tensor, kernels/random. Invariant: each takes one offset of the generator, so the values of the
// n-th initialised tensor depend on the seed and n alone.
#pragma once

#include <cstdint>

#include <thalweg/autograd/tensor/generator.hpp>
#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg::nn {

/// A layer's own defaults, by the library that has them.
enum class Init : std::uint8_t {
  keras,   ///< weight Glorot uniform, bias zero
  pytorch  ///< weight and bias uniform on +-1/sqrt(in) (Kaiming uniform with a = sqrt(5))
};

/// The generator that layers take when they are given none; one per thread, first seeded with 0.
Generator& default_generator() noexcept;
/// Starts this thread's default generator anew.
void seed(std::uint64_t value) noexcept;
/// A seed for a module's own generator, taken from `source`, or from the default generator when that is null.
std::uint64_t derive_seed(Generator* source) noexcept;

}  // namespace thalweg::nn

namespace thalweg::nn::init {

enum class Fan : std::uint8_t { in, out };

/// Inputs and outputs of one unit, for weights laid out [out, in, window...].
struct Fans {
  std::int64_t in = 0;
  std::int64_t out = 0;
};
/// Throws ShapeError for fewer than two dimensions.
Fans fans(const Tensor& weight, Loc loc = Loc::here());

struct XavierOptions {
  double gain = 1;
};
struct KaimingOptions {
  double a = 0;       ///< slope of the (leaky) ReLU behind the layer; gain = sqrt(2 / (1 + a^2))
  Fan fan = Fan::in;  ///< `in` keeps the variance of the forward pass, `out` of the backward pass
};

// All of these write `t` in place, whatever its strides, and throw DTypeError unless it is f32 or f64,
// ValueError for options that are NaN, infinite or negative where a size is meant.

/// Uniform on [low, high).
void uniform(Tensor& t, Generator& g, double low = 0, double high = 1, Loc loc = Loc::here());
/// Normal with this mean and standard deviation.
void normal(Tensor& t, Generator& g, double mean = 0, double deviation = 1, Loc loc = Loc::here());
void constant(Tensor& t, double value, Loc loc = Loc::here());
/// Uniform on +-gain sqrt(6 / (in + out)). Glorot and Bengio, AISTATS 2010.
void xavier_uniform(Tensor& t, Generator& g, XavierOptions options = {}, Loc loc = Loc::here());
/// Normal with deviation gain sqrt(2 / (in + out)).
void xavier_normal(Tensor& t, Generator& g, XavierOptions options = {}, Loc loc = Loc::here());
/// Uniform on +-gain sqrt(3 / fan). He, Zhang, Ren and Sun, ICCV 2015.
void kaiming_uniform(Tensor& t, Generator& g, KaimingOptions options = {}, Loc loc = Loc::here());
/// Normal with deviation gain / sqrt(fan).
void kaiming_normal(Tensor& t, Generator& g, KaimingOptions options = {}, Loc loc = Loc::here());

// The same under the authors' family names.
inline void glorot_uniform(Tensor& t, Generator& g, XavierOptions o = {}, Loc loc = Loc::here()) {
  xavier_uniform(t, g, o, loc);
}
inline void glorot_normal(Tensor& t, Generator& g, XavierOptions o = {}, Loc loc = Loc::here()) {
  xavier_normal(t, g, o, loc);
}
inline void he_uniform(Tensor& t, Generator& g, KaimingOptions o = {}, Loc loc = Loc::here()) {
  kaiming_uniform(t, g, o, loc);
}
inline void he_normal(Tensor& t, Generator& g, KaimingOptions o = {}, Loc loc = Loc::here()) {
  kaiming_normal(t, g, o, loc);
}

}  // namespace thalweg::nn::init
