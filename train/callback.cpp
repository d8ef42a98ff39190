// Depends on callback.hpp.
#include <thalweg/train/callback.hpp>

#include <utility>

namespace thalweg::train {

void Training::stop(std::string why) {
  if (stopping_) return;  // the first reason is the one that counts
  stopping_ = true;
  why_ = std::move(why);
}

void Training::visit(io::StateVisitor& f) {
  f("epoch", epoch);
  f("step", step);
  f("updates", updates);
  f("samples", samples);
  f("stopping", stopping_);
  f("why", why_);
  f.scope("history", [this](io::StateVisitor& inner) { history.visit(inner); });
}

}  // namespace thalweg::train
