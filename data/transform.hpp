// Transform: what a loader does to the inputs of a batch before it hands them out, such as augmentation.
// Depends on tensor, data/dataset. Invariant: the result is a function of the transform, the inputs, the examples' numbers
// and the epoch alone, so that neither threads nor prefetching nor resuming changes it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <thalweg/autograd/base/loc.hpp>
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

/// A shared, read-only handle on a transform, or on none; any Transform turns into one, and so does a shared
/// pointer to one. It keeps the line where it was made of one: errors of the transform name it.
class TransformRef {
 public:
  TransformRef() = default;
  template <std::derived_from<Transform> T>
  TransformRef(T transform, Loc loc = Loc::here())  // NOLINT
      : p_(std::make_shared<const T>(std::move(transform))), loc_(loc) {}
  template <std::derived_from<Transform> T>
  TransformRef(std::shared_ptr<T> transform, Loc loc = Loc::here())  // NOLINT
      : p_(std::move(transform)), loc_(loc) {}
  TransformRef(std::nullptr_t, Loc loc = Loc::here()) : loc_(loc) {}  // NOLINT

  explicit operator bool() const noexcept { return p_ != nullptr; }
  const Transform& operator*() const noexcept { return *p_; }
  const Transform* operator->() const noexcept { return p_.get(); }
  Loc loc() const noexcept { return loc_; }
  /// What the transform makes of x. An error of the library that names no line gets loc().
  Tensor apply(const Tensor& x, std::span<const std::int64_t> indices, std::uint64_t epoch) const;

 private:
  std::shared_ptr<const Transform> p_;
  Loc loc_{};
};

/// One transform after another, the first of the list first. An empty list changes nothing.
class Compose final : public Transform {
 public:
  /// Throws ValueError when one of them is null.
  explicit Compose(std::vector<TransformRef> transforms, Loc loc = Loc::here());
  Tensor operator()(const Tensor& x, std::span<const std::int64_t> indices,
                    std::uint64_t epoch) const override;

 private:
  std::vector<TransformRef> transforms_;
};

namespace detail {
inline TransformRef as_ref(TransformRef transform, Loc) { return transform; }
template <class T>
TransformRef as_ref(T transform, Loc loc) {
  return {std::move(transform), loc};
}
}  // namespace detail

/// The same from the transforms themselves or shared pointers to them: compose(RandomCrop(...), cutout).
template <class... T>
TransformRef compose(TransformRef first, T... rest) {
  const Loc loc = first.loc();
  std::vector<TransformRef> all{std::move(first), detail::as_ref(std::move(rest), loc)...};
  return {Compose(std::move(all), loc), loc};
}

/// Another data set's examples as a transform leaves them, for what training, validation and test need alike, such as
/// normalisation. The epoch is 0 in every pass: what differs from epoch to epoch is the loader's transform.
class Transformed final : public Dataset {
 public:
  /// Throws ValueError when `transform` is null.
  Transformed(DatasetRef whole, TransformRef transform, Loc loc = Loc::here());
  std::int64_t size() const override { return whole_->size(); }
  /// Throws what the data set and the transform throw.
  Batch batch(std::span<const std::int64_t> indices) const override;
  std::int64_t original_index(std::int64_t i) const override { return whole_->original_index(i); }

 private:
  DatasetRef whole_;
  TransformRef transform_;
};

}  // namespace thalweg::data
