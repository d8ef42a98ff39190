// Checksum: 64 bits over a stream of bytes, at memory speed. Depends on the standard library only.
// Invariant: a change within any one aligned 8-byte word of the stream always changes the result (every step
// is a bijection of the state and of the word); other changes escape with a chance of about 2^-64. It detects
// accidents, not forgery.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace thalweg::io {

class Checksum {
 public:
  /// Appends bytes; how the stream is cut into calls does not matter.
  void update(std::span<const std::uint8_t> bytes) noexcept;
  /// Of everything so far. The value belongs to the file format: it never changes.
  std::uint64_t value() const noexcept;

 private:
  static constexpr std::size_t lanes = 8;
  static constexpr std::size_t block = lanes * sizeof(std::uint64_t);
  using State = std::array<std::uint64_t, lanes>;

  static void absorb(State& state, const std::uint8_t* bytes, std::size_t blocks) noexcept;

  State state_{1, 2, 3, 4, 5, 6, 7, 8};  // not zero, which zeros would leave as it is
  std::array<std::uint8_t, block> tail_{};
  std::size_t held_ = 0;      // bytes waiting in tail_
  std::uint64_t length_ = 0;  // bytes of the stream
};

}  // namespace thalweg::io
