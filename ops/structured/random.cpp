// Dropout: inference, kernel call, derivative (itself), reference, samples. Depends on functions.hpp,
// kernels/random, fmt. Invariant: the function takes exactly one draw from the generator, whatever p is.
#include <thalweg/ops/structured/random.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/ops/describe.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/random.hpp>
#include <thalweg/ops/structured/dims.hpp>

namespace thalweg::ops {

void Dropout::infer(const Ins& in, const Attrs& t, Outs& out) {
  require_present(in, 0, "x");
  require_floating(in, 0, "x");
  if (!(t.p >= 0 && t.p <= 1))
    in.fail<ValueError>("p", fmt::format("{}", t.p), "0 to 1", "not a probability");
  out.add(in[0].dtype, in[0].shape);
}

void Dropout::run(const Ins& in, const View* out, const Attrs& t) {
  kernels::dropout(in[0], out[0], t.p, t.key);
}

void Dropout::vjp(Vjp& v, const Attrs& t) { v.set(0, apply<Dropout>(t, v.g())); }

std::vector<Tensor> Dropout::reference(const std::vector<Tensor>& in, const Attrs& t) {
  Tensor y = zeros(in[0].shape(), DType::f64);
  std::uint64_t i = 0;
  for_each_index(in[0].shape(), [&](const Dims& index) {
    // Words come in groups of 64: one word of each of 16 blocks, four times.
    const std::uint64_t block = i / 64 * 16 + i % 16, word = i % 64 / 16;
    const double u = static_cast<double>(philox_uniform_f32(philox(t.key.seed, t.key.offset, block)[word]));
    if (u >= t.p) set_value(y, index, value_at(in[0], index) / (1 - t.p));
    ++i;
  });
  return {y};
}

void Dropout::samples(SampleList& s) {
  const RandomKey key{20, 4};
  s.add({s.normal({5, 7})}, Attrs{.p = 0.2, .key = key});
  s.add({s.normal({2, 3, 4})}, Attrs{.p = 0.5, .key = {21, 0}});
  s.add({s.normal({6})}, Attrs{.p = 0, .key = key}, "keeps all");
  s.add({s.normal({6})}, Attrs{.p = 1, .key = key}, "drops all");
  s.add({s.normal({})}, Attrs{.p = 0.5, .key = key}, "0-d");
  s.add({s.normal({0, 3})}, Attrs{.p = 0.5, .key = key}, "empty");
}

void Dropout::errors(ErrorList& e) {
  const Tensor x = zeros({2, 3});
  e.add<ValueError>({x}, Attrs{.p = 1.5}, "dropout: not a probability: p is 1.5, wanted 0 to 1",
                    "ValueError");
  e.add<ValueError>({x}, Attrs{.p = -0.1}, "p is -0.1", "ValueError");
  e.add<ValueError>({x}, Attrs{.p = std::nan("")}, "p is nan", "ValueError");
  e.add<DTypeError>({zeros({2}, DType::i64)}, Attrs{}, "x is i64[2], wanted f32 or f64", "DTypeError");
  e.add<ValueError>({Tensor()}, Attrs{}, "undefined tensor", "ValueError");
}

}  // namespace thalweg::ops

namespace thalweg {

Tensor dropout(Arg x, double p, Generator& generator) {
  Tensor y = apply<ops::Dropout>({.p = p, .key = generator.state()}, x);
  generator.next();  // only now: a call that throws draws nothing
  return y;
}

Tensor dropout_channels(Arg x, double p, Generator& generator) {
  Tensor y = apply<ops::DropoutChannels>({.p = p, .key = generator.state()}, x);
  generator.next();
  return y;
}

Tensor alpha_dropout(Arg x, double p, Generator& generator) {
  Tensor y = apply<ops::AlphaDropout>({.p = p, .key = generator.state()}, x);
  generator.next();
  return y;
}

void describe_random(std::vector<OpInfo>& to) { describe_all(ops::RandomOps{}, to); }

}  // namespace thalweg
