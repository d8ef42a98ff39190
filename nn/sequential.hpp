// Sequential: layers one after the other. AnyModule: a layer of any type by value. Depends on visitor, call.
// Invariant: a layer is whatever can be called with a tensor and gives one: a module, a function, a lambda.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <thalweg/nn/call.hpp>
#include <thalweg/nn/visitor.hpp>

namespace thalweg::nn {

class AnyModule {
 public:
  template <class M>
  requires(!std::is_same_v<std::remove_cvref_t<M>, AnyModule> && detail::Callable<std::decay_t<M>>)
      AnyModule(M&& module)  // NOLINT(google-explicit-constructor)
      : object_(new std::decay_t<M>(std::forward<M>(module)), &destroy<std::decay_t<M>>),
        type_(&detail::module_type<std::decay_t<M>>),
        copy_(&copy<std::decay_t<M>>) {}
  AnyModule(AnyModule&&) noexcept = default;
  AnyModule& operator=(AnyModule&&) noexcept = default;
  /// Copies the struct inside; its tensors are shared, as in any copy of a module (clone() copies those too).
  AnyModule(const AnyModule& o)
      : object_(o.copy_(o.object_.get()), o.object_.get_deleter()), type_(o.type_), copy_(o.copy_) {}
  AnyModule& operator=(const AnyModule& o) { return *this = AnyModule(o); }

  Tensor operator()(Arg x) { return type_->call(object_.get(), x); }
  ModuleRef ref() const noexcept { return {object_.get(), type_}; }
  /// The module if it is an M, else null.
  template <class M>
  M* get_if() noexcept {
    return type_ == &detail::module_type<M> ? static_cast<M*>(object_.get()) : nullptr;
  }

 private:
  template <class M>
  static void destroy(void* m) {
    delete static_cast<M*>(m);
  }
  template <class M>
  static void* copy(const void* m) {
    return new M(*static_cast<const M*>(m));
  }

  std::unique_ptr<void, void (*)(void*)> object_;
  const ModuleType* type_;
  void* (*copy_)(const void*);
};

struct Sequential {
  std::vector<AnyModule> layers;

  Sequential() = default;
  template <class... M>
  requires(sizeof...(M) > 0 && (detail::Callable<std::decay_t<M>> && ...) &&
           !(sizeof...(M) == 1 &&
             (std::is_same_v<std::decay_t<M>, Sequential> && ...))) explicit Sequential(M&&... modules) {
    layers.reserve(sizeof...(M));
    (layers.emplace_back(std::forward<M>(modules)), ...);
  }

  /// y = last(...(first(x))). An error says in which layer it arose.
  Tensor operator()(Arg x);
  void visit(auto& f) {
    for (std::size_t i = 0; i < layers.size(); ++i) f(std::to_string(i), layers[i]);
  }
};

}  // namespace thalweg::nn
