// Metrics: values worked by hand, sums over batches, every form of labels, errors, and state in a checkpoint.
// Depends on train and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <thalweg/thalweg.hpp>
#include <thalweg/train/metrics.hpp>

#include "small.hpp"

using namespace thalweg;
using small::complaint;
using small::says;
using train::Labels;

namespace {

/// Scores of 3 classes whose largest are 0, 2, 1, 0, 2.
Tensor scores() {
  return from({5.f, 1.f, 2.f, 0.f, 1.f, 3.f, -1.f, 0.f, -2.f, 0.9f, 0.1f, 0.3f, 1.f, 2.f, 4.f}, {5, 3});
}
/// 3 of the 5 are right; class 1 is never right, class 0 twice found for one.
Tensor labels() { return from(std::vector<std::int64_t>{0, 2, 2, 1, 2}, {5}); }

/// Keeps what is visited in maps, and gives it back to the next object when `loading`.
class Keeper final : public io::StateVisitor {
 public:
  bool loading = false;

 private:
  template <class T>
  void on(std::map<std::string, T>& kept, const std::string& name, T& v) {
    if (loading)
      v = kept.at(name);
    else
      kept[name] = v;
  }
  void on_tensor(const std::string& name, Tensor& v) override { on(tensors_, name, v); }
  void on_integer(const std::string& name, std::int64_t& v) override { on(integers_, name, v); }
  void on_number(const std::string& name, double& v) override { on(numbers_, name, v); }
  void on_text(const std::string& name, std::string& v) override { on(texts_, name, v); }
  void on_numbers(const std::string& name, std::vector<double>& v) override { on(lists_, name, v); }

  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::int64_t> integers_;
  std::map<std::string, double> numbers_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, std::vector<double>> lists_;
};

double value_of(train::Metric&& metric, const Tensor& prediction, const Tensor& target) {
  metric.update(prediction, target);
  return metric.value();
}

}  // namespace

TEST_CASE("metrics: accuracy of class numbers, one-hot rows and single scores") {
  CHECK(value_of(train::Accuracy(), scores(), labels()) == 0.6);
  CHECK(value_of(train::Accuracy(), scores().to(DType::f64), labels().to(DType::u8)) == 0.6);
  CHECK(value_of(train::Accuracy(), scores(), labels().to(DType::i32)) == 0.6);
  CHECK(value_of(train::Accuracy(), scores(), one_hot(labels(), 3)) == 0.6);
  const Tensor p = from({0.2f, 0.5f, 0.51f, 0.9f}, {4});
  const Tensor t = from(std::vector<std::int64_t>{0, 1, 1, 1}, {4});
  CHECK(value_of(train::Accuracy(), p, t) == 0.75);
  CHECK(value_of(train::Accuracy(), p.reshape({4, 1}), t.to(DType::f32)) == 0.75);
  CHECK(value_of(train::Accuracy({.threshold = 0.1}), p, t) == 0.75);
  CHECK(value_of(train::Accuracy({.labels = Labels::binary}), p.reshape({2, 2}), t.reshape({2, 2})) == 0.75);
  // rows of one class number for each pixel
  const Tensor pixels = from({1.f, 0.f, 0.f, 1.f, 3.f, 4.f, 2.f, 5.f}, {1, 2, 2, 2});
  CHECK(value_of(train::Accuracy(), pixels, from(std::vector<std::int64_t>{1, 1, 0, 1}, {1, 2, 2})) == 0.75);
}

TEST_CASE("metrics: accuracy over batches of unequal size, ignored examples and nothing") {
  train::Accuracy a;
  CHECK(std::isnan(a.value()));
  a.update(slice(scores(), 0, 0, 4), slice(labels(), 0, 0, 4));
  a.update(slice(scores(), 0, 4, 5), slice(labels(), 0, 4, 5));
  CHECK(a.value() == 0.6);
  a.reset();
  CHECK(std::isnan(a.value()));
  CHECK(value_of(train::Accuracy({.ignore_index = 1}), scores(), labels()) == 0.75);
  CHECK(value_of(train::Accuracy({.ignore_index = 2}), scores(), labels()) == 0.5);
  const Tensor padded = from(std::vector<std::int64_t>{0, -100, -100, 1, 2}, {5});
  CHECK(value_of(train::Accuracy(), scores(), padded) == doctest::Approx(2. / 3));
  // the first NaN is the largest, as in argmax
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor bad = from({1.f, nan, nan}, {1, 3});
  CHECK(value_of(train::Accuracy(), bad, from(std::vector<std::int64_t>{1}, {1})) == 1);
}

