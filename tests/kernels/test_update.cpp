// The optimizers' fused loops: against their formulas in f64, on every target, at sizes around vectors and
// chunks; equal bits for every thread count and place.
#include <array>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include <kernels/kernel_support.hpp>
#include <thalweg/ops/kernels/update.hpp>

using namespace kernel_test;
namespace kernels = thalweg::kernels;

namespace {

/// Parameter, gradient and three states of one element.
struct Element {
  double p, g, s[3];
};

template <class T>
struct Arrays {
  Array<T> p, g, s0, s1, s2;
  explicit Arrays(std::int64_t n) : p({n}), g({n}), s0({n}), s1({n}), s2({n}) {
    p.random(1, -2, 2), g.random(2, -1, 1), s0.random(3, 0.1, 1), s1.random(4, 0.1, 0.3),
        s2.random(5, 0.1, 1);
  }
  /// `states`: which of the three the update has.
  template <class Options>
  kernels::Update<Options> update(const Options& o, std::array<bool, 3> states, bool maximize = false) {
    void* const all[3] = {s0.view().data, s1.view().data, s2.view().data};
    kernels::Update<Options> u{p.size(), thalweg::dtype_of<T>, p.view().data, g.view().data, maximize};
    for (std::size_t k = 0; k < 3; ++k) u.state[k] = states[k] ? all[k] : nullptr;
    u.options = o;
    return u;
  }
};

template <class Options>
using Kernel = void (*)(std::span<kernels::Update<Options>>) noexcept;
using Formula = std::function<void(Element&)>;

/// Runs `kernel` three times on arrays and `formula` on each element, in f64 whatever the type.
template <class T, class Options>
void check(Kernel<Options> kernel, const Options& o, std::array<bool, 3> states, const Formula& formula,
           bool maximize) {
  const double tolerance = sizeof(T) == 4 ? 3e-6 : 1e-14;
  for (std::int64_t n : {1, 3, 7, 8, 16, 33, 64, 16384, 16391}) {
    Arrays<T> a(n), before(n);
    auto update = a.update(o, states, maximize);
    for (int step = 0; step < 3; ++step) kernel({&update, 1});
    double worst = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      Element e{double{before.p[i]},
                double{before.g[i]} * (maximize ? -1 : 1),
                {double{before.s0[i]}, double{before.s1[i]}, double{before.s2[i]}}};
      for (int step = 0; step < 3; ++step) formula(e);
      const double got[4] = {double{a.p[i]}, double{a.s0[i]}, double{a.s1[i]}, double{a.s2[i]}};
      const double want[4] = {e.p, e.s[0], e.s[1], e.s[2]};
      for (int k = 0; k < 4; ++k)
        worst = std::max(worst, std::abs(got[k] - want[k]) / (1 + std::abs(want[k])));
    }
    CHECK(worst < tolerance);
    for (Array<T>* array : {&a.p, &a.g, &a.s0, &a.s1, &a.s2}) CHECK(array->guards_intact());
    CHECK(same_bits(a.g.values(), before.g.values()));
  }
}

template <class Options>
void check_both(Kernel<Options> kernel, const Options& o, std::array<bool, 3> states,
                const Formula& formula) {
  on_targets([&] {
    check<float>(kernel, o, states, formula, false);
    check<double>(kernel, o, states, formula, true);
  });
}

}  // namespace

TEST_CASE("sgd: plain, momentum, dampening, nesterov, Keras' velocity, weight decay") {
  check_both(kernels::update_sgd, kernels::SgdOptions{.lr = 0.1, .weight_decay = 0.01, .decay_rate = 0.02},
             {}, [](Element& e) { e.p -= 0.02 * e.p + 0.1 * (e.g + 0.01 * e.p); });
  for (bool nesterov : {false, true}) {
    check_both(kernels::update_sgd,
               kernels::SgdOptions{
                   .lr = 0.1, .momentum = 0.9, .dampening = 0.2, .weight_decay = 0.01, .nesterov = nesterov},
               {true}, [&](Element& e) {
                 const double g = e.g + 0.01 * e.p;
                 e.s[0] = 0.9 * e.s[0] + 0.8 * g;
                 e.p -= 0.1 * (nesterov ? g + 0.9 * e.s[0] : e.s[0]);
               });
    check_both(
        kernels::update_sgd,
        kernels::SgdOptions{
            .lr = 0.1, .momentum = 0.9, .decay_rate = 0.02, .nesterov = nesterov, .lr_in_velocity = true},
        {true}, [&](Element& e) {
          e.s[0] = 0.9 * e.s[0] - 0.1 * e.g;
          e.p += (nesterov ? 0.9 * e.s[0] - 0.1 * e.g : e.s[0]) - 0.02 * e.p;
        });
  }
}

