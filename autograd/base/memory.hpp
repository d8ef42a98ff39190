// The one allocator: 64-byte aligned blocks, cached for reuse. Blocks of up to 64 KiB come in size classes
// from a cache per thread without a lock, larger ones from one shared heap. Depends on memory_stats.hpp.
// Invariant: release() is given the same byte count as allocate().
#pragma once

#include <cstddef>

#include <thalweg/autograd/base/memory_stats.hpp>

namespace thalweg::mem {

/// `bytes` of 64-byte aligned memory; contents undefined. Throws MemoryError.
void* allocate(std::size_t bytes);

/// Gives back what allocate(bytes) returned, from any thread.
void release(void* p, std::size_t bytes) noexcept;

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
