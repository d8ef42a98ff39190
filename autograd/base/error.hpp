// Typed errors. Every user mistake throws one of these; the fields can be read by a program, the text by a person.
// Depends on loc.hpp only.
#pragma once

#include <stdexcept>
#include <string>

#include <thalweg/autograd/base/loc.hpp>

namespace thalweg {

/// What an error says. `what` is the one sentence a person needs; the rest is optional and machine-readable.
struct ErrorFields {
  std::string op{};      ///< operation or format: "matmul", "idx"
  std::string arg{};     ///< argument or path: "b", "data/train-labels"
  std::string given{};   ///< "f32[5,2]"
  std::string wanted{};  ///< "f32[3,n]"
  std::string what{};    ///< "inner dimensions differ"
  Loc loc{};             ///< the user's line
};

class Error : public std::runtime_error {
 public:
  /// Text: "op: what: arg is given, wanted wanted (at file:line)", absent fields left out.
  explicit Error(ErrorFields fields);
  const std::string& op() const noexcept { return fields_.op; }
  const std::string& arg() const noexcept { return fields_.arg; }
  const std::string& given() const noexcept { return fields_.given; }
  const std::string& wanted() const noexcept { return fields_.wanted; }
  Loc loc() const noexcept { return fields_.loc; }
  const ErrorFields& fields() const noexcept { return fields_; }

 private:
  ErrorFields fields_;
};

struct ShapeError : Error { using Error::Error; };      ///< shapes that do not fit each other or the op
struct DTypeError : Error { using Error::Error; };      ///< element types the op does not take
struct IndexError : Error { using Error::Error; };      ///< a position or axis out of range
struct ValueError : Error { using Error::Error; };      ///< a number or option outside its domain
struct GraphError : Error { using Error::Error; };      ///< misuse of the recorded graph
struct VersionError : GraphError { using GraphError::GraphError; };  ///< a value needed by backward was overwritten
struct IoError : Error { using Error::Error; };         ///< the operating system refused
struct FormatError : Error { using Error::Error; };     ///< a file that breaks its format
struct MemoryError : Error { using Error::Error; };     ///< memory ran out

template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void throw_error(ErrorFields fields) {
  throw E(std::move(fields));
}

/// Reports a broken internal invariant and aborts: our bug, never the user's.
[[noreturn, gnu::cold]] void internal_error(const char* condition, const char* file, int line) noexcept;

}  // namespace thalweg

#define THALWEG_ASSERT(condition) \
  ((condition) ? void(0) : ::thalweg::internal_error(#condition, __FILE__, __LINE__))
