// Depends on history.hpp.
#include <thalweg/train/history.hpp>

#include <algorithm>
#include <limits>

#include <thalweg/autograd/base/error.hpp>

namespace thalweg::train {
namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

template <class Entries>
auto find_in(Entries& entries, std::string_view name) noexcept {
  return std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.first == name; });
}

template <class Entries>
std::string names_of(const Entries& entries) {
  std::string text;
  for (const auto& entry : entries) text += (text.empty() ? "" : ", ") + entry.first;
  return text;
}

[[noreturn]] void throw_absent(const char* op, std::string_view name, const std::string& names, Loc loc) {
  throw_error<IndexError>({.op = op,
                           .arg = "name",
                           .given = "'" + std::string(name) + "'",
                           .wanted = names.empty() ? "none: nothing was logged" : "one of " + names,
                           .what = "nothing of that name",
                           .loc = loc});
}

}  // namespace

void Logs::set(std::string_view name, double value) {
  const auto at = find_in(entries_, name);
  if (at != entries_.end())
    at->second = value;
  else
    entries_.emplace_back(name, value);
}

const double* Logs::find(std::string_view name) const noexcept {
  const auto at = find_in(entries_, name);
  return at == entries_.end() ? nullptr : &at->second;
}

double Logs::at(std::string_view name, Loc loc) const {
  if (const double* value = find(name)) return *value;
  throw_absent("logs", name, names(), loc);
}

std::string Logs::names() const { return names_of(entries_); }

const std::vector<double>* History::find(std::string_view name) const noexcept {
  const auto at = find_in(columns_, name);
  return at == columns_.end() ? nullptr : &at->second;
}

const std::vector<double>& History::at(std::string_view name, Loc loc) const {
  if (const std::vector<double>* column = find(name)) return *column;
  throw_absent("history", name, names(), loc);
}

std::string History::names() const { return names_of(columns_); }

std::int64_t History::number(std::int64_t i, Loc loc) const {
  check(i, loc);
  return static_cast<std::int64_t>(numbers_[static_cast<std::size_t>(i)]);
}

Logs History::logs(std::int64_t i, Loc loc) const {
  check(i, loc);
  Logs logs;
  for (const auto& [name, values] : columns_) logs.set(name, values[static_cast<std::size_t>(i)]);
  return logs;
}

void History::check(std::int64_t i, Loc loc) const {
  if (i >= 0 && i < epochs()) return;
  throw_error<IndexError>({.op = "history",
                           .arg = "i",
                           .given = std::to_string(i),
                           .wanted = "0 or more, below " + std::to_string(epochs()),
                           .what = "no such epoch",
                           .loc = loc});
}

void History::append(std::int64_t epoch, const Logs& logs) {
  for (const auto& [name, value] : logs)
    if (!find(name)) columns_.emplace_back(name, std::vector<double>(numbers_.size(), nothing));
  for (auto& [name, values] : columns_) {
    const double* value = logs.find(name);
    values.push_back(value ? *value : nothing);
  }
  numbers_.push_back(static_cast<double>(epoch));
}

void History::visit(io::StateVisitor& f) {
  f("seconds", seconds);
  f("numbers", numbers_);
  std::string text;  // a load may bring other columns than there are
  for (const auto& [name, values] : columns_) text += name + "\n";
  const std::string before = text;
  f("names", text);
  if (text != before) {
    columns_.clear();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      columns_.emplace_back(text.substr(at, end - at), std::vector<double>());
      at = end + 1;
    }
  }
  f.scope("column", [&](io::StateVisitor& inner) {
    for (auto& [name, values] : columns_) inner(name, values);
  });
}

}  // namespace thalweg::train
