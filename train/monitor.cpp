// Depends on monitor.hpp.
#include <thalweg/train/monitor.hpp>

#include <algorithm>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::train::detail {

void check_monitor(const char* op, const std::string& monitor, const Training& training, Loc loc) {
  const auto& names = training.log_names;
  if (std::find(names.begin(), names.end(), monitor) != names.end()) return;
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  const bool unvalidated =
      monitor.starts_with("val_") && std::find(names.begin(), names.end(), "val_loss") == names.end();
  throw_error<ValueError>({.op = op,
                           .arg = "monitor",
                           .given = "'" + monitor + "'",
                           .wanted = "one of " + list,
                           .what = unvalidated ? "fit() was given no validation data"
                                               : "nothing of that name will be in the logs",
                           .loc = loc});
}

bool larger_is_better(Mode mode, const std::string& monitor, const Training& training) {
  if (mode != Mode::automatic) return mode == Mode::max;
  return training.higher_is_better && training.higher_is_better(monitor);
}

}  // namespace thalweg::train::detail
