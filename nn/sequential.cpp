// Depends on sequential.hpp, fmt.
#include <thalweg/nn/sequential.hpp>

#include <fmt/format.h>

namespace thalweg::nn {
namespace detail {
namespace {

template <class E>
[[noreturn]] void rethrow(const E& e, const std::string& layer) {
  ErrorFields fields = e.fields();
  fields.what += fmt::format(" (in layer {})", layer);
  throw E(std::move(fields));
}

}  // namespace

void rethrow_from_layer(std::size_t index, const AnyModule& layer) {
  const ModuleRef m = layer.ref();
  const std::string name = fmt::format("{}, {}", index, m.type->describe(m.object));
  try {
    throw;
  } catch (const ShapeError& e) {
    rethrow(e, name);
  } catch (const DTypeError& e) {
    rethrow(e, name);
  } catch (const IndexError& e) {
    rethrow(e, name);
  } catch (const ValueError& e) {
    rethrow(e, name);
  } catch (const VersionError& e) {
    rethrow(e, name);
  } catch (const GraphError& e) {
    rethrow(e, name);
  }
}

}  // namespace detail

Tensor Sequential::operator()(Arg x) {
  const Call call(*this, x);
  Tensor y = x.t;
  std::size_t i = 0;
  try {
    for (; i < layers.size(); ++i) y = layers[i](Arg(y, x.loc));
  } catch (const Error&) {
    detail::rethrow_from_layer(i, layers[i]);
  }
  return call.done(std::move(y));
}

}  // namespace thalweg::nn
