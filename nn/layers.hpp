// Layers without parameters: Dropout, Flatten and the activations, each a struct with its options as members.
// Depends on call, init (seeds), ops. Invariant: each is one op of the graph.
#pragma once

#include <cstdint>
#include <string>

#include <thalweg/nn/call.hpp>
#include <thalweg/nn/init.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::nn {

struct DropoutOptions {
  double p = 0.5;                  ///< the chance of an element to be dropped
  Generator* generator = nullptr;  ///< gives the seed of the layer's own generator; null: default_generator()
};

/// What the dropout layers have in common: in evaluation y = x.
struct AnyDropout {
  double p;
  bool training = true;
  Generator generator;
  void visit(auto& f) { f("generator", generator); }

 protected:
  /// Throws ValueError unless 0 <= p <= 1.
  AnyDropout(const char* layer, DropoutOptions options, Loc loc);
  std::string describe(const char* layer) const;
};

/// In training each element is 0 with chance p, else x / (1 - p).
struct Dropout : AnyDropout {
  explicit Dropout(DropoutOptions options = {}, Loc loc = Loc::here())
      : AnyDropout("Dropout", options, loc) {}
  explicit Dropout(double chance, Loc loc = Loc::here()) : Dropout(DropoutOptions{.p = chance}, loc) {}
  Tensor operator()(Arg x);
  std::string describe() const { return AnyDropout::describe("Dropout"); }
};

/// The same for whole channels of sequences: x is [N, C, L].
struct Dropout1d : AnyDropout {
  explicit Dropout1d(DropoutOptions options = {}, Loc loc = Loc::here())
      : AnyDropout("Dropout1d", options, loc) {}
  explicit Dropout1d(double chance, Loc loc = Loc::here()) : Dropout1d(DropoutOptions{.p = chance}, loc) {}
  /// Throws ShapeError for another rank.
  Tensor operator()(Arg x);
  std::string describe() const { return AnyDropout::describe("Dropout1d"); }
};

/// The same for whole channels of images: x is [N, C, H, W].
struct Dropout2d : AnyDropout {
  explicit Dropout2d(DropoutOptions options = {}, Loc loc = Loc::here())
      : AnyDropout("Dropout2d", options, loc) {}
  explicit Dropout2d(double chance, Loc loc = Loc::here()) : Dropout2d(DropoutOptions{.p = chance}, loc) {}
  /// Throws ShapeError for another rank.
  Tensor operator()(Arg x);
  std::string describe() const { return AnyDropout::describe("Dropout2d"); }
};

/// For networks of Selu: keeps mean 0 and variance 1.
struct AlphaDropout : AnyDropout {
  explicit AlphaDropout(DropoutOptions options = {}, Loc loc = Loc::here())
      : AnyDropout("AlphaDropout", options, loc) {}
  explicit AlphaDropout(double chance, Loc loc = Loc::here())
      : AlphaDropout(DropoutOptions{.p = chance}, loc) {}
  Tensor operator()(Arg x);
  std::string describe() const { return AnyDropout::describe("AlphaDropout"); }
};

/// Dimensions from `start` on become one: [n, c, h, w] to [n, c h w].
struct Flatten {
  int start = 1;
  Tensor operator()(Arg x) const;
};

/// y = x.
struct Identity {
  Tensor operator()(Arg x) const { return Call(*this, x).done(x.t); }
};

struct Relu {
  Tensor operator()(Arg x) const { return Call(*this, x).done(relu(x)); }
};
struct LeakyRelu {
  double slope = 0.01;
  Tensor operator()(Arg x) const { return Call(*this, x).done(leaky_relu(x, slope)); }
  std::string describe() const;
};
struct Elu {
  double alpha = 1;
  Tensor operator()(Arg x) const { return Call(*this, x).done(elu(x, alpha)); }
  std::string describe() const;
};
struct Selu {
  Tensor operator()(Arg x) const { return Call(*this, x).done(selu(x)); }
};
/// Exact, or by the tanh approximation.
struct Gelu {
  bool approximate = false;
  Tensor operator()(Arg x) const { return Call(*this, x).done(approximate ? gelu_tanh(x) : gelu(x)); }
};
struct Silu {
  Tensor operator()(Arg x) const { return Call(*this, x).done(silu(x)); }
};
struct Sigmoid {
  Tensor operator()(Arg x) const { return Call(*this, x).done(sigmoid(x)); }
};
struct LogSigmoid {
  Tensor operator()(Arg x) const { return Call(*this, x).done(log_sigmoid(x)); }
};
struct Tanh {
  Tensor operator()(Arg x) const { return Call(*this, x).done(tanh(x)); }
};
struct Softplus {
  Tensor operator()(Arg x) const { return Call(*this, x).done(softplus(x)); }
};
struct Hardtanh {
  double low = -1;
  double high = 1;
  Tensor operator()(Arg x) const { return Call(*this, x).done(hardtanh(x, low, high)); }
};
struct Softmax {
  int dim = -1;
  Tensor operator()(Arg x) const { return Call(*this, x).done(softmax(x, dim)); }
};
struct LogSoftmax {
  int dim = -1;
  Tensor operator()(Arg x) const { return Call(*this, x).done(log_softmax(x, dim)); }
};

}  // namespace thalweg::nn
