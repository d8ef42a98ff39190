// Depends on loggers.hpp, fmt.
#include <thalweg/train/loggers.hpp>

#include <cmath>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::train {

// ---- CSVLogger ---------------------------------------------------------------------------------

void CSVLogger::cut() const {
  std::error_code error;
  const auto size = std::filesystem::file_size(path_, error);
  if (error || size_ < 0 || size <= static_cast<std::uintmax_t>(size_)) return;
  std::filesystem::resize_file(path_, static_cast<std::uintmax_t>(size_), error);
  if (error) throw_error<IoError>({.op = "CSVLogger", .arg = path_, .what = error.message()});
}

void CSVLogger::on_train_begin(Training& t) {
  columns_.clear();
  if (options_.append) cut();
  file_ = std::make_shared<LineFile>(path_, "CSVLogger", options_.append);
  size_ = file_->size();
  if (options_.append) return;
  for (std::int64_t i = 0; i < t.history.epochs(); ++i) write(t.history.number(i) + 1, t.history.logs(i));
}

void CSVLogger::on_epoch_end(Training& t) { write(t.epoch + 1, t.logs); }

void CSVLogger::write(std::int64_t epoch, const Logs& logs) {
  if (columns_.empty()) {
    std::string header = "epoch";
    for (const auto& [name, value] : logs) {
      columns_.push_back(name);
      header += options_.separator + name;
    }
    if (!options_.append || size_ <= 0) file_->line(header);
  }
  std::string row = std::to_string(epoch);
  for (const std::string& column : columns_) {
    const double* value = logs.find(column);
    row += options_.separator + (value && !std::isnan(*value) ? fmt::format("{}", *value) : "nan");
  }
  file_->line(row);
  size_ = file_->size();
}

// ---- JsonLogger --------------------------------------------------------------------------------

std::string epoch_json(std::int64_t epoch, const Logs& logs) {
  std::string text = fmt::format(R"({{"event":"epoch","epoch":{})", epoch);
  bool gathered = true;  // what comes before the rate was summed up over examples
  for (const auto& [name, value] : logs) {
    if (name == "lr") gathered = false;
    if (name == "images_per_second" || name.starts_with("memory_")) continue;
    const bool training = gathered && !name.starts_with("val_");
    text += fmt::format(R"(,"{}{}":{})", training ? "train_" : "", name,
                        name == "seconds" ? fmt::format("{:.3f}", value) : json_number(value));
  }
  return text + "}";
}

void JsonLogger::on_train_begin(Training& t) {
  file_ = std::make_shared<LineFile>(path_, "JsonLogger");
  for (std::int64_t i = 0; i < t.history.epochs(); ++i)
    file_->line(epoch_json(t.history.number(i) + 1, t.history.logs(i)));
}

void JsonLogger::on_epoch_end(Training& t) { file_->line(epoch_json(t.epoch + 1, t.logs)); }

void JsonLogger::line(const std::string& object) {
  if (!file_) file_ = std::make_shared<LineFile>(path_, "JsonLogger");
  file_->line(object);
}

}  // namespace thalweg::train
