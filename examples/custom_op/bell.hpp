// A pointwise op outside the library: one struct with a formula, its derivative and a plain reference.
// The formulas are templates over the lane V: the same text is the kernel and the derivative that can be
// differentiated.
#pragma once

#include <cmath>

#include <thalweg/op.hpp>

/// y = exp(-x^2). The derivative's suffix says what it needs, and so what is saved: here input and output.
struct Bell {
  static constexpr thalweg::Row row{.name = "bell",
                                    .formula = "y = exp(-x^2)",
                                    .domain = {-2, 2},
                                    .ulp_f32 = 6,
                                    .ulp_f64 = 6,
                                    .note = "exp magnifies the rounding of x^2 by x^2"};
  template <class V>
  static V f(V x) {
    return exp(-(x * x));
  }
  template <class V>
  static V df_xy(V x, V y) {
    return -2 * (x * y);
  }
  static double ref(double x) { return std::exp(-x * x); }
};

inline thalweg::Tensor bell(thalweg::Arg x) { return thalweg::apply<Bell>(x); }
