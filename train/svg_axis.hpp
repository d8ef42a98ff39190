// Axis: the range of a chart and its ticks at round numbers. Depends on nothing of the project.
// Invariant: finite values in, a finite range with low < high and 2 to 12 ticks within it out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace thalweg::train::svg {

enum class Scale : std::uint8_t {
  automatic,  ///< linear; logarithmic where positive values differ by a factor of 50 or more
  linear,
  from_zero,    ///< linear, with 0 on the axis
  logarithmic,  ///< linear where a value is not positive
};

struct Axis {
  bool logarithmic = false;
  double low = 0, high = 1;
  std::vector<double> ticks{};
  int decimals = 0;  ///< that tell the ticks of a linear axis apart

  /// Where `v` lies between low (0) and high (1).
  double at(double v) const;
  /// A tick's label.
  std::string label(double tick) const;
};

/// The axis for values from `low` to `high`, both finite.
Axis axis(double low, double high, Scale scale);

/// The epochs `first` .. `last` to label: round numbers, and both ends where there is room.
std::vector<std::int64_t> epoch_ticks(std::int64_t first, std::int64_t last);

}  // namespace thalweg::train::svg
