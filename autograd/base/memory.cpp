// The caching allocator behind memory.hpp: the threads' caches of small blocks, and the figures. Depends on
// base. Invariant: a cached small block has the full size of its class, so any thread may reuse it.
#include <thalweg/autograd/base/memory.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/heap.hpp>

#if defined(__SANITIZE_ADDRESS__)
#define THALWEG_NO_BLOCK_CACHE 1  // so that a sanitizer sees every use after release
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define THALWEG_NO_BLOCK_CACHE 1
#endif
#endif

namespace thalweg::mem {
namespace {

#ifdef THALWEG_NO_BLOCK_CACHE
constexpr bool caches = false;
#else
constexpr bool caches = true;
#endif

constexpr std::size_t alignment = 64;
constexpr std::size_t largest_small = 64 * 1024;
constexpr int small_classes = 16 + 24;  // 64-byte steps to 1 KiB, then four classes per doubling to 64 KiB
constexpr std::uint32_t batch_bytes = 1 << 20;  // a thread keeps up to two batches of a class to itself

/// A free small block. The first of a batch that nobody takes from also knows the batch's bytes and the next
/// batch.
struct FreeBlock {
  FreeBlock* next;
  FreeBlock* next_batch;
  std::uint32_t bytes;
};

struct SizeClass {
  int index;
  std::size_t bytes;
};

[[gnu::always_inline]] inline SizeClass small_class(std::size_t bytes) noexcept {
  if (bytes <= 1024) {
    const int index = bytes == 0 ? 0 : static_cast<int>((bytes - 1) / alignment);
    return {index, static_cast<std::size_t>(index + 1) * alignment};
  }
  const int top = static_cast<int>(std::bit_width(bytes - 1)) - 1;  // 2^top < bytes <= 2^(top+1)
  const std::size_t step = (std::size_t{1} << top) / 4;
  const std::size_t over = (bytes - (std::size_t{1} << top) + step - 1) / step;  // 1..4
  return {16 + (top - 10) * 4 + static_cast<int>(over) - 1, (std::size_t{1} << top) + over * step};
}

constexpr std::size_t class_bytes(int index) noexcept {
  if (index < 16) return static_cast<std::size_t>(index + 1) * alignment;
  return (std::size_t{256} << (index - 16) / 4) * static_cast<std::size_t>(5 + (index - 16) % 4);
}

/// A counter one thread writes and others may read: no locked instruction.
struct OwnedCounter {
  std::atomic<std::int64_t> value{0};
  void add(std::int64_t d) noexcept {
    value.store(value.load(std::memory_order_relaxed) + d, std::memory_order_relaxed);
  }
  std::int64_t read() const noexcept { return value.load(std::memory_order_relaxed); }
};

/// A thread's free blocks of one class: a list in use and perhaps a full batch behind it.
struct FreeList {
  FreeBlock* first = nullptr;
  FreeBlock* spare = nullptr;
  std::uint32_t bytes = 0;  // behind `first`
};

struct ThreadCache {
  std::array<FreeList, small_classes> lists{};
  OwnedCounter live_blocks, live_bytes;
  ThreadCache* next = nullptr;
  bool registered = false;
  bool ended = false;
};

struct Shared {
  std::mutex mutex;
  Heap heap;
  std::array<FreeBlock*, small_classes> batches{};
  ThreadCache* threads = nullptr;
  std::int64_t blocks = 0, bytes = 0;  // live: large ones, and what ended threads left
  std::int64_t small_held = 0;         // bytes of small blocks that malloc gave, live or cached
  std::int64_t small_calls = 0;
  std::int64_t large_live = 0, peak = 0;

