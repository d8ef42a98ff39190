// Callback: what wants to hear of a training and may steer it; Training: what it is told.
// Depends on history, nn (visitor), optim (optimizer). Invariant: callbacks are called on the thread of
// fit(), in the order they were given; one that throws ends the training, and the exception leaves fit() with
// the model usable.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <thalweg/io/state.hpp>
#include <thalweg/nn/visitor.hpp>
#include <thalweg/optim/optimizer.hpp>
#include <thalweg/train/history.hpp>

namespace thalweg::train {

/// A training under way.
struct Training {
  Training(nn::ModuleRef m, optim::Optimizer& o) noexcept : model(m), optimizer_(&o) {}

  std::int64_t epoch = 0;    ///< the one under way, from 0
  std::int64_t epochs = 0;   ///< where the training ends: after epoch number epochs - 1
  std::int64_t step = 0;     ///< batches of this epoch that are done
  std::int64_t steps = 0;    ///< batches in an epoch
  std::int64_t updates = 0;  ///< steps of the optimizer since the beginning
  std::int64_t samples = 0;  ///< examples of this epoch that are done
  double batch_loss = 0;     ///< mean loss of the last batch
  /// From on_epoch_end() on, the finished epoch: loss, metrics, val_loss, val_ and metrics, lr, seconds,
  /// images_per_second, memory_live, memory_peak. A callback may add to them for those after it (see
  /// Callback::adds) and for the history.
  Logs logs{};
  History history{};  ///< of the epochs before this one
  nn::ModuleRef model{};
  /// Whether more is better of what a log's name stands for: true of accuracy, false of a loss.
  std::function<bool(std::string_view name)> higher_is_better{};
  /// Every name that the logs of a finished epoch will have.
  std::vector<std::string> log_names{};
  /// Loss and metrics of the epoch so far; computed when called.
  std::function<Logs()> so_far{};

  optim::Optimizer& optimizer() const noexcept { return *optimizer_; }

  /// Ends the training: at an epoch's end after it, within one after its present step (that epoch then does
  /// not count). `why` is for people.
  void stop(std::string why);
  bool stopping() const noexcept { return stopping_; }
  const std::string& why() const noexcept { return why_; }
  void visit(io::StateVisitor& f);

 private:
  optim::Optimizer* optimizer_;
  bool stopping_ = false;
  std::string why_;
};

class Callback {
 public:
  virtual ~Callback() = default;
  /// For error texts and as the name of its state in a checkpoint.
  virtual std::string name() const = 0;
  /// Names it adds to the logs, so that others may watch them.
  virtual std::vector<std::string> adds() const { return {}; }

  /// Once, before anything. A resumed training has training.epoch or .step above where it began, and the
  /// callback's state is as it was.
  virtual void on_train_begin(Training&) {}
  /// Before the first step of an epoch; not when it is resumed in its middle.
  virtual void on_epoch_begin(Training&) {}
  virtual void on_batch_begin(Training&) {}
  virtual void on_batch_end(Training&) {}
  /// Around the pass over the validation data, where there are any; at its end the logs have what it gave.
  virtual void on_validation_begin(Training&) {}
  virtual void on_validation_end(Training&) {}
  /// After validation; the logs are complete.
  virtual void on_epoch_end(Training&) {}
  virtual void on_train_end(Training&) {}
  /// The training ends by an exception.
  virtual void on_error(Training&) noexcept {}

  /// First of all: checks what it was given against the training and forgets what an earlier one left. A
  /// resumed run then loads the callback's state.
  virtual void prepare(Training&) {}
  /// Names what a resumed run needs.
  virtual void visit(io::StateVisitor&) {}

 protected:
  Callback() = default;
  Callback(const Callback&) = default;
  Callback& operator=(const Callback&) = default;
};

}  // namespace thalweg::train
