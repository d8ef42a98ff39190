// The callbacks that steer a training or keep its weights: stop, lower the rate, follow a schedule, save.
// Depends on train/callback, train/monitor, optim (schedules, plateau). Invariant: rules, defaults and the
// order of comparisons are Keras'; numbers of epochs are counted from 0 here and from 1 in file names and
// texts.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <thalweg/optim/ema.hpp>
#include <thalweg/optim/plateau.hpp>
#include <thalweg/optim/schedule.hpp>
#include <thalweg/train/callback.hpp>
#include <thalweg/train/loggers.hpp>
#include <thalweg/train/monitor.hpp>
#include <thalweg/train/progress.hpp>

namespace thalweg::train {

struct EarlyStoppingOptions {
  std::string monitor = "val_loss";
  std::int64_t patience = 0;  ///< epochs without improvement after which the training ends
  double min_delta = 0;       ///< an improvement is larger than this
  Mode mode = Mode::automatic;
  bool restore_best_weights = false;  ///< at the end, whatever ended it, put back the best epoch's weights
  std::int64_t start_from_epoch = 0;  ///< epochs before this one are not looked at
  std::optional<double> baseline{};   ///< patience is used up, too, by epochs that do not reach this
};

/// Ends the training when the watched value has stopped improving. NaN is no improvement; the first epoch
/// ends nothing, as in Keras.
class EarlyStopping final : public Callback {
 public:
  /// Throws ValueError (patience or start_from_epoch < 0, min_delta or baseline not a number).
  explicit EarlyStopping(EarlyStoppingOptions options = {}, Loc loc = Loc::here());
  std::string name() const override { return "EarlyStopping"; }
  void prepare(Training& t) override;
  void on_epoch_end(Training& t) override;
  void on_train_end(Training& t) override;
  void visit(io::StateVisitor& f) override;

  std::int64_t wait() const noexcept { return wait_; }
  std::int64_t best_epoch() const noexcept { return best_epoch_; }
  double best() const noexcept { return best_; }
  /// The epoch after which it ended the training; -1: it did not.
  std::int64_t stopped_epoch() const noexcept { return stopped_epoch_; }

 private:
  bool improves(double value, double on) const noexcept;
  void keep(Training& t);

  EarlyStoppingOptions options_;
  Loc loc_;
  bool larger_ = false;
  double best_ = std::numeric_limits<double>::infinity();
  std::int64_t wait_ = 0, best_epoch_ = 0, stopped_epoch_ = -1;
  std::vector<std::string> names_;  // of the model's state
  std::vector<Tensor> weights_;     // undefined until an epoch is kept
};

struct ReduceLROnPlateauOptions {
  std::string monitor = "val_loss";
  double factor = 0.1;  ///< lr * factor is the new rate
  std::int64_t patience = 10;
  double min_delta = 1e-4;
  Mode mode = Mode::automatic;
  std::int64_t cooldown = 0;  ///< epochs after a reduction in which none without improvement is counted
  double min_lr = 0;
};

/// Lowers the learning rate when the watched value has stopped improving; the rule is optim::ReduceOnPlateau.
class ReduceLROnPlateau final : public Callback {
 public:
  /// Throws ValueError, as optim::ReduceOnPlateau.
  explicit ReduceLROnPlateau(ReduceLROnPlateauOptions options = {}, Loc loc = Loc::here());
  std::string name() const override { return "ReduceLROnPlateau"; }
  void prepare(Training& t) override;
  void on_epoch_end(Training& t) override;
  void visit(io::StateVisitor& f) override { rule_.visit(f); }
  const optim::ReduceOnPlateau& rule() const noexcept { return rule_; }

 private:
  ReduceLROnPlateauOptions options_;
  Loc loc_;
  optim::ReduceOnPlateau rule_;
};

struct LearningRateSchedulerOptions {
  bool per_step = false;  ///< t counts steps of the optimizer, not epochs
};

/// Sets the learning rate of all groups to schedule(t), t from 0, before each epoch (or step).
class LearningRateScheduler final : public Callback {
 public:
  explicit LearningRateScheduler(optim::Schedule schedule, LearningRateSchedulerOptions options = {},
                                 Loc loc = Loc::here())
      : schedule_(std::move(schedule)), options_(options), loc_(loc) {}
  std::string name() const override { return "LearningRateScheduler"; }
  void on_epoch_begin(Training& t) override;
  /// Throws ValueError for a rate that is negative or not a number.
  void on_batch_begin(Training& t) override;

 private:
  void set(Training& t, std::int64_t at) const;

  optim::Schedule schedule_;
  LearningRateSchedulerOptions options_;
  Loc loc_;
};

struct ModelCheckpointOptions {
  std::string monitor = "val_loss";  ///< with save_best_only
  bool save_best_only = false;
  Mode mode = Mode::automatic;
};

/// Saves parameters and buffers as safetensors after each epoch (or each that is the best so far). In the
/// path, {epoch} (from 1) and any logged name are replaced, with formats as in
/// "{epoch:02}-{val_loss:.3f}.safetensors".
class ModelCheckpoint final : public Callback {
 public:
  /// Throws ValueError for an empty path.
  explicit ModelCheckpoint(std::string path, ModelCheckpointOptions options = {}, Loc loc = Loc::here());
  std::string name() const override { return "ModelCheckpoint"; }
  /// Throws ValueError for a path with a name in braces that is not logged, IoError for a directory that is
  /// not there.
  void prepare(Training& t) override;
  /// Throws IoError.
  void on_epoch_end(Training& t) override;
  void visit(io::StateVisitor& f) override { f("best", best_); }
  /// The last file that was written; empty before.
  const std::string& last_path() const noexcept { return last_; }

 private:
  std::string path_, last_;
  ModelCheckpointOptions options_;
  Loc loc_;
  bool larger_ = false;
  double best_ = std::numeric_limits<double>::infinity();
};

/// Ends the training at a batch whose loss is NaN or infinite; History::stopped then says where.
class TerminateOnNaN final : public Callback {
 public:
  std::string name() const override { return "TerminateOnNaN"; }
  void on_batch_end(Training& t) override;
};

struct EmaWeightsOptions {
  double decay = 0.999;
  bool warm_up = false;  ///< as optim::EmaOptions has it
  bool keep = false;     ///< at the end, whatever ended it, the model gets the averages
};

/// Keeps moving averages of the parameters, which optim::Ema updates after each step of the optimizer, and
/// puts them into the model for validation, until its own on_epoch_end(): callbacks before it in the list,
/// such as EarlyStopping and ModelCheckpoint, keep and save the averages, those after it the trained weights.
/// Buffers are not averaged. With EarlyStopping's restore_best_weights leave `keep` off.
class EmaWeights final : public Callback {
 public:
  /// Throws ValueError for a decay outside [0, 1].
  explicit EmaWeights(EmaWeightsOptions options = {}, Loc loc = Loc::here());
  std::string name() const override { return "EmaWeights"; }
  void prepare(Training& t) override;
  void on_batch_end(Training& t) override;
  void on_validation_begin(Training& t) override;
  void on_epoch_end(Training& t) override;
  void on_train_end(Training& t) override;
  void on_error(Training& t) noexcept override;
  void visit(io::StateVisitor& f) override { ema_->visit(f); }

 private:
  EmaWeightsOptions options_;
  Loc loc_;
  std::optional<optim::Ema> ema_;  // from prepare() on
};

}  // namespace thalweg::train
