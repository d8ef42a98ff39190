// Update formulas in lanes; included once per instruction set by update_loops.cpp (so no include guard).
// Invariant: a formula sees one element's numbers; the short last vector runs the same lanes on a padded
// copy.
#include <hwy/highway.h>

#include <thalweg/ops/kernels/simd/lane.inl>
#include <thalweg/ops/kernels/update_loops.hpp>

HWY_BEFORE_NAMESPACE();
namespace thalweg::kernels::HWY_NAMESPACE {
namespace {  // templates of the same name in other files must not meet these at link time

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using V = simd::HWY_NAMESPACE::Lane<Tag<T>>;

/// An element's numbers in lanes: parameter, gradient, states.
template <class T>
struct Element {
  V<T> p, g, s[3];
};

/// Runs step.at(element) over the slice; `used` states are read and written.
template <int used, class Step, class T>
void run(const UpdateSlice<T>& slice, const Step& step) {
  constexpr Tag<T> d;
  constexpr auto width = static_cast<std::int64_t>(hn::MaxLanes(d));
  const V<T> sign(slice.maximize ? -1.0 : 1.0);
  const auto vector_at = [&](T* p, const T* g, T* const* s) HWY_ATTR {
    Element<T> e;
    e.p = V<T>(hn::LoadU(d, p));
    e.g = V<T>(hn::LoadU(d, g)) * sign;
    for (int k = 0; k < used; ++k) e.s[k] = V<T>(hn::LoadU(d, s[k]));
    step.at(e);
    hn::StoreU(e.p.v, d, p);
    for (int k = 0; k < used; ++k) hn::StoreU(e.s[k].v, d, s[k]);
  };
  std::int64_t i = 0;
  for (; i + width <= slice.n; i += width) {
    T* s[3] = {};
    for (int k = 0; k < used; ++k) s[k] = slice.state[k] + i;
    vector_at(slice.p + i, slice.g + i, s);
  }
  if (i == slice.n) return;
  HWY_ALIGN T rest[5][static_cast<std::size_t>(width)] = {};
  T* const to[5] = {slice.p, nullptr, slice.state[0], slice.state[1], slice.state[2]};
  for (std::int64_t l = 0; l < slice.n - i; ++l) {
    rest[0][l] = slice.p[i + l];
    rest[1][l] = slice.g[i + l];
    for (int k = 0; k < used; ++k) rest[2 + k][l] = slice.state[k][i + l];
  }
  T* const s[3] = {rest[2], rest[3], rest[4]};
  vector_at(rest[0], rest[1], s);
  for (std::int64_t l = 0; l < slice.n - i; ++l) {
    slice.p[i + l] = rest[0][l];
    for (int k = 0; k < used; ++k) to[2 + k][i + l] = rest[2 + k][l];
  }
}

template <class T>
struct PlainSgd {
  V<T> lr, decay;
  HWY_INLINE void at(Element<T>& e) const { e.p = e.p - lr * (e.g + decay * e.p); }
};
template <class T, bool nesterov, bool lr_in_velocity>
struct MomentumSgd {
  V<T> lr, decay, momentum, fresh;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = e.g + decay * e.p;
    if constexpr (lr_in_velocity) {
      e.s[0] = momentum * e.s[0] - lr * g;
      e.p = nesterov ? e.p + (momentum * e.s[0] - lr * g) : e.p + e.s[0];
    } else {
      e.s[0] = momentum * e.s[0] + fresh * g;
      e.p = e.p - lr * (nesterov ? g + momentum * e.s[0] : e.s[0]);
    }
  }
};

template <class T>
void sgd(const UpdateSlice<T>& s, const SgdOptions& o) {
  if (s.state[0] == nullptr) return run<0>(s, PlainSgd<T>{o.lr, o.weight_decay});
  const double fresh = 1 - o.dampening;
  if (o.nesterov && o.lr_in_velocity)
    run<1>(s, MomentumSgd<T, true, true>{o.lr, o.weight_decay, o.momentum, fresh});
  else if (o.nesterov)
    run<1>(s, MomentumSgd<T, true, false>{o.lr, o.weight_decay, o.momentum, fresh});
  else if (o.lr_in_velocity)
    run<1>(s, MomentumSgd<T, false, true>{o.lr, o.weight_decay, o.momentum, fresh});
  else
    run<1>(s, MomentumSgd<T, false, false>{o.lr, o.weight_decay, o.momentum, fresh});
}

template <class T, bool keep_largest>
struct Adam {
  V<T> step, root_scale, beta1, rest1, beta2, rest2, epsilon, decay, keep;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = e.g + decay * e.p;
    e.s[0] = beta1 * e.s[0] + rest1 * g;
    e.s[1] = beta2 * e.s[1] + rest2 * (g * g);
    V<T> v = e.s[1];
    if constexpr (keep_largest) v = e.s[2] = maximum(e.s[2], v);
    e.p = e.p * keep - step * e.s[0] / (sqrt(v) * root_scale + epsilon);
  }
};

