// Transform: what a loader does to the inputs of a batch before it hands them out, such as augmentation.
// Depends on tensor, data/dataset. Invariant: the result is a function of the transform, the inputs, the examples' numbers
// and the epoch alone, so that neither threads nor prefetching nor resuming changes it.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>
#include <thalweg/data/dataset.hpp>

namespace thalweg::data {

class Transform {
 public:
  virtual ~Transform() = default;
  /// The inputs of the examples `indices`, one a row of x, as they are to be in this epoch. Called from
  /// worker threads, with recording off. An index is the example's number in the whole data set (see
  /// Dataset::original_index), wherever it comes in the batch or in a subset.
  virtual Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                            std::uint64_t epoch) const = 0;
};

/// One transform after another, the first of the list first. An empty list changes nothing.
class Compose final : public Transform {
 public:
  /// Throws ValueError when one of them is null.
  explicit Compose(std::vector<std::shared_ptr<const Transform>> transforms, Loc loc = Loc::here());
  Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                    std::uint64_t epoch) const override;

 private:
  std::vector<std::shared_ptr<const Transform>> transforms_;
};

namespace detail {
template <std::derived_from<Transform> T>
std::shared_ptr<const Transform> shared(T transform) {
  return std::make_shared<const T>(std::move(transform));
}
inline std::shared_ptr<const Transform> shared(std::shared_ptr<const Transform> transform) {
  return transform;
}
}  // namespace detail

/// The same from the transforms themselves or shared pointers to them: compose(RandomCrop(...), cutout).
template <class... T>
std::shared_ptr<const Transform> compose(T... transforms) {
  return std::make_shared<const Compose>(
      std::vector<std::shared_ptr<const Transform>>{detail::shared(std::move(transforms))...});
}

/// Another data set's examples as a transform leaves them, for what training, validation and test need alike, such as
/// normalisation. The epoch is 0 in every pass: what differs from epoch to epoch is the loader's transform.
class Transformed final : public Dataset {
 public:
  /// Throws ValueError when `transform` is null.
  Transformed(DatasetRef whole, std::shared_ptr<const Transform> transform, Loc loc = Loc::here());
  std::int64_t size() const override { return whole_->size(); }
  /// Throws what the data set and the transform throw.
  Batch batch(std::span<const std::int64_t> indices) const override;
  std::int64_t original_index(std::int64_t i) const override { return whole_->original_index(i); }

 private:
  DatasetRef whole_;
  std::shared_ptr<const Transform> transform_;
};

}  // namespace thalweg::data
