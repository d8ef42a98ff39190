// Monitor: what EarlyStopping and its like watch, and which way is better. Depends on train/callback.
// Invariant: a name that will not be in the logs is an error before the first step, not after the first
// epoch.
#pragma once

#include <cstdint>
#include <string>

#include <thalweg/train/callback.hpp>

namespace thalweg::train {

/// Which values of what is watched are better; automatic: of metrics as they say, of anything else the lower.
enum class Mode : std::uint8_t { automatic, min, max };

namespace detail {

/// Throws ValueError, listing the names there will be, if `monitor` is none of them.
void check_monitor(const char* op, const std::string& monitor, const Training& training, Loc loc);
/// Whether larger values of `monitor` are better.
bool larger_is_better(Mode mode, const std::string& monitor, const Training& training);

}  // namespace detail
}  // namespace thalweg::train
