// Call: the scope that every layer's call operator opens. It makes errors name the user's line instead of the
// layer's, and tells an observer, if there is one (nn::summary), what came out. Depends on visitor.
#pragma once

#include <thalweg/autograd/base/thread_state.hpp>
#include <thalweg/nn/visitor.hpp>

namespace thalweg::nn {

/// Hears of every layer call on this thread while it is installed.
class CallObserver {
 public:
  CallObserver() noexcept : previous_(current) { current = this; }
  CallObserver(const CallObserver&) = delete;
  CallObserver& operator=(const CallObserver&) = delete;
  virtual void called(ModuleRef layer, const Tensor& out) = 0;
  static inline constinit thread_local CallObserver* current = nullptr;

 protected:
  ~CallObserver() { current = previous_; }

 private:
  CallObserver* previous_;
};

/// Usage, first and last line of a layer: `const Call call(*this, x);` ... `return call.done(y);`
template <class M>
class Call {
 public:
  Call(const M& layer, const Arg& x) noexcept : site_(x.loc), layer_(layer) {}
  Tensor done(Tensor out) const {
    if (CallObserver::current) [[unlikely]]
      CallObserver::current->called(module_ref(layer_), out);
    return out;
  }

 private:
  CallSite site_;
  const M& layer_;
};

}  // namespace thalweg::nn
