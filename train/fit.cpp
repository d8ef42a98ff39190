// The loop behind fit(). Depends on train/loop, nn, optim (clipping), data.
#include <thalweg/train/fit.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/base/memory_stats.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/nn/init.hpp>
#include <thalweg/nn/module.hpp>
#include <thalweg/optim/clip.hpp>
#include <thalweg/train/checkpoint.hpp>
#include <thalweg/train/class_weights.hpp>
#include <thalweg/train/loop.hpp>
#include <thalweg/train/progress.hpp>

namespace thalweg::train::detail {
namespace {

constexpr const char* op = "fit";

template <class T>
[[noreturn]] void bad_option(const char* arg, const T& given, const char* wanted, const char* what, Loc loc) {
  throw_error<ValueError>(
      {.op = op, .arg = arg, .given = fmt::format("{}", given), .wanted = wanted, .what = what, .loc = loc});
}

void check_at_least(std::int64_t low, const char* arg, std::int64_t v, Loc loc) {
  if (v < low) bad_option(arg, v, low == 0 ? "0 or more" : "1 or more", "no training with that", loc);
}

}  // namespace

// ---- before the first step ---------------------------------------------------------------------

Loop::Loop(nn::ModuleRef model, optim::Optimizer& optimizer, const Loss& loss, const data::DatasetRef& data,
           FitOptions options, Loc loc)
    : options_(std::move(options)), loss_(loss), loc_(loc), training_(model, optimizer) {
  check_options();
  split_data(data);
  for (auto& [name, tensor] : nn::detail::named_parameters(model)) parameters_.push_back(tensor);
  check_optimizer();
  if (options_.progress) options_.callbacks.push_back(ProgressBar());
  prepare();
}

void Loop::check_options() const {
  check_at_least(0, "epochs", options_.epochs, loc_);
  check_at_least(0, "initial_epoch", options_.initial_epoch, loc_);
  check_at_least(1, "batch_size", options_.batch_size, loc_);
  check_at_least(0, "validation_batch_size", options_.validation_batch_size, loc_);
  check_at_least(1, "accumulate", options_.accumulate, loc_);
  check_at_least(0, "checkpoint.every_steps", options_.checkpoint.every_steps, loc_);
  const auto check_bound = [this](const char* arg, double v) {
    if (!(v >= 0)) bad_option(arg, v, "above 0, or 0 for none", "not a bound", loc_);
  };
  check_bound("clip_norm", options_.clip_norm);
  check_bound("clip_value", options_.clip_value);
  check_bound("checkpoint.every_seconds", options_.checkpoint.every_seconds);
  for (const double w : options_.class_weights)
    if (!(w >= 0) || !std::isfinite(w))
      bad_option("class_weights", w, "finite numbers, 0 or more", "not a weight", loc_);
  if (!options_.class_weights.empty() && !loss_.takes_reduction())
    bad_option("loss", "a function of prediction and target alone", "one that takes a Reduction as well",
               "class_weights need the loss of each example", loc_);
}

/// An optimizer of a copy's parameters would train nothing, without a word.
void Loop::check_optimizer() const {
  if (parameters_.empty()) return;
  for (const Tensor& p : training_.optimizer().parameters())
    for (const Tensor& own : parameters_)
      if (p.get() == own.get()) return;
  bad_option("optimizer", "given parameters of which the model has none", "the model's",
             "nothing would be trained", loc_);
}

void Loop::split_data(const data::DatasetRef& data) {
  if (data->size() == 0) bad_option("data", "no examples", "one or more", "nothing to train on", loc_);
  const double split = options_.validation_split;
  if (!(split >= 0 && split < 1))
    bad_option("validation_split", split, "0 or more, below 1", "not a share", loc_);
  if (split > 0 && options_.validation)
    bad_option("validation_split", split, "0 beside validation", "validation data are given twice", loc_);
  train_ = data;
  validation_ = options_.validation;
  if (split > 0) {
    auto [first, last] = data::split_last(data, split, loc_);
    if (first.size() == 0 || last.size() == 0)
      bad_option("validation_split", fmt::format("{} of {} examples", split, data->size()),
                 "examples on both sides", "a side of the split is empty", loc_);
    train_ = std::move(first);
    validation_ = std::move(last);
  }
  if (validation_ && (*validation_)->size() == 0)
    bad_option("validation", "no examples", "one or more", "nothing to validate on", loc_);
  loader_.emplace(*train_,
                  data::LoaderOptions{.batch_size = options_.batch_size,
                                      .shuffle = options_.shuffle,
                                      .seed = options_.seed,
                                      .drop_last = options_.drop_last,
                                      .transform = options_.transform},
                  loc_);
  if (loader_->batches() == 0)
    bad_option("batch_size", options_.batch_size, fmt::format("at most {}", (*train_)->size()).c_str(),
               "drop_last leaves no batch", loc_);
  const std::int64_t batch = options_.validation_batch_size;
  if (validation_)
    validation_loader_.emplace(
        *validation_, data::LoaderOptions{.batch_size = batch > 0 ? batch : options_.batch_size}, loc_);
}

void Loop::prepare() {
  Training& t = training_;
  t.epoch = options_.initial_epoch;
  t.epochs = options_.epochs;
  t.steps = loader_->batches();
  std::vector<std::string> gathered{"loss"};
  for (const MetricRef& metric : options_.metrics)
    if (metric->logged()) gathered.push_back(metric->name());
  t.log_names = gathered;
  if (validation_)
    for (const std::string& name : gathered) t.log_names.push_back("val_" + name);
  for (const char* name : {"lr", "seconds", "images_per_second", "memory_live", "memory_peak"})
    t.log_names.push_back(name);
  each_callback([&t](Callback& callback) {
    for (std::string& name : callback.adds()) t.log_names.push_back(std::move(name));
  });
  std::vector<std::string> sorted = t.log_names;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end())
    bad_option("metrics", "'" + *twice + "' twice", "different names",
               "one column of the logs for two things", loc_);
  t.higher_is_better = [metrics = options_.metrics](std::string_view name) {
    if (name.starts_with("val_")) name.remove_prefix(4);
    for (const MetricRef& metric : metrics)
      if (metric->name() == name) return metric->higher_is_better();
    return false;
  };
  t.so_far = [this] {
    Logs logs;
    write_logs(logs, "", sums_, options_.metrics);
    return logs;
  };
  each_callback([&t](Callback& callback) { callback.prepare(t); });
  for (const MetricRef& metric : options_.metrics) metric->reset();
}

