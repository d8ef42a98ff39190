// Depends on progress.hpp, fmt, POSIX (isatty, window size).
#include <thalweg/train/progress.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace thalweg::train {
namespace {

std::string colored(const ProgressStyle& style, const char* code, const std::string& text) {
  return style.color ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
}

std::string counted(const Position& at) {
  return fmt::format("epoch {:>{}}/{}", at.epoch, std::to_string(at.epochs).size(), at.epochs);
}

}  // namespace

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

std::string bar_text(const ProgressStyle& style, const Position& at, const Logs& so_far,
                     double seconds_left) {
  const double part = at.steps > 0 ? static_cast<double>(at.step) / static_cast<double>(at.steps) : 1;
  const std::string head = counted(at) + "  [";
  std::string tail = fmt::format("] {:3.0f}%", std::floor(100 * part));
  for (const auto& [name, value] : so_far) tail += fmt::format("  {} {:.4f}", name, value);
  tail += fmt::format("  {} left", clock_text(seconds_left));
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

std::string epoch_text(const ProgressStyle& style, const Position& at, const Logs& logs) {
  std::string text = counted(at);
  for (const auto& [name, value] : logs) {
    if (name == "lr") break;  // what follows is about the run, not about the model
    const bool stands_out = name.starts_with("val_") && name != "val_loss";
    const std::string entry = fmt::format("{} {:.4f}", name, value);
    text += "  " + (stands_out ? colored(style, "1;32", entry) : entry);
  }
  if (const double* seconds = logs.find("seconds")) text += fmt::format("  {:.1f} s", *seconds);
  return text;
}

void ProgressBar::prepare(Training&) {
  epoch_ = -1;
  drawn_ = false;
}

void ProgressBar::on_batch_begin(Training& t) {
  if (epoch_ == t.epoch) return;  // a resumed epoch begins in its middle
  epoch_ = t.epoch;
  first_step_ = t.step;
  clock_ = Stopwatch();
  last_drawn_ = -1;
}

void ProgressBar::on_batch_end(Training& t) {
  if (!style_.bar) return;
  const double now = clock_.seconds();
  if (last_drawn_ >= 0 && now - last_drawn_ < 0.1) return;
  last_drawn_ = now;
  // what is left of the whole training, at the pace of this epoch
  const double left_steps = static_cast<double>((t.epochs - t.epoch - 1) * t.steps + (t.steps - t.step));
  const double left = now / static_cast<double>(std::max<std::int64_t>(t.step - first_step_, 1)) * left_steps;
  const std::string text = bar_text(style_, {t.epoch + 1, t.epochs, t.step, t.steps}, t.so_far(), left);
  fmt::print(stderr, "\r{}\x1b[K", colored(style_, "36", text));
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressBar::on_epoch_end(Training& t) {
  clear();
  std::string text = epoch_text(style_, {t.epoch + 1, t.epochs, t.step, t.steps}, t.logs);
  const std::vector<double>* rates = t.history.find("lr");
  const double* lr = t.logs.find("lr");
  if (lr && rates && !rates->empty() && rates->back() != *lr) text += fmt::format("  lr {:g}", *lr);
  fmt::print(stderr, "{}\n", text);
}

void ProgressBar::on_train_end(Training& t) {
  clear();
  if (!t.why().empty()) fmt::print(stderr, "{}\n", t.why());
}

void ProgressBar::on_error(Training&) noexcept { clear(); }

void ProgressBar::clear() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

}  // namespace thalweg::train
