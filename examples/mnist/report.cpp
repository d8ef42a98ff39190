// Depends on report.hpp, fmt.
#include "report.hpp"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>

namespace mnist {
namespace {

/// JSON has no NaN and no infinity.
std::string number(double v) { return std::isfinite(v) ? fmt::format("{}", v) : "null"; }

}  // namespace

std::string hash_of(const std::vector<thalweg::Tensor>& parameters) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (const thalweg::Tensor& p : parameters)
    for (const std::byte b : std::as_bytes(p.span<float>())) {
      h ^= static_cast<std::uint64_t>(b);
      h *= 0x100000001B3u;
    }
  return fmt::format("{:016x}", h);
}

std::string to_json(const EpochResult& r) {
  return fmt::format(
      R"({{"event":"epoch","epoch":{},"loss":{},"accuracy":{},"val_loss":{},"val_accuracy":{},"seconds":{:.3f}}})",
      r.epoch, number(r.train.loss), number(r.train.accuracy), number(r.validation.loss),
      number(r.validation.accuracy), r.seconds);
}

std::string to_json(const Result& r) {
  return fmt::format(
      R"({{"event":"result","test_accuracy":{},"test_loss":{},"epochs":{},"train_seconds":{:.3f},"params_hash":"{}"}})",
      number(r.test.accuracy), number(r.test.loss), r.epochs, r.train_seconds, r.params_hash);
}

JsonFile::JsonFile(const std::string& path) : path_(path) {
  if (path_.empty()) return;
  file_ = std::fopen(path_.c_str(), "we");
  if (!file_)
    thalweg::throw_error<thalweg::IoError>({.op = "--json", .arg = path_, .what = std::strerror(errno)});
}

JsonFile::~JsonFile() {
  if (file_) std::fclose(file_);
}

void JsonFile::line(const std::string& object) {
  if (!file_) return;
  const std::string text = object + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0)
    thalweg::throw_error<thalweg::IoError>({.op = "--json", .arg = path_, .what = std::strerror(errno)});
}

}  // namespace mnist
