// Logs: named numbers in the order they were set. History: the Logs of every epoch, as columns.
// Depends on io (state). Invariant: every column of a History has one value per epoch, NaN where the epoch's
// logs did not have that name.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <thalweg/autograd/base/loc.hpp>
#include <thalweg/io/state.hpp>

namespace thalweg::train {

class Logs {
 public:
  using Entry = std::pair<std::string, double>;

  /// Changes the value called `name`, or adds it at the end.
  void set(std::string_view name, double value);
  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
  /// Null if there is none of that name.
  const double* find(std::string_view name) const noexcept;
  /// Throws IndexError, which lists the names there are.
  double at(std::string_view name, Loc loc = Loc::here()) const;
  /// "loss, accuracy, val_loss"
  std::string names() const;
  void clear() noexcept { entries_.clear(); }
  std::size_t size() const noexcept { return entries_.size(); }
  std::vector<Entry>::const_iterator begin() const noexcept { return entries_.begin(); }
  std::vector<Entry>::const_iterator end() const noexcept { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
};

/// A name and the line that says it.
struct NameArg {
  template <std::convertible_to<std::string_view> S>
  NameArg(const S& s, Loc l = Loc::here()) : name(s), loc(l) {}  // NOLINT: history["loss"]
  std::string_view name;
  Loc loc;
};

class History {
 public:
  using Column = std::pair<std::string, std::vector<double>>;

  /// Epochs finished.
  std::int64_t epochs() const noexcept { return static_cast<std::int64_t>(numbers_.size()); }
  /// A value per epoch. Throws IndexError, which lists the names there are.
  const std::vector<double>& at(std::string_view name, Loc loc = Loc::here()) const;
  const std::vector<double>& operator[](NameArg name) const { return at(name.name, name.loc); }
  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
  const std::vector<double>* find(std::string_view name) const noexcept;
  const std::vector<Column>& columns() const noexcept { return columns_; }
  /// "loss, accuracy, val_loss"
  std::string names() const;
  /// The number of the i-th finished epoch, counted from 0; they go up by one from FitOptions::initial_epoch.
  /// Throws IndexError, as logs().
  std::int64_t number(std::int64_t i, Loc loc = Loc::here()) const;
  /// The logs of the i-th finished epoch, i from 0.
  Logs logs(std::int64_t i, Loc loc = Loc::here()) const;
  void append(std::int64_t epoch, const Logs& logs);
  void visit(io::StateVisitor& f);

  /// Time in fit(): training, validation and callbacks; a resumed run goes on counting.
  double seconds = 0;
  /// Why the training ended before its last epoch; empty when it did not.
  std::string stopped{};

 private:
  void check(std::int64_t i, Loc loc) const;

  std::vector<double> numbers_;  // doubles, because a checkpoint keeps lists of those
  std::vector<Column> columns_;
};

}  // namespace thalweg::train
