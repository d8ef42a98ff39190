// Every optimizer against twenty recorded steps of PyTorch's and Keras' rules on a small valley, in f64 and
// f32. Depends on optim, records and doctest.
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <optim/records.hpp>
#include <optim/state_copy.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;
using optim_test::numbers;
using optim_test::records;

namespace {

using Parameters = std::vector<Tensor>;
using Made = std::unique_ptr<optim::Optimizer>;
using Cases = std::map<std::string, std::function<Made(const Parameters&)>>;

/// The preset with what `change` says.
template <class O, class Options>
std::function<Made(const Parameters&)> with(
    Options options, std::function<void(Options&)> change = [](Options&) {}) {
  change(options);
  return [=](const Parameters& p) { return std::make_unique<O>(p, options); };
}

void add_pytorch_of_old(Cases& to) {
  using namespace optim;
  using S = SgdOptions;
  to["sgd"] = with<Sgd, S>(S::pytorch(0.02));
  to["sgd momentum"] = with<Sgd, S>(S::pytorch(0.01), [](S& o) { o.momentum = 0.8; });
  to["sgd nesterov"] = with<Sgd, S>(S::pytorch(0.01), [](S& o) { o.momentum = 0.8, o.nesterov = true; });
  to["sgd dampening decay"] =
      with<Sgd, S>(S::pytorch(0.02), [](S& o) { o.momentum = 0.8, o.dampening = 0.3, o.weight_decay = 0.1; });
  to["sgd maximize"] = with<Sgd, S>(S::pytorch(0.01), [](S& o) { o.momentum = 0.8, o.maximize = true; });
  using G = AdagradOptions;
  to["adagrad"] = with<Adagrad, G>(G::pytorch());
  to["adagrad decay"] = with<Adagrad, G>(G::pytorch(0.2), [](G& o) {
    o.lr_decay = 0.1, o.weight_decay = 0.1, o.initial_accumulator = 0.3, o.eps = 0.05;
  });
  using D = AdadeltaOptions;
  to["adadelta"] = with<Adadelta, D>(D::pytorch());
  to["adadelta decay"] =
      with<Adadelta, D>(D::pytorch(0.5), [](D& o) { o.rho = 0.8, o.eps = 0.01, o.weight_decay = 0.1; });
  using R = RmspropOptions;
  to["rmsprop"] = with<Rmsprop, R>(R::pytorch());
  to["rmsprop momentum"] =
      with<Rmsprop, R>(R::pytorch(0.01), [](R& o) { o.rho = 0.9, o.eps = 0.05, o.momentum = 0.7; });
  to["rmsprop centered"] = with<Rmsprop, R>(R::pytorch(0.01), [](R& o) { o.eps = 0.05, o.centered = true; });
  to["rmsprop centered momentum decay"] = with<Rmsprop, R>(R::pytorch(0.01), [](R& o) {
    o.rho = 0.9, o.eps = 0.05, o.momentum = 0.7, o.centered = true, o.weight_decay = 0.1;
  });
  to["rmsprop maximize"] = with<Rmsprop, R>(R::pytorch(), [](R& o) { o.maximize = true; });
}

void add_pytorch_of_adam(Cases& to) {
  using namespace optim;
  using A = AdamOptions;
  to["adam"] = with<Adam, A>(A::pytorch());
  to["adam fast"] = with<Adam, A>(A::pytorch(0.1), [](A& o) { o.beta1 = 0.8, o.beta2 = 0.9, o.eps = 0.05; });
  to["adam amsgrad"] =
      with<Adam, A>(A::pytorch(0.1), [](A& o) { o.beta1 = 0.8, o.beta2 = 0.9, o.amsgrad = true; });
  to["adam decay"] = with<Adam, A>(A::pytorch(0.1), [](A& o) { o.weight_decay = 0.1; });
  to["adam maximize"] = with<Adam, A>(A::pytorch(0.1), [](A& o) { o.maximize = true; });
  to["adamw"] = with<AdamW, A>(AdamW::pytorch());
  to["adamw amsgrad"] = with<AdamW, A>(AdamW::pytorch(0.1), [](A& o) {
    o.beta1 = 0.8, o.beta2 = 0.9, o.weight_decay = 0.2, o.amsgrad = true;
  });
  using X = AdamaxOptions;
  to["adamax"] = with<Adamax, X>(X::pytorch());
  to["adamax decay"] = with<Adamax, X>(
      X::pytorch(0.1), [](X& o) { o.beta1 = 0.8, o.beta2 = 0.9, o.eps = 0.05, o.weight_decay = 0.1; });
  to["nadam"] = with<Nadam, NadamOptions>(NadamOptions::pytorch());
}

void add_keras_of_old(Cases& to) {
  using namespace optim;
  using S = SgdOptions;
  to["keras sgd"] = with<Sgd, S>(S::keras());
  to["keras sgd momentum"] = with<Sgd, S>(S::keras(), [](S& o) { o.momentum = 0.8; });
  to["keras sgd nesterov decay"] =
      with<Sgd, S>(S::keras(), [](S& o) { o.momentum = 0.8, o.nesterov = true, o.weight_decay = 0.1; });
  using G = AdagradOptions;
  to["keras adagrad"] = with<Adagrad, G>(G::keras());
  to["keras adagrad decay"] = with<Adagrad, G>(
      G::keras(0.2), [](G& o) { o.weight_decay = 0.1, o.initial_accumulator = 0.3, o.eps = 0.05; });
  using D = AdadeltaOptions;
  to["keras adadelta"] = with<Adadelta, D>(D::keras());
  to["keras adadelta decay"] =
      with<Adadelta, D>(D::keras(0.5), [](D& o) { o.rho = 0.8, o.eps = 0.01, o.weight_decay = 0.1; });
  using R = RmspropOptions;
  to["keras rmsprop"] = with<Rmsprop, R>(R::keras());
  to["keras rmsprop momentum decay"] =
      with<Rmsprop, R>(R::keras(0.02), [](R& o) { o.momentum = 0.7, o.eps = 0.05, o.weight_decay = 0.1; });
  to["keras rmsprop centered"] =
      with<Rmsprop, R>(R::keras(0.02), [](R& o) { o.centered = true, o.eps = 0.05; });
  to["keras rmsprop centered momentum"] =
      with<Rmsprop, R>(R::keras(0.01), [](R& o) { o.centered = true, o.momentum = 0.7, o.eps = 0.05; });
}

void add_keras_of_adam(Cases& to) {
  using namespace optim;
  using A = AdamOptions;
  to["keras adam"] = with<Adam, A>(A::keras());
  to["keras adam amsgrad"] = with<Adam, A>(
      A::keras(0.1), [](A& o) { o.beta1 = 0.8, o.beta2 = 0.9, o.eps = 0.05, o.amsgrad = true; });
  to["keras adamw"] = with<AdamW, A>(AdamW::keras());
  to["keras adamw fast"] = with<AdamW, A>(
      AdamW::keras(0.1), [](A& o) { o.beta1 = 0.8, o.beta2 = 0.9, o.eps = 0.05, o.weight_decay = 0.2; });
  using X = AdamaxOptions;
  to["keras adamax"] = with<Adamax, X>(X::keras());
  to["keras adamax decay"] = with<Adamax, X>(
      X::keras(0.1), [](X& o) { o.beta1 = 0.8, o.beta2 = 0.9, o.eps = 0.05, o.weight_decay = 0.1; });
  using N = NadamOptions;
  to["keras nadam"] = with<Nadam, N>(N::keras());
  to["keras nadam decay"] = with<Nadam, N>(
      N::keras(0.1), [](N& o) { o.beta1 = 0.8, o.beta2 = 0.9, o.eps = 0.05, o.weight_decay = 0.1; });
}

Cases all_cases() {
  Cases cases;
  add_pytorch_of_old(cases);
  add_pytorch_of_adam(cases);
  add_keras_of_old(cases);
  add_keras_of_adam(cases);
  return cases;
}

/// A descent of the valley (1 - x)^2 + b (y - x^2)^2.
class Descent {
 public:
  Descent(const std::function<Made(const Parameters&)>& make, DType dtype, bool maximize)
      : x_(from({-1.2, 0.7}).to(dtype)),
        y_(from({1.0, -0.4}).to(dtype)),
        b_(from({1.0, 5.0}).to(dtype)),
        maximize_(maximize) {
    x_.set_requires_grad(), y_.set_requires_grad();
    optimizer_ = make({x_, y_});
  }
  /// Step number `step`; returns x0, x1, y0, y1 after it.
  std::vector<double> step(int step) {
    if (step == 10) optimizer_->set_lr(optimizer_->lr() * 0.5);
    optimizer_->zero_grad();
    const Tensor rest = 1 - x_, valley = y_ - x_ * x_;
    const Tensor f = (rest * rest + b_ * (valley * valley)).sum();
    (maximize_ ? -f : f).backward();
    optimizer_->step();
    const Tensor x = x_.detach().to(DType::f64), y = y_.detach().to(DType::f64);
    return {x.data<double>()[0], x.data<double>()[1], y.data<double>()[0], y.data<double>()[1]};
  }
  void copy_parameters(const Descent& from) {
    const NoGrad guard;
    x_.copy_(from.x_), y_.copy_(from.y_);
  }
  optim::Optimizer& optimizer() { return *optimizer_; }

