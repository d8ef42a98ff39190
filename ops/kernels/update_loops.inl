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

/// Weight decay in both its forms.
template <class T>
struct Decay {
  V<T> added, keep;
  template <class Options>
  explicit Decay(const Options& o) : added(o.weight_decay), keep(1 - o.decay_rate) {}
  /// The gradient to use; leaves the parameter as the update starts from it.
  HWY_INLINE V<T> apply(Element<T>& e) const {
    const V<T> g = e.g + added * e.p;
    e.p = e.p * keep;
    return g;
  }
};

template <class T>
struct PlainSgd {
  V<T> lr;
  Decay<T> decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = decay.apply(e);
    e.p = e.p - lr * g;
  }
};
template <class T, bool nesterov, bool lr_in_velocity>
struct MomentumSgd {
  V<T> lr, momentum, fresh;
  Decay<T> decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = decay.apply(e);
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
  const Decay<T> decay(o);
  if (s.state[0] == nullptr) return run<0>(s, PlainSgd<T>{o.lr, decay});
  const double fresh = 1 - o.dampening;
  if (o.nesterov && o.lr_in_velocity)
    run<1>(s, MomentumSgd<T, true, true>{o.lr, o.momentum, fresh, decay});
  else if (o.nesterov)
    run<1>(s, MomentumSgd<T, true, false>{o.lr, o.momentum, fresh, decay});
  else if (o.lr_in_velocity)
    run<1>(s, MomentumSgd<T, false, true>{o.lr, o.momentum, fresh, decay});
  else
    run<1>(s, MomentumSgd<T, false, false>{o.lr, o.momentum, fresh, decay});
}

template <class T, bool keep_largest>
struct Adam {
  V<T> step, root_scale, beta1, rest1, beta2, rest2, epsilon;
  Decay<T> decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = decay.apply(e);
    e.s[0] = beta1 * e.s[0] + rest1 * g;
    e.s[1] = beta2 * e.s[1] + rest2 * (g * g);
    V<T> v = e.s[1];
    if constexpr (keep_largest) v = e.s[2] = maximum(e.s[2], v);
    e.p = e.p - step * e.s[0] / (sqrt(v) * root_scale + epsilon);
  }
};

template <class T>
void adam(const UpdateSlice<T>& s, const AdamOptions& o) {
  const double rest1 = 1 - o.beta1, rest2 = 1 - o.beta2;
  const Decay<T> decay(o);
  if (s.state[2] != nullptr)
    run<3>(s, Adam<T, true>{o.step_size, o.root_scale, o.beta1, rest1, o.beta2, rest2, o.epsilon, decay});
  else
    run<2>(s, Adam<T, false>{o.step_size, o.root_scale, o.beta1, rest1, o.beta2, rest2, o.epsilon, decay});
}

template <class T>
struct Nadam {
  V<T> gradient_size, moment_size, root_scale, beta1, rest1, beta2, rest2, epsilon;
  Decay<T> decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = decay.apply(e);
    e.s[0] = beta1 * e.s[0] + rest1 * g;
    e.s[1] = beta2 * e.s[1] + rest2 * (g * g);
    e.p = e.p - (gradient_size * g + moment_size * e.s[0]) / (sqrt(e.s[1]) * root_scale + epsilon);
  }
};
template <class T>
void nadam(const UpdateSlice<T>& s, const NadamOptions& o) {
  run<2>(s, Nadam<T>{o.gradient_size, o.moment_size, o.root_scale, o.beta1, 1 - o.beta1, o.beta2, 1 - o.beta2,
                     o.epsilon, Decay<T>(o)});
}

template <class T>
struct Adamax {
  V<T> step, beta1, rest1, beta2, epsilon, in_gradient;
  Decay<T> decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = decay.apply(e);
    e.s[0] = beta1 * e.s[0] + rest1 * g;
    e.s[1] = maximum(beta2 * e.s[1], abs(g) + in_gradient);
    e.p = e.p - step * e.s[0] / (e.s[1] + epsilon);
  }
};
template <class T>
void adamax(const UpdateSlice<T>& s, const AdamaxOptions& o) {
  run<2>(s, Adamax<T>{o.step_size, o.beta1, 1 - o.beta1, o.beta2, o.epsilon, o.epsilon_in_gradient,
                      Decay<T>(o)});
}

