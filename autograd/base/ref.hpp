// Ref<T>: intrusive shared ownership. T offers `std::atomic<std::uint32_t> refs` (starting at 1) and
// `static void drop(T*) noexcept`, called when the last reference goes. Depends on nothing of the project.
// Invariant: the last owner releases with a plain load, so unshared objects cost no locked instruction to free.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace thalweg {

template <class T>
class Ref {
 public:
  constexpr Ref() noexcept = default;
  constexpr Ref(std::nullptr_t) noexcept {}  // NOLINT
  /// Takes over a reference that the caller holds (a fresh object's first one).
  static Ref adopt(T* p) noexcept {
    Ref r;
    r.p_ = p;
    return r;
  }
  /// Adds a reference.
  static Ref share(T* p) noexcept {
    if (p) p->refs.fetch_add(1, std::memory_order_relaxed);
    return adopt(p);
  }
  Ref(const Ref& o) noexcept : p_(o.p_) {
    if (p_) p_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(const Ref& o) noexcept {
    Ref(o).swap(*this);
    return *this;
  }
  Ref& operator=(Ref&& o) noexcept {
    Ref(std::move(o)).swap(*this);
    return *this;
  }
  ~Ref() { reset(); }

  void reset() noexcept {
    if (T* p = std::exchange(p_, nullptr)) release(p);
  }
  /// Gives the reference up to the caller.
  T* leak() noexcept { return std::exchange(p_, nullptr); }
  void swap(Ref& o) noexcept { std::swap(p_, o.p_); }

  T* get() const noexcept { return p_; }
  T* operator->() const noexcept { return p_; }
  T& operator*() const noexcept { return *p_; }
  explicit operator bool() const noexcept { return p_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) noexcept { return a.p_ == b.p_; }

  /// True when this is the only reference.
  bool unique() const noexcept { return p_ && p_->refs.load(std::memory_order_acquire) == 1; }

  static void release(T* p) noexcept {
    if (p->refs.load(std::memory_order_acquire) == 1 ||
        p->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
      T::drop(p);
  }

 private:
  T* p_ = nullptr;
};

}  // namespace thalweg