 private:
  Tensor x_, y_, b_;
  bool maximize_;
  Made optimizer_;
};

bool climbs(const std::string& name) { return name.find("maximize") != std::string::npos; }

}  // namespace

TEST_CASE("optim: twenty steps of every rule end where PyTorch's and Keras' do") {
  const Cases cases = all_cases();
  std::map<std::string, std::vector<std::vector<double>>> traces;
  std::map<std::string, double> worst;
  for (const auto& record : records("traces.txt")) {
    REQUIRE(record.size() == 4);
    const std::string key = record[0] + " " + record[1];
    CAPTURE(key);
    const auto made = cases.find(record[0]);
    REQUIRE(made != cases.end());
    if (!traces.contains(key)) {
      Descent descent(made->second, record[1] == "f64" ? DType::f64 : DType::f32, climbs(record[0]));
      for (int step = 0; step < 20; ++step) traces[key].push_back(descent.step(step));
    }
    const std::vector<double> want = numbers(record[3]);
    const std::vector<double>& got = traces.at(key)[std::stoul(record[2])];
    REQUIRE(want.size() == got.size());
    for (std::size_t i = 0; i < want.size(); ++i)
      worst[key] = std::max(worst[key], std::abs(got[i] - want[i]) / std::max(1.0, std::abs(want[i])));
  }
  CHECK(worst.size() == 2 * cases.size());
  for (const auto& [key, error] : worst) {
    CAPTURE(key);
    CHECK(error < (key.ends_with("f64") ? 1e-13 : 2e-6));
  }
}

