// The command line that the training programs share: every value is checked, and a mistake says which flag
// and what was wanted. Depends on Boost.Program_options (in options.cpp alone).
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace examples {

/// What differs between the programs.
struct Program {
  std::string name;                 ///< "mnist"
  std::string data;                 ///< "MNIST", for people
  std::string about;                ///< what --help begins with, whole lines
  std::vector<std::string> models;  ///< for --model; the first is the default
  std::string data_dir;             ///< what --data-dir must hold
  bool augments = false;            ///< has --no-augment
  bool checkpoints = false;         ///< keeps checkpoints unless --checkpoints none; else only when asked to
};

struct Options {
  std::string model;
  std::int64_t epochs = 20;
  std::int64_t batch_size = 128;
  double lr = 1e-3;
  std::uint64_t seed = 0;
  int threads = 0;         ///< 0: as many as there are cores
  std::int64_t limit = 0;  ///< 0: all training images
  std::string data_dir, json, save, load, report;
  std::string checkpoints;  ///< directory; empty: none
  std::int64_t save_every = 0;  ///< steps between checkpoints within an epoch; 0: by time
  bool resume = false;
  bool augment = true;
  bool quiet = false;
  bool help = false;
};

/// A mistake on the command line; the program says what() and exits with 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws UsageError.
Options parse_options(const Program& program, int argc, const char* const* argv);
/// What --help prints.
std::string help_text(const Program& program);
/// Of `words` the one nearest to `word` by insertions, deletions and replacements of a character.
std::string nearest(std::string_view word, const std::vector<std::string>& words);

}  // namespace examples
