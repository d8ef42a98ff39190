// mutate(): does the harness notice a wrong derivative? Corrupts derivatives one step at a time and counts
// what turns a gradient axis red. Depends on certify.hpp. Invariant: single-threaded, and every op is as it
// was when a trial ends, also when it ends by an exception.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <thalweg/check/certify.hpp>

namespace thalweg::check {

/// What a mutation run saw. `made` counts corruptions inside derivatives and faults inside kernels; what only
/// changes the result as a whole is counted apart, since any harness would see that.
struct MutantReport : MutationScore {
  std::vector<std::string>
      equivalents;                ///< change no gradient at any probe, however far from the samples; not made
  std::vector<std::string> refused;  ///< throw, or give another shape, wherever they do anything; not made
  std::int64_t results_made = 0;  ///< the gradient times -1, 1.0625, 1.001 or 0
  std::int64_t results_caught = 0;
  std::vector<std::string> result_survivors;
  double seconds = 0;

  /// caught / made; 1 when nothing was made.
  double score() const noexcept {
    return made > 0 ? static_cast<double>(caught) / static_cast<double>(made) : 1;
  }
};

/// Mutates the derivatives of the given ops:
///  - pointwise: every arithmetic step of every derivative formula is negated, scaled, given its operands
///  swapped or
///    replaced, every literal changed;
///  - view, structured: every op that the vjp applies is negated, scaled, replaced by its input, given its
///  inputs swapped
///    or its attributes shifted; every saved value is perturbed or mistaken for another; the vjp is given other
///    attributes, and so is the op itself (axis 1 must notice);
///  - composite: the path back through every op that it is made of is negated, scaled or cut;
///  - kernels: every planted fault is switched on for the ops that run through it.
/// An op that is red without any mutant is named among the survivors, since nothing can be said about it.
MutantReport mutate(std::span<const OpInfo* const> ops, const Options& options = {});

/// The report as text: the score, every survivor and every mutant that changes nothing, each with the reason
/// known for it.
std::string mutant_table(const MutantReport& report);

}  // namespace thalweg::check
