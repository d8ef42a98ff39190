// Eight independent multiply chains, so that one multiplication's latency hides behind the other seven; see
// checksum.hpp.
#include <algorithm>
#include <cstring>

#include <thalweg/io/checksum.hpp>

namespace thalweg::io {
namespace {

/// A bijection of `h` for every `word`, and of `word` for every `h`: xor, an odd factor, a folded shift.
inline std::uint64_t mix(std::uint64_t h, std::uint64_t word) noexcept {
  h = (h ^ word) * 0x9E3779B97F4A7C15u;
  return h ^ (h >> 29);
}

}  // namespace

void Checksum::absorb(State& state, const std::uint8_t* bytes, std::size_t blocks) noexcept {
  State s = state;  // in registers: the bytes could alias state_
  for (; blocks != 0; --blocks, bytes += block) {
    std::uint64_t words[lanes];
    std::memcpy(words, bytes, block);
    for (std::size_t i = 0; i < lanes; ++i) s[i] = mix(s[i], words[i]);
  }
  state = s;
}

void Checksum::update(std::span<const std::uint8_t> bytes) noexcept {
  length_ += bytes.size();
  if (held_ != 0) {
    const std::size_t n = std::min(block - held_, bytes.size());
    if (n != 0) std::memcpy(tail_.data() + held_, bytes.data(), n);
    held_ += n;
    bytes = bytes.subspan(n);
    if (held_ < block) return;
    absorb(state_, tail_.data(), 1);
    held_ = 0;
  }
  absorb(state_, bytes.data(), bytes.size() / block);
  const auto rest = bytes.last(bytes.size() % block);
  if (!rest.empty()) std::memcpy(tail_.data(), rest.data(), rest.size());
  held_ = rest.size();
}

std::uint64_t Checksum::value() const noexcept {
  State s = state_;
  std::array<std::uint8_t, block> last{};  // zeros stand for what is not there; the length tells them apart
  std::copy_n(tail_.begin(), held_, last.begin());
  absorb(s, last.data(), 1);
  std::uint64_t h = mix(0, length_);
  for (std::uint64_t lane : s) h = mix(h, lane);
  return h ^ (h >> 32);
}

}  // namespace thalweg::io
