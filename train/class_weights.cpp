// Depends on class_weights.hpp, ops (argmax).
#include <thalweg/train/class_weights.hpp>

#include <algorithm>
#include <string>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/autograd/tensor/factories.hpp>
#include <thalweg/ops/functions.hpp>

namespace thalweg::train::detail {

Tensor weights_of(const std::vector<double>& class_weights, const Tensor& target, Loc loc) {
  const NoGrad guard;
  if (!target.defined() || target.dim() == 0)
    throw_error<ValueError>({.op = "fit",
                             .arg = "target",
                             .given = target.describe(),
                             .wanted = "a class for each example",
                             .what = "class_weights need classes",
                             .loc = loc});
  const bool one_hot = is_floating(target.dtype()) && target.dim() >= 2 && target.size(1) >= 2;
  const Tensor classes = (one_hot ? argmax(target, 1) : target).to(DType::i64).contiguous();
  Tensor weights = zeros(classes.shape());
  float* w = weights.mutable_data<float>();
  const auto all = classes.span<std::int64_t>();
  const auto ignored = std::count_if(all.begin(), all.end(), [](std::int64_t c) { return c < 0; });
  const double scale = ignored == 0 ? 1
                                    : static_cast<double>(all.size()) /
                                          (static_cast<double>(all.size()) - static_cast<double>(ignored));
  for (const std::int64_t c : all) {
    if (c < 0) {
      *w++ = 0;
      continue;
    }
    if (c >= static_cast<std::int64_t>(class_weights.size()))
      throw_error<IndexError>(
          {.op = "fit",
           .arg = "class_weights",
           .given = "a list of " + std::to_string(class_weights.size()),
           .wanted = std::to_string(c + 1) + " or more",
           .what = "class " + std::to_string(c) + " is among the targets and has no weight",
           .loc = loc});
    *w++ = static_cast<float>(scale * class_weights[static_cast<std::size_t>(c)]);
  }
  return weights;
}

}  // namespace thalweg::train::detail
