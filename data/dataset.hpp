// Dataset: examples by number; tensors as a data set, and parts of one.
// Depends on base, tensor, ops (contiguous), par. Invariant: a data set never changes once made, so batches
// of it may be asked for on several threads at once.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg::data {

/// Some examples, one a row: inputs and targets. Without targets y is undefined.
struct Batch {
  Tensor x;
  Tensor y;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  /// The examples of these numbers (each in [0, size())), in this order, stacked along the first dimension.
  /// Called from worker threads, with recording off.
  virtual Batch batch(std::span<const std::int64_t> indices) const = 0;
  /// The number by which transforms know an example of this data set: the one it has in the whole data set,
  /// if this is a part of one. So a subset, a shuffled one too, augments an example as the whole does.
  virtual std::int64_t original_index(std::int64_t index) const { return index; }
};

/// A shared, read-only handle on a data set; any Dataset turns into one.
class DatasetRef {
 public:
  template <std::derived_from<Dataset> D>
  DatasetRef(D dataset) : p_(std::make_shared<const D>(std::move(dataset))) {}  // NOLINT
  template <std::derived_from<Dataset> D>
  DatasetRef(std::shared_ptr<D> dataset) : p_(std::move(dataset)) {}  // NOLINT
  const Dataset& operator*() const noexcept { return *p_; }
  const Dataset* operator->() const noexcept { return p_.get(); }

 private:
  std::shared_ptr<const Dataset> p_;
};

struct TensorDatasetOptions {
  bool unit = false;  ///< x is u8 and its batches are f32, value / 255: pixels in [0, 1]
};

/// The rows of x and, if given, of y. Shares their memory (strided ones are copied once).
class TensorDataset final : public Dataset {
 public:
  /// Throws ValueError (x undefined), ShapeError (a 0-d tensor; x and y of different length), DTypeError
  /// (unit on another dtype than u8).
  explicit TensorDataset(const Tensor& x, const Tensor& y = {}, TensorDatasetOptions options = {},
                         Loc loc = Loc::here());
  std::int64_t size() const override { return x_.size(0); }
  /// Throws IndexError.
  Batch batch(std::span<const std::int64_t> indices) const override;

 private:
  Tensor x_, y_;
  TensorDatasetOptions options_;
};

/// Some of another data set's examples.
class Subset final : public Dataset {
 public:
  /// The examples [begin, end). Throws IndexError unless 0 <= begin <= end <= size.
  Subset(DatasetRef whole, std::int64_t begin, std::int64_t end, Loc loc = Loc::here());
  /// The examples of these numbers, in this order. Throws IndexError.
  Subset(DatasetRef whole, std::vector<std::int64_t> indices, Loc loc = Loc::here());
  std::int64_t size() const override { return static_cast<std::int64_t>(indices_.size()); }
  Batch batch(std::span<const std::int64_t> indices) const override;
  /// Throws IndexError.
  std::int64_t original_index(std::int64_t index) const override;

 private:
  DatasetRef whole_;
  std::vector<std::int64_t> indices_;
};

/// The first floor(n (1 - fraction)) examples and the rest, as Keras' validation_split takes them: in order,
/// before any shuffling. Throws ValueError unless 0 <= fraction <= 1.
std::pair<Subset, Subset> split_last(DatasetRef whole, double fraction, Loc loc = Loc::here());

/// u8 values as f32 in [0, 1]: value / 255, correctly rounded. Throws DTypeError.
Tensor to_unit(const Tensor& pixels, Loc loc = Loc::here());

}  // namespace thalweg::data
