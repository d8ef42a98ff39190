// What a person sees on stderr while the network trains: a bar on a terminal, a line per epoch elsewhere.
// Depends on report. Invariant: time comes from the steady clock, so setting the clock back breaks nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "report.hpp"

namespace mnist {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// "0:07", "12:05", "1:02:33".
std::string clock_text(double seconds);

struct ProgressStyle {
  bool bar = false;    ///< redraw one line in place
  bool color = false;  ///< ANSI colours
  int width = 80;      ///< columns of the terminal
};
/// A bar if stderr is a terminal that can move its cursor, colours unless NO_COLOR is set to something.
ProgressStyle detect_style();

/// One line without colour, cut to `style.width`: "epoch  3/20  [====>   ]  41%  loss 0.0912  accuracy 0.9712
/// 0:03 left".
std::string bar_text(const ProgressStyle& style, std::int64_t epoch, std::int64_t epochs, std::int64_t step,
                     std::int64_t steps, const Score& score, double seconds_left);

class Progress {
 public:
  Progress(bool quiet, std::int64_t epochs, ProgressStyle style = detect_style());
  /// Before the first step of epoch `epoch` (from 1).
  void begin(std::int64_t epoch, std::int64_t steps);
  /// After `step` steps of it; draws at most ten times a second.
  void update(std::int64_t step, const Score& so_far);
  void end(const EpochResult& result);
  /// Removes an unfinished bar.
  void clear();

 private:
  std::string colored(const char* code, const std::string& text) const;

  bool quiet_;
  std::int64_t epochs_, epoch_ = 0, steps_ = 0;
  ProgressStyle style_;
  Stopwatch epoch_clock_;
  double last_drawn_ = -1;
  bool drawn_ = false;
};

}  // namespace mnist
