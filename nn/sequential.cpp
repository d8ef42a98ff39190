// Depends on sequential.hpp, fmt.
#include <thalweg/nn/sequential.hpp>

#include <fmt/format.h>

#include <thalweg/autograd/base/rethrow.hpp>

namespace thalweg::nn {

Tensor Sequential::operator()(Arg x) {
  const Call call(*this, x);
  Tensor y = x.t;
  std::size_t i = 0;
  try {
    for (; i < layers.size(); ++i) y = layers[i](Arg(y, x.loc));
  } catch (const Error& e) {
    const ModuleRef layer = layers[i].ref();
    ErrorFields fields = e.fields();
    fields.what += fmt::format(" (in layer {}, {})", i, layer.type->describe(layer.object));
    throw_again(e, std::move(fields));
  }
  return call.done(std::move(y));
}

}  // namespace thalweg::nn