TEST_CASE("adam, adamw and amsgrad") {
  const kernels::AdamOptions o{.step_size = 0.01,
                               .root_scale = 1.7,
                               .beta1 = 0.8,
                               .beta2 = 0.95,
                               .epsilon = 1e-3,
                               .weight_decay = 0.02,
                               .decay_rate = 0.003};
  for (bool largest : {false, true})
    check_both(kernels::update_adam, o, {true, true, largest}, [&](Element& e) {
      const double g = e.g + 0.02 * e.p;
      e.p *= 1 - 0.003;
      e.s[0] = 0.8 * e.s[0] + 0.2 * g;
      e.s[1] = 0.95 * e.s[1] + 0.05 * g * g;
      if (largest) e.s[2] = std::max(e.s[2], e.s[1]);
      e.p -= 0.01 * e.s[0] / (std::sqrt(largest ? e.s[2] : e.s[1]) * 1.7 + 1e-3);
    });
}

TEST_CASE("nadam and adamax") {
  check_both(kernels::update_nadam,
             kernels::NadamOptions{.gradient_size = 0.02,
                                   .moment_size = 0.01,
                                   .root_scale = 1.7,
                                   .beta1 = 0.8,
                                   .beta2 = 0.95,
                                   .epsilon = 1e-3,
                                   .weight_decay = 0.02,
                                   .decay_rate = 0.003},
             {true, true}, [](Element& e) {
               const double g = e.g + 0.02 * e.p;
               e.p *= 1 - 0.003;
               e.s[0] = 0.8 * e.s[0] + 0.2 * g;
               e.s[1] = 0.95 * e.s[1] + 0.05 * g * g;
               e.p -= (0.02 * g + 0.01 * e.s[0]) / (std::sqrt(e.s[1]) * 1.7 + 1e-3);
             });
  check_both(kernels::update_adamax,
             kernels::AdamaxOptions{.step_size = 0.01,
                                    .beta1 = 0.8,
                                    .beta2 = 0.9,
                                    .epsilon = 1e-2,
                                    .epsilon_in_gradient = 1e-3,
                                    .weight_decay = 0.02,
                                    .decay_rate = 0.003},
             {true, true}, [](Element& e) {
               const double g = e.g + 0.02 * e.p;
               e.p *= 1 - 0.003;
               e.s[0] = 0.8 * e.s[0] + 0.2 * g;
               e.s[1] = std::max(0.9 * e.s[1], std::abs(g) + 1e-3);
               e.p -= 0.01 * e.s[0] / (e.s[1] + 1e-2);
             });
}

TEST_CASE("rmsprop with and without mean and momentum, by both rules") {
  for (bool centered : {false, true})
    for (bool momentum : {false, true})
      for (bool keras : {false, true})
        check_both(kernels::update_rmsprop,
                   kernels::RmspropOptions{.lr = 0.01,
                                           .rho = 0.9,
                                           .epsilon = keras ? 0 : 1e-3,
                                           .epsilon_in_root = keras ? 1e-2 : 0,
                                           .momentum = 0.7,
                                           .lr_in_velocity = keras,
                                           .weight_decay = 0.1,
                                           .decay_rate = 0.02},
                   {true, centered, momentum}, [&](Element& e) {
                     const double g = e.g + 0.1 * e.p;
                     e.p -= 0.02 * e.p;
                     e.s[0] = 0.9 * e.s[0] + 0.1 * g * g;
                     if (centered) e.s[1] = 0.9 * e.s[1] + 0.1 * g;
                     const double v = std::max(e.s[0] - (centered ? e.s[1] * e.s[1] : 0), 0.0);
                     double d = keras ? 0.01 * g / std::sqrt(v + 1e-2) : g / (std::sqrt(v) + 1e-3);
                     if (momentum) d = e.s[2] = 0.7 * e.s[2] + d;
                     e.p -= keras ? d : 0.01 * d;
                   });
}

