// Transforms one after another; see transform.hpp. Depends on base, tensor.
#include <algorithm>

#include <thalweg/autograd/base/rethrow.hpp>
#include <thalweg/data/transform.hpp>

namespace thalweg::data {

Tensor TransformRef::apply(const Tensor& x, std::span<const std::int64_t> indices,
                           std::uint64_t epoch) const {
  return at_line(loc_, [&] { return (*p_)(x, indices, epoch); });
}

Compose::Compose(std::vector<TransformRef> transforms, Loc loc) : transforms_(std::move(transforms)) {
  const auto null = std::ranges::find_if_not(transforms_, &TransformRef::operator bool);
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
  for (const TransformRef& transform : transforms_) y = transform.apply(y, indices, epoch);
  return y;
}

Transformed::Transformed(DatasetRef whole, TransformRef transform, Loc loc)
    : whole_(std::move(whole)), transform_(std::move(transform)) {
  if (!transform_)
    throw_error<ValueError>({.op = "Transformed",
                             .arg = "transform",
                             .given = "null",
                             .wanted = "a transform",
                             .what = "nothing to apply",
                             .loc = loc});
}

Batch Transformed::batch(std::span<const std::int64_t> indices) const {
  Batch b = whole_->batch(indices);
  std::vector<std::int64_t> originals;
  originals.reserve(indices.size());
  for (const std::int64_t i : indices) originals.push_back(whole_->original_index(i));
  b.x = transform_.apply(b.x, originals, 0);
  return b;
}

}  // namespace thalweg::data
