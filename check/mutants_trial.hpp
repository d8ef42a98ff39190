// MutantTrial: judges the mutants of one op while they are in place. Internal to check/. Depends on
// mutants.hpp. Invariant: a mutant is judged only after its effect is known, so that `made` holds no mutant
// that changes nothing.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <thalweg/check/mutants.hpp>

namespace thalweg::check {

/// What a mutant does to the gradients.
enum class Effect : std::uint8_t {
  none,    ///< the same values everywhere
  result,  ///< one constant times the gradient of each input: as if the result had been changed
  inside,
};

/// Gradients as plain numbers: one row per input of the op.
using GradientRows = std::vector<std::vector<double>>;

Effect effect_of(const GradientRows& sound, const GradientRows& mutated);

class MutantTrial {
 public:
  MutantTrial(const OpInfo& op_, const Options& options, MutantReport& report);

  const OpInfo& op;
  std::vector<Case> cases;

  /// Whether the op is green as it stands. If not, says so among the survivors, and there is nothing to learn
  /// from it.
  bool sound();
  /// With the mutant in place: counts it, and whether an axis turns red.
  void judge(const std::string& name, Effect effect);
  /// A mutant that changes the result as a whole, on axis 2 alone.
  void judge_result(const std::string& name);
  /// The same for a fault in a kernel, on the axes given as bits.
  void judge_fault(const std::string& name, std::uint32_t axes);
  /// Not counted: every sample on which the mutant does anything refuses it by its shapes.
  void refused(const std::string& name) { report_.refused.push_back(name); }
  /// First outputs on all cases.
  GradientRows forward_rows() const;
  /// Gradients on all cases for fixed output gradients. Throws what the derivative throws.
  GradientRows gradient_rows() const;

 private:
  bool red(Tier tier, std::uint32_t axes) const;

  Options options_;
  MutantReport& report_;
};

constexpr std::uint32_t bit(Axis a) noexcept { return 1u << static_cast<unsigned>(a); }

void mutate_pointwise(MutantTrial& trial);
void mutate_forward(MutantTrial& trial);
void mutate_vjp(MutantTrial& trial);
void mutate_composite(MutantTrial& trial);
void mutate_result(MutantTrial& trial);
void mutate_kernels(MutantTrial& trial);

}  // namespace thalweg::check
