// A structured op outside the library: attributes, shape rule, a kernel of its own, a derivative in public
// ops. y[t] = keep y[t-1] + (1 - keep) x[t] along the last dimension: a running average that forgets.
#pragma once

#include <thalweg/op.hpp>
#include <thalweg/ops/sample.hpp>

struct Decay {
  static constexpr thalweg::Row row{.name = "decay",
                                    .formula = "y[t] = keep y[t-1] + (1 - keep) x[t], y[-1] = 0"};
  static constexpr bool linear = true;
  struct Attrs {
    double keep = 0.9;
  };
  // No `needs`: the derivative of a linear op needs nothing, so nothing is saved.

  static void infer(const thalweg::Ins& in, const Attrs& t, thalweg::Outs& out);
  static void run(const thalweg::Ins& in, const thalweg::View* out, const Attrs& t);
  static void vjp(thalweg::Vjp& v, const Attrs& t);

  // For certification: the forward written naively, calls to try, and calls that must be refused.
  static std::vector<thalweg::Tensor> reference(const std::vector<thalweg::Tensor>& in, const Attrs& t);
  static void samples(thalweg::SampleList& s);
  static void errors(thalweg::ErrorList& e);
};

inline thalweg::Tensor decay(thalweg::Arg x, double keep) { return thalweg::apply<Decay>({.keep = keep}, x); }
