// Depends on embedding.hpp, fmt.
#include <thalweg/nn/embedding.hpp>

#include <fmt/format.h>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg::nn {

Embedding::Embedding(const EmbeddingOptions& o, Loc loc) : padding_idx(o.padding_idx) {
  const auto positive = [&](const char* arg, std::int64_t n) {
    if (n >= 1) return;
    throw_error<ValueError>({.op = "Embedding",
                             .arg = arg,
                             .given = fmt::format("{}", n),
                             .wanted = "1 or more",
                             .what = "option outside its domain",
                             .loc = loc});
  };
  positive("rows", o.rows);
  positive("features", o.features);
  if (o.padding_idx && (*o.padding_idx < -o.rows || *o.padding_idx >= o.rows))
    throw_error<IndexError>({.op = "Embedding",
                             .arg = "padding_idx",
                             .given = fmt::format("{}", *o.padding_idx),
                             .wanted = fmt::format("{} to {}", -o.rows, o.rows - 1),
                             .what = "no such row",
                             .loc = loc});
  if (!is_floating(o.dtype))
    throw_error<DTypeError>({.op = "Embedding",
                             .arg = "dtype",
                             .given = name(o.dtype),
                             .wanted = "f32 or f64",
                             .what = "parameters are floating",
                             .loc = loc});
  weight = empty({o.rows, o.features}, o.dtype);
  Generator& generator = o.generator ? *o.generator : default_generator();
  if (o.init == Init::keras)
    init::uniform(weight, generator, -0.05, 0.05, loc);
  else
    init::normal(weight, generator, 0, 1, loc);
  if (o.padding_idx) {
    Tensor row = select(weight, 0, *o.padding_idx < 0 ? *o.padding_idx + o.rows : *o.padding_idx);
    init::constant(row, 0, loc);
  }
  weight.set_requires_grad(true, loc);
}

Tensor Embedding::operator()(Arg index) const {
  const Call call(*this, index);
  return call.done(embedding(weight, index, {.padding_idx = padding_idx}));
}

std::string Embedding::describe() const {
  return fmt::format("Embedding({} x {}{})", weight.shape()[0], weight.shape()[1],
                     padding_idx ? fmt::format(", padding {}", *padding_idx) : "");
}

}  // namespace thalweg::nn
