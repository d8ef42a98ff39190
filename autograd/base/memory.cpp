// The caching allocator behind memory.hpp. Depends on base only.
// Invariant: a cached block always has the full size of its class, so any thread may reuse it.
#include <thalweg/autograd/base/memory.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define THALWEG_NO_BLOCK_CACHE 1  // so that a sanitizer sees every use after release
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define THALWEG_NO_BLOCK_CACHE 1
#endif
#endif

namespace thalweg::mem {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t largest_small = 64 * 1024;
constexpr int small_classes = 16 + 24;  // 64-byte steps to 1 KiB, then four classes per doubling to 64 KiB
constexpr int large_classes = 4 * 40;
constexpr std::uint32_t small_cap_bytes = 4 << 20;  // cached per class and thread

struct FreeBlock {
  FreeBlock* next;
};

/// Class number of `bytes` among four per doubling above 2^base, and its block size.
struct SizeClass {
  int index;
  std::size_t bytes;
};

SizeClass geometric_class(std::size_t bytes, int base) noexcept {
  const int top = static_cast<int>(std::bit_width(bytes - 1)) - 1;  // 2^top < bytes <= 2^(top+1)
  const std::size_t step = (std::size_t{1} << top) / 4;
  const std::size_t over = (bytes - (std::size_t{1} << top) + step - 1) / step;  // 1..4
  return {(top - base) * 4 + static_cast<int>(over) - 1, (std::size_t{1} << top) + over * step};
}

[[gnu::always_inline]] inline SizeClass small_class(std::size_t bytes) noexcept {
  if (bytes <= 1024) {
    const int index = bytes == 0 ? 0 : static_cast<int>((bytes - 1) / alignment);
    return {index, static_cast<std::size_t>(index + 1) * alignment};
  }
  SizeClass c = geometric_class(bytes, 10);
  c.index += 16;
  return c;
}

void* from_system(std::size_t bytes) {
  void* p = std::aligned_alloc(alignment, bytes);
  if (!p) {
    trim();
    p = std::aligned_alloc(alignment, bytes);
    if (!p) throw std::bad_alloc();
  }
#ifdef THALWEG_NO_BLOCK_CACHE
  // Each block holds other garbage, so that a result that reads or leaves unwritten memory changes from call to call.
  static std::atomic<unsigned char> garbage{1};
  std::memset(p, garbage.fetch_add(37, std::memory_order_relaxed), bytes);
#endif
  return p;
}

/// A counter one thread writes and others may read: no locked instruction.
struct OwnedCounter {
  std::atomic<std::int64_t> value{0};
  void add(std::int64_t d) noexcept {
    value.store(value.load(std::memory_order_relaxed) + d, std::memory_order_relaxed);
  }
  std::int64_t read() const noexcept { return value.load(std::memory_order_relaxed); }
};

struct ThreadCache {
  std::array<FreeBlock*, small_classes> free{};
  std::array<std::uint32_t, small_classes> cached_bytes{};
  OwnedCounter live_blocks, live_bytes, system_calls;
  ThreadCache* next = nullptr;
  bool registered = false;
  bool dead = false;  // the thread is ending: blocks go straight back
};

struct Shared {
  std::mutex mutex;
  std::array<FreeBlock*, large_classes> free{};
  ThreadCache* threads = nullptr;
  std::int64_t ended_blocks = 0, ended_bytes = 0, ended_calls = 0;  // of threads that have ended
  std::int64_t large_live = 0, large_peak = 0;
};

Shared& shared() noexcept {
  static Shared* s = new Shared;  // never destroyed: tensors may outlive static destructors
  return *s;
}

constinit thread_local ThreadCache cache;

void empty_small(ThreadCache& c) noexcept {
  for (int i = 0; i < small_classes; ++i) {
    while (FreeBlock* b = c.free[static_cast<std::size_t>(i)]) {
      c.free[static_cast<std::size_t>(i)] = b->next;
      std::free(b);
    }
    c.cached_bytes[static_cast<std::size_t>(i)] = 0;
  }
}

/// Its destructor runs at thread exit and hands the thread's figures and blocks back.
struct ThreadGuard {
  ~ThreadGuard() {
    empty_small(cache);
    cache.dead = true;
    Shared& s = shared();
    std::lock_guard lock(s.mutex);
    for (ThreadCache** p = &s.threads; *p; p = &(*p)->next)
      if (*p == &cache) {
        *p = cache.next;
        break;
      }
    s.ended_blocks += cache.live_blocks.read();
    s.ended_bytes += cache.live_bytes.read();
    s.ended_calls += cache.system_calls.read();
    cache.registered = false;
  }
};

[[gnu::noinline, gnu::cold]] void register_thread() {
  thread_local ThreadGuard guard;
  static_cast<void>(&guard);
  Shared& s = shared();
  std::lock_guard lock(s.mutex);
  cache.next = s.threads;
  s.threads = &cache;
  cache.registered = true;
}

[[gnu::noinline]] void count(std::int64_t blocks, std::int64_t bytes) {
  if (cache.dead) {
    Shared& s = shared();
    std::lock_guard lock(s.mutex);
    s.ended_blocks += blocks;
    s.ended_bytes += bytes;
    return;
  }
  if (!cache.registered) register_thread();
  cache.live_blocks.add(blocks);
  cache.live_bytes.add(bytes);
}

inline void count_fast(std::int64_t blocks, std::int64_t bytes) {
  if (cache.registered) [[likely]] {
    cache.live_blocks.add(blocks);
    cache.live_bytes.add(bytes);
  } else {
    count(blocks, bytes);
  }
}

[[gnu::noinline]] void* allocate_large(std::size_t bytes) {
  const SizeClass c = geometric_class(bytes, 16);
  if (c.index >= large_classes) throw std::bad_alloc();
  Shared& s = shared();
  void* p = nullptr;
  {
    std::lock_guard lock(s.mutex);
    FreeBlock*& head = s.free[static_cast<std::size_t>(c.index)];
    if (head) {
      p = head;
      head = head->next;
    }
  }
  if (!p) {
    p = from_system(c.bytes);
    cache.system_calls.add(1);
  }
  count(1, static_cast<std::int64_t>(c.bytes));
  std::lock_guard lock(s.mutex);
  s.large_live += static_cast<std::int64_t>(c.bytes);
  if (s.large_live > s.large_peak) s.large_peak = s.large_live;
  return p;
}

[[gnu::noinline]] void release_large(void* p, std::size_t bytes) noexcept {
  const SizeClass c = geometric_class(bytes, 16);
  count(-1, -static_cast<std::int64_t>(c.bytes));
  Shared& s = shared();
  std::lock_guard lock(s.mutex);
  s.large_live -= static_cast<std::int64_t>(c.bytes);
#ifdef THALWEG_NO_BLOCK_CACHE
  std::free(p);
#else
  FreeBlock*& head = s.free[static_cast<std::size_t>(c.index)];
  head = new (p) FreeBlock{head};
#endif
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes > largest_small) return allocate_large(bytes);
  const SizeClass c = small_class(bytes);
  FreeBlock*& head = cache.free[static_cast<std::size_t>(c.index)];
  void* p = head;
  if (p) [[likely]] {
    head = head->next;
    cache.cached_bytes[static_cast<std::size_t>(c.index)] -= static_cast<std::uint32_t>(c.bytes);
  } else {
    p = from_system(c.bytes);
    cache.system_calls.add(1);
  }
  count_fast(1, static_cast<std::int64_t>(c.bytes));
  return p;
}

