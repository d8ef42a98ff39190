// Shared: a counted pointer to a callback or a metric that is made from an object or from a std::shared_ptr
// to one, so that lists of them read {EarlyStopping({.patience = 3}), mine}. Depends on the standard library.
// Invariant: never null.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::train {

template <class Base>
class Shared {
 public:
  template <class D>
  requires(std::derived_from<std::remove_cvref_t<D>, Base>) Shared(D&& object)  // NOLINT
      : p_(std::make_shared<std::remove_cvref_t<D>>(std::forward<D>(object))) {}
  /// Shares; what the object learned can be asked of it afterwards. Throws ValueError for a null pointer.
  template <std::derived_from<Base> D>
  Shared(std::shared_ptr<D> object, Loc loc = Loc::here()) : p_(std::move(object)) {  // NOLINT
    if (!p_)
      throw_error<ValueError>(
          {.op = "train", .given = "a null pointer", .what = "an object is wanted", .loc = loc});
  }
  Base& operator*() const noexcept { return *p_; }
  Base* operator->() const noexcept { return p_.get(); }
  const std::shared_ptr<Base>& pointer() const noexcept { return p_; }

 private:
  std::shared_ptr<Base> p_;
};

}  // namespace thalweg::train
