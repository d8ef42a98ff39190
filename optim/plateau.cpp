// Depends on plateau.hpp, option.
#include <thalweg/optim/plateau.hpp>

#include <algorithm>

#include <thalweg/optim/option.hpp>

namespace thalweg::optim {

void PlateauOptions::check(Loc loc) const {
  const char* const op = "ReduceOnPlateau";
  detail::check_option(op, "factor", factor, {.high = 1}, loc);
  detail::check_count(op, "patience", patience, 0, loc);
  detail::check_count(op, "cooldown", cooldown, 0, loc);
  detail::check_option(op, "min_delta", min_delta, {}, loc);
  detail::check_option(op, "min_lr", min_lr, {}, loc);
}

ReduceOnPlateau::ReduceOnPlateau(PlateauOptions options, Loc loc) : options_(options) {
  options_.check(loc);
  reset();
}

void ReduceOnPlateau::reset() {
  const double worst = std::numeric_limits<double>::infinity();
  best_ = options_.better == Better::lower ? worst : -worst;
  wait_ = cooldown_ = 0;
}

double ReduceOnPlateau::observe(double value, double lr) {
  if (cooldown_ > 0) {
    --cooldown_;
    wait_ = 0;
  }
  const bool improved = options_.better == Better::lower ? value < best_ - options_.min_delta
                                                         : value > best_ + options_.min_delta;
  if (improved) {
    best_ = value;
    wait_ = 0;
    return lr;
  }
  // The observation that ends the cooldown is counted already.
  if (cooldown_ > 0 || ++wait_ < options_.patience || !(lr > options_.min_lr)) return lr;
  cooldown_ = options_.cooldown;
  wait_ = 0;
  return std::max(lr * options_.factor, options_.min_lr);
}

void ReduceOnPlateau::visit(io::StateVisitor& f) {
  f("best", best_);
  f("wait", wait_);
  f("cooldown", cooldown_);
}

}  // namespace thalweg::optim
