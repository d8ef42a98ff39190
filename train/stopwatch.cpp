// Depends on stopwatch.hpp.
#include <thalweg/train/stopwatch.hpp>

#include <chrono>

namespace thalweg::train {

std::int64_t Stopwatch::now() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace thalweg::train
