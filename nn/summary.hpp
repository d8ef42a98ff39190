// Summary: a model as a table of layers, output shapes and parameter counts. Depends on module, call.
// Invariant: making one changes nothing: it runs in evaluation mode, without recording, and restores the
// mode.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include <thalweg/nn/module.hpp>

namespace thalweg::nn {

struct SummaryRow {
  std::string name;      ///< dotted path; empty for the model itself
  std::string layer;     ///< "Linear(784 -> 512, relu)"
  bool called = false;   ///< whether it took part in the trial run
  Dims output{};         ///< shape of its last output
  std::int64_t own = 0;  ///< numbers in its own parameters, those of layers inside not counted
};

struct Summary {
  std::vector<SummaryRow> rows;  ///< layers that hold others only if they have parameters of their own
  std::int64_t parameters = 0;   ///< each tensor counted once
  std::int64_t trainable = 0;
  std::int64_t buffers = 0;  ///< numbers that are state but not parameters: running statistics
  std::int64_t bytes = 0;
};

/// The table, aligned, with a total.
std::string to_string(const Summary& summary);
std::ostream& operator<<(std::ostream& out, const Summary& summary);

namespace detail {
Summary summarise(ModuleRef m, const Dims& input_shape, DType dtype, Loc loc);
}  // namespace detail

/// Runs the model on zeros of `input_shape` (the batch included) and lists its layers:
/// `std::cout << nn::summary(model, {1, 784});`. Throws what the model throws for that shape.
template <class M>
Summary summary(M& model, const Dims& input_shape, DType dtype = DType::f32, Loc loc = Loc::here()) {
  static_assert(detail::Callable<M>, "thalweg: summary() needs a model that can be called with one tensor");
  return detail::summarise(module_ref(model), input_shape, dtype, loc);
}

}  // namespace thalweg::nn
