// What fit and evaluate share: calling the model, sums over batches, a pass in evaluation mode.
// Depends on train/evaluate. Invariant: every example counts the same, whatever batch it came in.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <thalweg/train/evaluate.hpp>

namespace thalweg::train::detail {

/// The mean of batch means.
struct Sums {
  double loss = 0;
  std::int64_t samples = 0;

  void add(double mean_loss, std::int64_t n) noexcept {
    loss += mean_loss * static_cast<double>(n);
    samples += n;
  }
  double mean() const noexcept {
    return samples > 0 ? loss / static_cast<double>(samples) : std::numeric_limits<double>::quiet_NaN();
  }
};

/// y = model(x), errors naming `loc`.
Tensor call(nn::ModuleRef model, const Tensor& x, Loc loc);
/// All of `loader` in evaluation mode, nothing recorded; resets and fills the metrics.
Sums pass_over(nn::ModuleRef model, const Loss& loss, const data::DataLoader& loader,
               const std::vector<MetricRef>& metrics, Loc loc);
/// Sets "loss" and the metrics, each with `prefix` before its name.
void write_logs(Logs& logs, const std::string& prefix, const Sums& sums,
                const std::vector<MetricRef>& metrics);

}  // namespace thalweg::train::detail
