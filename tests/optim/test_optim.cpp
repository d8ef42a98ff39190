// The optimizers against three-step traces worked out in double precision from the published formulas, and
// their errors. Depends on optim, nn and doctest.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <optim/state_copy.hpp>
#include <thalweg/nn/nn.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;

namespace {

const double gradients[3][2] = {{0.5, -0.25}, {-1.5, 0.75}, {0.125, 2.0}};

/// p starts at (1, -2) and gets the gradients above; `want` holds p after each step.
template <class Optimizer, class Options>
void check_trace(const char* what, const Options& options, const std::vector<double>& want) {
  CAPTURE(what);
  Tensor p = from({1.0, -2.0});
  p.set_requires_grad();
  Optimizer optimizer({p}, options);
  for (int step = 0; step < 3; ++step) {
    p.set_grad(from({gradients[step][0], gradients[step][1]}));
    optimizer.step();
    optimizer.zero_grad();
    CHECK_FALSE(p.grad().defined());
    for (int i = 0; i < 2; ++i) {
      CAPTURE(step);
      CHECK(p.data<double>()[i] ==
            doctest::Approx(want[static_cast<std::size_t>(2 * step + i)]).epsilon(1e-14));
    }
  }
}

Tensor leaf(const Dims& shape = {2}) { return ones(shape).set_requires_grad(); }

}  // namespace

TEST_CASE("optim: Sgd by PyTorch's rule") {
  using optim::Sgd;
  optim::SgdOptions o = optim::SgdOptions::pytorch(0.1);
  check_trace<Sgd>("plain", o, {0.95, -1.975, 1.1, -2.05, 1.0875, -2.25});
  o.momentum = 0.9;
  o.nesterov = true;
  check_trace<Sgd>("nesterov", o, {0.905, -1.9525, 1.1495, -2.07475, 1.2108, -2.497275});
  o.nesterov = false;
  o.dampening = 0.5;
  o.weight_decay = 0.01;
  check_trace<Sgd>(
      "dampening and weight decay: the first step is not damped", o,
      {0.949, -1.973, 0.97762549999999993, -1.9852135000000002, 0.99664963724999989, -2.0952130432500002});
  o = optim::SgdOptions::pytorch(0.1);
  o.maximize = true;
  check_trace<Sgd>("maximize", o, {1.05, -2.025, 0.9, -1.95, 0.9125, -1.75});
}

TEST_CASE("optim: Sgd by Keras' rule") {
  using optim::Sgd;
  check_trace<Sgd>("plain", optim::SgdOptions{.lr = 0.1}, {0.95, -1.975, 1.1, -2.05, 1.0875, -2.25});
  check_trace<Sgd>("momentum", optim::SgdOptions{.lr = 0.1, .momentum = 0.9},
                   {0.95, -1.975, 1.055, -2.0275, 1.137, -2.27475});
  check_trace<Sgd>(
      "nesterov and weight decay in the gradient",
      optim::SgdOptions{
          .lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .decoupled = false, .nesterov = true},
      {0.9031, -1.9487, 1.1450741099999999, -2.0656274699999999, 1.2027379581909998, -2.4811913308069999});
}

TEST_CASE("optim: the two rules of Sgd differ when the learning rate changes") {
  const auto last = [](optim::SgdOptions o) {
    Tensor p = from({1.0}).set_requires_grad();
    o.momentum = 0.5;
    optim::Sgd sgd({p}, o);
    p.set_grad(from({1.0}));
    sgd.step();
    sgd.set_lr(0.01);
    sgd.step();
    return p.item();
  };
  CHECK(last(optim::SgdOptions::keras(0.1)) == doctest::Approx(1 - 0.1 + (0.5 * -0.1 - 0.01)).epsilon(1e-14));
  CHECK(last(optim::SgdOptions::pytorch(0.1)) == doctest::Approx(1 - 0.1 - 0.01 * 1.5).epsilon(1e-14));
}

TEST_CASE("optim: Adam by both rules") {
  using optim::Adam;
  optim::AdamOptions keras{.lr = 0.01, .eps = 0.1}, torch = optim::AdamOptions::pytorch(0.01);
  torch.eps = 0.1;  // large, so that its place matters
  check_trace<Adam>("keras, large eps", keras,
                    {0.99863472940504183, -1.9992673515320332, 1.0002819739370958, -2.0002556916620571,
                     1.0013853526675613, -2.0032286938618791});
  check_trace<Adam>("pytorch, large eps", torch,
                    {0.9916666666666667, -1.9928571428571429, 0.99620291204183531, -1.997049279077729,
                     0.99918204029785629, -2.003846952647848});
  check_trace<Adam>("keras", optim::AdamOptions{},
                    {0.99900000632451535, -1.9990000126489507, 0.99949419516938531, -1.9994942005053975,
                     0.99982464206378119, -2.0002286910752591});
  check_trace<Adam>("pytorch", optim::AdamOptions::pytorch(),
                    {0.99900000002, -1.9990000000399999, 0.99949418984887783, -1.9994941898644585,
                     0.9998246373988634, -2.0002286815085037});
  torch = optim::AdamOptions::pytorch(0.01);
  torch.beta2 = 0.99;
  torch.weight_decay = 0.1;
  torch.amsgrad = true;
  check_trace<Adam>("pytorch, weight decay in the gradient, amsgrad", torch,
                    {0.99000000016666667, -1.9900000002222222, 0.99419765659986792, -1.991526784834208,
                     0.9964830418657229, -1.9978789539906505});
}

