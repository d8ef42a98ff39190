// Checks of options, shared by optimizers, schedules and the rest of the folder. Depends on base.
// Invariant: NaN and infinity are never inside a range.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/loc.hpp>

namespace thalweg::optim::detail {

struct Range {
  double low = 0;
  double high = 0;  ///< 0: no upper bound
  bool closed = false;
};
/// Throws ValueError naming `arg` unless low <= v, and v < high (or v <= high when `closed`), and v is
/// finite.
void check_option(const char* op, const char* arg, double v, Range range, Loc loc);
/// Throws ValueError naming `arg` unless v >= least.
void check_count(const char* op, const char* arg, std::int64_t v, std::int64_t least, Loc loc);

}  // namespace thalweg::optim::detail