  void live(MemoryStats& to) const noexcept {
    to.live_blocks = blocks;
    to.live_bytes = bytes;
    for (const ThreadCache* c = threads; c; c = c->next) {
      to.live_blocks += c->live_blocks.read();
      to.live_bytes += c->live_bytes.read();
    }
  }
  MemoryStats figures() noexcept {
    MemoryStats s;
    live(s);
    if (s.live_bytes > peak) peak = s.live_bytes;
    s.peak_bytes = peak;
    s.cached_bytes = heap.cached_bytes() + (caches ? small_held - (s.live_bytes - large_live) : 0);
    s.system_calls = heap.system_calls() + small_calls;
    return s;
  }
  void add_batch(int index, FreeBlock* first, std::uint32_t batch) noexcept {
    FreeBlock*& head = batches[static_cast<std::size_t>(index)];
    first->next_batch = head;
    first->bytes = batch;
    head = first;
  }
};

Shared& shared() noexcept {
  static Shared* s = new Shared;  // never destroyed: tensors may outlive static destructors
  return *s;
}

constinit thread_local ThreadCache cache;

/// Its destructor runs at thread exit and leaves the thread's figures and blocks to all.
struct ThreadGuard {
  ~ThreadGuard() {
    Shared& s = shared();
    std::lock_guard lock(s.mutex);
    for (int i = 0; i < small_classes; ++i) {
      FreeList& list = cache.lists[static_cast<std::size_t>(i)];
      if (list.first) s.add_batch(i, list.first, list.bytes);
      if (list.spare) s.add_batch(i, list.spare, list.spare->bytes);
      list = {.bytes = batch_bytes};  // full: what is released after this takes the slow path
    }
    for (ThreadCache** p = &s.threads; *p; p = &(*p)->next)
      if (*p == &cache) {
        *p = cache.next;
        break;
      }
    s.blocks += cache.live_blocks.read();
    s.bytes += cache.live_bytes.read();
    cache.registered = false;
    cache.ended = true;
  }
};

[[gnu::noinline, gnu::cold]] void count_first(std::int64_t blocks, std::int64_t bytes) {
  Shared& s = shared();
  if (cache.ended) {
    std::lock_guard lock(s.mutex);
    s.blocks += blocks;
    s.bytes += bytes;
    return;
  }
  thread_local ThreadGuard guard;
  static_cast<void>(&guard);
  std::lock_guard lock(s.mutex);
  cache.next = s.threads;
  s.threads = &cache;
  cache.registered = true;
  cache.live_blocks.add(blocks);
  cache.live_bytes.add(bytes);
}

inline void count(std::int64_t blocks, std::int64_t bytes) {
  if (cache.registered) [[likely]] {
    cache.live_blocks.add(blocks);
    cache.live_bytes.add(bytes);
  } else {
    count_first(blocks, bytes);
  }
}

[[noreturn, gnu::cold]] void throw_out_of_memory(std::size_t bytes) {
  throw_error<MemoryError>({.op = "memory",
                            .arg = "a block",
                            .given = std::to_string(bytes) + " bytes beside the " +
                                     std::to_string(memory_stats().live_bytes) + " in use",
                            .wanted = "what the operating system grants",
                            .what = "out of memory"});
}

void* from_malloc(std::size_t bytes) {
  bytes = (bytes + alignment - 1) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, bytes);
  if (!p) {
    trim_memory();
    p = std::aligned_alloc(alignment, bytes);
    if (!p) throw_out_of_memory(bytes);
  }
#ifdef THALWEG_NO_BLOCK_CACHE
  // Each block holds other garbage, so that a result that reads or leaves unwritten memory changes from call
  // to call.
  static std::atomic<unsigned char> garbage{1};
  std::memset(p, garbage.fetch_add(37, std::memory_order_relaxed), bytes);
#endif
  return p;
}

/// A block where the list in use is empty: from the batch behind it, from the shared batches, else from
/// malloc.
[[gnu::noinline]] void* take_small(SizeClass c) {
  FreeList& list = cache.lists[static_cast<std::size_t>(c.index)];
  FreeBlock* batch = std::exchange(list.spare, nullptr);
  Shared& s = shared();
  if (!batch) {
    std::lock_guard lock(s.mutex);
    FreeBlock*& head = s.batches[static_cast<std::size_t>(c.index)];
    if (head) batch = std::exchange(head, head->next_batch);
  }
  if (!batch) {
    void* p = from_malloc(c.bytes);
    std::lock_guard lock(s.mutex);
    ++s.small_calls;
    s.small_held += static_cast<std::int64_t>(c.bytes);
    return p;
  }
  FreeBlock* rest = batch->next;
  const std::uint32_t bytes = batch->bytes - static_cast<std::uint32_t>(c.bytes);
  if (!cache.ended) {
    list.first = rest;
    list.bytes = bytes;
  } else if (rest) {  // an ended thread would not come back for it
    std::lock_guard lock(s.mutex);
    s.add_batch(c.index, rest, bytes);
  }
  return batch;
}

/// Keeps a block that the full list in use has no room for.
[[gnu::noinline]] void give_small(void* p, SizeClass c) noexcept {
  FreeBlock* b = new (p) FreeBlock{nullptr, nullptr, 0};
  FreeList& list = cache.lists[static_cast<std::size_t>(c.index)];
  if (list.spare || cache.ended) {
    Shared& s = shared();
    std::lock_guard lock(s.mutex);
    if (cache.ended) return s.add_batch(c.index, b, static_cast<std::uint32_t>(c.bytes));
    s.add_batch(c.index, list.spare, list.spare->bytes);
  }
  list.first->bytes = list.bytes;
  list = {.first = b, .spare = list.first, .bytes = static_cast<std::uint32_t>(c.bytes)};
}

[[gnu::noinline]] void* allocate_large(std::size_t bytes) {
  Shared& s = shared();
  void* p = caches ? nullptr : from_malloc(bytes);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (attempt) trim_memory();  // the system refused: it gets back what is only cached
    std::lock_guard lock(s.mutex);
    if constexpr (caches)
      p = s.heap.take(bytes);
    else
      ++s.small_calls;
    if (!p) continue;
    const auto held = static_cast<std::int64_t>(caches ? Heap::size_of(p) : bytes);
    ++s.blocks;
    s.bytes += held;
    s.large_live += held;
    MemoryStats now;
    s.live(now);
    if (now.live_bytes > s.peak) s.peak = now.live_bytes;
    return p;
  }
  throw_out_of_memory(bytes);
}

