// Schedules against 28 recorded rates of PyTorch's schedulers, their edges and errors; the plateau rule
// against recorded sequences of Keras' rule. Depends on optim, records and doctest.
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <optim/records.hpp>
#include <optim/state_copy.hpp>
#include <thalweg/optim/optim.hpp>
#include <thalweg/thalweg.hpp>

using namespace thalweg;
using namespace thalweg::optim;
using optim_test::numbers;
using optim_test::records;

namespace {

const std::map<std::string, Schedule>& recorded() {
  static const std::map<std::string, Schedule> all = {
      {"constant", ConstantLR{.lr = 0.5, .factor = 0.25, .total_iters = 4}},
      {"linear", LinearLR{.lr = 0.5, .start_factor = 0.1, .end_factor = 0.9, .total_iters = 7}},
      {"linear default", LinearLR{.lr = 0.5}},
      {"step", StepLR{.lr = 0.5, .step_size = 6, .gamma = 0.3}},
      {"multistep", MultiStepLR{.lr = 0.5, .milestones = {3, 9, 9, 20}, .gamma = 0.4}},
      {"exponential", ExponentialLR{.lr = 0.5, .gamma = 0.85}},
      {"polynomial", PolynomialLR{.lr = 0.5, .total_iters = 13, .power = 1.7}},
      {"polynomial default", PolynomialLR{.lr = 0.5}},
      {"cosine", CosineAnnealingLR{.lr = 0.5, .t_max = 9, .eta_min = 0.02}},
      {"restarts", CosineAnnealingWarmRestarts{.lr = 0.5, .t_0 = 5, .eta_min = 0.01}},
      {"restarts growing", CosineAnnealingWarmRestarts{.lr = 0.5, .t_0 = 3, .t_mult = 2}},
      {"one cycle", OneCycleLR{.max_lr = 0.5, .total_steps = 28}},
      {"one cycle linear", OneCycleLR{.max_lr = 0.5,
                                      .total_steps = 28,
                                      .pct_start = 0.4,
                                      .linear = true,
                                      .div_factor = 10,
                                      .final_div_factor = 50}},
      {"one cycle three phases",
       OneCycleLR{.max_lr = 0.5, .total_steps = 28, .pct_start = 0.33, .three_phase = true}},
      {"one cycle no rise", OneCycleLR{.max_lr = 0.5, .total_steps = 28, .pct_start = 0}},
      {"lambda",
       LambdaLR{.lr = 0.5, .factor = [](std::int64_t t) { return 1 / (1 + 0.5 * static_cast<double>(t)); }}},
      {"chained", ChainedScheduler{{ConstantLR{.lr = 0.5, .factor = 0.1, .total_iters = 3},
                                    ExponentialLR{.gamma = 0.9}}}},
      {"chained three", ChainedScheduler{{LinearLR{.lr = 0.5, .start_factor = 0.5, .total_iters = 4},
                                          StepLR{.step_size = 5, .gamma = 0.5},
                                          MultiStepLR{.milestones = {7}, .gamma = 0.2}}}},
      {"sequential", SequentialLR{.schedules = {LinearLR{.lr = 0.5, .start_factor = 0.1, .total_iters = 5},
                                                CosineAnnealingLR{.lr = 0.5, .t_max = 10},
                                                ExponentialLR{.lr = 0.5, .gamma = 0.9}},
                                  .milestones = {5, 12}}},
  };
  return all;
}

const double not_a_number = std::nan(""), inf = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("optim: schedules give the rates of PyTorch's schedulers") {
  std::size_t seen = 0;
  for (const auto& record : records("schedules.txt")) {
    const std::string name = record.at(0);
    CAPTURE(name);
    const auto schedule = recorded().find(name);
    REQUIRE(schedule != recorded().end());
    const std::vector<double> want = numbers(record.at(1));
    REQUIRE(want.size() == 28);
    for (std::size_t t = 0; t < want.size(); ++t) {
      CAPTURE(t);
      CHECK(std::abs(schedule->second(static_cast<std::int64_t>(t)) - want[t]) < 1e-14);
    }
    ++seen;
  }
  CHECK(seen == recorded().size());
}

TEST_CASE("optim: a schedule is any function of the step, or a number") {
  const Schedule constant = 0.25, own = [](std::int64_t t) { return t < 3 ? 1.0 : 0.5; };
  CHECK(constant(0) == 0.25);
  CHECK(constant(1'000'000'000) == 0.25);
  CHECK(own(2) == 1);
  CHECK(own(3) == 0.5);
  const Schedule copy = own;
  CHECK(copy(3) == 0.5);
}

TEST_CASE("optim: schedules far out neither overflow nor lose their place") {
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  for (const auto& [name, schedule] : recorded()) {
    CAPTURE(name);
    CHECK(std::isfinite(schedule(far)));
    CHECK(schedule(far) >= 0);
    CHECK(schedule(far) <= 0.5);
  }
  const OneCycleLR cycle{.max_lr = 0.5, .total_steps = 28};
  CHECK(cycle(1000) == cycle(27));
  CHECK(cycle(27) == doctest::Approx(0.5 / 25 / 1e4).epsilon(1e-12));
  CHECK(OneCycleLR{.max_lr = 0.5, .total_steps = 10, .pct_start = 0.1}(0) == 0.5);  // a rise of no length
  CHECK(OneCycleLR{.max_lr = 0.5, .total_steps = 1}(0) > 0);
  const CosineAnnealingLR cosine{.lr = 0.5, .t_max = 7};
  CHECK(cosine(14'000'000'000'000'003) == doctest::Approx(cosine(3)).epsilon(1e-12));
  CHECK(cosine(7) == 0);
  const CosineAnnealingWarmRestarts growing{.lr = 0.5, .t_0 = 3, .t_mult = 2};
  for (std::int64_t start = 0, length = 3; length < far / 8; start += length, length *= 2) {
    CHECK(growing(start) == 0.5);
    CHECK(growing(start + length / 2) < 0.5);
  }
}

TEST_CASE("optim: bad schedules and steps are typed errors") {
  CHECK_THROWS_WITH_AS(StepLR{}(0), doctest::Contains("step_size is 0, wanted 1 or more"), ValueError);
  CHECK_THROWS_WITH_AS(Schedule(StepLR{.lr = 0.1}), doctest::Contains("test_schedule.cpp"), ValueError);
  CHECK_THROWS_WITH_AS(StepLR{.step_size = 2}(-1), doctest::Contains("t is -1"), ValueError);
  CHECK_THROWS_WITH_AS(Schedule(0.1)(-1), doctest::Contains("t is -1"), ValueError);
  CHECK_THROWS_WITH_AS((MultiStepLR{.milestones = {5, 3}}(0)), doctest::Contains("milestones[1] is 3"),
                       ValueError);
  CHECK_THROWS_AS((MultiStepLR{.milestones = {-5}}(0)), ValueError);
  CHECK_THROWS_WITH_AS(ExponentialLR{}(0), doctest::Contains("gamma"), ValueError);
  CHECK_THROWS_WITH_AS(CosineAnnealingLR{}(0), doctest::Contains("t_max"), ValueError);
  CHECK_THROWS_WITH_AS(CosineAnnealingWarmRestarts{}(0), doctest::Contains("t_0"), ValueError);
  CHECK_THROWS_AS((CosineAnnealingWarmRestarts{.t_0 = 1, .t_mult = 0}(0)), ValueError);
  CHECK_THROWS_WITH_AS(OneCycleLR{}(0), doctest::Contains("total_steps"), ValueError);
  CHECK_THROWS_AS((OneCycleLR{.total_steps = 5, .pct_start = 1.5}(0)), ValueError);
  CHECK_THROWS_AS((OneCycleLR{.total_steps = 5, .div_factor = 0}(0)), ValueError);
  CHECK_THROWS_AS((OneCycleLR{.total_steps = 5, .final_div_factor = 0}(0)), ValueError);
  CHECK_THROWS_WITH_AS(LambdaLR{}(0), doctest::Contains("factor is none"), ValueError);
  CHECK_THROWS_AS(Schedule(std::function<double(std::int64_t)>()), ValueError);
  CHECK_THROWS_AS(ChainedScheduler{}(0), ValueError);
  CHECK_THROWS_AS(SequentialLR{}(0), ValueError);
  CHECK_THROWS_WITH_AS((SequentialLR{.schedules = {0.1, 0.2}}(0)), doctest::Contains("0 of them"),
                       ValueError);
  for (double bad : {not_a_number, inf, -1.0}) {
    CHECK_THROWS_AS(Schedule{bad}, ValueError);
    CHECK_THROWS_AS((StepLR{.lr = bad, .step_size = 1}(0)), ValueError);
    CHECK_THROWS_AS((ConstantLR{.factor = bad}(0)), ValueError);
    CHECK_THROWS_AS((LinearLR{.start_factor = bad}(0)), ValueError);
    CHECK_THROWS_AS((LinearLR{.end_factor = bad}(0)), ValueError);
    CHECK_THROWS_AS((PolynomialLR{.power = bad}(0)), ValueError);
    CHECK_THROWS_AS((CosineAnnealingLR{.t_max = 1, .eta_min = bad}(0)), ValueError);
  }
  CHECK_THROWS_AS((LinearLR{.total_iters = 0}(0)), ValueError);
}

TEST_CASE("optim: the rate is lowered on a plateau in the epochs in which Keras lowers it") {
  for (const auto& record : records("plateaus.txt")) {
    REQUIRE(record.size() == 4);
    const std::string name = record[0];
    CAPTURE(name);
    const std::vector<double> o = numbers(record[1].substr(4));  // after the mode
    REQUIRE(o.size() == 5);
    ReduceOnPlateau plateau({.better = record[1].starts_with("min") ? Better::lower : Better::higher,
                             .factor = o[0],
                             .patience = static_cast<std::int64_t>(o[1]),
                             .cooldown = static_cast<std::int64_t>(o[2]),
                             .min_delta = o[3],
                             .min_lr = o[4]});
    const std::vector<double> values = numbers(record[2]), rates = numbers(record[3]);
    REQUIRE(values.size() == rates.size());
    for (int round = 0; round < 2; ++round) {  // reset() forgets the first
      double lr = 0.5;
      for (std::size_t i = 0; i < values.size(); ++i) {
        CAPTURE(i);
        lr = plateau.observe(values[i], lr);
        CHECK(lr == rates[i]);
      }
      plateau.reset();
    }
  }
}

TEST_CASE("optim: a rate at or below its floor is left alone, and starts no cooldown") {
  ReduceOnPlateau plateau({.patience = 1, .cooldown = 3, .min_lr = 0.1});
  plateau.observe(1, 0.05);
  CHECK(plateau.observe(1, 0.05) == 0.05);
  CHECK(plateau.observe(1, 0.1) == 0.1);
  CHECK_FALSE(plateau.in_cooldown());
  CHECK(plateau.wait() == 2);
  CHECK(plateau.observe(1, 0.2) == 0.1);
  CHECK(plateau.in_cooldown());
}

TEST_CASE("optim: a plateau rule that was saved continues as if it had never stopped") {
  const PlateauOptions options{.factor = 0.5, .patience = 2, .cooldown = 2};
  const std::vector<double> values = {3, 2, 2, 2, 2, 2, 2, 2, 1.5, 2, 2, 2, 2, 2};
  for (std::size_t cut = 0; cut <= values.size(); ++cut) {
    ReduceOnPlateau whole(options), first(options), second(options);
    std::vector<double> a = {0.5}, b = {0.5};
    for (std::size_t i = 0; i < cut; ++i) b.push_back(first.observe(values[i], b.back()));
    optim_test::StateCopy state;
    first.visit(state);
    state.loading = true;
    second.visit(state);
    for (std::size_t i = cut; i < values.size(); ++i) b.push_back(second.observe(values[i], b.back()));
    for (double v : values) a.push_back(whole.observe(v, a.back()));
    CHECK(a == b);
    CHECK(whole.best() == second.best());
    CHECK(whole.wait() == second.wait());
  }
}

TEST_CASE("optim: bad options of the plateau rule are typed errors") {
  using O = PlateauOptions;
  for (double bad : {not_a_number, inf, -0.1}) {
    CHECK_THROWS_WITH_AS(ReduceOnPlateau(O{.factor = bad}), doctest::Contains("factor"), ValueError);
    CHECK_THROWS_AS(ReduceOnPlateau(O{.min_delta = bad}), ValueError);
    CHECK_THROWS_AS(ReduceOnPlateau(O{.min_lr = bad}), ValueError);
  }
  CHECK_THROWS_AS(ReduceOnPlateau(O{.factor = 1}), ValueError);
  CHECK_THROWS_WITH_AS(ReduceOnPlateau(O{.patience = -1}), doctest::Contains("patience is -1"), ValueError);
  CHECK_THROWS_AS(ReduceOnPlateau(O{.cooldown = -1}), ValueError);
}
