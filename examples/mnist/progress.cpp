// Depends on progress.hpp, fmt, POSIX (isatty, window size).
#include "progress.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace mnist {

std::string clock_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e7) return "-:--";
  const auto s = static_cast<long>(std::lround(seconds));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

ProgressStyle detect_style() {
  ProgressStyle style;
  const char* term = std::getenv("TERM");
  const char* no_color = std::getenv("NO_COLOR");
  style.bar = isatty(STDERR_FILENO) && term && std::strcmp(term, "dumb") != 0;
  style.color = style.bar && !(no_color && *no_color);
  winsize size{};
  if (style.bar && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = size.ws_col;
  return style;
}

std::string bar_text(const ProgressStyle& style, std::int64_t epoch, std::int64_t epochs, std::int64_t step,
                     std::int64_t steps, const Score& score, double seconds_left) {
  const std::size_t digits = std::to_string(epochs).size();
  const double part = steps > 0 ? static_cast<double>(step) / static_cast<double>(steps) : 1;
  const std::string head = fmt::format("epoch {:>{}}/{}  [", epoch, digits, epochs);
  const std::string tail =
      fmt::format("] {:3.0f}%  loss {:.4f}  accuracy {:.4f}  {} left", std::floor(100 * part), score.loss,
                  score.accuracy, clock_text(seconds_left));
  // one column stays free: a full last column makes some terminals wrap
  const int room = style.width - 1 - static_cast<int>(head.size() + tail.size());
  const int cells = std::clamp(room, 3, 40);
  const int full = static_cast<int>(part * cells);
  std::string bar(static_cast<std::size_t>(full), '=');
  if (full < cells) bar += '>';
  bar.resize(static_cast<std::size_t>(cells), ' ');
  std::string line = head + bar + tail;
  line.resize(std::min(line.size(), static_cast<std::size_t>(std::max(style.width - 1, 1))));
  return line;
}

Progress::Progress(bool quiet, std::int64_t epochs, ProgressStyle style)
    : quiet_(quiet), epochs_(epochs), style_(style) {}

void Progress::begin(std::int64_t epoch, std::int64_t steps) {
  epoch_ = epoch;
  steps_ = steps;
  epoch_clock_ = Stopwatch();
  last_drawn_ = -1;
}

void Progress::update(std::int64_t step, const Score& so_far) {
  if (quiet_ || !style_.bar) return;
  const double now = epoch_clock_.seconds();
  if (last_drawn_ >= 0 && now - last_drawn_ < 0.1) return;
  last_drawn_ = now;
  // what is left of the whole training, at the pace of this epoch
  const double left_steps = static_cast<double>((epochs_ - epoch_) * steps_ + (steps_ - step));
  const double left = now / static_cast<double>(std::max<std::int64_t>(step, 1)) * left_steps;
  const std::string text = bar_text(style_, epoch_, epochs_, step, steps_, so_far, left);
  fmt::print(stderr, "\r{}\x1b[K", colored("36", text));
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::end(const EpochResult& r) {
  clear();
  if (quiet_) return;
  fmt::print(stderr, "epoch {:>{}}/{}  loss {:.4f}  accuracy {:.4f}  val_loss {:.4f}  {}  {:.1f} s\n",
             r.epoch, std::to_string(epochs_).size(), epochs_, r.train.loss, r.train.accuracy,
             r.validation.loss, colored("1;32", fmt::format("val_accuracy {:.4f}", r.validation.accuracy)),
             r.seconds);
}

void Progress::clear() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
  drawn_ = false;
}

std::string Progress::colored(const char* code, const std::string& text) const {
  return style_.color ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
}

}  // namespace mnist
