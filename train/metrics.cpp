// Depends on metrics.hpp, ops (argmax, mse_loss, l1_loss), fmt.
#include <thalweg/train/metrics.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::train {
namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

double ratio(std::int64_t a, std::int64_t b) {
  return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : nothing;
}

/// The class numbers of predictions and targets, dense i64 of equally many elements.
struct Classes {
  Tensor predicted, truth;
  std::int64_t count = 0;
  bool binary = false;

  std::span<const std::int64_t> of_predicted() const { return predicted.span<std::int64_t>(); }
  std::span<const std::int64_t> of_truth() const { return truth.span<std::int64_t>(); }
};

[[noreturn]] void throw_shapes(const std::string& op, const Tensor& prediction, const Tensor& target,
                               const char* wanted, Loc loc) {
  throw_error<ShapeError>({.op = op,
                           .arg = "target",
                           .given = target.describe() + " for predictions " + prediction.describe(),
                           .wanted = wanted,
                           .what = "target and prediction do not fit",
                           .loc = loc});
}

void check_defined(const std::string& op, const Tensor& prediction, const Tensor& target, Loc loc) {
  if (!prediction.defined() || !target.defined())
    throw_error<ValueError>({.op = op,
                             .arg = target.defined() ? "prediction" : "target",
                             .given = "undefined",
                             .wanted = "a tensor",
                             .what = "nothing to compare",
                             .loc = loc});
}

bool is_sparse_pair(const Tensor& prediction, const Tensor& target) {
  if (prediction.dim() < 2 || target.dim() != prediction.dim() - 1) return false;
  bool same = prediction.shape()[0] == target.shape()[0];
  for (int d = 2; same && d < prediction.dim(); ++d) same = prediction.shape()[d] == target.shape()[d - 1];
  return same;
}

Labels labels_of(const std::string& op, const Tensor& prediction, const Tensor& target, Labels wanted,
                 Loc loc) {
  check_defined(op, prediction, target, loc);
  const bool columns = prediction.dim() >= 2 && prediction.shape()[1] >= 2;
  const bool equal = prediction.shape() == target.shape();
  const bool sparse = is_sparse_pair(prediction, target);
  const bool automatic = wanted == Labels::automatic;
  if ((automatic && columns && equal) || wanted == Labels::categorical) {
    if (equal && prediction.dim() >= 2) return Labels::categorical;
    throw_shapes(op, prediction, target, "the shape of the predictions, [n,classes,..]", loc);
  }
  if ((automatic && columns && sparse) || wanted == Labels::sparse) {
    if (sparse) return Labels::sparse;
    throw_shapes(op, prediction, target, "the shape of the predictions without dim 1", loc);
  }
  if ((!columns || wanted == Labels::binary) && prediction.numel() == target.numel()) return Labels::binary;
  throw_shapes(op, prediction, target,
               "the shape of the predictions with or without dim 1, or as many elements as scores", loc);
}

Tensor whole_numbers(const std::string& op, const Tensor& target, Loc loc) {
  if (is_floating(target.dtype()))
    throw_error<DTypeError>({.op = op,
                             .arg = "target",
                             .given = target.describe(),
                             .wanted = "class numbers: i64, i32 or u8",
                             .what = "not class numbers",
                             .loc = loc});
  return target.to(DType::i64).contiguous();
}

/// 0 or 1 of targets 0 and 1 or -1 and 1; `ignored` stays.
Tensor binary_classes(const Tensor& target, std::int64_t ignored) {
  if (is_floating(target.dtype())) return (target > 0.5).to(DType::i64).contiguous();
  const Tensor numbers = target.to(DType::i64);
  return where(numbers == ignored, numbers, (numbers > 0).to(DType::i64)).contiguous();
}

Classes classes_of(const std::string& op, const Tensor& prediction, const Tensor& target, Labels wanted,
                   double threshold, std::int64_t ignored, Loc loc) {
  switch (labels_of(op, prediction, target, wanted, loc)) {
    case Labels::categorical:
      return {argmax(Arg(prediction, loc), 1), argmax(Arg(target, loc), 1), prediction.shape()[1]};
    case Labels::sparse:
      return {argmax(Arg(prediction, loc), 1), whole_numbers(op, target, loc), prediction.shape()[1]};
    default:
      return {(prediction > threshold).to(DType::i64).contiguous(), binary_classes(target, ignored), 2, true};
  }
}

