// Stores that go around the caches, for results too large to be read back from them. Depends on the standard
// library and SSE2. Invariant: who streams calls stream_fence() on the same thread before the work is
// reported as done.
#pragma once

#include <emmintrin.h>

#include <cstdint>
#include <cstring>

namespace thalweg::kernels {

/// A result of this many bytes or more is streamed: it exceeds the last-level cache of most machines, so that
/// reading its lines before overwriting them, and pushing out others for them, is a loss.
inline constexpr std::int64_t stream_bytes = std::int64_t{32} << 20;

/// Copies `bytes` bytes from `src`, which is in the first-level cache, to memory. `bytes` is a multiple of 4.
inline void stream_block(void* dst, const void* src, std::int64_t bytes) noexcept {
  char* d = static_cast<char*>(dst);
  const char* s = static_cast<const char*>(src);
  std::int64_t head = static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(d) & 63u);
  if (head > bytes) head = bytes;
  if (head != 0) std::memcpy(d, s, static_cast<std::size_t>(head));
  std::int64_t i = head;
  for (; i + 64 <= bytes; i += 64) {  // whole lines only: a line written in part is read first
    for (std::int64_t j = 0; j < 64; j += 16)
      _mm_stream_si128(reinterpret_cast<__m128i*>(d + i + j),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(s + i + j)));
  }
  if (i < bytes) std::memcpy(d + i, s + i, static_cast<std::size_t>(bytes - i));
}

/// Orders streamed stores before whatever the thread does next.
inline void stream_fence() noexcept { _mm_sfence(); }

}  // namespace thalweg::kernels
