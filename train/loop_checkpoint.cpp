// Loop's dealings with checkpoints: where a run begins, and when its state is saved. Depends on train/loop,
// train/checkpoint.
#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/data/transform.hpp>
#include <thalweg/train/checkpoint.hpp>
#include <thalweg/train/hash.hpp>
#include <thalweg/train/loop.hpp>

namespace thalweg::train::detail {

namespace {

/// Of a few examples, first and last among them, as they are in the data or, transformed, in two epochs.
/// Other data and other transforms are told by it without a pass over all of them.
std::string hash_of_some(const data::DatasetRef& data, const data::TransformRef& transform = {}) {
  const NoGrad guard;
  constexpr std::int64_t some = 8;
  const std::int64_t n = std::min(data->size(), some);
  std::vector<std::int64_t> indices, originals;
  for (std::int64_t i = 0; i < n; ++i) {
    indices.push_back(i * (data->size() - 1) / std::max<std::int64_t>(n - 1, 1));
    originals.push_back(data->original_index(indices.back()));
  }
  const data::Batch batch = data->batch(indices);
  if (transform) return hash_of({transform.apply(batch.x, originals, 0), transform.apply(batch.x, originals, 1)});
  std::vector<Tensor> tensors{batch.x};
  if (batch.y.defined()) tensors.push_back(batch.y);
  return hash_of(tensors);
}

}  // namespace

/// What a run must have in common with the one it goes on from: all that its next batches depend on and that
/// no name or shape of its state would tell.
io::Metadata Loop::kind() const {
  const auto text = [](auto v) { return fmt::format("{}", v); };
  io::Metadata kind{
      {"optimizer", training_.optimizer().name()},
      {"examples", text(loader_->size())},
      {"batch_size", text(options_.batch_size)},
      {"accumulate", text(options_.accumulate)},
      {"seed", text(options_.seed)},
      {"shuffle", text(options_.shuffle)},
      {"drop_last", text(options_.drop_last)},
      {"initial_epoch", text(options_.initial_epoch)},
      {"data_hash", hash_of_some(*train_)},
      {"transform_hash", options_.transform ? hash_of_some(*train_, options_.transform) : "none"},
      {"class_weights", fmt::format("{}", fmt::join(options_.class_weights, " "))},
      {"clip_norm", text(options_.clip_norm)},
      {"clip_value", text(options_.clip_value)},
      {"validation", text(validation_ ? (*validation_)->size() : 0)},
      {"validation_hash", validation_ ? hash_of_some(*validation_) : "none"}};
  for (const auto& [key, value] : options_.checkpoint.settings) kind[settings_prefix + key] = value;
  return kind;
}

void Loop::open_checkpoints() {
  const CheckpointOptions& o = options_.checkpoint;
  if (o.directory.empty()) return;
  checkpoints_.emplace(o.directory, o.keep, loc_);
  since_save_ = Stopwatch();
  kind_ = kind();
  if (!o.resume) {
    checkpoints_->start_afresh();
    return;
  }
  const Restored found = checkpoints_->restore(
      kind_, [this](io::StateVisitor& f) { visit(f); }, loc_);
  if (o.restored)
    o.restored(found);
  else
    std::fputs(found.describe().c_str(), stderr);
  if (training_.step == 0)  // a run that ended here has kept what its last validation gathered
    for (const MetricRef& metric : options_.metrics) metric->reset();
}

void Loop::save_checkpoint() {
  if (!checkpoints_) return;
  const Stopwatch saving;
  checkpoints_->save(
      training_.epoch * training_.steps + training_.step, kind_, [this](io::StateVisitor& f) { visit(f); },
      loc_);
  save_seconds_ = saving.seconds();
  since_save_ = Stopwatch();
}

void Loop::save_within_epoch() {
  const CheckpointOptions& o = options_.checkpoint;
  if (training_.stopping() || training_.step == training_.steps) return;
  const double wait = std::max(o.every_seconds, 50 * save_seconds_);
  const bool due = (o.every_steps > 0 && training_.step % o.every_steps == 0) ||
                   (o.every_seconds > 0 && since_save_.seconds() >= wait);
  if (due) save_checkpoint();
}

}  // namespace thalweg::train::detail
