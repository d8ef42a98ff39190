// The two sides of gradcheck: finite differences of a function, and its recorded gradient. Internal to
// check/. Depends on calls.hpp. Invariant: both number elements alike: inputs and f64 outputs in order, each
// row by row.
#pragma once

#include <utility>
#include <vector>

#include <thalweg/check/calls.hpp>

namespace thalweg::check {

/// Where the differentiated elements lie: input, and the first column of each. Throws DTypeError for an f32
/// input.
struct Columns {
  std::vector<std::size_t> input;
  std::vector<std::int64_t> first;
  std::int64_t total = 0;

  Columns(const std::vector<Tensor>& in, std::uint64_t fixed);
  std::size_t slot(std::int64_t column) const;
};

/// Whether an output takes part: it is defined and floating.
inline bool counts(const Tensor& y) { return y.defined() && is_floating(y.dtype()); }

/// Elements to move and how far, relative to the step.
using Direction = std::vector<std::pair<std::int64_t, double>>;

/// fn at inputs moved by t h u along a direction u, and the derivative in t from seven of those.
class Stencil {
 public:
  Stencil(const Function& fn, const std::vector<Tensor>& in, const Columns& columns);

  struct Slopes {
    std::vector<double> middle, left, right;
    double size = 0;  ///< largest |fn| seen
  };
  Slopes along(const Direction& u, double h);
  std::size_t outputs() const noexcept { return centre_.size(); }
  /// max(1, |x|) of a column: what its step is measured in.
  double unit(std::int64_t column) const;

 private:
  std::vector<double> moved(const Direction& u, double t);

  const Function& fn_;
  std::vector<Tensor> in_;
  const Columns& columns_;
  std::vector<double> centre_;
};

/// The analytic side: one recorded call that can be pulled back many times.
class Tape {
 public:
  Tape(const Function& fn, const std::vector<Tensor>& in, const Columns& columns);
  std::int64_t rows() const noexcept { return rows_; }
  /// Gradients of all columns for the output gradient `v` (over all f64 outputs in a row).
  std::vector<double> pull(const std::vector<double>& v);

 private:
  const Columns& columns_;
  std::vector<Tensor> in_, out_;
  std::int64_t rows_ = 0;
};

}  // namespace thalweg::check