TEST_CASE("optim: AdamW decays the parameter, not the gradient") {
  check_trace<optim::AdamW>("keras", optim::AdamW::keras(),
                            {0.99899600632451535, -1.9989920126489507, 0.99948619918535997,
                             -1.9994782045373469, 0.99981264813495907, -2.0002046971943903});
  check_trace<optim::AdamW>("pytorch", optim::AdamW::pytorch(),
                            {0.99899000002000005, -1.99898000004, 0.99947419994887765, -1.9994542000644582,
                             0.99979465275686374, -2.0001686971665027});
}

TEST_CASE("optim: bias correction stays exact for a beta next to 1 and after many steps") {
  Tensor p = from({0.0}).set_requires_grad();
  optim::Adam adam({p}, {.lr = 1, .beta1 = 0, .beta2 = 1 - 1e-12, .eps = 0, .eps_on_raw_moment = false});
  p.set_grad(from({3.0}));
  adam.step();
  CHECK(p.item() == doctest::Approx(-1).epsilon(1e-4));  // v is stored, so its own rounding stays
}

TEST_CASE("optim: parameters without a gradient are left alone and keep their step count") {
  Tensor a = leaf(), b = leaf(), frozen = ones({2});
  optim::Adam adam({a, b, frozen});
  a.set_grad(ones({2}));
  adam.step();
  CHECK(a.data<float>()[0] != 1);
  CHECK(b.data<float>()[0] == 1);
  CHECK(frozen.data<float>()[0] == 1);
  optim_test::StateCopy names;
  adam.visit(names);
  CHECK(names.integers == std::map<std::string, std::int64_t>{{"0.step", 1}, {"1.step", 0}, {"2.step", 0}});
  CHECK(names.tensors.size() == 9);
  CHECK(names.tensors.at("2.exp_avg_sq").shape() == Dims{2});
  CHECK_FALSE(names.tensors.at("2.max_exp_avg_sq").defined());
  CHECK(names.numbers == std::map<std::string, double>{{"group.0.lr", 1e-3}});
}

TEST_CASE("optim: groups have their own options, which a schedule may change") {
  Tensor a = leaf(), b = leaf();
  optim::Sgd sgd({{.parameters = {a}, .options = {.lr = 0.5}}, {.parameters = {b}, .options = {.lr = 0.25}}});
  a.set_grad(ones({2}));
  b.set_grad(ones({2}));
  sgd.step();
  CHECK(a.data<float>()[0] == 0.5f);
  CHECK(b.data<float>()[0] == 0.75f);
  sgd.groups()[1].options.lr = 1;
  sgd.step();
  CHECK(b.data<float>()[0] == -0.25f);
  sgd.set_lr(0);
  sgd.step();
  CHECK(a.data<float>()[0] == 0);
}

TEST_CASE("optim: a strided gradient is read in the right order") {
  Tensor p = zeros({2, 3}).set_requires_grad();
  p.set_grad(from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {3, 2}).transpose(0, 1));
  REQUIRE_FALSE(p.grad().is_contiguous());
  optim::Sgd sgd({p}, {.lr = 1});
  sgd.step();
  const float want[] = {-1, -3, -5, -2, -4, -6};
  for (int i = 0; i < 6; ++i) CHECK(p.data<float>()[i] == want[i]);
}

TEST_CASE("optim: step records nothing and bumps the version, so a graph kept from before is refused") {
  Tensor p = leaf();
  const Tensor loss = (p * p).sum();
  loss.backward({.retain_graph = true});
  optim::Adam adam({p});
  adam.step();
  CHECK(p.is_leaf());
  CHECK_THROWS_WITH_AS(loss.backward(), doctest::Contains("Adam"), VersionError);
}

TEST_CASE("optim: bad parameters and options are typed errors") {
  using optim::Adam;
  using optim::Sgd;
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  Tensor p = leaf();
  CHECK_THROWS_WITH_AS(Sgd({p, Tensor()}), doctest::Contains("parameter 1"), ValueError);
  CHECK_THROWS_AS(Sgd(std::vector<Tensor>{}), ValueError);
  CHECK_THROWS_AS(Sgd({p, p}), ValueError);
  CHECK_THROWS_AS(Sgd({p * 2}), GraphError);
  CHECK_THROWS_AS(Sgd({ones({2}, DType::i64)}), DTypeError);
  CHECK_THROWS_AS(Sgd({ones({2, 3}).transpose(0, 1)}), ShapeError);
  for (double bad : {nan, inf, -inf, -1.0}) {
    CHECK_THROWS_WITH_AS(Sgd({p}, {.lr = bad}), doctest::Contains("Sgd"), ValueError);
    CHECK_THROWS_WITH_AS(Adam({p}, {.lr = bad}), doctest::Contains("lr"), ValueError);
    CHECK_THROWS_AS(Adam({p}, {.eps = bad}), ValueError);
    CHECK_THROWS_AS(optim::AdamW({p}, {.weight_decay = bad}), ValueError);
  }
  CHECK_THROWS_AS(Adam({p}, {.beta1 = 1}), ValueError);
  CHECK_THROWS_AS(Adam({p}, {.beta2 = -0.1}), ValueError);
  CHECK_THROWS_AS(Sgd({p}, {.momentum = 1}), ValueError);
  CHECK_THROWS_AS(Sgd({p}, {.nesterov = true}), ValueError);
  CHECK_THROWS_AS(Sgd({p}, {.momentum = 0.9, .dampening = 0.1}), ValueError);

  Adam adam({p});
  p.set_grad(ones({2}));
  adam.set_lr(nan);
  CHECK_THROWS_AS(adam.step(), ValueError);
  CHECK(p.data<float>()[0] == 1);
}

