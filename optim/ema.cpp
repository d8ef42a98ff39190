// Depends on ema.hpp, groups (checks, updates), the update kernels, ops (clone, copy).
#include <thalweg/optim/ema.hpp>

#include <algorithm>
#include <string>

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/optim/groups.hpp>

namespace thalweg::optim {

void EmaOptions::check(Loc loc) const {
  detail::check_option("Ema", "decay", decay, {.high = 1, .closed = true}, loc);
}

Ema::Ema(std::vector<Tensor> parameters, EmaOptions options, Loc loc) : options_(options) {
  options_.check(loc);
  const NoGrad guard;
  for (const Tensor& p : parameters) {
    detail::check_parameter("Ema", parameters_.size(), p, parameters_, loc);
    parameters_.push_back(p);
    averages_.push_back(p.detach().clone(loc));
  }
}

void Ema::check(const char* op, bool may_be_swapped, Loc loc) const {
  if (swapped_ && !may_be_swapped)
    throw_error<ValueError>({.op = op,
                             .arg = "the averages",
                             .given = "swapped in",
                             .wanted = "a second swap() first",
                             .what = "the parameters hold the averages",
                             .loc = loc});
  for (std::size_t i = 0; i < averages_.size(); ++i)
    detail::check_state(op, i, "average", averages_[i], parameters_[i], loc);
}

void Ema::update(Loc loc) {
  check("Ema::update", false, loc);
  const auto t = static_cast<double>(++updates_);
  const double decay = options_.warm_up ? std::min(options_.decay, (1 + t) / (10 + t)) : options_.decay;
  std::vector<kernels::Update<kernels::AverageOptions>> all;
  all.reserve(averages_.size());
  for (std::size_t i = 0; i < averages_.size(); ++i)
    all.push_back(detail::update_of("Ema::update", averages_[i], parameters_[i], {}, false,
                                    kernels::AverageOptions{.weight = 1 - decay}, loc));
  kernels::update_average(all);
}

void Ema::copy_to(Loc loc) {
  check("Ema::copy_to", false, loc);
  const NoGrad guard;
  for (std::size_t i = 0; i < averages_.size(); ++i) parameters_[i].copy_(averages_[i], loc);
}

void Ema::swap(Loc loc) {
  check("Ema::swap", true, loc);
  const NoGrad guard;
  std::vector<Tensor> averages;  // all before the first is written: memory may run out
  for (const Tensor& average : averages_) averages.push_back(average.clone(loc));
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    averages_[i].copy_(parameters_[i].detach(), loc);
    parameters_[i].copy_(averages[i], loc);
  }
  swapped_ = !swapped_;
}

void Ema::visit(io::StateVisitor& f) {
  for (std::size_t i = 0; i < averages_.size(); ++i) f(std::to_string(i) + ".average", averages_[i]);
  f("updates", updates_);
  f("swapped", swapped_);
}

}  // namespace thalweg::optim
