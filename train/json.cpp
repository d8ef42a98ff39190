// Depends on json.hpp, fmt.
#include <thalweg/train/json.hpp>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::train {

std::string json_number(double v) { return std::isfinite(v) ? fmt::format("{}", v) : "null"; }

LineFile::LineFile(std::string path, std::string op, bool append)
    : path_(std::move(path)), op_(std::move(op)) {
  file_ = std::fopen(path_.c_str(), append ? "ae" : "we");
  if (!file_) fail();
  if (append) std::fseek(file_, 0, SEEK_END);  // a pipe need not know where it is
}

LineFile::~LineFile() { std::fclose(file_); }

void LineFile::line(const std::string& text) {
  const std::string whole = text + "\n";
  if (std::fwrite(whole.data(), 1, whole.size(), file_) != whole.size() || std::fflush(file_) != 0) fail();
}

void LineFile::fail() const { throw_error<IoError>({.op = op_, .arg = path_, .what = std::strerror(errno)}); }

}  // namespace thalweg::train