TEST_CASE("optim: every rule goes on from its saved state as if it had never stopped") {
  for (const auto& [name, make] : all_cases()) {
    CAPTURE(name);
    Descent whole(make, DType::f32, climbs(name)), resumed(make, DType::f32, climbs(name));
    for (int step = 0; step < 13; ++step) whole.step(step);
    optim_test::StateCopy state;
    whole.optimizer().visit(state);
    state.loading = true;
    resumed.optimizer().visit(state);
    resumed.copy_parameters(whole);
    CHECK(resumed.optimizer().lr() == whole.optimizer().lr());
    for (int step = 13; step < 16; ++step) CHECK(resumed.step(step) == whole.step(step));
  }
}

TEST_CASE("optim: every rule refuses a state that does not fit, and then changes nothing") {
  for (const auto& [name, make] : all_cases()) {
    CAPTURE(name);
    Tensor p = ones({3}).set_requires_grad(), q = ones({2}).set_requires_grad();
    const Made one = make({p}), other = make({q});
    optim_test::StateCopy state;
    one->visit(state);
    state.loading = true;
    other->visit(state);
    q.set_grad(ones({2}));
    bool kept = false;
    for (const auto& [entry, tensor] : state.tensors) kept = kept || tensor.defined();
    if (!kept) continue;  // plain gradient descent
    CHECK_THROWS_WITH_AS(other->step(), doctest::Contains("state 0."), ValueError);
    CHECK(q.data<float>()[0] == 1);
  }
}
