// The machine-readable report: JSON objects, a line each. Depends on base.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <thalweg/autograd/tensor/tensor.hpp>

namespace mnist {

struct Score {
  double loss = 0;
  double accuracy = 0;
};

struct EpochResult {
  std::int64_t epoch = 0;  ///< from 1
  Score train, validation;
  double seconds = 0;
};

struct Result {
  Score test;
  std::int64_t epochs = 0;  ///< those that were finished
  double train_seconds = 0;
  std::string params_hash;
};

/// FNV-1a, 64 bits, over the bytes of all tensors in order, as 16 hexadecimal digits.
std::string hash_of(const std::vector<thalweg::Tensor>& parameters);

std::string to_json(const EpochResult& r);
std::string to_json(const Result& r);

/// A file of lines, each on disk before the training goes on. Without a path it does nothing.
class JsonFile {
 public:
  /// Throws IoError when the file cannot be made.
  explicit JsonFile(const std::string& path);
  JsonFile(const JsonFile&) = delete;
  JsonFile& operator=(const JsonFile&) = delete;
  ~JsonFile();
  /// Throws IoError, also on a full disk.
  void line(const std::string& object);

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
};

}  // namespace mnist
