// Random ops: dropout of elements and of channels, alpha dropout. Depends on op.hpp, sample.hpp; the kernel
// is ops/kernels/random.hpp. Invariant: the draw is named by a key in the attributes, so a node's backward, a
// second backward and a checkpoint's second forward see the same numbers.
#pragma once

#include <thalweg/autograd/base/philox.hpp>
#include <thalweg/ops/op.hpp>
#include <thalweg/ops/sample.hpp>

namespace thalweg::ops {

struct Dropout {
  struct Attrs {
    double p = 0.5;
    RandomKey key{};
  };
  static constexpr Row row{.name = "dropout",
                           .formula = "y = x / (1 - p) where u >= p, else 0; u uniform in [0, 1)"};
  static constexpr bool linear = true;
  static constexpr bool random = true;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// One draw for each channel: x is [N, C, ..].
struct DropoutChannels {
  using Attrs = Dropout::Attrs;
  static constexpr Row row{.name = "dropout_channels",
                           .formula = "y[n,c,..] = x[n,c,..] / (1 - p) where u[n,c] >= p, else 0"};
  static constexpr bool linear = true;
  static constexpr bool random = true;
  static void infer(const Ins& in, const Attrs& t, Outs& out);
  static void run(const Ins& in, const View* out, const Attrs& t);
  static void vjp(Vjp& v, const Attrs& t);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

/// Keeps mean 0 and variance 1, as selu's outputs have them.
struct AlphaDropout {
  using Attrs = Dropout::Attrs;
  static constexpr Row row{
      .name = "alpha_dropout",
      .formula =
          "y = a (x where u >= p, else k) + b, k = -1.7580993, a = 1 / sqrt((1 - p) (1 + "
          "p k^2)), b = -a k p"};
  static constexpr bool random = true;
  static Tensor compose(const Tensor* in, int n, const Attrs& t, Loc loc);
  static std::vector<Tensor> reference(const std::vector<Tensor>& in, const Attrs& t);
  static void samples(SampleList& s);
  static void errors(ErrorList& e);
};

using RandomOps = List<Dropout, DropoutChannels, AlphaDropout>;

}  // namespace thalweg::ops
