// Callbacks that write a line for every epoch: CSV and JSON. Depends on train/callback, train/json.
// Invariant: a line is with the system before the next epoch begins, and after a kill and resume each epoch
// is there once: a resumed run first writes the epochs before it anew or, appending, takes out what was
// written after the checkpoint.
#pragma once

#include <cstdint>
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
    /// Go on behind what is in the file, without a second header. A resumed run first cuts the file to the
    /// length it had at the checkpoint; what was written before there was any checkpoint stays.
    bool append = false;
  };
  explicit CSVLogger(std::string path) : CSVLogger(std::move(path), Options{}) {}
  CSVLogger(std::string path, Options options) : path_(std::move(path)), options_(options) {}
  std::string name() const override { return "CSVLogger"; }
  /// Throws IoError, as all of them, also on a full disk.
  void on_train_begin(Training& t) override;
  void on_epoch_end(Training& t) override;
  void prepare(Training&) override { size_ = -1; }
  void visit(io::StateVisitor& f) override {
    if (options_.append) f("size", size_);
  }

 private:
  void cut() const;
  void write(std::int64_t epoch, const Logs& logs);

  std::string path_;
  Options options_;
  std::int64_t size_ = -1;            // of the file after the last line; below 0: not known
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