/// States lie packed in the slice: square, then mean if centered, then velocity if there is momentum.
/// Of `lr_in` and `lr_out` one is the rate, the other 1; of the epsilons one may be 0.
template <class T, bool centered, bool with_momentum>
struct Rmsprop {
  V<T> lr_in, lr_out, rho, rest, epsilon, in_root, momentum;
  Decay<T> decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = decay.apply(e);
    e.s[0] = rho * e.s[0] + rest * (g * g);
    V<T> v = e.s[0];
    if constexpr (centered) {
      e.s[1] = rho * e.s[1] + rest * g;
      v = v - e.s[1] * e.s[1];
      v = select(v < 0, 0, v);  // rounding may leave less than nothing
    }
    const V<T> step = lr_in * g / (sqrt(v + in_root) + epsilon);
    if constexpr (with_momentum) {
      V<T>& velocity = e.s[centered ? 2 : 1];
      velocity = momentum * velocity + step;
      e.p = e.p - lr_out * velocity;
    } else {
      e.p = e.p - lr_out * step;
    }
  }
};

template <int used, class T, bool centered, bool with_momentum>
void run_rmsprop(const UpdateSlice<T>& s, const RmspropOptions& o) {
  run<used>(s, Rmsprop<T, centered, with_momentum>{o.lr_in_velocity ? o.lr : 1, o.lr_in_velocity ? 1 : o.lr,
                                                   o.rho, 1 - o.rho, o.epsilon, o.epsilon_in_root, o.momentum,
                                                   Decay<T>(o)});
}

template <class T>
void rmsprop(const UpdateSlice<T>& s, const RmspropOptions& o) {
  const bool centered = s.state[1] != nullptr, with_momentum = s.state[2] != nullptr;
  if (centered && with_momentum) return run_rmsprop<3, T, true, true>(s, o);
  if (centered) return run_rmsprop<2, T, true, false>(s, o);
  if (!with_momentum) return run_rmsprop<1, T, false, false>(s, o);
  UpdateSlice<T> packed = s;
  packed.state[1] = s.state[2];
  run_rmsprop<2, T, false, true>(packed, o);
}

template <class T>
struct Adagrad {
  V<T> lr, epsilon, in_root;
  Decay<T> decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = decay.apply(e);
    e.s[0] = e.s[0] + g * g;
    e.p = e.p - lr * g / (sqrt(e.s[0] + in_root) + epsilon);
  }
};
template <class T>
void adagrad(const UpdateSlice<T>& s, const AdagradOptions& o) {
  run<1>(s, Adagrad<T>{o.lr, o.epsilon, o.epsilon_in_root, Decay<T>(o)});
}

template <class T>
struct Adadelta {
  V<T> lr, rho, rest, epsilon;
  Decay<T> decay;
  HWY_INLINE void at(Element<T>& e) const {
    const V<T> g = decay.apply(e);
    e.s[0] = rho * e.s[0] + rest * (g * g);
    const V<T> step = g * sqrt(e.s[1] + epsilon) / sqrt(e.s[0] + epsilon);
    e.s[1] = rho * e.s[1] + rest * (step * step);
    e.p = e.p - lr * step;
  }
};
template <class T>
void adadelta(const UpdateSlice<T>& s, const AdadeltaOptions& o) {
  run<2>(s, Adadelta<T>{o.lr, o.rho, 1 - o.rho, o.epsilon, Decay<T>(o)});
}

template <class T>
struct Scale {
  V<T> factor;
  HWY_INLINE void at(Element<T>& e) const { e.p = e.p * factor; }
};
template <class T>
void scale(const UpdateSlice<T>& s, const ScaleOptions& o) {
  run<0>(s, Scale<T>{o.factor});
}

template <class T>
struct Clamp {
  V<T> limit;
  HWY_INLINE void at(Element<T>& e) const { e.p = maximum(minimum(e.p, limit), -limit); }
};
template <class T>
void clamp(const UpdateSlice<T>& s, const ClampOptions& o) {
  run<0>(s, Clamp<T>{o.limit});
}

template <class T>
struct Average {
  V<T> weight;
  HWY_INLINE void at(Element<T>& e) const { e.p = e.p + weight * (e.g - e.p); }
};
template <class T>
void average(const UpdateSlice<T>& s, const AverageOptions& o) {
  run<0>(s, Average<T>{o.weight});
}

template <class T>
constexpr UpdateLoops<T> make_loops() {
  return {sgd<T>,     adam<T>,     nadam<T>, adamax<T>, rmsprop<T>,
          adagrad<T>, adadelta<T>, scale<T>, clamp<T>,  average<T>};
}

constexpr UpdateLoops<float> update_f32 = make_loops<float>();
constexpr UpdateLoops<double> update_f64 = make_loops<double>();

}  // namespace
}  // namespace thalweg::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
