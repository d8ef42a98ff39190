// Depends on options.hpp, Boost.Program_options, fmt. Program_options guesses prefixes and takes `nan` and
// `-1` for numbers; here it only splits the command line, guessing off, and the values are read by the
// functions below.
#include "options.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

#include <fmt/format.h>
#include <boost/program_options.hpp>

namespace examples {
namespace {

namespace po = boost::program_options;

std::string default_checkpoints(const Program& program) { return program.name + "-checkpoints"; }

po::options_description description(const Program& program) {
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  po::options_description d("Options", 110);
  auto add = d.add_options();
  if (program.models.size() > 1)
    add("model", text("NAME"),
        fmt::format("{} ({})", fmt::join(program.models, " or "), program.models.front()).c_str());
  add("epochs", text("N"), "passes over the training images, at most (20)");
  add("batch-size", text("N"), "images per step (128)");
  add("lr", text("X"), "Adam's learning rate (0.001)");
  add("seed", text("N"), "of weights, order, dropout and augmentation (0)");
  add("threads", text("N"), "1 to 256; the result does not depend on it (all cores)");
  add("data-dir", text("DIR"), program.data_dir.c_str());
  add("limit", text("N"), "use the first N training images only, 10 or more (all)");
  if (program.augments) add("no-augment", "train on the images as they are");
  add("checkpoints", text("DIR"),
      fmt::format(
          "keep the state of the run there, saved after each epoch and within it every 2 s (or less often, "
          "so that this takes at most 2 % of the time); 'none' for none ({})",
          program.checkpoints ? default_checkpoints(program) : "none")
          .c_str());
  add("save-every", text("N"), "within an epoch every N steps instead of by time");
  add("resume", "go on from the newest valid checkpoint, with the flags of the run that wrote it");
  add("json", text("FILE"), "write a JSON object a line: each epoch, then the result");
  add("report", text("FILE"), "write an HTML page: curves, confusion matrix, the worst errors");
  add("save", text("FILE"), "write the trained parameters as safetensors");
  add("load", text("FILE"), "start from the parameters in FILE, which --save or --checkpoints wrote");
  add("quiet", "print the result only");
  add("help", "print this");
  return d;
}

std::vector<std::string> flags(const po::options_description& known) {
  std::vector<std::string> names;
  for (const auto& option : known.options()) names.push_back("--" + option->long_name());
  return names;
}

[[noreturn]] void bad_value(const std::string& flag, const std::string& given, const std::string& wanted) {
  throw UsageError(fmt::format("--{}: '{}' is not {}", flag, given, wanted));
}

template <class T>
T whole_number(const po::variables_map& m, const std::string& flag, T low, T high, T absent) {
  if (!m.count(flag)) return absent;
  const std::string& s = m[flag].as<std::string>();
  T v{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc{} || end != s.data() + s.size() || v < low || v > high)
    bad_value(flag, s,
              high == std::numeric_limits<T>::max() ? fmt::format("a whole number, {} or more", low)
                                                    : fmt::format("a whole number from {} to {}", low, high));
  return v;
}

double positive_number(const po::variables_map& m, const std::string& flag, double absent) {
  if (!m.count(flag)) return absent;
  const std::string& s = m[flag].as<std::string>();
  double v = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (error != std::errc{} || end != s.data() + s.size() || !std::isfinite(v) || v <= 0)
    bad_value(flag, s, "a number above 0");
  return v;
}

std::string path(const po::variables_map& m, const std::string& flag) {
  if (!m.count(flag)) return {};
  const std::string& s = m[flag].as<std::string>();
  if (s.empty()) bad_value(flag, s, "a path");
  return s;
}

std::string model(const po::variables_map& m, const Program& program) {
  if (!m.count("model")) return program.models.front();
  const std::string& s = m["model"].as<std::string>();
  if (std::find(program.models.begin(), program.models.end(), s) == program.models.end())
    bad_value("model", s, fmt::format("{}", fmt::join(program.models, " or ")));
  return s;
}

po::variables_map split(const po::options_description& known, const std::vector<std::string>& words) {
  const po::positional_options_description none;
  po::variables_map m;
  try {
    using namespace po::command_line_style;
    // Long options only, so that `--lr -1` reaches the check of lr instead of being taken for a short option.
    po::store(po::command_line_parser(words)
                  .options(known)
                  .positional(none)
                  .style(allow_long | long_allow_adjacent | long_allow_next)
                  .run(),
              m);
  } catch (const po::unknown_option& e) {
    const std::string given = e.get_option_name();
    throw UsageError(fmt::format("unknown option '{}'; the nearest is '{}'", given, nearest(given, flags(known))));
  } catch (const po::too_many_positional_options_error&) {
    throw UsageError("an argument that belongs to no option; see --help");
  } catch (const po::error& e) {
    throw UsageError(e.what());
  }
  return m;
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& words) {
  std::string best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : words) {
    // row[j]: the distance between the part of `word` read so far and the first j letters of `candidate`.
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t replaced = diagonal + (word[i] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

Options parse_options(const Program& program, int argc, const char* const* argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  for (std::string& word : words)
    if (word == "-h") word = "--help";
  const po::variables_map m = split(description(program), words);
  constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();
  Options o;
  o.help = m.count("help") > 0;
  o.quiet = m.count("quiet") > 0;
  o.resume = m.count("resume") > 0;
  o.augment = program.augments && m.count("no-augment") == 0;
  o.model = model(m, program);
  o.epochs = whole_number<std::int64_t>(m, "epochs", 1, no_limit, o.epochs);
  o.batch_size = whole_number<std::int64_t>(m, "batch-size", 1, 1'000'000, o.batch_size);
  o.lr = positive_number(m, "lr", o.lr);
  o.seed = whole_number<std::uint64_t>(m, "seed", 0, std::numeric_limits<std::uint64_t>::max(), o.seed);
  o.threads = whole_number<int>(m, "threads", 1, 256, o.threads);
  o.limit = whole_number<std::int64_t>(m, "limit", 10, no_limit, o.limit);
  o.save_every = whole_number<std::int64_t>(m, "save-every", 1, no_limit, o.save_every);
  o.data_dir = path(m, "data-dir");
  o.json = path(m, "json");
  o.report = path(m, "report");
  o.save = path(m, "save");
  o.load = path(m, "load");
  o.checkpoints = path(m, "checkpoints");
  if (o.checkpoints.empty() && (program.checkpoints || o.resume || o.save_every > 0))
    o.checkpoints = default_checkpoints(program);
  if (o.checkpoints == "none") {
    if (o.resume || o.save_every > 0)
      throw UsageError("--checkpoints none leaves nothing for --resume and --save-every");
    o.checkpoints.clear();
  }
  if (o.resume && !o.load.empty())
    throw UsageError("--resume and --load both say where the parameters come from; give one");
  return o;
}

std::string help_text(const Program& program) {
  std::ostringstream out;
  out << "usage: " << program.name << " [OPTIONS]\n"
      << program.about << "Ctrl-C ends the training after its step and still tests.\n\n"
      << description(program)
      << "\nExit status: 0, 1 after an error, 2 for a wrong command line, 130 after Ctrl-C.\n";
  return out.str();
}

}  // namespace examples
