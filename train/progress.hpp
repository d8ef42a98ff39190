// What a person sees on stderr while a model trains: a bar on a terminal, a line per epoch elsewhere.
// Depends on train/callback, train/stopwatch. Invariant: drawn at most ten times a second; time comes from
// the steady clock.
#pragma once

#include <cstdint>
#include <string>

#include <thalweg/train/callback.hpp>
#include <thalweg/train/stopwatch.hpp>

namespace thalweg::train {

/// "0:07", "12:05", "1:02:33".
std::string clock_text(double seconds);

struct ProgressStyle {
  bool bar = false;    ///< redraw one line in place
  bool color = false;  ///< ANSI colours
  int width = 80;      ///< columns of the terminal
};
/// A bar if stderr is a terminal that can move its cursor, colours unless NO_COLOR is set to something.
ProgressStyle detect_style();

/// Where a training stands; epoch from 1.
struct Position {
  std::int64_t epoch = 1, epochs = 1, step = 0, steps = 0;
};

/// One line without colour, cut to `style.width`: "epoch  3/20  [====>   ]  41%  loss 0.0912  accuracy 0.9712
/// 0:03 left".
std::string bar_text(const ProgressStyle& style, const Position& at, const Logs& so_far, double seconds_left);
/// "epoch  3/20  loss 0.0912  accuracy 0.9712  val_loss 0.0801  val_accuracy 0.9755  12.3 s". In colour, the
/// metrics of validation stand out.
std::string epoch_text(const ProgressStyle& style, const Position& at, const Logs& logs);

/// Says a new learning rate too, and why a training ended early.
class ProgressBar final : public Callback {
 public:
  explicit ProgressBar(ProgressStyle style = detect_style()) : style_(style) {}
  std::string name() const override { return "ProgressBar"; }
  void prepare(Training& t) override;
  void on_batch_begin(Training& t) override;
  void on_batch_end(Training& t) override;
  void on_epoch_end(Training& t) override;
  void on_train_end(Training& t) override;
  void on_error(Training& t) noexcept override;

 private:
  void clear();

  ProgressStyle style_;
  Stopwatch clock_;              // of the epoch
  std::int64_t epoch_ = -1;      // the one that is drawn
  std::int64_t first_step_ = 0;  // of it, that this run made
  double last_drawn_ = -1;
  bool drawn_ = false;
};

}  // namespace thalweg::train
