// Loop's dealings with checkpoints: where a run begins, and when its state is saved. Depends on train/loop,
// train/checkpoint.
#include <cstdio>

#include <fmt/format.h>

#include <thalweg/train/checkpoint.hpp>
#include <thalweg/train/loop.hpp>

namespace thalweg::train::detail {

/// What a run must have in common with the one it goes on from: all that its next batches depend on and that
/// no name or shape of its state would tell.
io::Metadata Loop::kind() const {
  const auto text = [](auto v) { return fmt::format("{}", v); };
  return {{"optimizer", training_.optimizer().name()},
          {"examples", text(loader_->size())},
          {"batch_size", text(options_.batch_size)},
          {"accumulate", text(options_.accumulate)},
          {"seed", text(options_.seed)},
          {"shuffle", text(options_.shuffle)},
          {"drop_last", text(options_.drop_last)},
          {"initial_epoch", text(options_.initial_epoch)},
          {"transform", options_.transform ? "one" : "none"},
          {"class_weights", fmt::format("{}", fmt::join(options_.class_weights, " "))},
          {"clip_norm", text(options_.clip_norm)},
          {"clip_value", text(options_.clip_value)},
          {"validation", text(validation_ ? (*validation_)->size() : 0)}};
}

void Loop::open_checkpoints() {
  const CheckpointOptions& o = options_.checkpoint;
  if (o.directory.empty()) return;
  checkpoints_.emplace(o.directory, o.keep, loc_);
  since_save_ = Stopwatch();
  if (!o.resume) {
    checkpoints_->start_afresh();
    return;
  }
  const Restored found = checkpoints_->restore(
      kind(), [this](io::StateVisitor& f) { visit(f); }, loc_);
  if (o.restored)
    o.restored(found);
  else
    std::fputs(found.describe().c_str(), stderr);
  if (training_.step == 0)  // a run that ended here has kept what its last validation gathered
    for (const MetricRef& metric : options_.metrics) metric->reset();
}

void Loop::save_checkpoint() {
  if (!checkpoints_) return;
  checkpoints_->save(
      training_.epoch * training_.steps + training_.step, kind(), [this](io::StateVisitor& f) { visit(f); },
      loc_);
  since_save_ = Stopwatch();
}

void Loop::save_within_epoch() {
  const CheckpointOptions& o = options_.checkpoint;
  if (training_.stopping() || training_.step == training_.steps) return;
  const bool due = (o.every_steps > 0 && training_.step % o.every_steps == 0) ||
                   (o.every_seconds > 0 && since_save_.seconds() >= o.every_seconds);
  if (due) save_checkpoint();
}

}  // namespace thalweg::train::detail
