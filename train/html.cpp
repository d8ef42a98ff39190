// Depends on html.hpp, io/file, fmt.
#include <thalweg/train/html.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <thalweg/io/file.hpp>

namespace thalweg::train::html {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

void append_escaped(std::string& to, char c) {
  switch (c) {
    case '&':
      to += "&amp;";
      break;
    case '<':
      to += "&lt;";
      break;
    case '>':
      to += "&gt;";
      break;
    case '"':
      to += "&quot;";
      break;
    case '\'':
      to += "&#39;";
      break;
    default:
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') || c == '\x7F')
        to += replacement;
      else
        to += c;
  }
}

std::string not_finite(double v) { return std::isnan(v) ? "NaN" : v > 0 ? "Inf" : "\u2212Inf"; }

/// A minus sign for "-".
std::string tidy(std::string s) {
  if (s.starts_with('-')) s.replace(0, 1, "\u2212");
  return s;
}

/// Three significant digits without zeros at their end: "3.2e-5", "1e15".
std::string scientific(double v) {
  const std::string s = fmt::format("{:.2e}", v);
  const std::size_t e = s.find('e');
  std::string digits = s.substr(0, e);
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.ends_with('.')) digits.pop_back();
  return tidy(fmt::format("{}e{}", digits, std::stoi(s.substr(e + 1))));
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    const std::size_t good = io::valid_utf8_prefix(text);
    for (const char c : text.substr(0, good)) append_escaped(out, c);
    text.remove_prefix(good);
    if (text.empty()) break;
    out += replacement;
    text.remove_prefix(1);
  }
  return out;
}

std::string number(double v) {
  if (!std::isfinite(v)) return not_finite(v);
  const double size = std::abs(v);
  if (size == 0) return "0";
  if (size >= 1e15 || size < 0.9999e-3) return scientific(v);
  if (size >= 999.95) return thousands(std::llround(v));
  return fixed(v, std::clamp(3 - static_cast<int>(std::floor(std::log10(size))), 1, 6));
}

std::string compact(double v) {
  std::string s = number(v);
  if (!std::isfinite(v) || s.find('.') == std::string::npos || s.find('e') != std::string::npos) return s;
  s.erase(s.find_last_not_of('0') + 1);
  if (s.ends_with('.')) s.pop_back();
  return s;
}

std::string fixed(double v, int decimals) {
  if (!std::isfinite(v)) return not_finite(v);
  if (std::abs(v) >= 1e15) return scientific(v);
  return tidy(fmt::format("{:.{}f}", v, decimals));
}

std::string percent(double v, int decimals) {
  return std::isfinite(v) ? fixed(100 * v, decimals) + "%" : not_finite(v);
}

std::string thousands(std::int64_t n) {
  std::string s = fmt::format("{}", n);
  const std::ptrdiff_t start = n < 0 ? 1 : 0;
  for (std::ptrdiff_t i = static_cast<std::ptrdiff_t>(s.size()) - 3; i > start; i -= 3)
    s.insert(static_cast<std::size_t>(i), 1, ',');
  return tidy(std::move(s));
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return not_finite(seconds);
  if (seconds < 1) return fmt::format("{:.0f} ms", std::max(0.0, seconds) * 1000);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::min(seconds, 1e15) + 0.5);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  const std::int64_t minutes = (whole + 30) / 60;
  if (minutes < 48 * 60) return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
  const std::int64_t hours = (minutes + 30) / 60;
  return fmt::format("{} d {} h", hours / 24, hours % 24);
}

std::string label(std::string_view name) {
  if (name == "lr") return "Learning rate";
  std::string s = name.starts_with("val_") ? "validation " + std::string(name.substr(4)) : std::string(name);
  std::replace(s.begin(), s.end(), '_', ' ');
  if (!s.empty() && s[0] >= 'a' && s[0] <= 'z') s[0] = static_cast<char>(s[0] - 'a' + 'A');
  return s;
}

bool is_share(std::string_view name) { return name.find("accuracy") != std::string_view::npos; }

std::string figure(std::string_view name, double v) { return is_share(name) ? percent(v) : number(v); }

}  // namespace thalweg::train::html
