// Out-of-line parts of autograd/base: error texts, shape checks, printing of dims and views.
// Depends on base and fmt.
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <typeinfo>

#include <fmt/format.h>

#include <thalweg/autograd/base/dims.hpp>
#include <thalweg/autograd/base/error.hpp>
#include <thalweg/autograd/base/rethrow.hpp>
#include <thalweg/autograd/base/view.hpp>

namespace thalweg {
namespace {

std::string error_text(const ErrorFields& f) {
  std::string s = f.op.empty() ? f.what : fmt::format("{}: {}", f.op, f.what);
  if (!f.arg.empty() && !f.given.empty()) s += fmt::format(": {} is {}", f.arg, f.given);
  else if (!f.arg.empty()) s += fmt::format(": {}", f.arg);
  else if (!f.given.empty()) s += fmt::format(": given {}", f.given);
  if (!f.wanted.empty()) s += fmt::format(", wanted {}", f.wanted);
  if (f.loc) s += fmt::format(" (at {}:{})", f.loc.file, f.loc.line);
  return s;
}

template <class... E>
void throw_if_same_type(const Error& e, ErrorFields& fields) {
  (void)((typeid(e) == typeid(E) ? throw E(std::move(fields)) : true) && ...);
}

}  // namespace

void throw_again(const Error& e, ErrorFields fields) {
  throw_if_same_type<ShapeError, DTypeError, IndexError, ValueError, GraphError, VersionError, IoError, FormatError,
                     MemoryError, Error>(e, fields);
  throw;
}

Error::Error(ErrorFields fields) : std::runtime_error(error_text(fields)), fields_(std::move(fields)) {}

void internal_error(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "thalweg: internal invariant broken: %s (%s:%d). Please report this.\n", condition, file,
               line);
  std::abort();
}

void throw_too_many_dims(std::int64_t wanted) {
  throw_error<ShapeError>({.op = "dims",
                           .given = fmt::format("{} dimensions", wanted),
                           .wanted = fmt::format("at most {}", max_dims),
                           .what = "too many dimensions"});
}

std::int64_t checked_numel_large(const Dims& shape, std::int64_t itemsize) {
  std::int64_t n = 1;
  bool overflow = false;
  bool zero = false;
  for (std::int64_t d : shape) {
    if (d < 0)
      throw_error<ShapeError>({.op = "shape", .given = to_string(shape), .wanted = "sizes of 0 or more",
                               .what = "negative size"});
    zero |= d == 0;
    if (d != 0) overflow |= __builtin_mul_overflow(n, d, &n);
  }
  if (!zero) overflow |= __builtin_mul_overflow(n, itemsize, &itemsize);
  if (overflow)
    throw_error<ShapeError>({.op = "shape", .given = to_string(shape), .wanted = "fewer than 2^63 bytes",
                             .what = "size overflows"});
  return zero ? 0 : n;
}

std::string to_string(const Dims& d) { return fmt::format("[{}]", fmt::join(d.begin(), d.end(), ",")); }

std::string describe(DType dtype, const Dims& shape) { return name(dtype) + to_string(shape); }

}  // namespace thalweg
