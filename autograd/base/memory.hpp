// The one allocator: 64-byte aligned blocks in size classes, cached for reuse. Small blocks are cached per thread
// without a lock, large ones in one shared list. Depends on nothing of the project.
// Invariant: release() is given the same byte count as allocate().
#pragma once

#include <cstddef>
#include <cstdint>

namespace thalweg::mem {

/// `bytes` of 64-byte aligned memory; contents undefined. Throws std::bad_alloc.
void* allocate(std::size_t bytes);

/// Gives back what allocate(bytes) returned, from any thread.
void release(void* p, std::size_t bytes) noexcept;

struct Stats {
  std::int64_t live_blocks = 0;   ///< allocated and not released, by all threads
  std::int64_t live_bytes = 0;
  std::int64_t peak_bytes = 0;    ///< highest live_bytes of blocks above 64 KiB
  std::int64_t system_calls = 0;  ///< times the operating system or malloc was asked
};

/// Figures over all threads; exact when the other threads are at rest.
Stats stats() noexcept;

/// Frees every cached block of this thread and of the shared list.
void trim() noexcept;

/// An array of T that lives as long as the object; for kernels' scratch, taken once per call.
template <class T>
class Scratch {
 public:
  explicit Scratch(std::size_t n) : n_(n), p_(static_cast<T*>(allocate(n * sizeof(T)))) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { release(p_, n_ * sizeof(T)); }
  T* data() const noexcept { return p_; }
  T& operator[](std::size_t i) const noexcept { return p_[i]; }

 private:
  std::size_t n_;
  T* p_;
};

}  // namespace thalweg::mem
