// Checkpoints; see checkpoint.hpp. Depends on nn, io.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <thalweg/autograd/base/error.hpp>
#include <thalweg/io/file.hpp>
#include <thalweg/nn/module.hpp>
#include <thalweg/train/checkpoint.hpp>

namespace thalweg::train {
namespace {

constexpr const char* op = "checkpoint";
constexpr int format_version = 1;  // the checksum is that of io::save_checked() in every version
constexpr const char* library_version = "0.1.0";
const std::string version_key = "thalweg.checkpoint";
const std::string library_key = "thalweg.version";
const std::string kind_key = "thalweg.run.";         // and the name
constexpr std::string_view model_prefix = "model.";  // as fit() names it
constexpr std::string_view prefix = "checkpoint-", suffix = ".safetensors", old_suffix = ".old";

[[noreturn, gnu::cold]] void throw_io(const std::string& path, const char* what,
                                      const std::error_code& error) {
  throw_error<IoError>(
      {.op = op, .arg = io::printable(path), .what = fmt::format("{} ({})", what, error.message())});
}

/// The step in a checkpoint's name, or -1.
std::int64_t step_of(std::string_view name) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) ||
      name.size() < prefix.size() + suffix.size() + 10)
    return -1;
  name = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  std::int64_t step = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  const bool whole = error == std::errc{} && end == name.data() + name.size();
  return whole && fmt::format("{:010}", step) == name ? step : -1;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator it(directory, error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) throw_io(directory, "cannot list the directory", error);
  return names;
}

std::string value_of(const io::Metadata& metadata, const std::string& key) {
  const auto it = metadata.find(key);
  return it == metadata.end() ? std::string("none") : io::printable(it->second);
}

void check_version(const io::TensorFile& file, const std::string& name, Loc loc) {
  const std::string version = value_of(file.metadata, version_key);
  if (version != fmt::format("{}", format_version))
    throw_error<FormatError>(
        {.op = op,
         .arg = name,
         .given = fmt::format("{} (saved by version {})", version, value_of(file.metadata, library_key)),
         .wanted = fmt::format("{} (this is version {})", format_version, library_version),
         .what = "format version that this library does not read",
         .loc = loc});
}

/// Throws where a whole file is not one that this run can go on from.
void check_kind(const io::TensorFile& file, const io::Metadata& kind, const std::string& name, Loc loc) {
  check_version(file, name, loc);
  std::string given, wanted;
  const auto differs = [&](const std::string& key, const std::string& saved, const std::string& value) {
    const char* comma = given.empty() ? "" : ", ";
    const std::string shown = key.starts_with(settings_prefix) ? key.substr(settings_prefix.size()) : key;
    given += fmt::format("{}{} {}", comma, io::printable(shown), saved);
    wanted += fmt::format("{}{} {}", comma, io::printable(shown), value);
  };
  for (const auto& [key, value] : kind) {
    const std::string saved = value_of(file.metadata, kind_key + key);
    if (saved != value) differs(key, saved, value);
  }
  for (const auto& [key, saved] : file.metadata)  // a setting that this run does not have
    if (key.starts_with(kind_key + settings_prefix) && kind.count(key.substr(kind_key.size())) == 0)
      differs(key.substr(kind_key.size()), io::printable(saved), "none");
  if (!given.empty())
    throw_error<ValueError>({.op = op,
                             .arg = name,
                             .given = given,
                             .wanted = wanted,
                             .what = "saved by a run with other settings; nothing was loaded",
                             .loc = loc});
}

}  // namespace

void visit_generator(io::StateVisitor& f, const std::string& name, Generator& generator) {
  RandomKey key = generator.state();
  f(name + ".seed", key.seed);
  f(name + ".offset", key.offset);
  generator.set_state(key);
}

void visit_model(io::StateVisitor& f, nn::ModuleRef model) {
  for (auto& [name, tensor] : nn::detail::state_dict(model)) f(name, tensor);
  for (auto& [name, generator] : nn::detail::named_generators(model)) visit_generator(f, name, *generator);
}

