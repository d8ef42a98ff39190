// The optimizers' fused loops: against their formulas in f64, on every target, at sizes around vectors and
// chunks; equal bits for every thread count and place.
#include <cmath>
#include <functional>

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
  kernels::UpdateArrays args(bool maximize = false) {
    return {p.size(), thalweg::dtype_of<T>, p.view().data, g.view().data, maximize};
  }
};

using Update = std::function<void(const kernels::UpdateArrays&, void*, void*, void*)>;
using Formula = std::function<void(Element&)>;

/// Runs `update` three times on arrays and `formula` on each element, in f64 whatever the type.
template <class T>
void check(const Update& update, const Formula& formula, bool maximize) {
  const double tolerance = sizeof(T) == 4 ? 3e-6 : 1e-14;
  for (std::int64_t n : {1, 3, 7, 8, 16, 33, 64, 16384, 16391}) {
    Arrays<T> a(n), before(n);
    for (int step = 0; step < 3; ++step)
      update(a.args(maximize), a.s0.view().data, a.s1.view().data, a.s2.view().data);
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

void check_both(const Update& update, const Formula& formula) {
  on_targets([&] {
    check<float>(update, formula, false);
    check<double>(update, formula, true);
  });
}

}  // namespace

TEST_CASE("sgd: plain, momentum, dampening, nesterov, Keras' velocity, weight decay") {
  check_both([](const kernels::UpdateArrays& a, void*, void*,
                void*) { kernels::update_sgd(a, nullptr, {.lr = 0.1, .weight_decay = 0.01}); },
             [](Element& e) { e.p -= 0.1 * (e.g + 0.01 * e.p); });
  for (bool nesterov : {false, true}) {
    check_both(
        [&](const kernels::UpdateArrays& a, void* v, void*, void*) {
          kernels::update_sgd(
              a, v,
              {.lr = 0.1, .momentum = 0.9, .dampening = 0.2, .weight_decay = 0.01, .nesterov = nesterov});
        },
        [&](Element& e) {
          const double g = e.g + 0.01 * e.p;
          e.s[0] = 0.9 * e.s[0] + 0.8 * g;
          e.p -= 0.1 * (nesterov ? g + 0.9 * e.s[0] : e.s[0]);
        });
    check_both(
        [&](const kernels::UpdateArrays& a, void* v, void*, void*) {
          kernels::update_sgd(a, v,
                              {.lr = 0.1, .momentum = 0.9, .nesterov = nesterov, .lr_in_velocity = true});
        },
        [&](Element& e) {
          e.s[0] = 0.9 * e.s[0] - 0.1 * e.g;
          e.p += nesterov ? 0.9 * e.s[0] - 0.1 * e.g : e.s[0];
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
    check_both([&](const kernels::UpdateArrays& a, void* m, void* v,
                   void* top) { kernels::update_adam(a, m, v, largest ? top : nullptr, o); },
               [&](Element& e) {
                 const double g = e.g + 0.02 * e.p;
                 e.p *= 1 - 0.003;
                 e.s[0] = 0.8 * e.s[0] + 0.2 * g;
                 e.s[1] = 0.95 * e.s[1] + 0.05 * g * g;
                 if (largest) e.s[2] = std::max(e.s[2], e.s[1]);
                 e.p -= 0.01 * e.s[0] / (std::sqrt(largest ? e.s[2] : e.s[1]) * 1.7 + 1e-3);
               });
}

TEST_CASE("rmsprop with and without mean and momentum, adagrad, adadelta") {
  for (bool centered : {false, true})
    for (bool momentum : {false, true})
      check_both(
          [&](const kernels::UpdateArrays& a, void* square, void* mean, void* velocity) {
            kernels::update_rmsprop(
                a, square, centered ? mean : nullptr, momentum ? velocity : nullptr,
                {.lr = 0.01, .rho = 0.9, .epsilon = 1e-3, .momentum = 0.7, .weight_decay = 0.1});
          },
          [&](Element& e) {
            const double g = e.g + 0.1 * e.p;
            e.s[0] = 0.9 * e.s[0] + 0.1 * g * g;
            if (centered) e.s[1] = 0.9 * e.s[1] + 0.1 * g;
            const double v = e.s[0] - (centered ? e.s[1] * e.s[1] : 0);
            const double d = g / (std::sqrt(std::max(v, 0.0)) + 1e-3);
            if (momentum) e.s[2] = 0.7 * e.s[2] + d;
            e.p -= 0.01 * (momentum ? e.s[2] : d);
          });
  check_both(
      [](const kernels::UpdateArrays& a, void* square, void*, void*) {
        kernels::update_adagrad(a, square, {.lr = 0.05, .epsilon = 1e-4, .weight_decay = 0.1});
      },
      [](Element& e) {
        const double g = e.g + 0.1 * e.p;
        e.s[0] += g * g;
        e.p -= 0.05 * g / (std::sqrt(e.s[0]) + 1e-4);
      });
  check_both(
      [](const kernels::UpdateArrays& a, void* square, void* delta, void*) {
        kernels::update_adadelta(a, square, delta,
                                 {.lr = 0.5, .rho = 0.9, .epsilon = 1e-3, .weight_decay = 0.1});
      },
      [](Element& e) {
        const double g = e.g + 0.1 * e.p;
        e.s[0] = 0.9 * e.s[0] + 0.1 * g * g;
        const double d = g * std::sqrt(e.s[1] + 1e-3) / std::sqrt(e.s[0] + 1e-3);
        e.s[1] = 0.9 * e.s[1] + 0.1 * d * d;
        e.p -= 0.5 * d;
      });
}

TEST_CASE("an element's update has the same bits at any place and for every thread count") {
  on_targets([] {
    std::vector<float> first;
    on_threads([&] {
      Arrays<float> a(50000);
      kernels::update_adam(a.args(), a.s0.view().data, a.s1.view().data, nullptr, {.weight_decay = 0.1});
      if (first.empty()) first = a.p.values();
      CHECK(same_bits(a.p.values(), first));
    });
    for (std::int64_t n : {1, 2, 5, 13, 31}) {
      Arrays<float> a(n);
      kernels::update_adam(a.args(), a.s0.view().data, a.s1.view().data, nullptr, {.weight_decay = 0.1});
      for (std::int64_t i = 0; i < n; ++i) CHECK(a.p[i] == first[static_cast<std::size_t>(i)]);
    }
  });
}
