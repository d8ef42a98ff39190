// Stopwatch: seconds since it was made, from the steady clock, so that setting the clock back breaks nothing.
// Invariant: <chrono> stays in the .cpp; it would be a tenth of what including the library costs.
#pragma once

#include <cstdint>

namespace thalweg::train {

class Stopwatch {
 public:
  Stopwatch() noexcept : start_(now()) {}
  double seconds() const noexcept { return static_cast<double>(now() - start_) * 1e-9; }

 private:
  static std::int64_t now() noexcept;  // nanoseconds

  std::int64_t start_;
};

}  // namespace thalweg::train
