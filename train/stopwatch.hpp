// Stopwatch: seconds since it was made, from the steady clock, so that setting the clock back breaks nothing.
#pragma once

#include <chrono>

namespace thalweg::train {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace thalweg::train