TEST_CASE("metrics: top-k; equal scores stand in the classes' order, so k = 1 is accuracy") {
  CHECK(value_of(train::TopK(1), scores(), labels()) == 0.6);
  CHECK(value_of(train::TopK(2), scores(), labels()) == 0.6);
  CHECK(value_of(train::TopK(3), scores(), labels()) == 1);
  CHECK(value_of(train::TopK(9), scores(), labels()) == 1);
  CHECK(value_of(train::TopK(2), slice(scores(), 0, 1, 2), from(std::vector<std::int64_t>{1}, {1})) == 1);
  const Tensor level = zeros({1, 4});
  for (std::int64_t c = 0; c < 4; ++c)
    CHECK(value_of(train::TopK(2), level, from(std::vector<std::int64_t>{c}, {1})) == (c < 2 ? 1 : 0));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor bad = from({1.f, nan, 7.f, nan}, {1, 4});
  const std::vector<double> ranked{0, 1, 0, 1};  // the two NaN stand first
  for (std::int64_t c = 0; c < 4; ++c)
    CHECK(value_of(train::TopK(2), bad, from(std::vector<std::int64_t>{c}, {1})) ==
          ranked[static_cast<std::size_t>(c)]);
  CHECK(value_of(train::TopK(1), bad, from(std::vector<std::int64_t>{3}, {1})) == 0);
  CHECK(value_of(train::TopK(1, 2), scores(), labels()) == 0.5);
  CHECK(value_of(train::TopK(1), scores().to(DType::f64), one_hot(labels(), 3)) == 0.6);
  CHECK(train::TopK(5).name() == "top_5_accuracy");
  CHECK(says(complaint<ValueError>([] { train::TopK(0); }),
             {"TopK", "k is 0", "1 or more", "test_metrics.cpp"}));
}

TEST_CASE("metrics: confusion matrix, a row for each true class") {
  train::ConfusionMatrix m;
  CHECK(m.matrix().shape() == Dims{0, 0});
  m.update(scores(), labels());
  m.update(scores(), labels());
  const std::vector<std::int64_t> wanted{2, 0, 0, 2, 0, 0, 0, 2, 4};
  const Tensor matrix = m.matrix();
  const auto got = matrix.span<std::int64_t>();
  CHECK(std::vector<std::int64_t>(got.begin(), got.end()) == wanted);
  CHECK(m.count(1, 0) == 2);
  CHECK(m.value() == 0.6);
  CHECK_FALSE(m.logged());
  train::ConfusionMatrix binary;
  binary.update(from({0.2f, 0.7f, 0.9f}, {3}), from({0.f, 0.f, 1.f}, {3}));
  CHECK(binary.classes() == 2);
  CHECK(binary.count(0, 1) == 1);
}

TEST_CASE("metrics: precision, recall and F1 of each class and together") {
  // class 0: 1 hit, 2 predicted, 1 true; class 1: 0, 1, 1; class 2: 2, 2, 3
  train::Precision p;
  train::Recall r;
  train::F1 f;
  CHECK(std::isnan(p.value()));
  for (train::ClassScore* metric : {static_cast<train::ClassScore*>(&p), static_cast<train::ClassScore*>(&r),
                                    static_cast<train::ClassScore*>(&f)})
    metric->update(scores(), labels());
  CHECK(p.per_class() == std::vector<double>{0.5, 0, 1});
  CHECK(r.per_class() == std::vector<double>{1, 0, 2. / 3});
  CHECK(f.per_class() == std::vector<double>{2. / 3, 0, 0.8});
  CHECK(p.value() == doctest::Approx(0.5));
  CHECK(r.value() == doctest::Approx(5. / 9));
  CHECK(f.value() == doctest::Approx((2. / 3 + 0.8) / 3));
  CHECK(value_of(train::F1({.average = train::Average::micro}), scores(), labels()) == doctest::Approx(0.6));
  CHECK(value_of(train::Precision({.average = train::Average::binary, .positive = 2}), scores(), labels()) ==
        1);
  // a class that occurs on neither side does not lower the mean
  const Tensor two = from({1.f, 0.f, 0.f, 0.f, 1.f, 0.f}, {2, 3});
  CHECK(value_of(train::Recall(), two, from(std::vector<std::int64_t>{0, 1}, {2})) == 1);
  CHECK(says(complaint<IndexError>([] {
               value_of(train::F1({.average = train::Average::binary, .positive = 3}), scores(), labels());
             }),
             {"f1", "positive is 3", "0 to 2"}));
  CHECK_FALSE(train::Mse().higher_is_better());
  CHECK(p.higher_is_better());
}

