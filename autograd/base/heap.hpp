// Heap: where blocks above 64 KiB live. It reserves address space in large segments, cuts blocks from them and
// joins neighbours that are free, so that the memory held follows what is in use, whatever the sizes were.
// Internal to memory.cpp, which locks. Depends on nothing of the project.
// Invariant: within a segment the blocks up to `top` follow one another without a gap, and no two free ones
// touch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace thalweg::mem {

class Heap {
 public:
  static constexpr std::size_t alignment = 64;

  /// At least `bytes`, 64-byte aligned; null when the operating system gives no more.
  void* take(std::size_t bytes) noexcept;
  void give(void* p) noexcept;
  /// Bytes that the block behind `p` occupies, its header included.
  static std::size_t size_of(const void* p) noexcept;
  /// Returns the memory of free blocks to the operating system, and the address space of segments that hold
  /// no other.
  void trim() noexcept;

  /// Bytes of free blocks that are still backed by memory.
  std::int64_t cached_bytes() const noexcept { return cached_; }
  /// Times that address space was asked for or memory was given back.
  std::int64_t system_calls() const noexcept { return system_calls_; }

 private:
  struct Segment;
  struct Block;
  static constexpr int steps = 8;  // lists per doubling
  static constexpr int lists = 40 * steps;

  static int list_of(std::size_t size) noexcept;
  static bool lower(const Block& a, const Block& b) noexcept;
  Block* after(Block* b) const noexcept;
  void link(Block* b) noexcept;
  void unlink(Block* b) noexcept;
  Block* find(std::size_t size) noexcept;
  Block* grow(std::size_t size) noexcept;
  Segment* reserve(std::size_t size) noexcept;
  void split(Block* b, std::size_t size) noexcept;

  std::array<Block*, lists> free_{};
  std::array<std::uint64_t, lists / 64> occupied_{};  // bit i: free_[i] is not empty
  Segment* segments_ = nullptr;
  std::int64_t cached_ = 0;
  std::int64_t system_calls_ = 0;
};

}  // namespace thalweg::mem
