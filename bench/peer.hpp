// What the benchmarks ask of another library, in plain C++, so that no header of either library meets the other's.
// Depends on the standard library alone. Invariant: a job reads the very arrays that ours reads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bench {

enum class Kind : std::uint8_t { f32, f64, i64, i32, u8, boolean };

/// An array of ours, lent for the life of the job.
struct Array {
  const void* data = nullptr;  ///< null: an absent optional input
  Kind kind = Kind::f32;
  std::vector<std::int64_t> shape{};
  std::vector<std::int64_t> strides{};  ///< in elements
  bool wants_gradient = false;
};

/// One call to be measured.
struct PeerCall {
  std::string name{};                  ///< of the twin; "" for none
  std::vector<Array> in{};
  std::vector<std::int64_t> numbers{};   ///< what the call needs besides arrays
  bool backward = false;
  Array gradient{};                    ///< of the output, for backward
};

class PeerJob {
 public:
  virtual ~PeerJob() = default;
  virtual void run(std::int64_t times) = 0;
  /// The first output and, after it, the inputs' gradients of one more call, as doubles.
  virtual std::vector<std::vector<double>> results() = 0;
};

class Peer {
 public:
  virtual ~Peer() = default;
  /// "libtorch 1.13.1 (OpenBLAS ...)".
  virtual std::string describe() const = 0;
  virtual void set_threads(int n) = 0;
  /// Null when there is no twin of that name.
  virtual std::unique_ptr<PeerJob> make(const PeerCall& call) = 0;
};

/// What a peer's shared object exports, as "thalweg_bench_peer".
using PeerEntry = Peer* (*)();

}  // namespace bench
