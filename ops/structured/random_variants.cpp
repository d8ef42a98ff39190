// Dropout of channels, and alpha dropout, which is composed of a draw of dropout and a selection. Depends on
// functions.hpp, kernels/random, fmt. Invariant: what is dropped is chosen, never multiplied away, so NaN and
// infinity go too.
#include <cmath>
#include <string>

#include <fmt/format.h>

#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/random.hpp>
#include <thalweg/ops/structured/dims.hpp>
#include <thalweg/ops/structured/random.hpp>

namespace thalweg::ops {
namespace {

constexpr double alpha_limit = -1.7580993408473766;  // selu at -infinity

void check(const Ins& in, DType dtype, const std::string& given, double p) {
  if (!is_floating(dtype)) in.fail<DTypeError>("x", given, "f32 or f64", "not a floating tensor");
  if (!(p >= 0 && p <= 1)) in.fail<ValueError>("p", fmt::format("{}", p), "0 to 1", "not a probability");
}

/// Not 0 where a draw keeps.
Tensor draw(const Dims& shape, DType dtype, const Dropout::Attrs& t) {
  return apply<Dropout>(t, expand(scalar(1.0, dtype), shape));
}

/// Whether the i-th element of a draw is kept.
bool kept(const Dropout::Attrs& t, std::uint64_t i) {
  const std::uint64_t block = i / 64 * 16 + i % 16, word = i % 64 / 16;
  return static_cast<double>(philox_uniform_f32(philox(t.key.seed, t.key.offset, block)[word])) >= t.p;
}

struct AlphaNumbers {
  double scale, shift, dropped;
};
AlphaNumbers alpha_numbers(double p) {
  if (p == 1) return {0, 0, 0};
  const double scale = 1 / std::sqrt((1 - p) * (1 + p * alpha_limit * alpha_limit)),
               shift = -scale * alpha_limit * p;
  return {scale, shift, scale * alpha_limit + shift};
}

void variant_samples(SampleList& s) {
  using Attrs = Dropout::Attrs;
  const RandomKey key{20, 4};
  s.add({s.normal({5, 7})}, Attrs{.p = 0.2, .key = key});
  s.add({s.normal({2, 9, 4})}, Attrs{.p = 0.5, .key = {21, 0}});
  s.add({s.normal({2, 3, 2, 2})}, Attrs{.p = 0.5, .key = {22, 0}});
  s.add({s.normal({2, 3})}, Attrs{.p = 0, .key = key}, "keeps all");
  s.add({s.normal({2, 3})}, Attrs{.p = 1, .key = key}, "drops all");
  s.add({s.normal({0, 3})}, Attrs{.p = 0.5, .key = key}, "empty");
}

void variant_errors(ErrorList& e, const char* op) {
  using Attrs = Dropout::Attrs;
  const Tensor x = zeros({2, 3});
  e.add<ValueError>({x}, Attrs{.p = 1.5}, std::string(op) + ": not a probability: p is 1.5, wanted 0 to 1",
                    "ValueError");
  e.add<ValueError>({x}, Attrs{.p = -0.1}, "p is -0.1", "ValueError");
  e.add<ValueError>({x}, Attrs{.p = std::nan("")}, "p is nan", "ValueError");
  e.add<DTypeError>({zeros({2, 3}, DType::i64)}, Attrs{}, "x is i64[2,3], wanted f32 or f64", "DTypeError");
  e.add<ValueError>({Tensor()}, Attrs{}, "undefined tensor", "ValueError");
}

}  // namespace

void DropoutChannels::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  check(in, in[0].dtype, describe(in[0]), t.p);
  if (in[0].shape.size() < 2)
    in.fail<ShapeError>("x", describe(in[0]), "[N, C] or [N, C, ..]", "no channel dimension");
  out.add(in[0].dtype, in[0].shape);
}

void DropoutChannels::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::dropout_channels(in[0], out[0], t.p, t.key);
}

void DropoutChannels::vjp(Vjp& v, const Attrs& t) { v.set(0, apply<DropoutChannels>(t, v.g())); }

std::vector<Tensor> DropoutChannels::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Tensor y = zeros(in[0].shape(), DType::f64);
  for_each_index(in[0].shape(), [&](const Dims& at) {
    const std::int64_t channel = at[0] * in[0].shape()[1] + at[1];
    if (kept(t, static_cast<std::uint64_t>(channel))) set_value(y, at, value_at(in[0], at) / (1 - t.p));
  });
  return {y};
}

void DropoutChannels::samples(SampleList& s) { variant_samples(s); }
void DropoutChannels::errors(ErrorList& e) {
  variant_errors(e, "dropout_channels");
  e.add<ShapeError>({zeros({3})}, Attrs{}, "dropout_channels: no channel dimension: x is f32[3]",
                    "ShapeError");
}

Tensor AlphaDropout::compose(const Tensor* in, int, const Attrs& t, Loc loc) {
  const Tensor& x = in[0];
  const Ins ins{row.name, loc, 1, nullptr, 0};
  if (!x.defined()) ins.fail<ValueError>("x", "undefined", "a tensor", "undefined tensor");
  check(ins, x.dtype(), x.describe(), t.p);
  const AlphaNumbers a = alpha_numbers(t.p);
  const Tensor keep = draw(x.shape(), x.dtype(), t);
  return where(not_equal(keep, like(0, keep)), x * a.scale + a.shift, like(a.dropped, x));
}

std::vector<Tensor> AlphaDropout::reference(const std::vector<Tensor>& in, const Attrs& t) {
  const double k = alpha_limit, q = 1 - t.p, a = 1 / std::sqrt(q + k * k * q * t.p), b = -a * k * t.p;
  Tensor y = zeros(in[0].shape(), DType::f64);
  std::uint64_t i = 0;
  for_each_index(in[0].shape(), [&](const Dims& at) {
    const double v = kept(t, i++) ? value_at(in[0], at) : k;
    set_value(y, at, t.p == 1 ? 0 : a * v + b);
  });
  return {y};
}

void AlphaDropout::samples(SampleList& s) {
  variant_samples(s);
  s.add({s.normal({})}, Attrs{.p = 0.5, .key = {3, 1}}, "0-d");
}
void AlphaDropout::errors(ErrorList& e) { variant_errors(e, "alpha_dropout"); }

}  // namespace thalweg::ops