template <class T>
void adam(const UpdateSlice<T>& s, const AdamOptions& o) {
  const double keep = 1 - o.decay_rate;
  if (s.state[2] != nullptr)
    run<3>(s, Adam<T, true>{o.step_size, o.root_scale, o.beta1, 1 - o.beta1, o.beta2, 1 - o.beta2, o.epsilon,
                            o.weight_decay, keep});
  else
    run<2>(s, Adam<T, false>{o.step_size, o.root_scale, o.beta1, 1 - o.beta1, o.beta2, 1 - o.beta2, o.epsilon,
                             o.weight_decay, keep});
}

/// States lie packed in the slice: square, then mean if centered, then velocity if there is momentum.
template <class T, bool centered, bool with_momentum>
struct Rmsprop {
  V<T> lr, rho, rest, epsilon, momentum, decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = e.g + decay * e.p;
    e.s[0] = rho * e.s[0] + rest * (g * g);
    V<T> v = e.s[0];
    if constexpr (centered) {
      e.s[1] = rho * e.s[1] + rest * g;
      v = v - e.s[1] * e.s[1];
      v = select(v < 0, 0, v);  // rounding may leave less than nothing
    }
    const V<T> step = g / (sqrt(v) + epsilon);
    if constexpr (with_momentum) {
      V<T>& velocity = e.s[centered ? 2 : 1];
      velocity = momentum * velocity + step;
      e.p = e.p - lr * velocity;
    } else {
      e.p = e.p - lr * step;
    }
  }
};

template <class T>
void rmsprop(const UpdateSlice<T>& s, const RmspropOptions& o) {
  const double rest = 1 - o.rho;
  const bool centered = s.state[1] != nullptr, with_momentum = s.state[2] != nullptr;
  if (centered && with_momentum)
    return run<3>(s, Rmsprop<T, true, true>{o.lr, o.rho, rest, o.epsilon, o.momentum, o.weight_decay});
  if (centered)
    return run<2>(s, Rmsprop<T, true, false>{o.lr, o.rho, rest, o.epsilon, o.momentum, o.weight_decay});
  if (!with_momentum)
    return run<1>(s, Rmsprop<T, false, false>{o.lr, o.rho, rest, o.epsilon, o.momentum, o.weight_decay});
  UpdateSlice<T> packed = s;
  packed.state[1] = s.state[2];
  run<2>(packed, Rmsprop<T, false, true>{o.lr, o.rho, rest, o.epsilon, o.momentum, o.weight_decay});
}

template <class T>
struct Adagrad {
  V<T> lr, epsilon, decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = e.g + decay * e.p;
    e.s[0] = e.s[0] + g * g;
    e.p = e.p - lr * g / (sqrt(e.s[0]) + epsilon);
  }
};
template <class T>
void adagrad(const UpdateSlice<T>& s, const AdagradOptions& o) {
  run<1>(s, Adagrad<T>{o.lr, o.epsilon, o.weight_decay});
}

template <class T>
struct Adadelta {
  V<T> lr, rho, rest, epsilon, decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = e.g + decay * e.p;
    e.s[0] = rho * e.s[0] + rest * (g * g);
    const V<T> step = g * sqrt(e.s[1] + epsilon) / sqrt(e.s[0] + epsilon);
    e.s[1] = rho * e.s[1] + rest * (step * step);
    e.p = e.p - lr * step;
  }
};
template <class T>
void adadelta(const UpdateSlice<T>& s, const AdadeltaOptions& o) {
  run<2>(s, Adadelta<T>{o.lr, o.rho, 1 - o.rho, o.epsilon, o.weight_decay});
}

template <class T>
constexpr UpdateLoops<T> make_loops() {
  return {sgd<T>, adam<T>, rmsprop<T>, adagrad<T>, adadelta<T>};
}

constexpr UpdateLoops<float> update_f32 = make_loops<float>();
constexpr UpdateLoops<double> update_f64 = make_loops<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
