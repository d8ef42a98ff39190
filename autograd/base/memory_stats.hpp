// What the library's allocator holds, for those who watch or bound it. Depends on nothing of the project.
#pragma once

#include <cstdint>

namespace thalweg {

/// Figures of the allocator behind every tensor and node, over all threads. Bytes count whole blocks, with
/// headers and rounding.
struct MemoryStats {
  std::int64_t live_blocks = 0;  ///< allocated and not released
  std::int64_t live_bytes = 0;
  std::int64_t peak_bytes =
      0;  ///< highest live_bytes at an allocation above 64 KiB or a call of memory_stats()
  std::int64_t cached_bytes = 0;  ///< released and kept for reuse
  std::int64_t system_calls = 0;  ///< times malloc or the operating system was asked, since the program began
};

/// Exact while no other thread allocates.
MemoryStats memory_stats() noexcept;

/// Lets peak_bytes start again from what is live now.
void reset_peak_memory() noexcept;

/// Gives cached memory back to the operating system: all large blocks, and the small ones that are not in
/// another thread's own cache.
void trim_memory() noexcept;

}  // namespace thalweg
