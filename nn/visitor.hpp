// Visitor: what a module's `visit(f)` talks to, and ModuleRef, a module of any type seen through five
// functions. Depends on tensor. Invariant: a module needs no base class; all that is asked of it is a member
// template
//   void visit(auto& f) { f("weight", weight); f("running_mean", buffer(running_mean)); f("0", child); }
// and that only if it holds something. Names of nested modules are joined by dots, as in "0.weight".
#pragma once

#include <concepts>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <thalweg/autograd/tensor/generator.hpp>
#include <thalweg/autograd/tensor/tensor.hpp>

namespace thalweg::nn {

class Visitor;
class AnyModule;

/// Marks a tensor that belongs to the model's state but is not trained: f("running_mean",
/// buffer(running_mean)).
struct Buffer {
  Tensor& tensor;
};
inline Buffer buffer(Tensor& t) noexcept { return {t}; }

/// What is known of a module's type at run time.
struct ModuleType {
  std::string (*describe)(const void* module);    ///< "Linear(784 -> 512, relu)", or the type's name
  void (*visit)(void* module, Visitor& visitor);  ///< null: it holds nothing
  bool* (*training)(void* module);                ///< null: it does the same in training and evaluation
  Tensor (*call)(void* module, Arg x);            ///< null: it cannot be called with one tensor
};

/// A module that lives elsewhere.
struct ModuleRef {
  void* object = nullptr;
  const ModuleType* type = nullptr;
};

namespace detail {

/// The name of a type without namespaces and template arguments, cut out of a __PRETTY_FUNCTION__.
std::string short_type_name(std::string_view pretty_function);

template <class M>
std::string type_name() {
  return short_type_name(__PRETTY_FUNCTION__);
}

template <class M>
concept Visitable = requires(M& m, Visitor& v) {
  m.visit(v);
};
template <class M>
concept HasMode = requires(M& m) {
  { m.training } -> std::same_as<bool&>;
};
template <class M>
concept Described = requires(const M& m) {
  { m.describe() } -> std::convertible_to<std::string>;
};
template <class M>
concept Callable = std::is_invocable_r_v<Tensor, M&, Arg>;
/// std::vector or std::array of modules or tensors.
template <class T>
concept List = !Visitable<T> && requires(T & t) {
  std::begin(t) != std::end(t);
};
template <class T>
inline constexpr bool is_shared_ptr = false;
template <class U>
inline constexpr bool is_shared_ptr<std::shared_ptr<U>> = true;

/// Makes a copy of what a pointer points to.
using CopyPointee = std::shared_ptr<void> (*)(const void*);

/// Null where a copy would not be the whole object: what cannot be copied, and a base class.
template <class U>
constexpr CopyPointee copy_pointee() {
  if constexpr (std::is_copy_constructible_v<U> && (!std::is_polymorphic_v<U> || std::is_final_v<U>))
    return [](const void* p) -> std::shared_ptr<void> {
      return std::make_shared<U>(*static_cast<const U*>(p));
    };
  else
    return nullptr;
}

/// std::optional, std::unique_ptr or std::shared_ptr to a module.
template <class T>
concept Handle = !Visitable<T> && !Callable<T> && requires(T & t) {
  *t;
  static_cast<bool>(t);
};

template <class M>
constexpr ModuleType make_module_type() {
  ModuleType t{};
  t.describe = [](const void* m) {
    if constexpr (Described<M>)
      return std::string(static_cast<const M*>(m)->describe());
    else
      return (void)m, type_name<M>();
  };
  if constexpr (Visitable<M>) t.visit = [](void* m, Visitor& v) { static_cast<M*>(m)->visit(v); };
  if constexpr (HasMode<M>) t.training = [](void* m) -> bool* { return &static_cast<M*>(m)->training; };
  if constexpr (Callable<M>) t.call = [](void* m, Arg x) -> Tensor { return (*static_cast<M*>(m))(x); };
  return t;
}

template <class M>
inline constexpr ModuleType module_type = make_module_type<M>();

}  // namespace detail

/// The module as it is known at run time; an AnyModule gives what it holds.
template <class M>
ModuleRef module_ref(const M& module) noexcept {
  if constexpr (std::is_same_v<M, AnyModule>)
    return module.ref();
  else
    return {const_cast<M*>(std::addressof(module)), &detail::module_type<M>};
}

/// Walks a module and everything in it. Derive and override what is of interest; undefined tensors are passed
/// over.
class Visitor {
 public:
  virtual ~Visitor() = default;

  /// Visits `root` itself, under the empty path, then what it holds.
  void walk(ModuleRef root) { enter({}, root); }

  void operator()(std::string_view name, Tensor& parameter) {
    if (parameter.defined()) on_parameter(join(name), parameter);
  }
  void operator()(std::string_view name, Buffer b) {
    if (b.tensor.defined()) on_buffer(join(name), b.tensor);
  }
  void operator()(std::string_view name, Generator& generator) { on_generator(join(name), generator); }
  template <class T>
  requires(!std::is_same_v<std::remove_cv_t<T>, Tensor>) void operator()(std::string_view name, T& child) {
    if constexpr (detail::List<T>) {
      int i = 0;
      for (auto& item : child) (*this)(std::string(name) + "." + std::to_string(i++), item);
    } else if constexpr (detail::is_shared_ptr<T>) {
      using U = std::remove_cv_t<typename T::element_type>;
      if (!child) return;
      if (auto other = on_shared(join(name), child.get(), detail::copy_pointee<U>()))
        child = std::static_pointer_cast<U>(other);
      (*this)(name, const_cast<U&>(*child));
    } else if constexpr (detail::Handle<T>) {
      if (!child) return;
      if constexpr (std::is_pointer_v<T>) on_shared(join(name), child, nullptr);
      (*this)(name, *child);
    } else {
      enter(name, module_ref(child));
    }
  }

 protected:
  virtual void on_parameter(const std::string& /*path*/, Tensor& /*parameter*/) {}
  virtual void on_buffer(const std::string& /*path*/, Tensor& /*buffer*/) {}
  virtual void on_generator(const std::string& /*path*/, Generator& /*generator*/) {}
  /// Before what a shared or raw pointer leads to is visited; the result takes the place of a shared pointer,
  /// null keeps it. `copy` is null where a copy cannot be made.
  virtual std::shared_ptr<void> on_shared(const std::string& /*path*/, const void* /*object*/,
                                          detail::CopyPointee /*copy*/) {
    return nullptr;
  }
  /// Before and after what `module` holds.
  virtual void on_module(const std::string& /*path*/, ModuleRef /*module*/) {}
  virtual void on_leave(const std::string& /*path*/, ModuleRef /*module*/) {}

 private:
  std::string join(std::string_view name) const;
  void enter(std::string_view name, ModuleRef module);

  std::string path_;
};

}  // namespace thalweg::nn
