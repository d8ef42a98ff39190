// DataLoader: a data set in batches, an epoch at a time, the next batch prepared while the last one is used.
// Depends on base, data/dataset, data/transform. Invariant: which example comes when is a function of (seed,
// epoch, size) alone, and how it is transformed one of (example, epoch); threads, prefetching and what came
// before do not enter.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <vector>

#include <thalweg/data/dataset.hpp>
#include <thalweg/data/transform.hpp>

namespace thalweg::data {

struct LoaderOptions {
  std::int64_t batch_size = 32;
  bool shuffle = false;
  std::uint64_t seed = 0;
  bool drop_last = false;  ///< leave out a last batch that is not full
  bool prefetch = true;    ///< make the next batch on a worker thread
  /// Applied to x of each batch where the batch is made; gets original_index of its examples and the epoch.
  TransformRef transform{};
};

/// The numbers 0 .. n-1 in a random order that depends on n, seed and epoch alone (Fisher-Yates on Philox).
std::vector<std::int64_t> shuffled(std::int64_t n, std::uint64_t seed, std::uint64_t epoch);

/// One pass over the data; for range-for. An error from the data set or the transform arrives in the caller at
/// the batch it belongs to and ends the epoch; one of the library that names no line gets the loader's, or that
/// of the transform. May be destroyed at any time; destruction waits for a batch under way.
class Epoch {
 public:
  class Iterator {
   public:
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    const Batch& operator*() const;
    const Batch* operator->() const { return &**this; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const;

   private:
    friend class Epoch;
    explicit Iterator(Epoch* epoch) : epoch_(epoch) {}
    Epoch* epoch_;
  };

  Epoch(Epoch&&) noexcept;
  Epoch& operator=(Epoch&&) noexcept;
  ~Epoch();

  /// Batches of this pass, those already taken included.
  std::int64_t batches() const noexcept;
  /// The next batch into `batch`; false at the end. begin() and ++ do the same.
  bool next(Batch& batch);
  Iterator begin();
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class DataLoader;
  struct State;
  explicit Epoch(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class DataLoader {
 public:
  /// Throws ValueError unless batch_size >= 1.
  explicit DataLoader(DatasetRef dataset, LoaderOptions options = {}, Loc loc = Loc::here());

  /// Examples in the data set.
  std::int64_t size() const noexcept { return size_; }
  /// Batches in an epoch.
  std::int64_t batches() const noexcept;
  const LoaderOptions& options() const noexcept { return options_; }
  /// The examples of epoch `number` in their order.
  std::vector<std::int64_t> order(std::int64_t number) const;
  /// Pass `number` over the data from batch `first` on, which is where a resumed run goes on.
  /// Throws ValueError (number < 0), IndexError (first outside [0, batches()]).
  Epoch epoch(std::int64_t number = 0, std::int64_t first = 0, Loc loc = Loc::here()) const;

 private:
  DatasetRef dataset_;
  LoaderOptions options_;
  std::int64_t size_;
  Loc loc_;
};

}  // namespace thalweg::data
