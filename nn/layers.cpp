// Depends on layers.hpp, fmt.
#include <thalweg/nn/layers.hpp>

#include <fmt/format.h>

namespace thalweg::nn {

Dropout::Dropout(DropoutOptions o, Loc loc) : p(o.p), generator(derive_seed(o.generator)) {
  if (!(p >= 0 && p <= 1))
    throw_error<ValueError>({.op = "Dropout",
                             .arg = "p",
                             .given = fmt::format("{}", p),
                             .wanted = "0 to 1",
                             .what = "not a probability",
                             .loc = loc});
}

Tensor Dropout::operator()(Arg x) {
  const Call call(*this, x);
  return call.done(training ? dropout(x, p, generator) : x.t);
}

std::string Dropout::describe() const { return fmt::format("Dropout({})", p); }

Tensor Flatten::operator()(Arg x) const { return Call(*this, x).done(flatten(x, start)); }

std::string LeakyRelu::describe() const { return fmt::format("LeakyRelu({})", slope); }
std::string Elu::describe() const { return fmt::format("Elu({})", alpha); }

}  // namespace thalweg::nn