void release(void* p, std::size_t bytes) noexcept {
  if (!p) return;
  if (bytes > largest_small) return release_large(p, bytes);
  const SizeClass c = small_class(bytes);
  count_fast(-1, -static_cast<std::int64_t>(c.bytes));
#ifndef THALWEG_NO_BLOCK_CACHE
  std::uint32_t& held = cache.cached_bytes[static_cast<std::size_t>(c.index)];
  if (held < small_cap_bytes && !cache.dead) [[likely]] {
    FreeBlock*& head = cache.free[static_cast<std::size_t>(c.index)];
    head = new (p) FreeBlock{head};
    held += static_cast<std::uint32_t>(c.bytes);
    return;
  }
#endif
  std::free(p);
}

Stats stats() noexcept {
  Shared& s = shared();
  std::lock_guard lock(s.mutex);
  Stats r{s.ended_blocks, s.ended_bytes, s.large_peak, s.ended_calls};
  for (const ThreadCache* c = s.threads; c; c = c->next) {
    r.live_blocks += c->live_blocks.read();
    r.live_bytes += c->live_bytes.read();
    r.system_calls += c->system_calls.read();
  }
  return r;
}

void trim() noexcept {
  empty_small(cache);
  Shared& s = shared();
  std::lock_guard lock(s.mutex);
  for (FreeBlock*& head : s.free)
    while (FreeBlock* b = head) {
      head = b->next;
      std::free(b);
    }
}

}  // namespace thalweg::mem
