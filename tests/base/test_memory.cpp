// The allocator: blocks never overlap and keep their contents, freed memory is joined and used again whatever
// the sizes, figures are right, blocks travel between threads, and running out is a typed error.
#include <doctest/doctest.h>

#include <sys/resource.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/memory.hpp>

using namespace thalweg;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool caches = false;
#elif defined(__has_feature)
constexpr bool caches = !__has_feature(address_sanitizer);
#else
constexpr bool caches = true;
#endif

struct Held {
  unsigned char* p;
  std::size_t bytes;
  unsigned char mark;
};

Held take(std::size_t bytes, unsigned char mark) {
  auto* p = static_cast<unsigned char*>(mem::allocate(bytes));
  REQUIRE(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
  std::memset(p, mark, bytes);
  return {p, bytes, mark};
}

bool intact(const Held& h) {
  for (std::size_t i = 0; i < h.bytes; i += i + 64 < h.bytes && h.bytes > 4096 ? 61 : 1)
    if (h.p[i] != h.mark) return false;
  return h.bytes == 0 || h.p[h.bytes - 1] == h.mark;
}

}  // namespace

TEST_CASE("blocks of all sizes, taken and given in any order, keep their contents") {
  const MemoryStats before = memory_stats();
  std::mt19937_64 random(7);
  std::vector<Held> held;
  for (int round = 0; round < 4000; ++round) {
    if (held.size() < 40 || random() % 2 == 0) {
      const std::size_t limit = std::size_t{1} << (random() % 22);
      held.push_back(take(random() % (limit + 1), static_cast<unsigned char>(random())));
      continue;
    }
    std::swap(held[random() % held.size()], held.back());
    REQUIRE(intact(held.back()));
    mem::release(held.back().p, held.back().bytes);
    held.pop_back();
  }
  for (const Held& h : held) {
    REQUIRE(intact(h));
    mem::release(h.p, h.bytes);
  }
  CHECK(memory_stats().live_blocks == before.live_blocks);
  CHECK(memory_stats().live_bytes == before.live_bytes);
}

TEST_CASE("freed neighbours are joined: other sizes fit where these were") {
  if (!caches) return;
  constexpr std::size_t mib = 1 << 20;
  trim_memory();
  std::vector<void*> parts;
  for (int i = 0; i < 8; ++i) parts.push_back(mem::allocate(mib));
  for (int i : {1, 3, 5, 7, 0, 4, 2, 6}) mem::release(parts[static_cast<std::size_t>(i)], mib);
  const MemoryStats before = memory_stats();
  CHECK(before.cached_bytes >= static_cast<std::int64_t>(8 * mib));
  void* whole = mem::allocate(8 * mib);
  void* rest = mem::allocate(256);  // headers of the parts leave at least this much
  CHECK(memory_stats().cached_bytes <= before.cached_bytes - static_cast<std::int64_t>(8 * mib));
  CHECK(memory_stats().system_calls <= before.system_calls + 1);
  mem::release(whole, 8 * mib);
  mem::release(rest, 256);
}

TEST_CASE("a block wastes little, and the best fit is taken") {
  if (!caches) return;
  for (std::size_t bytes = 70000; bytes < 40'000'000; bytes = bytes * 9 / 7 + 13) {
    const std::int64_t before = memory_stats().live_bytes;
    void* p = mem::allocate(bytes);
    CHECK(memory_stats().live_bytes - before <= static_cast<std::int64_t>(bytes + bytes / 8));
    mem::release(p, bytes);
  }
  // Two holes between blocks in use: the request goes into the smaller that holds it, not the one freed last.
  constexpr std::size_t small = 300'000, large = 310'000;
  void* a = mem::allocate(small);
  void* wall = mem::allocate(70'000);
  void* b = mem::allocate(large);
  void* end = mem::allocate(70'000);
  mem::release(a, small);
  mem::release(b, large);
  void* again = mem::allocate(small - 100);
  CHECK((again != b));
  mem::release(again, small - 100);
  mem::release(wall, 70'000);
  mem::release(end, 70'000);
}

TEST_CASE("a block over 1 MiB goes to the lowest place that holds it") {
  if (!caches) return;
  constexpr std::size_t mib = 1 << 20;
  trim_memory();
  void* const low = mem::allocate(40 * mib);
  void* const wall = mem::allocate(2 * mib);
  void* const high = mem::allocate(20 * mib);
  void* const end = mem::allocate(2 * mib);
  mem::release(low, 40 * mib);
  mem::release(high, 20 * mib);
  void* const again = mem::allocate(19 * mib);
  CHECK((again != high));
  CHECK((again <= low));
  mem::release(again, 19 * mib);
  mem::release(wall, 2 * mib);
  mem::release(end, 2 * mib);
}

TEST_CASE("the peak is the highest number of live bytes since it was reset; trim gives the cache back") {
  constexpr std::size_t bytes = 10 << 20;
  void* p = mem::allocate(bytes);
  mem::release(p, bytes);
  CHECK(memory_stats().peak_bytes >= static_cast<std::int64_t>(bytes));
  reset_peak_memory();
  const MemoryStats reset = memory_stats();
  CHECK(reset.peak_bytes == reset.live_bytes);
  p = mem::allocate(bytes);
  mem::release(p, bytes);
  CHECK(memory_stats().peak_bytes >= reset.live_bytes + static_cast<std::int64_t>(bytes));
  if (!caches) return;
  CHECK(memory_stats().cached_bytes >= static_cast<std::int64_t>(bytes));
  trim_memory();
  CHECK(memory_stats().cached_bytes < 1 << 20);
  Held again = take(bytes, 5);  // trimmed memory works when it is used again
  CHECK(intact(again));
  mem::release(again.p, again.bytes);
}

TEST_CASE("small blocks that one thread takes and another gives come back without malloc") {
  if (!caches) return;
  constexpr int blocks = 4000;
  constexpr std::size_t bytes = 2048;
  const auto round = [] {
    std::vector<void*> made;
    std::thread producer([&] {
      for (int i = 0; i < blocks; ++i) made.push_back(mem::allocate(bytes));
    });
    producer.join();
    for (void* p : made) mem::release(p, bytes);
  };
  for (int i = 0; i < 3; ++i) round();
  const std::int64_t calls = memory_stats().system_calls;
  for (int i = 0; i < 5; ++i) round();
  CHECK(memory_stats().system_calls - calls < blocks / 2);  // what the releasing thread keeps to itself, once
}

TEST_CASE("more memory than there is throws MemoryError and leaves the figures alone") {
  if (!caches) return;
  const MemoryStats before = memory_stats();
  try {
    mem::allocate(std::size_t{1} << 50);
    FAIL("no error");
  } catch (const MemoryError& e) {
    CHECK(std::string(e.what()).find("out of memory") != std::string::npos);
    CHECK(e.given().find(std::to_string(std::size_t{1} << 50)) != std::string::npos);
  }
  CHECK(memory_stats().live_bytes == before.live_bytes);
  CHECK(memory_stats().live_blocks == before.live_blocks);
}
