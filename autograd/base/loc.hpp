// Loc: a line of the user's program, taken where an argument is converted or a function is called.
// Depends on nothing. clang 14 on libstdc++ 12 has no std::source_location, hence the builtins.
#pragma once

namespace thalweg {

struct Loc {
  const char* file = nullptr;
  int line = 0;

  static constexpr Loc here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    return {file, line};
  }
  constexpr explicit operator bool() const noexcept { return file != nullptr; }
};

}  // namespace thalweg