// ---- the run -----------------------------------------------------------------------------------

History Loop::run() {
  clock_ = Stopwatch();
  open_checkpoints();
  const ModeScope mode(training_.model, true);
  try {
    each_callback([this](Callback& callback) { callback.on_train_begin(training_); });
    if (training_.step == 0) drop_gradients();
    run_epochs();
    if (requested_ && training_.step > 0) save_checkpoint();  // else the epoch before has saved one
    drop_gradients();
    training_.history.seconds = seconds_ + clock_.seconds();
    training_.history.stopped = requested_ && !training_.stopping() ? "stopped on request" : training_.why();
    each_callback([this](Callback& callback) { callback.on_train_end(training_); });
  } catch (...) {
    drop_gradients();
    each_callback([this](Callback& callback) { callback.on_error(training_); });
    throw;
  }
  return training_.history;
}

void Loop::run_epochs() {
  while (training_.epoch < training_.epochs && !asked_to_stop()) run_epoch();
}

bool Loop::asked_to_stop() {
  // Not by training_.stop(): a run that is resumed goes on.
  if (!requested_ && options_.stop) requested_ = options_.stop();
  return requested_ || training_.stopping();
}

void Loop::run_epoch() {
  epoch_clock_ = Stopwatch();
  if (training_.step == 0) each_callback([this](Callback& callback) { callback.on_epoch_begin(training_); });
  data::Epoch epoch = loader_->epoch(training_.epoch, training_.step, loc_);
  data::Batch batch;
  while (training_.step < training_.steps) {
    if (asked_to_stop()) return;
    if (!epoch.next(batch)) break;
    each_callback([this](Callback& callback) { callback.on_batch_begin(training_); });
    step(batch);
    each_callback([this](Callback& callback) { callback.on_batch_end(training_); });
    save_within_epoch();
  }
  if (!training_.stopping()) finish_epoch();
}

/// What part of its group's examples a batch of `samples` is; 1 for a group of one batch.
double Loop::group_share(std::int64_t samples) const {
  const std::int64_t k = options_.accumulate;
  if (k == 1) return 1;
  const std::int64_t first = training_.step / k * k;
  const std::int64_t last = std::min(first + k, training_.steps);
  const std::int64_t end = std::min(last * options_.batch_size, loader_->size());
  return static_cast<double>(samples) / static_cast<double>(end - first * options_.batch_size);
}