void detail::load_weights(nn::ModuleRef model, const std::string& path, Loc loc) {
  io::TensorFile file = io::load_file(path);
  io::NamedTensors weights;
  if (file.metadata.count(version_key) == 0) {
    weights = std::move(file.tensors);
  } else {
    check_version(file, io::printable(path), loc);
    // A generator's seed and offset stand among the model's tensors, but are none of them.
    const auto of_generator = [&file](const std::string& name) {
      const std::size_t dot = name.rfind('.');
      const std::string owner = name.substr(0, dot), part = name.substr(dot);
      return (part == ".seed" && file.find(owner + ".offset")) ||
             (part == ".offset" && file.find(owner + ".seed"));
    };
    for (const auto& [name, tensor] : file.tensors)
      if (name.starts_with(model_prefix) && !of_generator(name))
        weights.emplace_back(name.substr(model_prefix.size()), tensor);
  }
  nn::detail::load_state_dict(model, weights, {}, loc);
}

std::string Restored::describe() const {
  std::string text;
  for (const Skipped& s : skipped) text += fmt::format("skipped {}: {}\n", io::printable(s.path), s.reason);
  return text + (path.empty() ? std::string("no checkpoint to resume from: starting afresh\n")
                              : fmt::format("resumed from {} (step {})\n", io::printable(path), step));
}

Checkpoints::Checkpoints(std::string directory, int keep, Loc loc)
    : directory_(std::move(directory)), keep_(static_cast<std::size_t>(std::max(keep, 1))) {
  if (keep < 1)
    throw_error<ValueError>({.op = op,
                             .arg = "keep",
                             .given = fmt::format("{}", keep),
                             .wanted = "1 or more",
                             .what = "no checkpoint would stay",
                             .loc = loc});
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (!std::filesystem::is_directory(directory_, error)) {
    if (!error) error = std::make_error_code(std::errc::not_a_directory);
    throw_io(directory_, "cannot make the directory", error);
  }
  io::remove_leftovers(directory_);
}

std::string Checkpoints::path_of(std::int64_t step) const {
  return fmt::format("{}/{}{:010}{}", directory_, prefix, step, suffix);
}

std::vector<std::int64_t> Checkpoints::steps() const {
  std::vector<std::int64_t> found;
  for (const std::string& name : names_in(directory_))
    if (const std::int64_t step = step_of(name); step >= 0) found.push_back(step);
  std::sort(found.begin(), found.end(), std::greater<>());
  return found;
}

void Checkpoints::set_aside(std::int64_t step) const {
  const std::string path = path_of(step);
  std::error_code error;
  std::filesystem::rename(path, path + std::string(old_suffix), error);
  if (error && error != std::errc::no_such_file_or_directory) throw_io(path, "cannot rename", error);
}

int Checkpoints::start_afresh() {
  const std::vector<std::int64_t> earlier = steps();
  if (!earlier.empty())  // one earlier run is kept, not all of them
    for (const std::string& name : names_in(directory_))
      if (name.ends_with(old_suffix) &&
          step_of(std::string_view(name).substr(0, name.size() - old_suffix.size())) >= 0)
        std::remove((directory_ + "/" + name).c_str());
  for (std::int64_t step : earlier) set_aside(step);  // newest first: killed in between, none newer is left
  return static_cast<int>(earlier.size());
}

std::string Checkpoints::save(std::int64_t step, const io::Metadata& kind, const io::StateVisit& visit,
                              Loc loc) {
  if (step < 0)
    throw_error<ValueError>({.op = op,
                             .arg = "step",
                             .given = fmt::format("{}", step),
                             .wanted = "0 or more",
                             .what = "not a step",
                             .loc = loc});
  const std::string path = path_of(step);
  io::Metadata about{{version_key, fmt::format("{}", format_version)}, {library_key, library_version}};
  for (const auto& [key, value] : kind) about[kind_key + key] = value;
  io::save_state(path, visit, about, loc);
  // What restore() skipped may stand at higher steps: left there, it would count among the newest.
  std::size_t kept = 0;
  for (std::int64_t s : steps()) {
    if (s > step)
      set_aside(s);
    else if (kept++ >= keep_)
      std::remove(path_of(s).c_str());  // one too many is no harm
  }
  return path;
}

Restored Checkpoints::restore(const io::Metadata& kind, const io::StateVisit& visit, Loc loc) {
  Restored result;
  for (std::int64_t step : steps()) {
    const std::string path = path_of(step);
    io::TensorFile file;
    try {
      file = io::load_checked(path);
    } catch (const IoError& e) {
      result.skipped.push_back({path, e.what()});
      continue;
    } catch (const FormatError& e) {
      result.skipped.push_back({path, e.what()});
      continue;
    }
    check_kind(file, kind, io::printable(path), loc);
    io::assign_state(file, visit, io::printable(path), loc);
    result.path = path;
    result.step = step;
    break;
  }
  return result;
}

}  // namespace thalweg::train
