// Storage: the memory behind one or more tensors, with the version counter that all its views share.
// Depends on base. Invariant: own memory follows the header in one block; wrapped memory has a deleter; what is neither
// is a part of another storage, and a reference to that follows the header.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include <thalweg/autograd/base/loc.hpp>
#include <thalweg/autograd/base/ref.hpp>

namespace thalweg {

struct alignas(64) Storage {
  std::atomic<std::uint32_t> refs{1};
  std::atomic<std::uint32_t> version_{0};
  void* data = nullptr;
  std::size_t bytes = 0;
  std::atomic<bool> viewed{false};                // some view op aliased it
  std::function<void(void*)>* deleter = nullptr;  // of wrapped memory; null for our own
  const char* writer = nullptr;                   // who wrote last, for VersionError
  Loc writer_loc{};

  std::uint32_t version() const noexcept { return version_.load(std::memory_order_relaxed); }
  /// Says that `who` is about to change the contents. One writer at a time, so no locked instruction.
  void bump(const char* who, Loc loc) noexcept {
    version_.store(version() + 1, std::memory_order_relaxed);
    writer = who;
    writer_loc = loc;
  }

  /// `bytes` of uninitialised memory. Throws MemoryError.
  static Ref<Storage> make(std::size_t bytes);
  /// Somebody else's memory; `deleter` (may be empty) is called with `data` when the last user is gone.
  static Ref<Storage> wrap(void* data, std::size_t bytes, std::function<void(void*)> deleter);
  /// `bytes` at `data` inside `whole`, which lives on with it, under a version counter of its own: for memory that
  /// nothing else reaches.
  static Ref<Storage> part(Ref<Storage> whole, void* data, std::size_t bytes);
  static void drop(Storage* s) noexcept;
};

}  // namespace thalweg
