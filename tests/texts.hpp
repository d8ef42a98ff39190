// What an error says, for tests. Depends on the standard library only.
#pragma once

#include <initializer_list>
#include <string>

namespace texts {

/// The text of the E that f() throws.
template <class E, class F>
std::string complaint(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing thrown";
}

/// Whether every part stands in the text.
inline bool says(const std::string& text, std::initializer_list<std::string> parts) {
  for (const std::string& part : parts)
    if (text.find(part) == std::string::npos) return false;
  return true;
}

}  // namespace texts
