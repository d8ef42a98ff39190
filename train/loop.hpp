// Loop: a training run as one object that can be left after any step and gone on with from there.
// Depends on train/fit, train/pass. Invariant: visit() names everything that changes while it runs, gradients
// of a group of batches under way included; nothing else decides what comes next.
#pragma once

#include <optional>
#include <vector>

#include <thalweg/data/loader.hpp>
#include <thalweg/train/fit.hpp>
#include <thalweg/train/pass.hpp>
#include <thalweg/train/stopwatch.hpp>

namespace thalweg::train::detail {

class Loop {
 public:
  /// Checks everything; throws as fit().
  Loop(nn::ModuleRef model, optim::Optimizer& optimizer, const Loss& loss, const data::DatasetRef& data,
       FitOptions options, Loc loc);
  /// From where the loop stands to the end.
  History run();
  /// Between two steps, all that a resumed run needs. The loop must have been made with the same arguments.
  void visit(io::StateVisitor& f);

 private:
  void check_options() const;
  void check_optimizer() const;
  void split_data(const data::DatasetRef& data);
  void prepare();
  void run_epochs();
  void run_epoch();
  void step(const data::Batch& batch);
  void update();
  void finish_epoch();
  bool asked_to_stop();
  double group_share(std::int64_t samples) const;
  void drop_gradients();
  io::Metadata kind() const;
  void open_checkpoints();
  void save_checkpoint();
  void save_within_epoch();
  template <class F>
  void each_callback(F f) {
    for (const CallbackRef& callback : options_.callbacks) f(*callback);
  }

  FitOptions options_;
  Loss loss_;
  Loc loc_;
  Training training_;
  std::optional<data::DatasetRef> train_, validation_;
  std::optional<data::DataLoader> loader_, validation_loader_;
  std::vector<Tensor> parameters_;  // the model's
  bool requested_ = false;          // options_.stop() said so
  Sums sums_;                       // of the epoch under way
  double epoch_seconds_ = 0;        // of it, in earlier runs
  double seconds_ = 0;              // of all earlier runs
  Stopwatch epoch_clock_, clock_, since_save_;
  double save_seconds_ = 0;  // that the last save took
  io::Metadata kind_;        // of this run's checkpoints
  std::optional<Checkpoints> checkpoints_;
};

}  // namespace thalweg::train::detail
