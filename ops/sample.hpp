// What an op struct says for its own trial: sample inputs, bad arguments, code paths. Depends on tensor factories.
// Invariant: samples are f64 (and integer) tensors from a fixed seed, the same in every run; the harness casts them.
#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <thalweg/autograd/tensor/factories.hpp>

namespace thalweg {

/// One valid call of an op.
struct Sample {
  std::vector<Tensor> in;                 ///< f64 where the op is differentiable; may hold undefined optional inputs
  std::shared_ptr<const void> attrs;      ///< the op's Attrs, or null for the defaults
  std::string note;                       ///< what is special: "keepdim", "path small"
  std::vector<Tensor> gradient{};         ///< at a kink: the documented gradient of each input for output gradients of one
};

class SampleList {
 public:
  explicit SampleList(std::uint64_t seed) : generator_(seed) {}

  template <class Attrs>
  void add(std::vector<Tensor> in, Attrs attrs, std::string note = "") {
    list_.push_back({std::move(in), std::make_shared<const Attrs>(std::move(attrs)), std::move(note)});
  }
  void add(std::vector<Tensor> in) { list_.push_back({std::move(in), nullptr, ""}); }
  /// A call at a kink (ties, zeros), with the subgradient that is documented there; no stencil is laid across it.
  template <class Attrs>
  void add_kink(std::vector<Tensor> in, Attrs attrs, std::vector<Tensor> gradient, std::string note = "kink") {
    list_.push_back({std::move(in), std::make_shared<const Attrs>(std::move(attrs)), std::move(note), std::move(gradient)});
  }

  /// Uniform on [low, high), f64.
  Tensor uniform(const Dims& shape, double low, double high);
  /// Standard normal, f64.
  Tensor normal(const Dims& shape);
  /// Pairwise different values, at least 0.1 apart, in random order: for max, min and sorting. f64.
  Tensor distinct(const Dims& shape);
  /// Integers in [low, high), i64.
  Tensor integers(const Dims& shape, std::int64_t low, std::int64_t high);
  /// Positive numbers whose sum along `dim` is 1, f64.
  Tensor probabilities(const Dims& shape, int dim);

  const std::vector<Sample>& list() const noexcept { return list_; }

 private:
  Generator generator_;
  std::vector<Sample> list_;
};

/// One call that must throw.
struct ErrorCase {
  std::vector<Tensor> in;
  std::shared_ptr<const void> attrs;
  bool (*is_expected)(const std::exception&);  ///< dynamic type of the error
  std::string type;                            ///< its name, for the report
  std::string text;                            ///< must occur in what()
};

class ErrorList {
 public:
  template <class E, class Attrs>
    requires(!std::convertible_to<Attrs, std::string>)
  void add(std::vector<Tensor> in, Attrs attrs, std::string text, const char* type = "error") {
    list_.push_back({std::move(in), std::make_shared<const Attrs>(std::move(attrs)), &is<E>, type, std::move(text)});
  }
  template <class E>
  void add(std::vector<Tensor> in, std::string text, const char* type = "error") {
    list_.push_back({std::move(in), nullptr, &is<E>, type, std::move(text)});
  }
  const std::vector<ErrorCase>& list() const noexcept { return list_; }

 private:
  template <class E>
  static bool is(const std::exception& e) { return dynamic_cast<const E*>(&e) != nullptr; }
  std::vector<ErrorCase> list_;
};

/// A way through an op's kernels that can be forced and counted.
struct Path {
  const char* name;
  void (*force)(bool on);      ///< true: only this path; false: automatic again
  std::int64_t (*count)();     ///< calls so far
  /// Of the forward error in f32, in units of eps times the largest sum of |terms| of the output, for ways whose
  /// elements share their errors; 0: the usual bound, element by element.
  double bound = 0;
};

/// Calls f(index) for every index of `shape`, row-major: for naive references.
template <class F>
void for_each_index(const Dims& shape, F f) {
  Dims index = Dims::filled(shape.size(), 0);
  const std::int64_t n = numel(shape);
  for (std::int64_t i = 0; i < n; ++i) {
    f(static_cast<const Dims&>(index));
    for (int d = shape.size() - 1; d >= 0; --d) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

/// Element access of any tensor by index, as double: slow, for references and tests.
double value_at(const Tensor& t, const Dims& index);
/// Writes an element of an f64 tensor.
void set_value(Tensor& t, const Dims& index, double v);

}  // namespace thalweg
