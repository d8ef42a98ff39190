// A row of the benchmark before it has run: what to call, what it must at least do, what is asked of it.
// Depends on peer.hpp and the library. Invariant: nothing is built before make() is called, so a filtered run is cheap.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

#include "peer.hpp"

namespace bench {

/// The least that any program must do for a row; the limit is the largest of the times these take.
struct Work {
  double flops = 0;
  double read = 0;      ///< bytes
  double written = 0;   ///< bytes
  bool in_turn = false;   ///< arithmetic and memory come one after the other, so that their times add up
  bool overhead = false;  ///< too small for any of these: the limit is the cheapest op of the engine
  bool backward = false;  ///< for `overhead`: with its backward pass
};

/// Ours, ready to run, and the call for a peer on the same arrays.
struct Ready {
  std::function<void(std::int64_t times)> ours{};
  std::function<std::vector<thalweg::Tensor>()> results{};  ///< as PeerJob::results(); empty where bits cannot agree
  PeerCall peer{};
  Work work{};
};

struct Row;

struct Case {
  std::string group;
  std::string name;
  std::function<Ready()> make{};
  double goal = 0;        ///< in the row's unit (seconds); 0: none
  std::string goal_text{};
  int threads = 0;        ///< of ours; 0: all
  double units = 1;       ///< times are divided by this: calls inside one call
  std::string no_peer{};  ///< why there is no twin
  /// Instead of make(): fills in a row that is not timed call by call. The peer may be null.
  std::function<void(Row& row, Peer* peer)> custom{};
};

Array array_of(const thalweg::Tensor& t);

void add_op_cases(std::vector<Case>& to);
void add_kernel_cases(std::vector<Case>& to);
void add_step_cases(std::vector<Case>& to);
void add_overhead_cases(std::vector<Case>& to);

/// Ops of the registry with neither a case nor a stated reason.
std::vector<std::string> ops_without_case();

}  // namespace bench
