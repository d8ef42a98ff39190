// The strict JSON reader; see json.hpp. Depends on base and io/file.
#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/file.hpp>
#include <thalweg/io/json.hpp>

namespace thalweg::io {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

JsonReader::JsonReader(std::string_view text, std::string op, std::string name, std::uint64_t base)
    : text_(text), op_(std::move(op)), name_(std::move(name)), base_(base) {}

void JsonReader::fail(std::uint64_t offset, Field field, std::string_view what, std::string given,
                      std::string wanted) const {
  throw_error<FormatError>(
      {.op = op_,
       .arg = name_,
       .given = std::move(given),
       .wanted = std::move(wanted),
       .what = fmt::format("offset {}: {}{}{}: {}", offset, printable(field.outer),
                           field.inner.empty() ? "" : ".", printable(field.inner), what)});
}

void JsonReader::skip_space() noexcept {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
    ++at_;
}

/// The next character as an error's `given`.
std::string JsonReader::found() const {
  if (at_ >= text_.size()) return "at its end";
  return fmt::format("'{}' there", printable(text_.substr(at_, 1)));
}

bool JsonReader::accept(char c) {
  skip_space();
  if (at_ >= text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

void JsonReader::expect(char c, Field field) {
  if (!accept(c)) fail(offset(), field, "unexpected character", found(), fmt::format("'{}'", c));
}

std::uint32_t JsonReader::hex4(Field field) {
  std::uint32_t code = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = at_ < text_.size() ? hex_value(text_[at_]) : -1;
    if (digit < 0) fail(offset(), field, "\\u without four hexadecimal digits", found());
    code = code << 4 | static_cast<std::uint32_t>(digit);
    ++at_;
  }
  return code;
}

/// What follows a backslash.
void JsonReader::escape(std::string& out, Field field) {
  constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
  const std::uint64_t start = offset() - 1;
  const char c = at_ < text_.size() ? text_[at_] : '\0';
  const std::size_t known = letters.find(c);
  if (known != std::string_view::npos) {
    ++at_;
    out += meanings[known];
    return;
  }
  if (c != 'u') fail(start, field, "unknown escape in a string", found());
  ++at_;
  std::uint32_t code = hex4(field);
  const bool high = code >= 0xD800 && code <= 0xDBFF;
  if (high && text_.substr(at_).starts_with("\\u")) {
    at_ += 2;
    const std::uint32_t low = hex4(field);
    if (low < 0xDC00 || low > 0xDFFF) fail(start, field, "surrogate without its other half");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  } else if (code >= 0xD800 && code <= 0xDFFF) {
    fail(start, field, "surrogate without its other half");
  }
  append_utf8(out, code);
}

std::string JsonReader::string(Field field) {
  expect('"', field);
  const std::uint64_t start = offset() - 1;
  std::string out;
  for (;;) {
    if (at_ >= text_.size()) fail(start, field, "string without an end");
    const char c = text_[at_];
    if (static_cast<unsigned char>(c) < 0x20) fail(offset(), field, "control character in a string", found());
    ++at_;
    if (c == '"') return out;
    if (c == '\\')
      escape(out, field);
    else
      out += c;
  }
}

std::int64_t JsonReader::natural(Field field) {
  skip_space();
  const std::uint64_t start = offset();
  if (at_ >= text_.size() || !is_digit(text_[at_]))
    fail(start, field, "not a number", found(), "a whole number, 0 or more");
  std::int64_t value = 0;
  const bool zero_first = text_[at_] == '0';
  int digits = 0;
  for (; at_ < text_.size() && is_digit(text_[at_]); ++at_, ++digits)
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value))
      fail(start, field, "number too large", {}, "less than 2^63");
  if (zero_first && digits > 1) fail(start, field, "number with a leading zero");
  if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E'))
    fail(start, field, "not a whole number");
  return value;
}

std::string json_quoted(std::string_view text) {
  constexpr std::string_view special = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
  std::string out = "\"";
  for (char c : text) {
    const std::size_t known = special.find(c);
    if (known != std::string_view::npos)
      (out += '\\') += letters[known];
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out += '"';
}

}  // namespace thalweg::io
