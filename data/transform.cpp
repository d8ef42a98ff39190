// Transforms one after another; see transform.hpp. Depends on base, tensor.
#include <algorithm>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/data/transform.hpp>

namespace thalweg::data {

Compose::Compose(std::vector<std::shared_ptr<const Transform>> transforms, Loc loc)
    : transforms_(std::move(transforms)) {
  const auto null = std::find(transforms_.begin(), transforms_.end(), nullptr);
  if (null != transforms_.end())
    throw_error<ValueError>({.op = "compose",
                             .arg = "transforms[" + std::to_string(null - transforms_.begin()) + "]",
                             .given = "null",
                             .wanted = "a transform",
                             .what = "nothing to apply",
                             .loc = loc});
}

Tensor Compose::operator()(const Tensor& x, std::span<const std::int64_t> indices,
                           std::uint64_t epoch) const {
  Tensor y = x;
  for (const auto& transform : transforms_) y = (*transform)(y, indices, epoch);
  return y;
}

}  // namespace thalweg::data
