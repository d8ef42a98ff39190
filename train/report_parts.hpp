// The parts a report's page is put together from. Depends on report. Not for users.
// Invariant: each part is a whole element, or nothing when there is nothing to show.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <thalweg/train/report.hpp>

namespace thalweg::train::parts {

/// The style sheet and the script: neither holds < or &, so they need no escaping.
std::string_view style();
std::string_view script();

const Series* find(const RunReport& report, std::string_view name);

/// Epochs shown: the longest series.
std::int64_t epochs(const RunReport& report);

/// The best epoch, counted from 0, and what the monitored series was then.
struct Best {
  std::string name;
  std::int64_t epoch = 0;
  double value = 0;
};
std::optional<Best> best(const RunReport& report);

/// Charts of all series.
std::string curves(const RunReport& report);
/// Their numbers, folded away.
std::string epoch_table(const RunReport& report);
/// Confusion matrix, recall and precision, and what was most often taken for what.
std::string classes(const RunReport& report);
std::string mistakes(const RunReport& report);
std::string model(const RunReport& report);
std::string facts(const RunReport& report);

}  // namespace thalweg::train::parts
