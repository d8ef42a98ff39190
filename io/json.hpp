// JsonReader: a strict pull parser (RFC 8259) for small files whose structure the caller knows.
// Depends on base and io/file. Invariant: it never recurses, and gives a value of another kind than asked for
// as an error, so nesting is bounded by the caller's own code.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace thalweg::io {

/// What is being read, for errors: "outer.inner", or "outer" alone. Only looked at when one is thrown.
struct Field {
  std::string_view outer{}, inner{};
  Field(std::string_view name) : outer(name) {}    // NOLINT
  Field(const char* name) : outer(name) {}         // NOLINT
  Field(const std::string& name) : outer(name) {}  // NOLINT
  Field(std::string_view owner, std::string_view part) : outer(owner), inner(part) {}
};

class JsonReader {
 public:
  /// `text` must be UTF-8 already (valid_utf8_prefix). Errors are FormatErrors of `op` and `name` (printable)
  /// and count offsets from `base`, where `text` starts in the file.
  JsonReader(std::string_view text, std::string op, std::string name, std::uint64_t base);

  /// Skips white space; true and past it if the next character is `c`.
  bool accept(char c);
  /// As accept, but anything else is an error: "<field>: wanted c".
  void expect(char c, Field field);
  /// A string, its escapes resolved. A lone surrogate (\ud800), which UTF-8 cannot hold, is an error.
  std::string string(Field field);
  /// A whole number from 0 to 2^63 - 1, written without sign, fraction, exponent or leading zero.
  std::int64_t natural(Field field);
  /// Where the reader stands in the file.
  std::uint64_t offset() const noexcept { return base_ + at_; }
  /// Skips white space and says where the next token starts in the file.
  std::uint64_t next() noexcept {
    skip_space();
    return offset();
  }
  /// What is left, white space included.
  std::string_view rest() const noexcept { return text_.substr(at_); }

  /// Throws a FormatError that names `field` and `offset`.
  [[noreturn, gnu::cold]] void fail(std::uint64_t offset, Field field, std::string_view what,
                                    std::string given = {}, std::string wanted = {}) const;

 private:
  void skip_space() noexcept;
  std::string found() const;
  std::uint32_t hex4(Field field);
  void escape(std::string& out, Field field);

  std::string_view text_;
  std::string op_, name_;
  std::uint64_t base_;
  std::size_t at_ = 0;
};

/// `text`, which must be UTF-8, as a JSON string with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace thalweg::io