[[gnu::noinline]] void release_large(void* p, std::size_t bytes) noexcept {
  Shared& s = shared();
  std::lock_guard lock(s.mutex);
  const auto held = static_cast<std::int64_t>(caches ? Heap::size_of(p) : bytes);
  --s.blocks;
  s.bytes -= held;
  s.large_live -= held;
  if constexpr (caches)
    s.heap.give(p);
  else
    std::free(p);
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes > largest_small) return allocate_large(bytes);
  const SizeClass c = small_class(bytes);
  FreeList& list = cache.lists[static_cast<std::size_t>(c.index)];
  void* p = list.first;
  if (p) [[likely]] {
    list.first = list.first->next;
    list.bytes -= static_cast<std::uint32_t>(c.bytes);
  } else {
    p = take_small(c);
  }
  count(1, static_cast<std::int64_t>(c.bytes));
  return p;
}

void release(void* p, std::size_t bytes) noexcept {
  if (!p) return;
  if (bytes > largest_small) return release_large(p, bytes);
  const SizeClass c = small_class(bytes);
  count(-1, -static_cast<std::int64_t>(c.bytes));
  if constexpr (!caches) return std::free(p);
  FreeList& list = cache.lists[static_cast<std::size_t>(c.index)];
  if (list.bytes >= batch_bytes) [[unlikely]]
    return give_small(p, c);
  static_cast<FreeBlock*>(p)->next = list.first;
  list.first = static_cast<FreeBlock*>(p);
  list.bytes += static_cast<std::uint32_t>(c.bytes);
}

}  // namespace thalweg::mem

namespace thalweg {

MemoryStats memory_stats() noexcept {
  mem::Shared& s = mem::shared();
  std::lock_guard lock(s.mutex);
  return s.figures();
}

void reset_peak_memory() noexcept {
  mem::Shared& s = mem::shared();
  std::lock_guard lock(s.mutex);
  MemoryStats now;
  s.live(now);
  s.peak = now.live_bytes;
}

void trim_memory() noexcept {
  mem::Shared& s = mem::shared();
  std::lock_guard lock(s.mutex);
  const auto free_all = [&s](mem::FreeBlock* b, int index) {
    for (; b; s.small_held -= static_cast<std::int64_t>(mem::class_bytes(index)))
      std::free(std::exchange(b, b->next));
  };
  for (int i = 0; i < mem::small_classes; ++i) {
    if (mem::FreeList& own = mem::cache.lists[static_cast<std::size_t>(i)]; !mem::cache.ended) {
      free_all(own.first, i);
      free_all(own.spare, i);
      own = {};
    }
    for (mem::FreeBlock*& head = s.batches[static_cast<std::size_t>(i)]; head;) {
      mem::FreeBlock* const next = head->next_batch;
      free_all(head, i);
      head = next;
    }
  }
  s.heap.trim();
}

}  // namespace thalweg
