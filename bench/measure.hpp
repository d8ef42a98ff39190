// Times one row: ours and the peer's in turn, medians. Depends on case.hpp.
// Invariant: no result is compared with one from another run of the program.
#pragma once

#include "case.hpp"

namespace bench {

struct Row {
  std::string group;
  std::string name;
  double median = 0;       ///< seconds
  double limit = 0;        ///< seconds
  double peer_median = 0;  ///< seconds; 0: no peer
  int peer_threads = 0;
  double goal = 0;
  std::string goal_text;
  std::string unit = "s";  ///< of the figures above; "MB" for memory
  std::string note;        ///< why there is no peer, or that the results differ
  Work work{};
  bool more_is_better = false;  ///< as with a speed-up
  std::vector<double> ratios{};  ///< of every pass, smallest first, where there was more than one

  bool goal_met() const { return more_is_better ? median >= goal : median <= goal; }

  double of_limit() const { return median > 0 ? limit / median : 0; }
  double ratio() const { return median > 0 ? peer_median / median : 0; }
};

struct Effort {
  bool quick = false;  ///< one short round: only to see that it runs
  int threads = 1;     ///< of the machine
};

/// Runs the case; `peer` may be null. Throws std::runtime_error when the two libraries' results disagree.
Row measure(const Case& c, Peer* peer, const Effort& effort);

/// Of one row's passes the one whose ratio (our time, where there is no peer) is the median, with the ratios of all.
Row median_row(std::vector<Row> passes);

}  // namespace bench
