// JSON lines: one object a line, each handed to the system before the training goes on. Depends on base.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace thalweg::train {

/// A number as JSON has it, with as many digits as it takes to read the same one back; null for NaN and
/// infinity, which JSON has not.
std::string json_number(double v);

/// A file of lines, replaced when opened unless it is to be appended to.
class LineFile {
 public:
  /// Throws IoError when the file cannot be made. `op` is what error texts begin with.
  explicit LineFile(std::string path, std::string op = "json", bool append = false);
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile();
  /// Writes `text` and a line end. Throws IoError, also on a full disk.
  void line(const std::string& text);
  /// Bytes in the file; -1 for what has no size, as a pipe.
  std::int64_t size() const noexcept { return std::ftell(file_); }

 private:
  [[noreturn]] void fail() const;

  std::string path_, op_;
  std::FILE* file_ = nullptr;
};

}  // namespace thalweg::train
