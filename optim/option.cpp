// Depends on option.hpp, fmt.
#include <thalweg/optim/option.hpp>

#include <cmath>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::optim::detail {

void check_option(const char* op, const char* arg, double v, Range r, Loc loc) {
  const bool bounded = r.high > 0;
  if (std::isfinite(v) && v >= r.low && (!bounded || v < r.high || (r.closed && v == r.high))) return;
  throw_error<ValueError>({.op = op,
                           .arg = arg,
                           .given = fmt::format("{}", v),
                           .wanted = bounded
                                         ? fmt::format("{} to {}{}", r.low, r.closed ? "" : "below ", r.high)
                                         : fmt::format("a finite number, {} or more", r.low),
                           .what = "option outside its domain",
                           .loc = loc});
}

void check_count(const char* op, const char* arg, std::int64_t v, std::int64_t least, Loc loc) {
  if (v >= least) return;
  throw_error<ValueError>({.op = op,
                           .arg = arg,
                           .given = fmt::format("{}", v),
                           .wanted = fmt::format("{} or more", least),
                           .what = "option outside its domain",
                           .loc = loc});
}

}  // namespace thalweg::optim::detail