TEST_CASE("optim: bad options of the other rules are typed errors naming rule and option") {
  using namespace optim;
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const std::vector<Tensor> p = {leaf()};
  const auto refused = [](const char* rule, const char* option, auto make) {
    CAPTURE(rule);
    CAPTURE(option);
    try {
      make();
      FAIL("accepted");
    } catch (const ValueError& e) {
      CHECK(e.op() == rule);
      CHECK(e.arg() == option);
      CHECK(std::string(e.what()).find("test_optim.cpp") != std::string::npos);
    }
  };
  for (double bad : {nan, inf, -1.0}) {
    refused("Adagrad", "lr", [&] { Adagrad(p, {.lr = bad}); });
    refused("Adagrad", "lr_decay", [&] { Adagrad(p, {.lr_decay = bad}); });
    refused("Adagrad", "initial_accumulator", [&] { Adagrad(p, {.initial_accumulator = bad}); });
    refused("Adagrad", "eps", [&] { Adagrad(p, {.eps = bad}); });
    refused("Adadelta", "lr", [&] { Adadelta(p, {.lr = bad}); });
    refused("Adadelta", "rho", [&] { Adadelta(p, {.rho = bad}); });
    refused("Rmsprop", "rho", [&] { Rmsprop(p, {.rho = bad}); });
    refused("Rmsprop", "momentum", [&] { Rmsprop(p, {.momentum = bad}); });
    refused("Rmsprop", "weight_decay", [&] { Rmsprop(p, {.weight_decay = bad}); });
    refused("Adamax", "beta1", [&] { Adamax(p, {.beta1 = bad}); });
    refused("Adamax", "eps", [&] { Adamax(p, {.eps = bad}); });
    refused("Nadam", "momentum_decay", [&] { Nadam(p, {.momentum_decay = bad}); });
    refused("Nadam", "lr", [&] { Nadam(p, {.lr = bad}); });
  }
  refused("Adamax", "beta2", [&] { Adamax(p, {.beta2 = 1}); });
  refused("Nadam", "beta2", [&] { Nadam(p, {.beta2 = 1}); });
  refused("Rmsprop", "momentum", [&] { Rmsprop(p, {.momentum = 1}); });
  refused("Adadelta", "rho", [&] { Adadelta(p, {.rho = 1.1}); });
}

TEST_CASE("optim: centering and momentum may be switched on between steps") {
  Tensor p = leaf();
  optim::Rmsprop rule({p}, {.lr = 0.1});
  for (int step = 0; step < 3; ++step) {
    p.set_grad(ones({2}));
    rule.step();
    rule.groups()[0].options.momentum = 0.5;
    rule.groups()[0].options.centered = true;
  }
  CHECK(std::isfinite(p.data<float>()[0]));
  optim_test::StateCopy state;
  rule.visit(state);
  CHECK(state.tensors.at("0.velocity").data<float>()[0] > 0);
  CHECK(state.tensors.at("0.grad_avg").data<float>()[1] > 0);
}

TEST_CASE("optim: an AdamW stays one when it is stepped as an Adam") {
  Tensor p = from({1.0}), q = from({1.0});
  optim::AdamW own({p.set_requires_grad()}), base({q.set_requires_grad()});
  for (Tensor* t : {&p, &q}) t->set_grad(from({0.5}));
  own.step();
  static_cast<optim::Adam&>(base).step();
  CHECK(q.item() == p.item());
}

TEST_CASE("optim: a new rate scales all groups alike") {
  Tensor p = from({1.0}).set_requires_grad(), q = from({1.0}).set_requires_grad();
  optim::Sgd sgd({{{p}, {.lr = 0.1}}, {{q}, {.lr = 0.001}}});
  sgd.set_lr(0.01);
  CHECK(sgd.groups()[0].options.lr == 0.01);
  CHECK(sgd.groups()[1].options.lr == doctest::Approx(1e-4).epsilon(1e-15));
  sgd.set_lr(0);  // a warm-up that begins at nothing
  sgd.set_lr(0.1);
  CHECK(sgd.groups()[1].options.lr == doctest::Approx(1e-3).epsilon(1e-15));
}
