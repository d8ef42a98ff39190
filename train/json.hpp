// JSON lines: one object a line, each handed to the system before the training goes on. Depends on base.
#pragma once

#include <cstdio>
#include <string>

namespace thalweg::train {

/// A number as JSON has it, with as many digits as it takes to read the same one back; null for NaN and
/// infinity, which JSON has not.
std::string json_number(double v);

/// A file of lines, replaced when opened.
class LineFile {
 public:
  /// Throws IoError when the file cannot be made. `op` is what error texts begin with.
  explicit LineFile(std::string path, std::string op = "json", bool append = false);
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile();
  /// Writes `text` and a line end. Throws IoError, also on a full disk.
  void line(const std::string& text);
  /// Whether something was in the file when it was opened to append.
  bool continued() const noexcept { return continued_; }

 private:
  [[noreturn]] void fail() const;

  std::string path_, op_;
  std::FILE* file_ = nullptr;
  bool continued_ = false;
};

}  // namespace thalweg::train
