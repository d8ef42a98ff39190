// Depends on layers.hpp, fmt.
#include <thalweg/nn/layers.hpp>

#include <fmt/format.h>

namespace thalweg::nn {

AnyDropout::AnyDropout(const char* layer, DropoutOptions o, Loc loc)
    : p(o.p), generator(derive_seed(o.generator)) {
  if (!(p >= 0 && p <= 1))
    throw_error<ValueError>({.op = layer,
                             .arg = "p",
                             .given = fmt::format("{}", p),
                             .wanted = "0 to 1",
                             .what = "not a probability",
                             .loc = loc});
}

std::string AnyDropout::describe(const char* layer) const { return fmt::format("{}({})", layer, p); }

namespace {

void check_rank(const char* layer, const Arg& x, int rank, const char* wanted) {
  if (x.t.defined() && x.t.dim() != rank)
    throw_error<ShapeError>({.op = layer,
                             .arg = "x",
                             .given = x.t.describe(),
                             .wanted = wanted,
                             .what = "not what this layer takes",
                             .loc = x.loc});
}

}  // namespace

Tensor Dropout::operator()(Arg x) {
  const Call call(*this, x);
  return call.done(training ? dropout(x, p, generator) : x.t);
}
Tensor Dropout1d::operator()(Arg x) {
  const Call call(*this, x);
  check_rank("Dropout1d", x, 3, "[N, C, L]");
  return call.done(training ? dropout_channels(x, p, generator) : x.t);
}
Tensor Dropout2d::operator()(Arg x) {
  const Call call(*this, x);
  check_rank("Dropout2d", x, 4, "[N, C, H, W]");
  return call.done(training ? dropout_channels(x, p, generator) : x.t);
}
Tensor AlphaDropout::operator()(Arg x) {
  const Call call(*this, x);
  return call.done(training ? alpha_dropout(x, p, generator) : x.t);
}

Tensor Flatten::operator()(Arg x) const { return Call(*this, x).done(flatten(x, start)); }

std::string LeakyRelu::describe() const { return fmt::format("LeakyRelu({})", slope); }
std::string Elu::describe() const { return fmt::format("Elu({})", alpha); }

}  // namespace thalweg::nn