/// Whether fewer than k classes stand higher than class `c`. `row` has `classes` scores, `stride` apart.
template <class T>
bool among_first(const T* row, std::int64_t classes, std::int64_t stride, std::int64_t c, std::int64_t k) {
  const T own = row[c * stride];
  const bool own_nan = std::isnan(own);
  std::int64_t higher = 0;
  for (std::int64_t i = 0; i < classes; ++i) {
    const T v = row[i * stride];
    const bool above = own_nan ? false : v > own || std::isnan(v);
    const bool level = own_nan ? std::isnan(v) : v == own;
    higher += above || (level && i < c);
  }
  return higher < k;
}

template <class T>
std::int64_t count_among_first(const Tensor& scores, std::span<const std::int64_t> truth, std::int64_t k,
                               std::int64_t ignored) {
  const std::int64_t classes = scores.shape()[1];
  const std::int64_t inner = scores.numel() / std::max<std::int64_t>(scores.shape()[0] * classes, 1);
  const T* data = scores.data<T>();
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const std::int64_t row = static_cast<std::int64_t>(i) / inner, at = static_cast<std::int64_t>(i) % inner;
    if (truth[i] == ignored || truth[i] < 0 || truth[i] >= classes) continue;
    hits += among_first(data + row * classes * inner + at, classes, inner, truth[i], k);
  }
  return hits;
}

}  // namespace

// ---- Accuracy ----------------------------------------------------------------------------------

void Accuracy::update(const Tensor& prediction, const Tensor& target) {
  const NoGrad guard;
  const Classes c = classes_of(options_.name, prediction, target, options_.labels, options_.threshold,
                               options_.ignore_index, loc_);
  const auto predicted = c.of_predicted(), truth = c.of_truth();
  std::int64_t hits = 0, ignored = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const bool counts = truth[i] != options_.ignore_index;
    ignored += !counts;
    hits += counts && truth[i] == predicted[i];
  }
  hits_ += hits;
  seen_ += static_cast<std::int64_t>(truth.size()) - ignored;
}

double Accuracy::value() const { return ratio(hits_, seen_); }

void Accuracy::visit(io::StateVisitor& f) {
  f("hits", hits_);
  f("seen", seen_);
}

// ---- TopK --------------------------------------------------------------------------------------

TopK::TopK(std::int64_t k, std::int64_t ignore_index, Loc loc)
    : k_(k), ignore_index_(ignore_index), loc_(loc) {
  if (k < 1)
    throw_error<ValueError>({.op = "TopK",
                             .arg = "k",
                             .given = std::to_string(k),
                             .wanted = "1 or more",
                             .what = "no class would be right",
                             .loc = loc});
}

std::string TopK::name() const { return fmt::format("top_{}_accuracy", k_); }

void TopK::update(const Tensor& prediction, const Tensor& target) {
  const NoGrad guard;
  const std::string op = name();
  const Labels labels = labels_of(op, prediction, target, Labels::automatic, loc_);
  if (labels == Labels::binary)
    throw_shapes(op, prediction, target, "predictions of 2 classes or more", loc_);
  const Tensor truth =
      labels == Labels::categorical ? argmax(Arg(target, loc_), 1) : whole_numbers(op, target, loc_);
  const auto classes = truth.span<std::int64_t>();
  if (!is_floating(prediction.dtype()))
    throw_error<DTypeError>({.op = op,
                             .arg = "prediction",
                             .given = prediction.describe(),
                             .wanted = "f32 or f64",
                             .what = "not scores",
                             .loc = loc_});
  const Tensor scores = prediction.contiguous();
  if (scores.dtype() == DType::f64)
    hits_ += count_among_first<double>(scores, classes, k_, ignore_index_);
  else
    hits_ += count_among_first<float>(scores, classes, k_, ignore_index_);
  for (const std::int64_t c : classes) seen_ += c != ignore_index_;
}

double TopK::value() const { return ratio(hits_, seen_); }

void TopK::visit(io::StateVisitor& f) {
  f("hits", hits_);
  f("seen", seen_);
}

// ---- ConfusionMatrix ---------------------------------------------------------------------------

void ConfusionMatrix::update(const Tensor& prediction, const Tensor& target) {
  const NoGrad guard;
  const Classes c = classes_of(name(), prediction, target, options_.labels, options_.threshold,
                               options_.ignore_index, loc_);
  if (classes_ != 0 && classes_ != c.count)
    throw_error<ShapeError>({.op = name(),
                             .arg = "prediction",
                             .given = prediction.describe(),
                             .wanted = fmt::format("{} classes, as before", classes_),
                             .what = "another number of classes",
                             .loc = loc_});
  const auto predicted = c.of_predicted(), truth = c.of_truth();
  for (std::size_t i = 0; i < truth.size(); ++i)
    if (truth[i] != options_.ignore_index && (truth[i] < 0 || truth[i] >= c.count))
      throw_error<IndexError>({.op = name(),
                               .arg = fmt::format("target[{}]", i),
                               .given = std::to_string(truth[i]),
                               .wanted = fmt::format("0 to {}", c.count - 1),
                               .what = "no such class",
                               .loc = loc_});
  classes_ = c.count;
  binary_ = c.binary;
  counts_.resize(static_cast<std::size_t>(classes_ * classes_));
  for (std::size_t i = 0; i < truth.size(); ++i)
    if (truth[i] != options_.ignore_index)
      ++counts_[static_cast<std::size_t>(truth[i] * classes_ + predicted[i])];
}

