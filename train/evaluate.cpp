// Depends on evaluate.hpp, train/pass.hpp, data.
#include <thalweg/train/evaluate.hpp>

#include <cstring>
#include <string>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/train/pass.hpp>

namespace thalweg::train::detail {
namespace {

class ModeCollector final : public nn::Visitor {
 public:
  std::vector<std::pair<bool*, bool>> found;

 private:
  void on_module(const std::string&, nn::ModuleRef m) override {
    if (!m.type->training) return;
    bool* mode = m.type->training(m.object);
    found.emplace_back(mode, *mode);
  }
};

void check_data(const char* op, const data::DatasetRef& data, Loc loc) {
  if (data->size() > 0) return;
  throw_error<ValueError>({.op = op,
                           .arg = "data",
                           .given = "no examples",
                           .wanted = "one or more",
                           .what = "nothing to work on",
                           .loc = loc});
}

/// [n, ..] to hold `n` outputs like `first`.
Tensor room_for(std::int64_t n, const Tensor& first) {
  Dims shape = first.shape();
  shape[0] = n;
  return zeros(shape, first.dtype());
}

void check_output(const Tensor& y, std::int64_t rows, const Tensor& all, Loc loc) {
  const bool rows_fit = y.defined() && y.dim() > 0 && y.size(0) == rows;
  bool same = rows_fit && y.dim() == all.dim() && y.dtype() == all.dtype();
  for (int d = 1; same && d < y.dim(); ++d) same = y.size(d) == all.size(d);
  if (same) return;
  throw_error<ShapeError>(
      {.op = "predict",
       .arg = "output",
       .given = y.describe(),
       .wanted = std::to_string(rows) + " rows" + (rows_fit ? " as in " + all.describe() : ""),
       .what = "the model's outputs do not make one tensor",
       .loc = loc});
}

}  // namespace

ModeScope::ModeScope(nn::ModuleRef model, bool training) {
  ModeCollector collector;
  collector.walk(model);
  before_ = std::move(collector.found);
  for (const auto& [mode, was] : before_) *mode = training;
}

ModeScope::~ModeScope() {
  // backwards: a module that is visited twice gets what it had at first
  for (auto i = before_.rbegin(); i != before_.rend(); ++i) *i->first = i->second;
}

Tensor call(nn::ModuleRef model, const Tensor& x, Loc loc) {
  return model.type->call(model.object, Arg(x, loc));
}

Sums pass_over(nn::ModuleRef model, const Loss& loss, const data::DataLoader& loader,
               const std::vector<MetricRef>& metrics, Loc loc) {
  const ModeScope mode(model, false);
  const NoGrad guard;
  Sums sums;
  for (const MetricRef& metric : metrics) metric->reset();
  for (const data::Batch& batch : loader.epoch()) {
    const Tensor prediction = call(model, batch.x, loc);
    sums.add(loss(Arg(prediction, loc), Arg(batch.y, loc)).item(), batch.x.size(0));
    for (const MetricRef& metric : metrics) metric->update(prediction, batch.y);
  }
  return sums;
}

void write_logs(Logs& logs, const std::string& prefix, const Sums& sums,
                const std::vector<MetricRef>& metrics) {
  logs.set(prefix + "loss", sums.mean());
  for (const MetricRef& metric : metrics)
    if (metric->logged()) logs.set(prefix + metric->name(), metric->value());
}

Logs evaluate(nn::ModuleRef model, const Loss& loss, const data::DatasetRef& data,
              const EvaluateOptions& options, Loc loc) {
  check_data("evaluate", data, loc);
  const data::DataLoader loader(data, {.batch_size = options.batch_size}, loc);
  Logs logs;
  write_logs(logs, "", pass_over(model, loss, loader, options.metrics, loc), options.metrics);
  return logs;
}

Tensor predict(nn::ModuleRef model, const data::DatasetRef& data, std::int64_t batch_size, Loc loc) {
  check_data("predict", data, loc);
  const data::DataLoader loader(data, {.batch_size = batch_size}, loc);
  const ModeScope mode(model, false);
  const NoGrad guard;
  Tensor all;
  std::byte* to = nullptr;
  for (const data::Batch& batch : loader.epoch()) {
    const Tensor y = call(model, batch.x, loc).contiguous();
    if (!all.defined() && y.defined() && y.dim() > 0) {
      all = room_for(data->size(), y);
      to = static_cast<std::byte*>(all.mutable_view().data);
    }
    check_output(y, batch.x.size(0), all, loc);
    const auto bytes = static_cast<std::size_t>(y.numel()) * itemsize(y.dtype());
    if (bytes > 0) std::memcpy(to, y.view().data, bytes);
    to += bytes;
  }
  return all;
}

}  // namespace thalweg::train::detail