void Loop::step(const data::Batch& batch) {
  const std::int64_t n = batch.x.size(0);
  const Tensor prediction = call(training_.model, batch.x, loc_);
  const Arg p(prediction, loc_), target(batch.y, loc_);
  const Tensor loss = options_.class_weights.empty()
                          ? loss_(p, target)
                          : loss_.weighted(p, target, weights_of(options_.class_weights, batch.y, loc_));
  training_.batch_loss = loss.item();
  const double share = group_share(n);
  if (share == 1) {
    loss.backward({}, loc_);
  } else {
    const Tensor seed = full(loss.shape(), share, loss.dtype());
    loss.backward({.grad_output = &seed}, loc_);
  }
  const Tensor values = prediction.detach();
  for (const MetricRef& metric : options_.metrics) metric->update(values, batch.y);
  sums_.add(training_.batch_loss, n);
  training_.samples = sums_.samples;
  ++training_.step;
  if (training_.step % options_.accumulate == 0 || training_.step == training_.steps) update();
}

void Loop::update() {
  optim::Optimizer& optimizer = training_.optimizer();
  if (options_.clip_value > 0) optim::clip_grad_value(optimizer.parameters(), options_.clip_value, loc_);
  if (options_.clip_norm > 0) optim::clip_grad_norm(optimizer.parameters(), options_.clip_norm, {}, loc_);
  optimizer.step(loc_);
  optimizer.zero_grad();
  ++training_.updates;
}

void Loop::finish_epoch() {
  Training& t = training_;
  const double training_seconds = epoch_seconds_ + epoch_clock_.seconds();
  t.logs.clear();
  write_logs(t.logs, "", sums_, options_.metrics);
  if (validation_loader_) {
    each_callback([&t](Callback& callback) { callback.on_validation_begin(t); });
    write_logs(t.logs, "val_", pass_over(t.model, loss_, *validation_loader_, options_.metrics, loc_),
               options_.metrics);
    each_callback([&t](Callback& callback) { callback.on_validation_end(t); });
  }
  const MemoryStats memory = memory_stats();
  t.logs.set("lr", t.optimizer().lr());
  t.logs.set("seconds", epoch_seconds_ + epoch_clock_.seconds());
  t.logs.set("images_per_second", static_cast<double>(sums_.samples) / std::max(training_seconds, 1e-9));
  t.logs.set("memory_live", static_cast<double>(memory.live_bytes));
  t.logs.set("memory_peak", static_cast<double>(memory.peak_bytes));
  each_callback([&t](Callback& callback) { callback.on_epoch_end(t); });
  t.history.append(t.epoch, t.logs);
  ++t.epoch;
  t.step = t.samples = 0;
  sums_ = {};
  epoch_seconds_ = 0;
  epoch_clock_ = Stopwatch();
  if (t.epoch < t.epochs && !t.stopping())  // after the last one they keep what validation gathered
    for (const MetricRef& metric : options_.metrics) metric->reset();
  save_checkpoint();
}

void Loop::drop_gradients() {
  for (Tensor& parameter : parameters_) parameter.zero_grad();
  training_.optimizer().zero_grad();
}

// ---- state -------------------------------------------------------------------------------------

void Loop::visit(io::StateVisitor& f) {
  training_.visit(f);
  f("loss", sums_.loss);
  sums_.samples = training_.samples;
  double epoch_seconds = epoch_seconds_ + epoch_clock_.seconds(), seconds = seconds_ + clock_.seconds();
  f("epoch_seconds", epoch_seconds);
  f("seconds", seconds);
  epoch_seconds_ = epoch_seconds, seconds_ = seconds;
  epoch_clock_ = clock_ = Stopwatch();
  std::size_t i = 0;
  for (const MetricRef& metric : options_.metrics)
    f.scope("metric." + std::to_string(i++), [&](io::StateVisitor& inner) { metric->visit(inner); });
  i = 0;
  for (const CallbackRef& callback : options_.callbacks)
    f.scope("callback." + std::to_string(i++) + "." + callback->name(),
            [&](io::StateVisitor& inner) { callback->visit(inner); });
  f.scope("model", [this](io::StateVisitor& inner) { visit_model(inner, training_.model); });
  visit_generator(f, "default_generator", nn::default_generator());
  f.scope("optimizer", [this](io::StateVisitor& inner) { training_.optimizer().visit(inner); });
  f.scope("gradient", [this](io::StateVisitor& inner) {
    for (std::size_t k = 0; k < parameters_.size(); ++k) {
      const Tensor before = parameters_[k].grad();
      Tensor gradient = before;
      inner(std::to_string(k), gradient);
      if (gradient.get() != before.get()) parameters_[k].set_grad(gradient);
    }
  });
}

History fit(nn::ModuleRef model, optim::Optimizer& optimizer, const Loss& loss, const data::DatasetRef& data,
            FitOptions options, Loc loc) {
  return Loop(model, optimizer, loss, data, std::move(options), loc).run();
}

}  // namespace thalweg::train::detail