TEST_CASE("metrics: mean errors over all elements") {
  const Tensor x = from({1.f, 2.f, 3.f, 4.f}, {2, 2}), t = from({1.f, 0.f, 4.f, 4.f}, {2, 2});
  CHECK(value_of(train::Mse(), x, t) == 1.25);
  CHECK(value_of(train::Mae(), x, t) == 0.75);
  train::Mse over_batches;
  over_batches.update(x, t);
  over_batches.update(slice(x, 0, 1, 2), slice(t, 0, 1, 2));
  CHECK(over_batches.value() == 1);
  CHECK(value_of(train::Mae(), x, t.to(DType::i64)) == 0.75);
  // [2] beside [2, 1] would broadcast to [2, 2]
  CHECK(says(complaint<ShapeError>([] {
               value_of(train::Mse(), zeros({2, 1}), zeros({2}));
             }),
             {"mse", "f32[2]", "f32[2,1]"}));
}

TEST_CASE("metrics: labels that do not fit are named") {
  const auto wrong = [](const Tensor& p, const Tensor& t, Labels labels = Labels::automatic) {
    return complaint<Error>([&] { value_of(train::Accuracy({.labels = labels}), p, t); });
  };
  CHECK(says(wrong(zeros({4, 3}), zeros({5}, DType::i64)), {"accuracy", "target is i64[5]", "f32[4,3]"}));
  CHECK(says(wrong(zeros({4, 3}), zeros({4})), {"target is f32[4]", "class numbers"}));
  CHECK(says(wrong(zeros({4, 3}), zeros({4, 2})), {"f32[4,2]"}));
  CHECK(says(wrong(zeros({4}), zeros({3})), {"f32[3]", "f32[4]"}));
  CHECK(says(wrong(zeros({4, 3}), zeros({4}, DType::i64), Labels::categorical), {"[n,classes,..]"}));
  CHECK(says(wrong(zeros({4, 3}), Tensor()), {"target", "undefined"}));
  CHECK(says(complaint<IndexError>([] {
               value_of(train::ConfusionMatrix(), zeros({2, 3}), from(std::vector<std::int64_t>{0, 3}, {2}));
             }),
             {"confusion_matrix", "target[1] is 3", "0 to 2"}));
  train::ConfusionMatrix m;
  m.update(scores(), labels());
  CHECK(says(complaint<ShapeError>([&] { m.update(zeros({1, 4}), zeros({1}, DType::i64)); }), {"3 classes"}));
  CHECK(m.value() == 0.6);
}

TEST_CASE("metrics: nothing is recorded, and the state goes on in another object") {
  Tensor p = scores();
  p.set_requires_grad();
  const auto same = [&](auto first, auto second) {
    first.update(p, labels());
    Keeper keeper;
    first.visit(keeper);
    keeper.loading = true;
    second.visit(keeper);
    first.update(p, labels().to(DType::i32));
    second.update(p, labels().to(DType::i32));
    CHECK(first.value() == second.value());
    second.reset();
    CHECK(std::isnan(second.value()));
  };
  same(train::Accuracy(), train::Accuracy());
  same(train::TopK(2), train::TopK(2));
  same(train::F1(), train::F1());
  same(train::ConfusionMatrix(), train::ConfusionMatrix());
  train::ConfusionMatrix none, some;
  Keeper nothing;
  none.visit(nothing);
  nothing.loading = true;
  some.update(p, labels());
  some.visit(nothing);
  CHECK(std::isnan(some.value()));
  train::Mse a, b;
  a.update(p, zeros({5, 3}));
  Keeper keeper;
  a.visit(keeper);
  keeper.loading = true;
  b.visit(keeper);
  CHECK(a.value() == b.value());
  CHECK(a.value() > 0);
}

TEST_CASE("metrics: one score an example: the positive class alone, and targets -1 and 1") {
  const Tensor p = from({0.9f, 0.8f, 0.2f, 0.1f}, {4});
  const Tensor t = from(std::vector<std::int64_t>{1, 0, 0, 0}, {4}), signs = from(std::vector<std::int64_t>{1, -1, -1, -1}, {4});
  CHECK(value_of(train::Precision(), p, t) == 0.5);
  CHECK(value_of(train::Precision({.average = train::Average::macro}), p, t) == 0.75);
  CHECK(value_of(train::Precision(), p, signs) == 0.5);
  CHECK(value_of(train::Accuracy(), p, signs) == 0.75);
  const Tensor some = from(std::vector<std::int64_t>{1, -1, -100, -1}, {4});
  CHECK(value_of(train::Accuracy(), p, some) == doctest::Approx(2.0 / 3));
  CHECK(train::F1({.name = "f1_micro"}).name() == "f1_micro");
  CHECK(train::F1().name() == "f1");
  CHECK(train::Mse().name() == "mse");
}
