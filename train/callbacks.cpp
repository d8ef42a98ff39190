// Depends on callbacks.hpp, nn (state), io (safetensors), fmt (paths).
#include <thalweg/train/callbacks.hpp>

#include <cmath>
#include <filesystem>

#include <fmt/args.h>
#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/safetensors.hpp>
#include <thalweg/nn/module.hpp>

namespace thalweg::train {

namespace {

void check_count(const char* op, const char* arg, std::int64_t v, Loc loc) {
  if (v >= 0) return;
  throw_error<ValueError>({.op = op,
                           .arg = arg,
                           .given = std::to_string(v),
                           .wanted = "0 or more",
                           .what = "not a number of epochs",
                           .loc = loc});
}

double worst(bool larger_is_better) {
  const double infinity = std::numeric_limits<double>::infinity();
  return larger_is_better ? -infinity : infinity;
}

}  // namespace

// ---- EarlyStopping -----------------------------------------------------------------------------

EarlyStopping::EarlyStopping(EarlyStoppingOptions options, Loc loc)
    : options_(std::move(options)), loc_(loc) {
  check_count("EarlyStopping", "patience", options_.patience, loc);
  check_count("EarlyStopping", "start_from_epoch", options_.start_from_epoch, loc);
  const auto check = [loc](const char* arg, double v) {
    if (!std::isfinite(v))
      throw_error<ValueError>({.op = "EarlyStopping",
                               .arg = arg,
                               .given = fmt::format("{}", v),
                               .wanted = "a finite number",
                               .what = "nothing can be compared with it",
                               .loc = loc});
  };
  check("min_delta", options_.min_delta);
  if (options_.baseline) check("baseline", *options_.baseline);
}

void EarlyStopping::prepare(Training& t) {
  detail::check_monitor("EarlyStopping", options_.monitor, t, loc_);
  larger_ = detail::larger_is_better(options_.mode, options_.monitor, t);
  best_ = worst(larger_);
  wait_ = best_epoch_ = 0;
  stopped_epoch_ = -1;
  names_.clear();
  if (options_.restore_best_weights)
    for (const auto& [name, tensor] : nn::detail::state_dict(t.model)) names_.push_back(name);
  weights_.assign(names_.size(), Tensor());
}

bool EarlyStopping::improves(double value, double on) const noexcept {
  const double delta = std::abs(options_.min_delta);
  return larger_ ? value - delta > on : value + delta < on;
}

void EarlyStopping::keep(Training& t) {
  best_epoch_ = t.epoch;
  if (!options_.restore_best_weights) return;
  const NoGrad guard;
  std::size_t i = 0;
  for (const auto& [name, tensor] : nn::detail::state_dict(t.model)) weights_[i++] = tensor.detach().clone();
}

void EarlyStopping::on_epoch_end(Training& t) {
  if (t.epoch < options_.start_from_epoch) return;
  const double value = t.logs.at(options_.monitor, loc_);
  // Weights of some epoch there are even if none ever improves on anything.
  if (!weights_.empty() && !weights_.front().defined()) keep(t);
  ++wait_;
  if (improves(value, best_)) {
    best_ = value;
    keep(t);
    if (!options_.baseline || improves(value, *options_.baseline)) wait_ = 0;
    return;
  }
  if (wait_ < options_.patience || t.epoch == 0) return;
  stopped_epoch_ = t.epoch;
  t.stop(fmt::format("EarlyStopping: {} has not improved for {} epochs; it was best in epoch {}",
                     options_.monitor, wait_, best_epoch_ + 1));
}

void EarlyStopping::on_train_end(Training& t) {
  if (weights_.empty() || !weights_.front().defined()) return;
  nn::NamedTensors best;
  for (std::size_t i = 0; i < names_.size(); ++i) best.emplace_back(names_[i], weights_[i]);
  nn::detail::load_state_dict(t.model, best, {}, {});
}

void EarlyStopping::visit(io::StateVisitor& f) {
  f("best", best_);
  f("wait", wait_);
  f("best_epoch", best_epoch_);
  f("stopped_epoch", stopped_epoch_);
  f.scope("weights", [this](io::StateVisitor& inner) {
    for (std::size_t i = 0; i < names_.size(); ++i) inner(names_[i], weights_[i]);
  });
}

// ---- ReduceLROnPlateau -------------------------------------------------------------------------

namespace {

optim::PlateauOptions plateau(const ReduceLROnPlateauOptions& o, bool larger_is_better) {
  return {.better = larger_is_better ? optim::Better::higher : optim::Better::lower,
          .factor = o.factor,
          .patience = o.patience,
          .cooldown = o.cooldown,
          .min_delta = o.min_delta,
          .min_lr = o.min_lr};
}

}  // namespace

ReduceLROnPlateau::ReduceLROnPlateau(ReduceLROnPlateauOptions options, Loc loc)
    : options_(std::move(options)), loc_(loc), rule_(plateau(options_, false), loc) {}

void ReduceLROnPlateau::prepare(Training& t) {
  detail::check_monitor("ReduceLROnPlateau", options_.monitor, t, loc_);
  rule_ = optim::ReduceOnPlateau(
      plateau(options_, detail::larger_is_better(options_.mode, options_.monitor, t)), loc_);
}

void ReduceLROnPlateau::on_epoch_end(Training& t) {
  const double lr = t.optimizer().lr();
  const double next = rule_.observe(t.logs.at(options_.monitor, loc_), lr);
  if (next != lr) t.optimizer().set_lr(next);
}

// ---- LearningRateScheduler ---------------------------------------------------------------------

void LearningRateScheduler::set(Training& t, std::int64_t at) const {
  const double lr = schedule_(at);
  if (!(lr >= 0) || !std::isfinite(lr))
    throw_error<ValueError>({.op = "LearningRateScheduler",
                             .arg = fmt::format("schedule({})", at),
                             .given = fmt::format("{}", lr),
                             .wanted = "a finite number, 0 or more",
                             .what = "not a learning rate",
                             .loc = loc_});
  t.optimizer().set_lr(lr);
}

void LearningRateScheduler::on_epoch_begin(Training& t) {
  if (!options_.per_step) set(t, t.epoch);
}

void LearningRateScheduler::on_batch_begin(Training& t) {
  if (options_.per_step) set(t, t.updates);
}

// ---- ModelCheckpoint ---------------------------------------------------------------------------

namespace {

std::string path_of(const std::string& pattern, std::int64_t epoch, const Logs& logs, Loc loc) {
  fmt::dynamic_format_arg_store<fmt::format_context> values;
  values.push_back(fmt::arg("epoch", epoch));
  for (const auto& [name, value] : logs) values.push_back(fmt::arg(name.c_str(), value));
  try {
    return fmt::vformat(pattern, values);
  } catch (const fmt::format_error& e) {
    throw_error<ValueError>({.op = "ModelCheckpoint",
                             .arg = "path",
                             .given = "'" + pattern + "'",
                             .wanted = "names in braces out of epoch, " + logs.names(),
                             .what = e.what(),
                             .loc = loc});
  }
}

}  // namespace

ModelCheckpoint::ModelCheckpoint(std::string path, ModelCheckpointOptions options, Loc loc)
    : path_(std::move(path)), options_(std::move(options)), loc_(loc) {
  if (path_.empty())
    throw_error<ValueError>({.op = "ModelCheckpoint",
                             .arg = "path",
                             .given = "''",
                             .wanted = "a file name",
                             .what = "nowhere to save to",
                             .loc = loc});
}

void ModelCheckpoint::prepare(Training& t) {
  if (options_.save_best_only) {
    detail::check_monitor("ModelCheckpoint", options_.monitor, t, loc_);
    larger_ = detail::larger_is_better(options_.mode, options_.monitor, t);
  }
  best_ = worst(larger_);
  last_.clear();
  Logs names;
  for (const std::string& name : t.log_names) names.set(name, 0);
  const std::string directory = std::filesystem::path(path_of(path_, 1, names, loc_)).parent_path().string();
  std::error_code error;
  if (!directory.empty() && !std::filesystem::is_directory(directory, error))
    throw_error<IoError>(
        {.op = "ModelCheckpoint", .arg = "path", .given = path_, .what = "no such directory", .loc = loc_});
}

void ModelCheckpoint::on_epoch_end(Training& t) {
  if (options_.save_best_only) {
    const double value = t.logs.at(options_.monitor, loc_);
    if (!(larger_ ? value > best_ : value < best_)) return;
    best_ = value;
  }
  last_ = path_of(path_, t.epoch + 1, t.logs, loc_);
  io::save(last_, nn::detail::state_dict(t.model), {}, loc_);
}

// ---- TerminateOnNaN ----------------------------------------------------------------------------

void TerminateOnNaN::on_batch_end(Training& t) {
  if (std::isfinite(t.batch_loss)) return;
  t.stop(fmt::format("TerminateOnNaN: the loss is {} at step {} of epoch {}", t.batch_loss, t.step,
                     t.epoch + 1));
}

// ---- EmaWeights --------------------------------------------------------------------------------

EmaWeights::EmaWeights(EmaWeightsOptions options, Loc loc) : options_(options), loc_(loc) {
  optim::EmaOptions{.decay = options.decay}.check(loc);
}

void EmaWeights::prepare(Training& t) {
  std::vector<Tensor> parameters;
  for (const auto& [name, tensor] : nn::detail::named_parameters(t.model)) parameters.push_back(tensor);
  ema_.emplace(std::move(parameters), optim::EmaOptions{.decay = options_.decay, .warm_up = options_.warm_up},
               loc_);
}

void EmaWeights::on_batch_end(Training& t) {
  if (t.updates > ema_->updates()) ema_->update(loc_);  // not after each batch of a group
}

void EmaWeights::on_validation_begin(Training&) { ema_->swap(loc_); }

void EmaWeights::on_epoch_end(Training&) {
  if (ema_->swapped()) ema_->swap(loc_);
}

void EmaWeights::on_train_end(Training&) {
  if (options_.keep) ema_->copy_to(loc_);
}

void EmaWeights::on_error(Training& t) noexcept {
  try {
    on_epoch_end(t);
  } catch (...) {  // no memory: the model keeps the averages, and the error under way is the one to tell
  }
}

}  // namespace thalweg::train
