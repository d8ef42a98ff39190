// Generator: the explicit source of random numbers. Depends on base.
// Invariant: every random op takes exactly one offset, so the n-th random op after seeding is the same on any machine.
#pragma once

#include <cstdint>

#include <thalweg/autograd/base/philox.hpp>

namespace thalweg {

class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) noexcept : key_{seed, 0} {}
  /// The next op's key; advances by one.
  RandomKey next() noexcept {
    const RandomKey k = key_;
    ++key_.offset;
    return k;
  }
  RandomKey state() const noexcept { return key_; }
  void set_state(RandomKey k) noexcept { key_ = k; }

 private:
  RandomKey key_;
};

}  // namespace thalweg