TEST_CASE("adagrad by both rules, adadelta") {
  check_both(kernels::update_adagrad,
             kernels::AdagradOptions{.lr = 0.05, .epsilon = 1e-4, .weight_decay = 0.1}, {true},
             [](Element& e) {
               const double g = e.g + 0.1 * e.p;
               e.s[0] += g * g;
               e.p -= 0.05 * g / (std::sqrt(e.s[0]) + 1e-4);
             });
  check_both(kernels::update_adagrad,
             kernels::AdagradOptions{.lr = 0.05, .epsilon_in_root = 1e-2, .decay_rate = 0.02}, {true},
             [](Element& e) {
               e.s[0] += e.g * e.g;
               e.p -= 0.02 * e.p + 0.05 * e.g / std::sqrt(e.s[0] + 1e-2);
             });
  check_both(kernels::update_adadelta,
             kernels::AdadeltaOptions{
                 .lr = 0.5, .rho = 0.9, .epsilon = 1e-3, .weight_decay = 0.1, .decay_rate = 0.02},
             {true, true}, [](Element& e) {
               const double g = e.g + 0.1 * e.p;
               e.p -= 0.02 * e.p;
               e.s[0] = 0.9 * e.s[0] + 0.1 * g * g;
               const double d = g * std::sqrt(e.s[1] + 1e-3) / std::sqrt(e.s[0] + 1e-3);
               e.s[1] = 0.9 * e.s[1] + 0.1 * d * d;
               e.p -= 0.5 * d;
             });
}

TEST_CASE("scaling, clamping and averaging") {
  check_both(kernels::update_scale, kernels::ScaleOptions{.factor = 0.7}, {}, [](Element& e) { e.p *= 0.7; });
  check_both(kernels::update_clamp, kernels::ClampOptions{.limit = 0.8}, {},
             [](Element& e) { e.p = std::clamp(e.p, -0.8, 0.8); });
  check_both(kernels::update_average, kernels::AverageOptions{.weight = 0.2}, {},
             [](Element& e) { e.p = 0.8 * e.p + 0.2 * e.g; });
  on_targets([] {
    Arrays<float> a(5);
    float* const p = static_cast<float*>(a.p.view().data);
    p[1] = std::nanf(""), p[3] = -INFINITY;
    auto update = a.update(kernels::ClampOptions{.limit = 0.5}, {});
    update.gradient = update.parameter;
    kernels::update_clamp({&update, 1});
    CHECK(std::isnan(p[1]));
    CHECK(p[3] == -0.5f);
  });
}

TEST_CASE("an element's update has the same bits at any place and for every thread count") {
  on_targets([] {
    std::vector<float> first;
    on_threads([&] {
      Arrays<float> a(50000);
      auto update = a.update(kernels::AdamOptions{.weight_decay = 0.1}, {true, true});
      kernels::update_adam({&update, 1});
      if (first.empty()) first = a.p.values();
      CHECK(same_bits(a.p.values(), first));
    });
    for (std::int64_t n : {1, 2, 5, 13, 31}) {
      Arrays<float> a(n);
      auto update = a.update(kernels::AdamOptions{.weight_decay = 0.1}, {true, true});
      kernels::update_adam({&update, 1});
      for (std::int64_t i = 0; i < n; ++i) CHECK(a.p[i] == first[static_cast<std::size_t>(i)]);
    }
  });
}

TEST_CASE(
    "many tensors in one call, empty ones and both dtypes among them, are each updated once by their own "
    "options") {
  on_threads([] {
    const std::int64_t sizes[] = {0, 5, 16384, 0, 0, 16385, 1, 40000, 0};
    std::vector<Arrays<float>> single;
    std::vector<Arrays<double>> wide;
    for (std::int64_t n : sizes) single.emplace_back(n), wide.emplace_back(n);
    std::vector<kernels::Update<kernels::SgdOptions>> all;
    for (std::size_t i = 0; i < std::size(sizes); ++i) {
      all.push_back(single[i].update(kernels::SgdOptions{.lr = static_cast<double>(i + 1)}, {}));
      all.push_back(wide[i].update(kernels::SgdOptions{.lr = static_cast<double>(i + 1)}, {}));
    }
    kernels::update_sgd(all);
    kernels::update_sgd({});
    for (std::size_t i = 0; i < std::size(sizes); ++i) {
      Arrays<float> before(sizes[i]);
      Arrays<double> wide_before(sizes[i]);
      std::int64_t wrong = 0;
      for (std::int64_t k = 0; k < sizes[i]; ++k) {
        wrong += single[i].p[k] != before.p[k] - static_cast<float>(i + 1) * before.g[k];
        wrong += wide[i].p[k] != wide_before.p[k] - static_cast<double>(i + 1) * wide_before.g[k];
      }
      CHECK(wrong == 0);
    }
  });
}
