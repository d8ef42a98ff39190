// Depends on report_run.hpp, train/metrics, ops (log_softmax), par (number of threads), fmt.
#include <thalweg/train/report_run.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/functions.hpp>
#include <thalweg/ops/kernels/par.hpp>

namespace thalweg::train {
namespace {

constexpr const char* op = "add_examples";

[[noreturn]] void bad_shape(const char* arg, const Tensor& given, const std::string& wanted, Loc loc) {
  throw_error<ShapeError>({.op = op,
                           .arg = arg,
                           .given = given.describe(),
                           .wanted = wanted,
                           .what = "not a classification",
                           .loc = loc});
}

/// [n, classes] in f64: the logarithm of what the model gives to each class.
Tensor log_probabilities(const Tensor& outputs, bool probabilities, Loc loc) {
  if (!is_floating(outputs.dtype()))
    throw_error<DTypeError>({.op = op,
                             .arg = "output",
                             .given = outputs.describe(),
                             .wanted = "f32 or f64",
                             .what = "not scores",
                             .loc = loc});
  if (outputs.dim() < 1 || outputs.dim() > 2 || outputs.numel() == 0)
    bad_shape("output", outputs, "[n, classes], [n, 1] or [n]", loc);
  Tensor y = outputs.to(DType::f64);
  if (outputs.dim() == 1 || outputs.size(1) == 1) {
    const Tensor one = y.reshape({outputs.size(0)});
    y = probabilities ? stack({1.0 - one, one}, 1) : stack({0.0 * one, one}, 1);
  }
  return (probabilities ? log(y) : log_softmax(y, 1)).contiguous();
}

/// The given class of each example, below 0 where there is none to learn.
std::vector<std::int64_t> given_classes(const data::Dataset& data, std::int64_t classes, std::int64_t batch,
                                        Loc loc) {
  std::vector<std::int64_t> all, indices;
  for (std::int64_t first = 0; first < data.size(); first += batch) {
    indices.resize(static_cast<std::size_t>(std::min(batch, data.size() - first)));
    std::iota(indices.begin(), indices.end(), first);
    Tensor y = data.batch(indices).y;
    const auto n = static_cast<std::int64_t>(indices.size());
    if (!y.defined())
      throw_error<ValueError>({.op = op, .arg = "data", .what = "it has no targets", .loc = loc});
    if (y.dim() == 2 && y.size(0) == n && y.size(1) == classes) y = argmax(y, 1);
    if (y.numel() != n)
      bad_shape("target", y, fmt::format("[{}] class numbers or [{},{}]", n, n, classes), loc);
    y = y.to(DType::i64).reshape({n}).contiguous();
    for (const std::int64_t given : y.span<std::int64_t>()) {
      if (given >= classes)
        throw_error<IndexError>({.op = op,
                                 .arg = "target",
                                 .given = fmt::format("class {}", given),
                                 .wanted = fmt::format("below {}", classes),
                                 .what = "not a class of the model",
                                 .loc = loc});
      all.push_back(given);
    }
  }
  return all;
}

/// The first largest; a NaN counts as largest, as argmax has it.
std::size_t largest(std::span<const double> v) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (std::isnan(v[i])) return i;
    if (v[i] > v[at]) at = i;
  }
  return at;
}

struct Verdict {
  std::int64_t index;
  std::size_t given, predicted;
  double probability, loss;
};

/// Worse first: a loss that is not a number is worst.
bool worse(const Verdict& a, const Verdict& b) {
  const auto rank = [](double loss) {
    return std::isnan(loss) ? std::numeric_limits<double>::infinity() : loss;
  };
  return rank(a.loss) != rank(b.loss) ? rank(a.loss) > rank(b.loss) : a.index < b.index;
}

/// Channels, height and width of an example, or nothing if it is no picture.
Dims picture_shape(const Tensor& x, const Dims& wanted) {
  Dims s = wanted.size() == 0 ? x.shape() : wanted;
  if (s.size() == 2) s = Dims{1, s[0], s[1]};
  const bool picture =
      s.size() == 3 && (s[0] == 1 || s[0] == 3) && s[1] > 0 && s[2] > 0 && numel(s) == x.numel();
  return picture ? s : Dims{};
}