double ConfusionMatrix::value() const {
  std::int64_t diagonal = 0, all = 0;
  for (std::int64_t i = 0; i < classes_; ++i) diagonal += count(i, i);
  for (const std::int64_t n : counts_) all += n;
  return ratio(diagonal, all);
}

Tensor ConfusionMatrix::matrix() const {
  return from(std::span<const std::int64_t>(counts_), Dims{classes_, classes_});
}

void ConfusionMatrix::visit(io::StateVisitor& f) {
  Tensor all = classes_ > 0 ? matrix() : Tensor();
  f("counts", all);
  f("binary", binary_);
  if (!all.defined()) return reset();
  classes_ = all.size(0);
  const auto values = all.span<std::int64_t>();
  counts_.assign(values.begin(), values.end());
}

// ---- precision, recall, F1 ---------------------------------------------------------------------

namespace {

struct Tally {
  double hits = 0, predicted = 0, truth = 0;
};

Tally tally(const ConfusionMatrix& m, std::int64_t c) {
  Tally t;
  t.hits = static_cast<double>(m.count(c, c));
  for (std::int64_t i = 0; i < m.classes(); ++i) {
    t.predicted += static_cast<double>(m.count(i, c));
    t.truth += static_cast<double>(m.count(c, i));
  }
  return t;
}

double share(double a, double b) { return b > 0 ? a / b : 0; }

}  // namespace

double ClassScore::value() const {
  if (confusion_.classes() == 0) return nothing;
  Average average = options_.average;
  if (average == Average::automatic) average = confusion_.binary() ? Average::binary : Average::macro;
  if (average == Average::binary) {
    if (options_.positive < 0 || options_.positive >= confusion_.classes())
      throw_error<IndexError>({.op = name(),
                               .arg = "positive",
                               .given = std::to_string(options_.positive),
                               .wanted = fmt::format("0 to {}", confusion_.classes() - 1),
                               .what = "no such class",
                               .loc = loc_});
    return per_class()[static_cast<std::size_t>(options_.positive)];
  }
  Tally all;
  double sum = 0, present = 0;
  for (std::int64_t c = 0; c < confusion_.classes(); ++c) {
    const Tally t = tally(confusion_, c);
    if (t.predicted + t.truth > 0) sum += score(t.hits, t.predicted, t.truth), ++present;
    all.hits += t.hits, all.predicted += t.predicted, all.truth += t.truth;
  }
  if (present == 0) return nothing;
  return average == Average::macro ? sum / present : score(all.hits, all.predicted, all.truth);
}

std::vector<double> ClassScore::per_class() const {
  std::vector<double> scores;
  for (std::int64_t c = 0; c < confusion_.classes(); ++c) {
    const Tally t = tally(confusion_, c);
    scores.push_back(score(t.hits, t.predicted, t.truth));
  }
  return scores;
}

double Precision::score(double hits, double predicted, double) const { return share(hits, predicted); }
double Recall::score(double hits, double, double truth) const { return share(hits, truth); }
double F1::score(double hits, double predicted, double truth) const {
  return share(2 * hits, predicted + truth);
}

// ---- MSE, MAE ----------------------------------------------------------------------------------

void MeanError::update(const Tensor& prediction, const Tensor& target) {
  const NoGrad guard;
  check_defined(name_, prediction, target, loc_);
  const LossOptions sum{.reduction = Reduction::sum};
  const Tensor wanted = target.to(prediction.dtype());
  if (!(wanted.shape() == prediction.shape()))
    throw_shapes(name_, prediction, target, "the predictions' shape", loc_);
  sum_ +=
      (squared_ ? mse_loss(Arg(prediction, loc_), wanted, sum) : l1_loss(Arg(prediction, loc_), wanted, sum))
          .item();
  seen_ += prediction.numel();
}

double MeanError::value() const { return seen_ > 0 ? sum_ / static_cast<double>(seen_) : nothing; }

void MeanError::visit(io::StateVisitor& f) {
  f("sum", sum_);
  f("seen", seen_);
}

}  // namespace thalweg::train
