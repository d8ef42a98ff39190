// Callbacks that write a line for every epoch: CSV and JSON. Depends on train/callback, train/json.
// Invariant: a line is with the system before the next epoch begins, and the file is always that of the
// history: a resumed run first writes the epochs before it anew, so that none is there twice.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <thalweg/train/callback.hpp>
#include <thalweg/train/json.hpp>

namespace thalweg::train {

/// A table with a header: "epoch" (from 1) and the names in the logs; NaN is written "nan".
class CSVLogger final : public Callback {
 public:
  struct Options {
    char separator = ',';
    bool append = false;  ///< go on behind what is in the file, without a second header
  };
  explicit CSVLogger(std::string path) : CSVLogger(std::move(path), Options{}) {}
  CSVLogger(std::string path, Options options) : path_(std::move(path)), options_(options) {}
  std::string name() const override { return "CSVLogger"; }
  /// Throws IoError, as all of them, also on a full disk.
  void on_train_begin(Training& t) override;
  void on_epoch_end(Training& t) override;

 private:
  void write(std::int64_t epoch, const Logs& logs);

  std::string path_;
  Options options_;
  std::vector<std::string> columns_;  // of the header, once it is written
  std::shared_ptr<LineFile> file_;
};

/// {"event":"epoch","epoch":1,"train_loss":..,"train_accuracy":..,"val_loss":..,"val_accuracy":..,"lr":..,
/// "seconds":..}: what was gathered in training gets the prefix "train_". Epochs count from 1.
class JsonLogger final : public Callback {
 public:
  explicit JsonLogger(std::string path) : path_(std::move(path)) {}
  std::string name() const override { return "JsonLogger"; }
  /// Throws IoError, as all of them, also on a full disk.
  void on_train_begin(Training& t) override;
  void on_epoch_end(Training& t) override;
  /// One more object, a line of its own: a result after the training, say.
  void line(const std::string& object);

 private:
  std::string path_;
  std::shared_ptr<LineFile> file_;
};

/// The line of an epoch that JsonLogger writes, `epoch` from 1.
std::string epoch_json(std::int64_t epoch, const Logs& logs);

}  // namespace thalweg::train