Picture picture_of(const Tensor& x, const Dims& shape) {
  Picture p{shape[0], shape[1], shape[2], {}};
  const Tensor flat = x.to(DType::f64).reshape({x.numel()}).contiguous();
  const std::span<const double> values = flat.span<double>();
  double low = 0, high = is_floating(x.dtype()) ? 1 : 255;
  if (is_floating(x.dtype()))
    if (const auto [a, b] = std::minmax_element(values.begin(), values.end()); *a < low || *b > high)
      low = *a, high = *b;
  for (const double v : values) {
    const double unit = high > low ? (v - low) / (high - low) : 0.5;
    p.pixels.push_back(unit > 0 ? static_cast<std::uint8_t>(std::lround(255 * std::min(unit, 1.0))) : 0);
  }
  return p;
}

std::vector<std::string> class_names(const std::vector<std::string>& given, std::int64_t n) {
  std::vector<std::string> names = given;
  names.resize(std::min(names.size(), static_cast<std::size_t>(n)));
  while (static_cast<std::int64_t>(names.size()) < n) names.push_back(std::to_string(names.size()));
  return names;
}

}  // namespace

namespace detail {

void add_examples(RunReport& report, nn::ModuleRef model, const data::DatasetRef& data,
                  const ExampleOptions& options, Loc loc) {
  if (options.worst < 0)
    throw_error<ValueError>({.op = op,
                             .arg = "worst",
                             .given = std::to_string(options.worst),
                             .wanted = "0 or more",
                             .what = "not a number of mistakes",
                             .loc = loc});
  const NoGrad guard;
  const Tensor scores =
      log_probabilities(predict(model, data, options.batch_size, loc), options.probabilities, loc);
  const std::int64_t classes = scores.size(1);
  const auto width = static_cast<std::size_t>(classes);
  const std::vector<std::int64_t> given = given_classes(*data, classes, options.batch_size, loc);
  Confusion confusion{class_names(options.classes, classes), std::vector<std::int64_t>(width * width)};
  std::vector<Verdict> wrong;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i] < 0) continue;
    const std::span<const double> row = scores.span<double>().subspan(i * width, width);
    const auto truth = static_cast<std::size_t>(given[i]);
    const std::size_t said = largest(row);
    ++confusion.counts[truth * width + said];
    if (said != truth)
      wrong.push_back({static_cast<std::int64_t>(i), truth, said, std::exp(row[said]), -row[truth]});
  }
  std::sort(wrong.begin(), wrong.end(), worse);
  wrong.resize(std::min(wrong.size(), static_cast<std::size_t>(options.worst)));
  std::vector<Mistake> mistakes;
  for (const Verdict& v : wrong) {
    const Tensor x = select(data->batch(std::array{v.index}).x, 0, 0);
    const Dims shape = picture_shape(x, options.image);
    if (shape.size() == 0) break;
    mistakes.push_back({picture_of(x, shape), confusion.classes[v.given], confusion.classes[v.predicted],
                        v.probability, v.loss, v.index});
  }
  report.confusion = std::move(confusion);
  report.mistakes = std::move(mistakes);
}

}  // namespace detail

RunReport report_of(const History& history) {
  RunReport report;
  for (const auto& [name, values] : history.columns()) report.series.push_back({name, values});
  if (history.epochs() > 0) report.first_epoch = history.number(0) + 1;
  report.seconds = history.seconds;
  report.stopped = history.stopped;
  return report;
}

std::string utc_text(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min);
}

Fact machine_fact() {
  std::string cpu = "unknown processor";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name") && line.find(": ") != std::string::npos) {
      cpu = line.substr(line.find(": ") + 2);
      break;
    }
  const int n = par::num_threads();
  return {"Machine", fmt::format("{}, {} thread{}", cpu, n, n == 1 ? "" : "s")};
}

RunReport HtmlReport::page(const History& history) const {
  RunReport page = options_.page, run = report_of(history);
  page.series = std::move(run.series);
  page.first_epoch = run.first_epoch;
  page.seconds = run.seconds;
  page.stopped = std::move(run.stopped);
  return page;
}

void HtmlReport::on_epoch_end(Training& t) {
  History history = t.history;
  history.append(t.epoch, t.logs);
  write_report(path_, page(history));
}

void HtmlReport::on_train_end(Training& t) {
  RunReport last = page(t.history);
  if (options_.examples)
    detail::add_examples(last, t.model, *options_.examples, options_.example_options, loc_);
  write_report(path_, last);
}

}  // namespace thalweg::train
