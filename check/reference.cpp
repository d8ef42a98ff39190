// The operator reference, written from the registry. Depends on certify.hpp, fmt.
// Invariant: everything in it comes from the rows, so it cannot say what the code does not.
#include <fmt/format.h>

#include <thalweg/check/certify.hpp>

namespace thalweg::check {
namespace {

std::string domain_of(const OpInfo& op) {
  if (!op.pointwise()) return {};
  const char* operands[3][3] = {{"x"}, {"a", "b"}, {"c", "a", "b"}};
  std::string s;
  for (int i = 0; i < op.def->n_in; ++i) {
    if ((op.row->conditions >> i) & 1u) continue;
    const Interval& d = op.row->domain[i];
    s += fmt::format("{}{} in [{}, {}]", s.empty() ? "" : ", ", operands[op.def->n_in - 1][i], d.lo, d.hi);
  }
  return s;
}

std::string gradient_of(const OpInfo& op) {
  if (!op.def->differentiable) return "none";
  std::string s;
  for (int i = 0; i < (op.def->n_in < 0 ? 1 : op.def->n_in); ++i) {
    if ((op.def->no_grad >> i) & 1u) continue;
    const NeedMask needs = op.def->needs_of(i);
    std::string saved;
    for (int b = 0; b < 20; ++b)
      if ((needs >> b) & 1u)
        saved +=
            (saved.empty() ? "" : ", ") + (b < 16 ? fmt::format("input {}", b) : std::string("the output"));
    s += fmt::format("{}input {} saves {}", s.empty() ? "" : "; ", i, saved.empty() ? "nothing" : saved);
  }
  return s;
}

void line(std::string& to, const char* label, const std::string& text) {
  if (!text.empty()) to += fmt::format("- {}: {}\n", label, text);
}

}  // namespace

std::string op_reference(std::span<const OpInfo> ops) {
  std::string s =
      "# Operators\n\n"
      "Written by `certify --reference` from the registry; do not edit. Bounds are errors of the forward "
      "value against the\n"
      "exact one, in units in the last place. \"Sampled\" is where the harness draws its operands, not where "
      "the op is defined.\n";
  for (const OpInfo& op : ops) {
    const Row& row = *op.row;
    s += fmt::format("\n## {}\n\n`{}`\n\n", row.name, row.formula);
    line(s, "sampled", domain_of(op));
    std::string traits;
    const auto trait = [&](bool on, const char* name) {
      if (on) traits += fmt::format("{}{}", traits.empty() ? "" : ", ", name);
    };
    constexpr const char* kinds[] = {"pointwise", "view", "structured", "composite", "leaf"};
    trait(true, kinds[static_cast<int>(op.def->kind)]);
    trait(op.def->broadcasts, "broadcasts");
    trait(op.linear, "linear");
    trait(op.multilinear, "multilinear");
    trait(row.integers, "integers too");
    trait(row.predicate, "yields bool");
    trait(op.random, "random");
    line(s, "kind", traits);
    line(s, "gradient", gradient_of(op));
    if (row.kinks.count > 0) {
      std::string at;
      for (double k : row.kinks) at += fmt::format("{}{}", at.empty() ? "" : ", ", k);
      line(s, "kinks", at);
    } else if (row.kink_at_equal) {
      line(s, "kinks", "where a = b");
    }
    line(s, "subgradient", row.subgradient);
    if (op.pointwise())
      line(s, "bound",
           row.predicate ? "exact" : fmt::format("{} ulp in f32, {} ulp in f64", row.ulp_f32, row.ulp_f64));
    if (!op.paths.empty()) {
      std::string paths;
      for (const Path& p : op.paths) paths += fmt::format("{}{}", paths.empty() ? "" : ", ", p.name);
      line(s, "paths", paths);
    }
    line(s, "note", row.note);
  }
  return s;
}

}  // namespace thalweg::check
